"""Calls the store: one thread, one call at a time, in the order in which they were asked for.

Why a thread of its own: with `trio.to_thread` a task must run to begin a call and must run again for its answer, and
between the two the answer goes through a lock, a socket and another task.  Here a call is begun by whoever wants it, at
once, and the answer comes through the pump, where there is one, like a packet of a peer: so a client that waits for
each of its jobs is answered in the turn of the pump in which the store has answered.

A call that does not end is abandoned with its thread, which is a daemon, so that it does not keep the program.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

import trio

from ..transport import Pump, PumpedSocket

__all__ = ["Answer", "Caller"]

T = TypeVar("T")

_ONE: Final = 1


class Answer(Generic[T]):
    """What a call gave; there when `Caller.begin` says so."""

    __slots__ = ("_error", "_value", "abandoned")

    def __init__(self) -> None:
        self.abandoned = False
        self._error: BaseException | None = None
        self._value: T | None = None

    def take(self) -> T:
        """What it returned, or what it raised, which is raised."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # there since the call has returned

    def keep(self, function: Callable[[], T]) -> None:
        """Call, and keep what comes; never raises."""
        try:
            self._value = function()
        except BaseException as exc:  # noqa: BLE001 - raised again by `take`, in the thread of Trio
            self._error = exc


class Caller:
    """Owns the thread. Shared by two threads: the queue of calls, that of answers, and what tells of an answer."""

    def __init__(self, name: str) -> None:
        """To be made within `trio.run`; the thread begins with the first call.

        Args:
            name: of the thread.
        """
        self._name = name
        self._token = trio.lowlevel.current_trio_token()
        self._thread: threading.Thread | None = None
        self._calls: SimpleQueue[Callable[[], Callable[[], None] | None] | None] = SimpleQueue()
        self._answers: deque[Callable[[], None]] = deque()
        # Guards `_descriptor`, which may be another file's once it is closed.
        self._lock = threading.Lock()
        # Of the event that the pump waits for; `None` where it does not.
        self._descriptor: int | None = None

    def begin(self, function: Callable[[], T], answered: Callable[[Answer[T]], None]) -> None:
        """Call a function in the thread after those that were asked for earlier. Never waits.

        Args:
            function: what is called; what it raises is in the answer.
            answered: called in Trio's thread with the answer, in no task in particular. Must not raise.
        """
        self._ask(function, Answer(), answered)

    async def call(self, function: Callable[[], T]) -> T:
        """Call a function in the thread, and wait for what it gives.

        Cancellation: the call is abandoned; it does not begin any more where it has not yet.
        """
        done = trio.Event()
        answer: Answer[T] = Answer()
        self._ask(function, answer, lambda _: done.set())
        try:
            await done.wait()
        except trio.Cancelled:
            answer.abandoned = True
            raise
        return answer.take()

    @contextmanager
    def listening(self, pump: Pump | None) -> Generator[None]:
        """For the length of a block answers come through a pump, which must run; otherwise they do as Trio has it."""
        if pump is None:
            yield
            return
        descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        pumped = PumpedSocket(pump, descriptor, _Bell(self._deliver))
        # What else has come in a round then finds its place in the next commit.
        pumped.last = True
        try:
            pump.add(pumped)
            with self._lock:
                self._descriptor = descriptor
            try:
                yield
            finally:
                with self._lock:
                    self._descriptor = None
                pump.remove(pumped)
        finally:
            os.close(descriptor)
            # Of one that has come meanwhile the pump does not tell any more.
            self._deliver_soon()

    def close(self) -> None:
        """End the thread when it has made the calls that were asked for. Never waits."""
        if self._thread is not None:
            self._calls.put(None)

    def _ask(self, function: Callable[[], T], answer: Answer[T], answered: Callable[[Answer[T]], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(
                target=copy_context().run, args=(self._serve,), name=self._name, daemon=True
            )
            self._thread.start()
        self._calls.put(partial(_make, function, answer, answered))

    def _serve(self) -> None:
        """What the thread does."""
        take = self._calls.get
        while (call := take()) is not None:
            told = call()
            # Not to be kept until the next one comes: a batch may be large.
            del call
            if told is not None:
                self._answers.append(told)
                self._tell()
            del told

    def _tell(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.eventfd_write(self._descriptor, _ONE)
                return
        self._deliver_soon()

    def _deliver_soon(self) -> None:
        # Nobody waits any more where Trio has ended.
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._deliver, idempotent=True)

    def _deliver(self) -> None:
        answers = self._answers
        while answers:
            answers.popleft()()


def _make(
    function: Callable[[], Any], answer: Answer[Any], answered: Callable[[Answer[Any]], None]
) -> Callable[[], None] | None:
    """Make a call, in the thread; gives what tells of its answer, `None` where nobody waits any more."""
    if answer.abandoned:
        return None
    answer.keep(function)
    return partial(answered, answer)


class _Bell:
    """Owns the event in the pump; see `transport.pump.SocketOwner`."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def received(self, data: bytes) -> None:
        """Answers are there."""
        self._ring()

    def room(self) -> memoryview | None:
        """Nothing large comes."""
        return None

    def filled(self, count: int) -> None:
        """Never called, as there is no room."""

    def ended(self, reason: str) -> None:
        """An event does not end."""

    def sent_all(self) -> None:
        """Nothing is sent."""
