"""One call for each of many items: some at a time, their results as an async iterator.

Bounds: as many calls as the concurrency says are under way, and at most as many again have been started or have ended
before the consumer takes their results.  An item is taken from its source only when there is room for it.  The consumer
who stops reading stops all of it, and the source with it.

A call is a task in general.  Where the caller can begin one without waiting, it is a place only, which ends when the
caller says so: a task costs several times what a small job does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Generic, Literal, Protocol, TypeVar, cast, get_args

import attrs
import trio

from ..errors import ConfigError, GearmanError

__all__ = ["Begin", "OnError", "Place", "open_mapping"]

_Item = TypeVar("_Item")
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

#: What an item that fails does: end the iteration by its error, or give the error as its result.
OnError = Literal["raise", "yield"]


class Place(Protocol[_T_co]):
    """The place of one result among those that wait for the consumer.

    Attributes:
        ended: whether the call is over.
    """

    ended: bool

    def outcome(self) -> _T_co:
        """What the call gave, or raise what it raised; to be called once, when it has ended."""
        ...

    def abandon(self) -> None:
        """Nobody waits for the call any longer."""
        ...


#: Begins a call that needs no task of its own: takes the item, and what to call when the place has ended, which is
#: never before it returns.  Gives ``None`` where such a call cannot begin without waiting; a task makes it then.
Begin = Callable[[Any, Callable[[Place[Any]], None]], Place[Any] | None]


@attrs.define(eq=False)
class _Call(Generic[_T]):
    """A call that a task makes, or that could not begin."""

    ended: bool = False
    value: _T | None = None
    error: Exception | None = None

    def outcome(self) -> _T:
        if self.error is not None:
            # The error's traceback holds this frame: without these lines the two would keep each other alive.
            error, self.error = self.error, None
            try:
                raise error
            finally:
                del error
        return cast("_T", self.value)

    def abandon(self) -> None:
        """The task is cancelled, which does the same for what it waits for."""


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

    The mutable state is the places that the consumer has not taken, the calls that are under way, how many more places
    there are room for, and whether more will come.
    """

    def __init__(
        self,
        call: Callable[[_Item], Awaitable[_T]],
        begin: Begin | None,
        *,
        concurrency: int,
        ordered: bool,
        on_error: OnError,
    ) -> None:
        self._call: Callable[[Any], Awaitable[_T]] = call
        self._begin = begin
        self._ordered = ordered
        self._on_error = on_error
        self._concurrency = concurrency
        self._room = 2 * concurrency
        # In input order, with those that run, if ordered; else in the order of their ends.
        self._places: deque[Place[_T]] = deque()
        self._running: set[Place[_T]] = set()
        self._fed = False
        self._closed = False
        self._scope = trio.CancelScope()
        # Each is there only while a task waits: the consumer, and whoever feeds.
        self._changed: trio.Event | None = None
        self._roomy: trio.Event | None = None

    async def run(self, items: AsyncIterator[Any]) -> None:
        """Make the calls, until all are over or `close`."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                await self._feed(items, nursery)

    async def _feed(self, items: AsyncIterator[Any], nursery: trio.Nursery) -> None:
        """Begin a call for each item when there is room."""
        while True:
            while not self._room or len(self._running) >= self._concurrency:
                self._roomy = trio.Event()
                await self._roomy.wait()
                # The consumer may have made room and closed in one go.
                if self._closed:
                    return
            try:
                item = await anext(items)
            except StopAsyncIteration:
                break
            except Exception as exc:  # noqa: BLE001  # the source is a stranger; the consumer gets its error
                self._places.append(_Call(ended=True, error=_SourceError(exc)))
                break
            if self._closed:
                # A source that was in a thread gives its item though nobody wants it any more.
                return
            self._room -= 1
            place = self._place_for(item, nursery)
            if self._ordered or place.ended:
                self._places.append(place)
            if place.ended:
                self._wake()
            else:
                self._running.add(place)
        self._fed = True
        self._wake()

    def _place_for(self, item: Any, nursery: trio.Nursery) -> Place[_T]:
        place: Place[_T] | None = None
        try:
            if self._begin is not None:
                place = self._begin(item, self._end)
        except Exception as exc:  # noqa: BLE001  # whatever it is, the consumer gets it
            return _Call(ended=True, error=exc)
        if place is None:
            call = _Call[_T]()
            nursery.start_soon(self._run_one, call, item)
            return call
        return place

    async def __anext__(self) -> _T:
        # Results that are there are given without a pass of the scheduler: there are at most twice as many as run at
        # once, and no more come before this task has waited.
        await trio.lowlevel.checkpoint_if_cancelled()
        while not (self._places and self._places[0].ended):
            if self._closed or (self._fed and not self._running and not self._places):
                await trio.lowlevel.checkpoint()
                raise StopAsyncIteration
            if self._changed is None:
                self._changed = trio.Event()
            await self._changed.wait()
        place = self._places.popleft()
        self._room += 1
        self._wake_feeder()
        try:
            return place.outcome()
        except Exception as exc:  # noqa: BLE001  # what kind it is decides what becomes of it
            return cast("_T", self._failed(exc))

    def close(self) -> None:
        """Begin nothing more, give nothing more, and leave the calls that are under way."""
        self._scope.cancel(reason="the results are not wanted any more")
        self._closed = True
        self._places.clear()
        running, self._running = self._running, set()
        for place in running:
            place.abandon()
        self._wake()

    async def _run_one(self, call: _Call[_T], item: Any) -> None:
        try:
            call.value = await self._call(item)
        except Exception as exc:  # noqa: BLE001  # whatever it is, the consumer gets it
            call.error = exc
        call.ended = True
        self._end(call)

    def _end(self, place: Place[_T]) -> None:
        # A call may end in the moment of the close, before its cancellation reaches it.
        if self._closed:
            return
        self._running.discard(place)
        if not self._ordered:
            self._places.append(place)
        self._wake()
        self._wake_feeder()

    def _failed(self, error: Exception) -> GearmanError:
        if isinstance(error, _SourceError):
            self.close()
            raise error.cause from error.cause.__cause__
        if self._on_error == "yield" and isinstance(error, GearmanError) and not isinstance(error, ConfigError):
            return error
        self.close()
        try:
            raise error
        finally:
            # Its traceback holds this frame.
            del error

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def _wake_feeder(self) -> None:
        if self._roomy is not None:
            self._roomy.set()
            self._roomy = None


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
    begin: Begin | None = None,
) -> AsyncGenerator[AsyncIterator[Any]]:
    """Call a function for each item, for the length of a block; `Client.map` describes most of the arguments.

    Args:
        call: called by a task for each item.
        items: where the items come from.
        concurrency: how many calls run at once.
        ordered: whether results come in the order of the items.
        on_error: what an item does that fails.
        begin: begins a call that needs no task, which costs several times less.

    Raises:
        ConfigError: the concurrency is not at least 1, or there is no such way to treat errors.

    Cancellation: leaving the block cancels the calls that are under way.
    """
    if concurrency < 1:
        raise ConfigError(f"concurrency: expected a number from 1 on, got {concurrency!r}")
    if on_error not in get_args(OnError):
        raise ConfigError(f"on_error: expected 'raise' or 'yield', got {on_error!r}")
    source = aiter(items) if isinstance(items, AsyncIterable) else _Pulled(items)
    mapping = _Mapping[Any](call, begin, concurrency=concurrency, ordered=ordered, on_error=on_error)
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
