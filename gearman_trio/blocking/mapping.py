"""A job for each of many items, for a thread.

The items are taken in the calling thread, between the results, and handed to the background thread one by one: what
they come from may belong to its thread, as the connections of many databases do, and may block.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from functools import partial
from typing import IO, Any

import trio

from .. import client as _async
from ..client.chunking import Cutter, check_pieces, piece_bytes
from .loop import Held, Loop
from .portal import Portal

__all__ = ["PlainSource", "Results", "open_chunk_results", "open_results"]

#: What can be cut into chunks without Trio: the path of a file, a file that is open for reading bytes, bytes, or an
#: iterable of bytes.
PlainSource = (
    str | os.PathLike[str] | IO[bytes] | bytes | bytearray | memoryview | Iterable[bytes | bytearray | memoryview]
)

#: Opens the mapping of what comes out of a channel.
OpenMapping = Callable[[_async.Client, trio.MemoryReceiveChannel[Any]], AbstractAsyncContextManager[AsyncIterator[Any]]]


class _Feed:
    """A mapping in the background thread, and the way in for its items."""

    def __init__(self, results: AsyncIterator[Any], send: trio.MemorySendChannel[Any]) -> None:
        self.results = results
        self._send = send

    def put(self, item: Any) -> None:
        """Take an item; to be called in the loop's thread."""
        # It was closed meanwhile: nobody wants the result.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            self._send.send_nowait(item)

    def end(self) -> None:
        """No item will come any more; to be called in the loop's thread."""
        self._send.close()


class Results(Iterator[Any]):
    """The results of many jobs; `gearman_trio.blocking.Client.map` and `run_chunks` give it.

    It is for one thread at a time.  The mutable state is how many results are to come, and whether items are.
    """

    def __init__(
        self, held: Held[_Feed], loop: Loop[_async.Client], items: Iterator[Any], window: int, timeout: float | None
    ) -> None:
        self._held = held
        self._loop = loop
        self._items = items
        self._window = window
        self._timeout = timeout
        # Invariant: what the channel holds, what runs, and what waits to be read; at most the window.
        self._coming = 0
        self._fed = False
        self._source_error: Exception | None = None
        self._over = False

    def __next__(self) -> Any:
        """The next result.

        Raises:
            StopIteration: there are no more.
            TimeoutError: it did not come in time; none is lost, and one may go on.
            Exception: what an item failed with, or what the items raised.
        """
        if self._over:
            raise StopIteration
        self._feed()
        try:
            result = self._loop.call(lambda _: self._held.value.results.__anext__(), self._timeout)
        except StopAsyncIteration:
            self._over = True
            if self._source_error is not None:
                raise self._source_error from None
            raise StopIteration from None
        except TimeoutError:
            raise
        except BaseException:
            self._over = True
            raise
        self._coming -= 1
        return result

    def close(self) -> None:
        """Give nothing more, and abandon the jobs that are under way."""
        self._over = True
        self._loop.post(self._held.leave)

    def _feed(self) -> None:
        while not self._fed and self._coming < self._window:
            try:
                item = next(self._items)
            except StopIteration:
                self._end_feed()
            except Exception as exc:  # noqa: BLE001 - raised again after the results of what came before
                self._source_error = exc
                self._end_feed()
            else:
                self._coming += 1
                self._loop.post(partial(self._held.value.put, item))

    def _end_feed(self) -> None:
        self._fed = True
        self._loop.post(self._held.value.end)


@contextmanager
def open_results(
    portal: Portal[_async.Client],
    open_mapping: OpenMapping,
    items: Iterable[Any],
    *,
    concurrency: int,
    timeout: float | None,
) -> Iterator[Results]:
    """The results of a mapping whose items are taken in this thread, for the length of a block.

    Raises:
        Exception: what opening the mapping raises.
    """
    # As much as an async mapping starts before its results are read.
    window = 2 * max(concurrency, 0)
    loop = portal.loop()
    held = loop.hold(lambda client: _feed(client, open_mapping, window), None)
    results = Results(held, loop, iter(items), window, timeout)
    try:
        yield results
    finally:
        results.close()


@asynccontextmanager
async def _feed(client: _async.Client, open_mapping: OpenMapping, window: int) -> AsyncGenerator[_Feed]:
    send, receive = trio.open_memory_channel[Any](window)
    async with send, receive, open_mapping(client, receive) as results:
        yield _Feed(results, send)


@contextmanager
def open_chunk_results(
    portal: Portal[_async.Client],
    open_mapping: OpenMapping,
    cutter: Cutter,
    source: PlainSource,
    *,
    concurrency: int,
    timeout: float | None,
) -> Iterator[Results]:
    """As `open_results`, for the chunks of a source that is read in this thread.

    Raises:
        TypeError, OSError: the source cannot be cut, or its file cannot be opened.
    """
    with _open_pieces(source, cutter.chunk_bytes) as pieces:
        chunks = _cut(pieces, cutter)
        with open_results(portal, open_mapping, chunks, concurrency=concurrency, timeout=timeout) as results:
            yield results


@contextmanager
def _open_pieces(source: Any, size: int) -> Iterator[Iterator[Any]]:
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            yield _reads(file, size)
    elif isinstance(source, bytes | bytearray | memoryview):
        yield iter([source])
    elif hasattr(source, "read"):
        yield _reads(source, size)
    else:
        check_pieces(source)
        yield iter(source)


def _reads(file: Any, size: int) -> Iterator[Any]:
    while piece := file.read(size):
        yield piece


def _cut(pieces: Iterator[Any], cutter: Cutter) -> Iterator[bytes]:
    for piece in pieces:
        cutter.put(piece_bytes(piece))
        while (chunk := cutter.take()) is not None:
            yield chunk
    while (chunk := cutter.take(last=True)) is not None:
        yield chunk
