"""One run of Trio in a thread of its own, and the calls that other threads make into it.

Theory of operation.  The thread opens a resource (a client, say), keeps it until it is told to stop, and runs each
call as a task beside it.  A caller hands its call over with the one thing that Trio allows from outside,
`run_sync_soon`, and then sleeps on a lock that the task releases.  Timeouts are the task's own cancel scope, so there
is one place where it is decided whether the answer or the end of the time came first: an answer that came is never
thrown away.

Nothing of this outlives a fork: the child has the memory of a loop but not its thread.  `Loop.forget` is for that
moment.
"""

from __future__ import annotations

# Looking up a host imports this at the first time.  If that were in the loop's thread, a fork at the same moment would
# leave the child with a lock of the import system that nobody holds and nobody gives back.
import encodings.idna  # noqa: F401
import logging
import math
import os
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Generic, TypeVar

import trio

from ..errors import ConfigError, ServersUnavailable
from ..transport import Address, Connect, connect_socket

__all__ = ["Held", "Loop", "checked_timeout"]

_log = logging.getLogger(__name__)

_Resource = TypeVar("_Resource")
_T = TypeVar("_T")

#: How much longer than its timeout a caller waits for the loop to say that the time is over.  It says so at once,
#: unless a stranger's code blocks its thread: a ``connect``, or an import that hangs.
_GRACE_SECONDS: Final = 5.0


def checked_timeout(timeout: float | None) -> float | None:
    """The seconds that a call may take.

    Raises:
        ConfigError: that is no number of seconds.
    """
    if timeout is not None and not timeout >= 0:
        raise ConfigError(f"timeout: expected a number of seconds from 0 on or None, got {timeout!r}")
    return timeout


class _Call(Generic[_Resource, _T]):
    """One call from another thread: made there, run as a task here, waited for there."""

    __slots__ = ("_done", "_error", "_function", "_result", "_timeout", "scope")

    def __init__(self, function: Callable[[_Resource], Awaitable[_T]], timeout: float | None) -> None:
        self._function = function
        self._timeout = checked_timeout(timeout)
        self._result: _T
        self._error: BaseException | None = None
        # Held until the call is over; cheaper than an event, and only one thread waits.
        self._done = threading.Lock()
        self._done.acquire()
        self.scope = trio.CancelScope(relative_deadline=math.inf if timeout is None else timeout)

    async def run(self, resource: _Resource, closed: Callable[[], Exception]) -> None:
        """Find out how the call ends, and wake its thread."""
        try:
            with self.scope:
                self._result = await self._function(resource)
            if self.scope.cancelled_caught:
                self._error = TimeoutError(f"no answer within {self._timeout} seconds")
        except Exception as exc:  # noqa: BLE001 - raised again in the thread that called
            self._error = exc
        except BaseException:
            # Cancelled from outside of this call: the loop ends.
            self._error = closed()
            raise
        finally:
            self._done.release()

    def fail(self, error: Exception) -> None:
        """End a call that was never run."""
        self._error = error
        self._done.release()

    def wait(self) -> None:
        """Wait in the calling thread for the end; a signal handler may interrupt this by raising.

        Raises:
            TimeoutError: the loop does not keep to the timeout.
        """
        limit = -1 if self._timeout is None else min(self._timeout + _GRACE_SECONDS, threading.TIMEOUT_MAX)
        if not self._done.acquire(timeout=limit):
            raise TimeoutError(f"the background thread is stuck, for longer than {self._timeout} seconds")

    def conclude(self) -> _T:
        """Give the result to the calling thread, or raise the error there."""
        if self._error is not None:
            # The error's traceback holds this frame: without these lines the two would keep each other alive.
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        return self._result


class Held(Generic[_T]):
    """An async context manager that a task of the loop keeps open for another thread.

    Attributes:
        value: what entering it gave.
    """

    value: _T

    def __init__(self, manager: AbstractAsyncContextManager[_T]) -> None:
        self._manager = manager
        self._left = trio.Event()

    async def keep(self, task_status: trio.TaskStatus[None]) -> None:
        """Be inside until `leave`, or until the loop ends."""
        async with self._manager as self.value:
            task_status.started()
            await self._left.wait()

    def leave(self) -> None:
        """Go out; to be called in the loop's thread."""
        self._left.set()


