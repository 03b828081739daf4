"""Opaque bytes as members of JSON objects: text where they are UTF-8, else base64 under a name that says so."""

from __future__ import annotations

import codecs
import json
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final

import trio

__all__ = ["content_member", "gather_pieces", "json_pieces", "read_content"]

#: How much is read or written at a time, about a millisecond's work; a multiple of three, for base64.
_PIECE_BYTES: Final = 3 * 65536


def content_member(name: str, data: bytes) -> dict[str, str]:
    """The one member ``name``, or ``name_base64`` where the bytes are no UTF-8. For what is short."""
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(data).decode("ascii")}


def read_content(content: dict[str, Any], name: str) -> bytes:
    """Take the one member or the other out of an object; neither means no bytes at all.

    Raises:
        ValueError: both are there, one is no text, or not what its name says.
    """
    encoded_name = f"{name}_base64"
    if name in content and encoded_name in content:
        raise ValueError(f"{name}: expected it once, as it is or in base64, got both")
    if name in content:
        plain = content.pop(name)
        if not isinstance(plain, str):
            raise ValueError(f"{name}: expected a string, got {type(plain).__name__}")
        try:
            return plain.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name}: expected text, got half a surrogate pair; give other bytes in base64") from None
    encoded = content.pop(encoded_name, "")
    if not isinstance(encoded, str):
        raise ValueError(f"{encoded_name}: expected a string, got {type(encoded).__name__}")
    try:
        return b64decode(encoded, validate=True)
    except ValueError:
        raise ValueError(f"{name}_base64: expected base64 (RFC 4648, section 4), got {encoded[:40]!r}") from None


def json_pieces(members: dict[str, Any], name: str, data: bytes) -> Iterator[bytes]:
    """An object whose last member is `data`, in pieces that are each made in a moment; empty ones among them."""
    head = json.dumps(members, separators=(",", ":"))[:-1] + ("," if members else "")
    view = memoryview(data)
    starts = range(0, len(data), _PIECE_BYTES)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in starts:
            decoder.decode(view[start : start + _PIECE_BYTES])
            if start:
                yield b""
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        yield f'{head}"{name}_base64":"'.encode()
        for start in starts:
            yield b64encode(view[start : start + _PIECE_BYTES])
    else:
        yield f'{head}"{name}":"'.encode()
        decoder.reset()
        for start in starts:
            words = decoder.decode(view[start : start + _PIECE_BYTES])
            yield json.dumps(words, ensure_ascii=False)[1:-1].encode()
    yield b'"}'


async def gather_pieces(write: Callable[[bytes], Awaitable[None]], *pieces: Iterable[bytes]) -> None:
    """Write pieces in order, small ones together, and let others have their turn before each that takes a while."""
    waiting: list[bytes] = []
    size = 0
    for piece in chain(*pieces):
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            await write(b"".join(waiting))
            waiting.clear()
            size = 0
        if not piece:
            await trio.lowlevel.checkpoint()
    await write(b"".join(waiting))
