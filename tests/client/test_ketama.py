"""The ring against numbers that were worked out with md5sum, sort and awk."""

from __future__ import annotations

import pytest

from gearman_trio.client.ketama import Ring
from gearman_trio.transport import Address

SERVERS = [Address("localhost", 4730), Address("localhost", 4731), Address("localhost", 4732)]


@pytest.mark.parametrize(
    ("unique", "owner", "stand_in"),
    [
        (b"some-job-unique", 2, 1),
        (b"a-completely-different-unique", 2, 1),
        (b"user-1", 2, 1),
        (b"user-2", 2, 1),
        (b"user-3", 1, 0),
        (b"user-4", 2, 1),
        (b"user-5", 0, 1),
        (b"report-May", 1, 0),
    ],
)
def test_owner_and_stand_in(unique: bytes, owner: int, stand_in: int) -> None:
    """Printf 'localhost:4730-0' | md5sum, the four words turned round and sorted; and so for the unique IDs."""
    assert [owner, stand_in] == [*Ring(SERVERS).order(unique)][:2]


def test_the_end_of_the_ring_is_its_beginning() -> None:
    """user-48 is at 4282241837, behind the last point, 4278809632; the first, 129244469, is that of port 4731.

    libhashkit_md5 of libhashkit 2 gives the same number for user-48.
    """
    assert 1 == Ring(SERVERS).order(b"user-48")[0]


def test_every_server_stands_in_once() -> None:
    assert [0, 1, 2] == sorted(Ring(SERVERS).order(b"user-1"))


def test_a_server_that_is_gone_moves_its_own_jobs_only() -> None:
    uniques = [b"user-%d" % number for number in range(300)]
    before = {unique: Ring(SERVERS).order(unique)[0] for unique in uniques}
    after = {unique: Ring(SERVERS[:2]).order(unique)[0] for unique in uniques}

    assert {0, 1, 2} == set(before.values())
    assert all(after[unique] == before[unique] for unique in uniques if before[unique] != 2)
