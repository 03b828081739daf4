"""What waits to be sent, in fewer pieces: for streams, which take one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["PIECE_BYTES", "gather"]

#: Pieces that are smaller are joined with their neighbours.
PIECE_BYTES: Final = 65536


def gather(outbox: Iterable[bytes]) -> list[bytes]:
    """The same bytes in fewer pieces, without a copy of the large ones."""
    pieces: list[bytes] = []
    small: list[bytes] = []
    for data in outbox:
        if len(data) < PIECE_BYTES:
            small.append(data)
            continue
        if small:
            pieces.append(b"".join(small))
            small = []
        pieces.append(data)
    if small:
        pieces.append(b"".join(small))
    return pieces
