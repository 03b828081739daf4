"""Workloads from the store, for workers that wait for them: one question after another, each in one thread hop.

What comes while one is under way is asked for together.  The event loop never waits; the workers do, for at most
`ServerOptions.store_timeout`, and then go on with jobs whose workloads are in memory, until the store answers again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

import trio

from ..errors import StorageError
from ..storage import Store
from ..transport import Backoff
from .hub import Hub

__all__ = ["Call", "Fetcher"]

logger = logging.getLogger(__name__)

#: The longest wait between two attempts to read, in seconds.
_MAX_WAIT_SECONDS: Final = 5.0


class Call(Protocol):
    """Runs a method of the store in a thread, when no other one runs."""

    async def __call__(self, function: Callable[[], Any]) -> Any:
        """Give what it gives."""
        ...


class Fetcher:
    """Fetches workloads.

    Attributes:
        fetched: how many it has brought.
        failure: why the last attempt failed, or ``""``.
    """

    def __init__(self, store: Store, hub: Hub, timeout: float, call: Call) -> None:
        self.fetched = 0
        self.failure = ""
        self._store = store
        self._hub = hub
        self._timeout = timeout
        self._call = call
        self._backoff = Backoff(cap=_MAX_WAIT_SECONDS)
        self._wanted = trio.Event()

    def wake(self) -> None:
        """There are workloads to fetch. Never waits."""
        self._wanted.set()

    async def run(self) -> None:
        """Fetch until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            rows = self._hub.take_wanted()
            workloads: dict[int, bytes] | None = {}
            if rows or self.failure:
                workloads = await self._fetch(rows)
            if workloads is not None:
                self._bring(workloads)
            else:
                await trio.sleep(self._backoff.next_wait())
                self._wanted.set()

    async def _fetch(self, rows: list[int]) -> dict[int, bytes] | None:
        """The workloads, or `None` where the store failed, which was told to the broker."""
        workloads: dict[int, bytes] | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_patience)
            try:
                workloads = await self._call(partial(self._store.fetch, rows))
            except StorageError as exc:
                self._fail(str(exc))
            nursery.cancel_scope.cancel(reason="the store has answered")
        return workloads

    async def _watch_patience(self) -> None:
        await trio.sleep(self._timeout)
        self._fail(f"{self._store.name} has not given a workload for {self._timeout:g} seconds")

    def _fail(self, reason: str) -> None:
        if not self.failure:
            logger.error("jobs whose workload is in the store alone wait until it can be read: %s", reason)
        self.failure = reason
        self._hub.not_fetched()

    def _bring(self, workloads: dict[int, bytes]) -> None:
        if self.failure:
            logger.warning("%s: gives workloads again", self._store.name)
        self.failure = ""
        self._backoff.reset()
        self.fetched += len(workloads)
        for handle in self._hub.fetched(workloads):
            logger.error("%s: job %s failed: its workload is not there any more", self._store.name, handle.decode())
