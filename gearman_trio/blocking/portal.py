"""A `Loop` when it is needed: begun by the first call, ended by `close`, by the collector or by the interpreter's exit.

After a fork the parent goes on as it was.  The child begins a loop of its own, with a connection of its own, at its
first call; what was under way in the parent stays there.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Generic, TypeVar

from ..errors import ServersUnavailable
from .loop import Loop

__all__ = ["Portal"]

_Resource = TypeVar("_Resource")
_T = TypeVar("_T")

#: How long the exit of the interpreter waits for all loops together. They end in milliseconds, unless a stranger's
#: ``connect`` does not let itself be cancelled.
_EXIT_SECONDS: Final = 1.0

_portals: Final[weakref.WeakSet[Portal[Any]]] = weakref.WeakSet()

# By strong references, for their threads run as long as they do.
_loops: Final[set[Loop[Any]]] = set()


class Portal(Generic[_Resource]):
    """The way from any thread into a loop that runs when it is needed.

    The mutable state: the loop, and whether the portal was closed for good.
    """

    def __init__(
        self, open_resource: Callable[[Loop[_Resource]], AbstractAsyncContextManager[_Resource]], what: str
    ) -> None:
        """Make a portal without a thread.

        Args:
            open_resource: gives what the calls work with.  It must not refer to the portal or its owner, which then
                could
                never be collected.
            what: the word for it in messages: ``"client"``.
        """
        self._open = open_resource
        self._what = what
        # Guards the choice of the loop, which two first calls must not both make.
        self._lock = threading.Lock()
        self._loop: Loop[_Resource] | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._closed = False
        _portals.add(self)

    @property
    def open(self) -> bool:
        """Whether there is a loop now."""
        loop = self._loop
        return loop is not None and not loop.ended

    def loop(self) -> Loop[_Resource]:
        """The loop, begun if there is none.

        Raises:
            ServersUnavailable: the portal was closed.
            Exception: what opening the resource raised.
        """
        loop = self._loop
        if loop is None or loop.ended:
            loop = self._begin()
        loop.wait_begun()
        return loop

    def call(self, function: Callable[[_Resource], Awaitable[_T]], timeout: float | None = None) -> _T:
        """Run an async function with the resource, and give what it gives. Raises as `loop` and `Loop.call`."""
        return self.loop().call(function, timeout)

    def close(self) -> None:
        """End the loop for good, and wait for its thread; calls that wait get an error. May be called again."""
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()
            loop.join()
            _loops.discard(loop)

    def _begin(self) -> Loop[_Resource]:
        with self._lock:
            if self._closed:
                raise ServersUnavailable([f"the {self._what} was closed"])
            if self._loop is not None and not self._loop.ended:
                return self._loop
            if self._finalizer is not None:
                self._finalizer.detach()
            _loops.difference_update([loop for loop in _loops if loop.ended])
            self._loop = loop = Loop(self._open, self._what)
            self._finalizer = weakref.finalize(self, loop.stop)
            self._finalizer.atexit = False
            _loops.add(loop)
            loop.start()
            return loop

    def _forget(self) -> None:
        """In the child of a fork: be as at the beginning. The lock may have been held by a thread that is not here."""
        self._lock = threading.Lock()
        self._loop = None
        if self._finalizer is not None:
            self._finalizer.detach()


def _stop_all() -> None:
    loops = list(_loops)
    for loop in loops:
        loop.stop()
    deadline = time.monotonic() + _EXIT_SECONDS
    for loop in loops:
        loop.join(max(0.0, deadline - time.monotonic()))


def _after_fork_in_child() -> None:
    loops = list(_loops)
    _loops.clear()
    for loop in loops:
        loop.forget()
    for portal in list(_portals):
        portal._forget()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
