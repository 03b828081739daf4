"""Something large as chunks of bytes, whatever it comes from.

In memory are the chunk that is being filled and the piece that was read last, nothing else of the source.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import IO, Any, Final

import trio

from ..errors import ConfigError

__all__ = ["DEFAULT_CHUNK_BYTES", "ChunkSource", "Cutter", "check_pieces", "open_chunks", "piece_bytes"]

#: Large enough that the price of a job does not count, small enough that a few of them do not either.
DEFAULT_CHUNK_BYTES: Final = 1024 * 1024

#: What can be cut into chunks: the path of a file, a file that is open for reading bytes, bytes, a stream, or an
#: iterable of bytes, async or not.
ChunkSource = (
    str
    | os.PathLike[str]
    | IO[bytes]
    | bytes
    | bytearray
    | memoryview
    | trio.abc.ReceiveStream
    | Iterable[bytes | bytearray | memoryview]
    | AsyncIterable[bytes | bytearray | memoryview]
)


class Cutter:
    """Cuts what comes in pieces of any size into chunks, without input or output.

    The mutable state is what was put in and not taken out yet.

    Attributes:
        chunk_bytes: how large a chunk is, but for the last one, and for records that are larger.
    """

    def __init__(self, chunk_bytes: int, separator: bytes | None) -> None:
        """Make an empty one.

        Raises:
            ConfigError: the size is not at least 1, or the separator is empty.
            TypeError: the separator is not bytes.
        """
        if chunk_bytes < 1:
            raise ConfigError(f"chunk_bytes: expected a number from 1 on, got {chunk_bytes!r}")
        if separator is not None and not isinstance(separator, bytes):
            raise TypeError(f"separator: expected bytes or None, got {type(separator).__name__}")
        if separator == b"":
            raise ConfigError("separator: expected at least one byte, got none; None for chunks of equal size")
        self.chunk_bytes = chunk_bytes
        self._separator = separator
        self._buffer = bytearray()
        # Of a piece, so much as is needed goes into the buffer: a large one is never there twice.
        self._piece = memoryview(b"")
        # Invariant: no separator begins before this place of the buffer.
        self._searched = 0

    def put(self, piece: bytes | bytearray | memoryview) -> None:
        """Put a piece in; the one before must have been used up: `take` gave ``None``."""
        assert not self._piece
        self._piece = memoryview(piece).cast("B")

    def take(self, *, last: bool = False) -> bytes | None:
        """Give the next chunk, or ``None`` where more must be put in first.

        Args:
            last: whether nothing more comes, so that the rest is a chunk, unless it is empty.
        """
        while True:
            size = self._cut()
            if not size and last and not self._piece:
                size = len(self._buffer)
            if size:
                with memoryview(self._buffer) as view:
                    chunk = bytes(view[:size])
                del self._buffer[:size]
                self._searched = 0
                return chunk
            if not self._piece:
                return None
            self._buffer += self._piece[: self.chunk_bytes]
            self._piece = self._piece[self.chunk_bytes :]

    def _cut(self) -> int:
        """The size of the chunk that the buffer begins with; 0 where it is not whole."""
        buffer, separator = self._buffer, self._separator
        if len(buffer) < self.chunk_bytes:
            return 0
        if separator is None:
            return self.chunk_bytes
        found = -1 if self._searched else buffer.rfind(separator, 0, self.chunk_bytes)
        if found < 0:
            # One record is larger than a chunk; it is not torn.
            found = buffer.find(separator, self._searched)
            self._searched = max(0, len(buffer) - len(separator) + 1)
        return found + len(separator) if found >= 0 else 0


class _Pieces(AsyncIterator[bytes | bytearray | memoryview]):
    """What a function gives until it gives nothing, as an async iterator."""

    def __init__(self, read: Callable[[int], Awaitable[Any]], size: int) -> None:
        self._read = read
        self._size = size

    async def __anext__(self) -> bytes | bytearray | memoryview:
        piece = await self._read(self._size)
        if not piece:
            raise StopAsyncIteration
        return piece_bytes(piece)


class _Pulled(AsyncIterator[bytes | bytearray | memoryview]):
    """An iterable as an async iterator."""

    def __init__(self, pieces: Iterable[Any]) -> None:
        self._pieces = iter(pieces)

    async def __anext__(self) -> bytes | bytearray | memoryview:
        for piece in self._pieces:
            return piece_bytes(piece)
        raise StopAsyncIteration


class _Chunks(AsyncIterator[bytes]):
    """The chunks of a source."""

    def __init__(self, pieces: AsyncIterator[Any], cutter: Cutter) -> None:
        self._pieces = pieces
        self._cutter = cutter
        self._last = False

    async def __anext__(self) -> bytes:
        while (chunk := self._cutter.take(last=self._last)) is None:
            if self._last:
                raise StopAsyncIteration
            try:
                self._cutter.put(piece_bytes(await anext(self._pieces)))
            except StopAsyncIteration:
                self._last = True
        return chunk


@asynccontextmanager
async def open_chunks(
    source: ChunkSource, *, chunk_bytes: int, separator: bytes | None
) -> AsyncGenerator[AsyncIterator[bytes]]:
    """The chunks of a source, as `Client.run_chunks` describes them, for the length of a block.

    Raises:
        ConfigError: the size or the separator cannot be used.
        TypeError: the source, or a piece of it, is nothing that can be cut.
        OSError: the file cannot be opened or read.

    Resource handling: a file that is given by its path is closed at the end; anything else is the caller's.
    """
    cutter = Cutter(chunk_bytes, separator)
    if isinstance(source, str | os.PathLike):
        async with await trio.open_file(source, "rb") as file:
            yield _Chunks(_Pieces(file.read, chunk_bytes), cutter)
    else:
        yield _Chunks(_pieces(source, chunk_bytes), cutter)


def _pieces(source: Any, size: int) -> AsyncIterator[bytes | bytearray | memoryview]:
    if isinstance(source, bytes | bytearray | memoryview):
        return _Pulled([source])
    if isinstance(source, trio.abc.ReceiveStream):
        return _Pieces(source.receive_some, size)
    if hasattr(source, "read"):
        # Reading may block, and each read is worth a thread; Trio's own files do that by themselves.
        file: Any = source if isinstance(source, AsyncIterable) else trio.wrap_file(source)
        return _Pieces(file.read, size)
    if isinstance(source, AsyncIterable):
        return aiter(source)
    check_pieces(source)
    return _Pulled(source)


def check_pieces(source: object) -> None:
    """Raise `TypeError` where a source is not even an iterable."""
    if not isinstance(source, Iterable):
        raise TypeError(
            "source: expected a path, a file open for reading bytes, bytes, a stream or an iterable of bytes, "
            f"got {type(source).__name__}"
        )


def piece_bytes(piece: object) -> bytes | bytearray | memoryview:
    """A piece of a source as it is; raises `TypeError` where it is not bytes-like."""
    if isinstance(piece, bytes | bytearray | memoryview):
        return piece
    hint = " (open the file in binary mode)" if isinstance(piece, str) else ""
    raise TypeError(f"source: expected pieces of bytes, got {type(piece).__name__}{hint}")
