"""Submissions as packets, and what is refused before anything is sent."""

from __future__ import annotations

import datetime

import pytest

from gearman_trio.client import submission
from gearman_trio.client.submission import (
    ForegroundTemplate,
    Priority,
    encode_background,
    encode_epoch,
    encode_foreground,
    workload_bytes,
)
from gearman_trio.errors import ConfigError, LocalProtocolError

UTC = datetime.UTC


@pytest.mark.parametrize(
    ("priority", "foreground", "background"),
    [("high", 21, 32), ("normal", 7, 18), ("low", 33, 34), (Priority.HIGH, 21, 32), (Priority.LOW, 33, 34)],
)
def test_golden_bytes_of_submissions(priority: str, foreground: int, background: int) -> None:
    body = b"\0\0\0\x0dreverse\0u\0\0w\n"

    assert b"\0REQ\0\0\0" + bytes([foreground]) + body == encode_foreground("reverse", b"\0w\n", priority, "u")
    assert b"\0REQ\0\0\0" + bytes([background]) + body == encode_background(b"reverse", b"\0w\n", priority, b"u")


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
@pytest.mark.parametrize("workload", [b"", b"a\0b", bytearray(b"a\0b"), memoryview(b"abcd").cast("H")])
def test_a_template_gives_the_same_bytes(priority: str, workload: bytes) -> None:
    template = ForegroundTemplate("reverse", priority, "u")

    assert encode_foreground("reverse", workload, priority, "u") == template.packet(workload)


def test_a_template_refuses_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="function name"):
        ForegroundTemplate("", "normal", None)
    with pytest.raises(ConfigError, match="priority"):
        ForegroundTemplate("f", "urgent", None)
    with pytest.raises(ConfigError, match="unique ID"):
        ForegroundTemplate("f", "normal", "u" * 65)
    with pytest.raises(TypeError, match="workload"):
        ForegroundTemplate("f", "normal", None).packet("text")  # type: ignore[arg-type]  # what is tested

    monkeypatch.setattr(submission, "MAX_PACKET_BYTES", 10)
    assert ForegroundTemplate("f", "normal", None).packet(b"1234567")
    with pytest.raises(LocalProtocolError, match="11 bytes"):
        ForegroundTemplate("f", "normal", None).packet(b"12345678")


@pytest.mark.parametrize(
    ("run_at", "sent"),
    [
        (0, b"0"),
        (1700000000, b"1700000000"),
        (1700000000.0, b"1700000000"),
        (1700000000.25, b"1700000000.250"),
        (1700000000.0004, b"1700000000"),
        (1700000000.9996, b"1700000001"),
        (2**63 - 1, b"9223372036854775807"),
        (datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), b"1700000000"),
        (datetime.datetime(2023, 11, 14, 22, 13, 20, 5000, tzinfo=UTC), b"1700000000.005"),
    ],
)
def test_time_of_a_job(run_at: float | datetime.datetime, sent: bytes) -> None:
    assert encode_epoch("f", b"w", run_at, None).endswith(b"f\0\0" + sent + b"\0w")


@pytest.mark.parametrize(
    "run_at",
    [-1, 2**63, float("nan"), float("inf"), True, "now", datetime.datetime(2023, 11, 14)],
)
def test_times_that_are_refused(run_at: float) -> None:
    with pytest.raises(ConfigError, match="run_at"):
        encode_epoch("f", b"w", run_at, None)


@pytest.mark.parametrize("workload", [b"a\0b", bytearray(b"a\0b"), memoryview(b"a\0b")])
def test_workloads_that_are_taken(workload: bytes) -> None:
    assert b"a\0b" == workload_bytes(workload)


@pytest.mark.parametrize("workload", ["text", None, 3, [1]])
def test_workloads_that_are_refused(workload: bytes) -> None:
    with pytest.raises(TypeError, match="workload: expected bytes"):
        workload_bytes(workload)


@pytest.mark.parametrize("priority", ["urgent", "HIGH", 1, None])
def test_priorities_that_are_refused(priority: str) -> None:
    with pytest.raises(ConfigError, match="priority"):
        encode_foreground("f", b"", priority, None)
    with pytest.raises(ConfigError, match="priority"):
        encode_background("f", b"", priority, None)
