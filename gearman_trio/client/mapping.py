"""One call for each of many items: some at a time, their results as an async iterator.

Bounds: as many calls as the concurrency says are under way, and at most as many again have been started or have ended
before the consumer takes their results.  An item is taken from its source only when there is room for it.  The consumer
who stops reading stops all of it, and the source with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Generic, Literal, TypeVar, cast, get_args

import attrs
import trio

from ..errors import ConfigError, GearmanError

__all__ = ["OnError", "open_mapping"]

_Item = TypeVar("_Item")
_T = TypeVar("_T")

#: What an item that fails does: end the iteration by its error, or give the error as its result.
OnError = Literal["raise", "yield"]


@attrs.define(eq=False)
class _Entry(Generic[_T]):
    """The place of one result among those that wait for the consumer."""

    ended: bool = False
    value: _T | None = None
    error: Exception | None = None


class _Pulled(AsyncIterator[_Item]):
    """A plain iterable as an async one."""

    def __init__(self, items: Iterable[_Item]) -> None:
        self._items: Iterator[_Item] = iter(items)

    async def __anext__(self) -> _Item:
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None


class _Mapping(AsyncIterator[_T]):
    """The calls and their results.

    The mutable state is the entries that the consumer has not taken, how many calls run, and whether more will come.
    """

    def __init__(
        self, call: Callable[[_Item], Awaitable[_T]], *, concurrency: int, ordered: bool, on_error: OnError
    ) -> None:
        self._call: Callable[[Any], Awaitable[_T]] = call
        self._ordered = ordered
        self._on_error = on_error
        self._free = trio.Semaphore(concurrency)
        self._room = trio.Semaphore(2 * concurrency)
        # In input order, with those that run, if ordered; else in the order of their ends.
        self._entries: deque[_Entry[_T]] = deque()
        self._running = 0
        self._fed = False
        self._closed = False
        self._scope = trio.CancelScope()
        # There only while a consumer waits.
        self._changed: trio.Event | None = None

    async def run(self, items: AsyncIterator[Any]) -> None:
        """Make the calls, until all are over or `close`."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                await self._feed(items, nursery)

    async def _feed(self, items: AsyncIterator[Any], nursery: trio.Nursery) -> None:
        """Start a call for each item when there is room."""
        while True:
            await self._room.acquire()
            await self._free.acquire()
            entry = _Entry[_T]()
            try:
                item = await anext(items)
            except StopAsyncIteration:
                break
            except Exception as exc:  # noqa: BLE001  # the source is a stranger; the consumer gets its error
                self._entries.append(_Entry(ended=True, error=_SourceError(exc)))
                break
            self._running += 1
            if self._ordered:
                self._entries.append(entry)
            nursery.start_soon(self._run_one, entry, item)
        self._fed = True
        self._wake()

    async def __anext__(self) -> _T:
        await trio.lowlevel.checkpoint()
        while not (self._entries and self._entries[0].ended):
            if self._closed or (self._fed and not self._running and not self._entries):
                raise StopAsyncIteration
            if self._changed is None:
                self._changed = trio.Event()
            await self._changed.wait()
        entry = self._entries.popleft()
        self._room.release()
        if entry.error is not None:
            return cast("_T", self._failed(entry.error))
        return cast("_T", entry.value)

    def close(self) -> None:
        """Start nothing more, give nothing more, and leave the calls that are under way."""
        self._scope.cancel(reason="the results are not wanted any more")
        self._closed = True
        self._entries.clear()
        self._wake()

    async def _run_one(self, entry: _Entry[_T], item: Any) -> None:
        try:
            entry.value = await self._call(item)
        except Exception as exc:  # noqa: BLE001  # whatever it is, the consumer gets it
            entry.error = exc
        self._free.release()
        self._running -= 1
        entry.ended = True
        # A call may end in the moment of the close, before its cancellation reaches it.
        if not self._ordered and not self._closed:
            self._entries.append(entry)
        self._wake()

    def _failed(self, error: Exception) -> GearmanError:
        if isinstance(error, _SourceError):
            self.close()
            raise error.cause
        if self._on_error == "yield" and isinstance(error, GearmanError) and not isinstance(error, ConfigError):
            return error
        self.close()
        raise error

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


class _SourceError(Exception):
    """What the source of the items raised: never a result."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(cause)
        self.cause = cause


@asynccontextmanager
async def open_mapping(
    call: Callable[[Any], Awaitable[Any]],
    items: Iterable[Any] | AsyncIterable[Any],
    *,
    concurrency: int,
    ordered: bool,
    on_error: OnError,
) -> AsyncGenerator[AsyncIterator[Any]]:
    """Call a function for each item, for the length of a block; `Client.map` describes the arguments.

    Raises:
        ConfigError: the concurrency is not at least 1, or there is no such way to treat errors.

    Cancellation: leaving the block cancels the calls that are under way.
    """
    if concurrency < 1:
        raise ConfigError(f"concurrency: expected a number from 1 on, got {concurrency!r}")
    if on_error not in get_args(OnError):
        raise ConfigError(f"on_error: expected 'raise' or 'yield', got {on_error!r}")
    source = aiter(items) if isinstance(items, AsyncIterable) else _Pulled(items)
    mapping = _Mapping[Any](call, concurrency=concurrency, ordered=ordered, on_error=on_error)
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mapping.run, source)
            try:
                yield mapping
            except BaseException as exc:
                failure = exc
                raise
            finally:
                nursery.cancel_scope.cancel()
                mapping.close()
    except BaseExceptionGroup:
        # The nursery is this function's own affair, and its tasks raise nothing: what the block raised comes out as it
        # was.  A cancellation is Trio's to sort out.
        if failure is None or isinstance(failure, trio.Cancelled):
            raise
        raise failure from failure.__cause__
