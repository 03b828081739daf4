"""What the wire says of a job's progress, as values."""

from __future__ import annotations

import pytest

from gearman_trio.client import JobState, JobStatus
from gearman_trio.client.events import parse_state, parse_status
from gearman_trio.errors import RemoteProtocolError


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"1\x004", JobStatus(1, 4)),
        (b"1\x004\0", JobStatus(1, 4)),
        (b"1.9\x004.0", JobStatus(1, 4)),
        (b"-1\x000", JobStatus(-1, 0)),
        (b"", None),
        (b"1", None),
        (b"a\0b", None),
        (b"inf\x001", None),
        (b"nan\x001", None),
        (b"9223372036854775807\x001", JobStatus(2**63 - 1, 1)),
        (b"9223372036854775808\x001", None),
        (b"1e400\x001", None),
        (b"9" * 5000 + b"\x001", None),
    ],
)
def test_status_of_a_worker(payload: bytes, expected: JobStatus | None) -> None:
    assert expected == parse_status(payload)


@pytest.mark.parametrize(
    ("status", "fraction"), [(JobStatus(1, 4), 0.25), (JobStatus(3, 0), 0.0), (JobStatus(1, -1), 0.0)]
)
def test_fraction(status: JobStatus, fraction: float) -> None:
    assert fraction == status.fraction


def test_state_by_handle() -> None:
    state = parse_state([b"H:1", b"1", b"0", b"3", b"4"])

    assert JobState(known=True, running=False, numerator=3, denominator=4, clients=None) == state
    assert 0.75 == state.fraction


def test_state_by_unique_id_has_the_number_of_clients() -> None:
    assert 2 == parse_state([b"u", b"1", b"1", b"0", b"0", b"2"]).clients


def test_state_that_is_no_number() -> None:
    with pytest.raises(RemoteProtocolError, match="expected numbers"):
        parse_state([b"H:1", b"1", b"yes", b"0", b"0"])
