"""Pieces that wait to be sent."""

from __future__ import annotations

import pytest

from gearman_trio.transport.gathering import PIECE_BYTES, gather

LARGE = bytes(PIECE_BYTES)


@pytest.mark.parametrize(
    ("outbox", "pieces"),
    [
        ([], []),
        ([b"a", b"b"], [b"ab"]),
        ([LARGE], [LARGE]),
        ([b"a", b"b", LARGE, b"c", LARGE, LARGE, b"d", b"e"], [b"ab", LARGE, b"c", LARGE, LARGE, b"de"]),
    ],
    ids=["none", "small ones", "a large one", "both"],
)
def test_small_ones_are_joined(outbox: list[bytes], pieces: list[bytes]) -> None:
    assert pieces == gather(outbox)


def test_large_one_is_not_copied() -> None:
    _, large = gather([b"a", LARGE])

    assert LARGE is large