class Loop(Generic[_Resource]):
    """A thread that runs Trio around one resource.

    The mutable state: the token while Trio runs, the nursery of the calls while the resource is open, why it failed,
    and the sockets to be closed after a fork.  The thread refers to this object only, never to its user, so a user
    that is forgotten can be collected and stop the loop.

    Attributes:
        error: what opening or closing the resource raised.
    """

    def __init__(
        self, open_resource: Callable[[Loop[_Resource]], AbstractAsyncContextManager[_Resource]], what: str
    ) -> None:
        self._open = open_resource
        self._what = what
        self._token: trio.lowlevel.TrioToken | None = None
        self._stop: trio.Event
        self._stopping = False
        self._begun = threading.Event()
        self._ended = False
        self._forked = False
        self._calls: trio.Nursery | None = None
        self._resource: _Resource
        self._streams: list[trio.SocketStream] = []
        self.error: BaseException | None = None
        # A daemon, so that a program which forgot to close can end; it is stopped in good order all the same
        # (portal.py).
        self._thread = threading.Thread(target=self._run, name=f"gearman_trio {what}", daemon=True)

    @property
    def ended(self) -> bool:
        """Whether no call can be made any more."""
        return self._ended

    def start(self) -> None:
        """Begin; does not wait."""
        self._thread.start()

    def wait_begun(self) -> None:
        """Wait until the resource is open.

        Raises:
            Exception: what opening it raised.
        """
        self._begun.wait()
        if self._calls is None and self.error is not None:
            raise self.error

    def call(self, function: Callable[[_Resource], Awaitable[_T]], timeout: float | None = None) -> _T:
        """Run an async function with the resource, and give what it gives.

        Raises:
            TimeoutError: it took longer than `timeout` seconds, and was cancelled.
            ServersUnavailable: the loop has ended, or ends now.
            RuntimeError: this is the loop's own thread, which would wait for itself.
        """
        if threading.get_ident() == self._thread.ident and not self._forked:
            raise RuntimeError(
                f"the {self._what} was called from its own background thread, which cannot wait for itself"
            )
        call = _Call(function, timeout)
        if not self.post(lambda: self._take(call)):
            raise self._closed()
        try:
            call.wait()
        except BaseException:
            # KeyboardInterrupt, or what a signal handler raises: nobody waits any more.
            self.post(call.scope.cancel)
            raise
        return call.conclude()

    def hold(self, open_: Callable[[_Resource], AbstractAsyncContextManager[_T]], timeout: float | None) -> Held[_T]:
        """Enter an async context manager, whose inside lasts until `Held.leave`. Raises as `call` does."""

        async def enter(resource: _Resource) -> Held[_T]:
            assert self._calls is not None
            held = Held(open_(resource))
            await self._calls.start(held.keep)
            return held

        return self.call(enter, timeout)

    def spawn(self, function: Callable[[_Resource], Awaitable[object]]) -> None:
        """Run an async function with the resource for which nobody waits. Never waits, may be called anywhere."""
        call = _Call(function, None)
        self.post(lambda: self._take(call))

    def post(self, function: Callable[[], object]) -> bool:
        """Have something done in the loop's thread soon, and give whether it can be. May be called anywhere."""
        if self._forked or self._token is None:
            return False
        try:
            self._token.run_sync_soon(function)
        except trio.RunFinishedError:
            return False
        return True

    def stop(self) -> None:
        """Ask for the end; never waits, may be called anywhere: in a finalizer, say."""
        self._stopping = True
        self.post(self._stop.set)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread's end, for at most so many seconds; give whether it came."""
        if self._forked:
            return True
        if threading.get_ident() != self._thread.ident:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def forget(self) -> None:
        """In the child of a fork: let go of the sockets, which would keep the parent's connections open."""
        self._forked = True
        self._ended = True
        for stream in self._streams:
            # Not closed the usual way: that would ask a Trio that does not run here.
            descriptor = stream.socket.detach()
            if descriptor >= 0:
                os.close(descriptor)

    def watching(self, connect: Connect | None) -> Connect:
        """The same way to connect, or TCP, with its sockets known to `forget`."""
        inner = connect or connect_socket

        async def watched(address: Address) -> trio.abc.Stream:
            stream = await inner(address)
            if isinstance(stream, trio.SocketStream):
                self._streams = [known for known in self._streams if known.socket.fileno() >= 0]
                self._streams.append(stream)
            return stream

        return watched

    def _closed(self) -> Exception:
        reason = "was opened before this process was forked" if self._forked else "was closed"
        return ServersUnavailable([f"the {self._what} {reason}"])

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            self._ended = True
            self._begun.set()

    async def _main(self) -> None:
        self._stop = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        if self._stopping:
            self._stop.set()
        async with trio.open_nursery() as calls:
            try:
                async with self._open(self) as self._resource:
                    self._calls = calls
                    self._begun.set()
                    await self._stop.wait()
            except Exception as exc:  # noqa: BLE001 - a stranger's connect may run in there; logged
                if self._calls is not None:
                    _log.exception(
                        "the background thread of a %s ended with an error that should not happen", self._what
                    )
                self.error = exc
            finally:
                # The calls that waited have their errors from the resource; this ends what knows no better.
                self._ended = True
                self._calls = None
                calls.cancel_scope.cancel(reason=f"the {self._what} was closed")

    def _take(self, call: _Call[_Resource, _T]) -> None:
        if self._calls is None:
            call.fail(self._closed())
        else:
            self._calls.start_soon(call.run, self._resource, self._closed)
