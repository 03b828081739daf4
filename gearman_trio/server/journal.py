"""Between the broker and its store: one batch after another, each in one thread hop and one transaction.

A batch is everything that came while the one before it was being committed: no timer, and under load the batches grow
by themselves.  Where none is under way, a submission begins one at once, when all that came with it has been read; for
the end of a job nobody waits, and so it is stored with the next submission, or when the pump has nothing more to do and
the last batch is some milliseconds old: ends then share a batch, whose fixed cost is some tens of jobs.

The event loop never waits for a disk or a database; those who submitted do, for at most
`ServerOptions.store_timeout`, and are then refused.

| the store | then |
|---|---|
| is slow | submissions wait; jobs that are stored already are assigned and done as ever |
| fails | the batch is tried again with back-off; what is tried grows meanwhile |
| has taken nothing for `store_timeout` | all who wait are refused, and so is who comes, until a commit succeeds |

One line is logged when a commit first fails, when refusal begins, and when commits succeed again.
"""

from __future__ import annotations

import logging
from functools import partial
from math import inf
from typing import Final

import attrs
import trio

from ..core import BadRow, Batch, Histogram
from ..errors import StorageError
from ..storage import Store, StoreState, make_store
from ..transport import Backoff, Pump
from .calling import Answer, Caller
from .fetching import Fetcher
from .hub import Hub
from .levels import NOTICE
from .opening import open_in_thread

__all__ = ["Journal", "OpenStore", "StoreStatistics", "open_store"]

logger = logging.getLogger(__name__)

#: The longest wait between two attempts to commit, in seconds.
_MAX_WAIT_SECONDS: Final = 5.0

#: How long closing may take, and before it what a hung store is still at, in seconds.
_CLOSE_SECONDS: Final = 2.0

#: How far ahead of the handles that were given the number goes that the store is told, so that it is told seldom: that
#: is one more statement for a commit.
_HANDLES_AHEAD: Final = 10_000

#: How long after the beginning of a batch the next one begins at the earliest if nobody waits for it, in seconds.
_BETWEEN_SECONDS: Final = 0.005

#: After how many jobs the progress of a replay is logged.
_PROGRESS_JOBS: Final = 100_000


@attrs.frozen(kw_only=True)
class StoreStatistics:
    """The store of a job server at one moment.

    Attributes:
        name: what it is.
        failure: why the last commit failed, or ``""``.
        refusing: whether submissions of jobs that are to be stored are refused.
        commits: how many batches were committed.
        committing: how long each commit took, from the call to the store to its answer.
        lag: for how long something has waited to be stored since the last commit, in seconds; 0.0 where nothing does.
        added: how many jobs they added.
        removed: how many they removed.
        restored: how many jobs came back at the start.
        quarantined: how many rows were put into quarantine, since they could not become jobs.
        replaying: whether there are more to come.
        spilled: how many jobs have their workload in the store alone.
        spilled_bytes: how long these workloads are together.
        fetched: how many workloads came back for workers.
    """

    name: str
    failure: str
    refusing: bool
    commits: int
    committing: Histogram
    lag: float
    added: int
    removed: int
    restored: int
    quarantined: int
    replaying: bool
    spilled: int = 0
    spilled_bytes: int = 0
    fetched: int = 0


class Journal:
    """Carries batches to the store, and jobs back at the start. Owns the store, from when it is open."""

    def __init__(self, store: Store, hub: Hub, timeout: float, spill_bytes: int = 0) -> None:
        self._store = store
        self._hub = hub
        self._timeout = timeout
        self._spill_bytes = spill_bytes
        self._caller = Caller(f"gearman_trio: {store.name}")
        self._pump: Pump | None = None
        self._fetcher = Fetcher(store, hub, timeout, self._caller.call)
        self._backoff = Backoff(cap=_MAX_WAIT_SECONDS)
        # Whether a batch may begin: `run` runs, and no batch is under way or waits to be tried again.
        self._idle = False
        # Invariant: where the first is there, it is under way no more, and `run` has to see to it. The second is why.
        self._left: Batch | None = None
        self._error: BaseException | None = None
        # That `run` has something to do.
        self._wanted = trio.Event()
        self._running = False
        # When the last batch was begun.
        self._begun = -inf
        # The time between it and one that nobody waits for.
        self._rest = trio.CancelScope()
        # No handle beyond this has been given as far as the store knows.
        self._handles_told = 0
        self._flushed = trio.Event()
        self._flushing = False
        # When those who wait are refused; moved as `_set_deadline` says.
        self._patience = trio.CancelScope()
        self._deadline = inf
        self._failure = ""
        self._refusing = False
        self._commits = self._added = self._removed = self._restored = self._quarantined = 0
        self._replaying = False
        self._committing = Histogram()
        # Since when there is something to store, or infinity.
        self._unstored_since = inf
        hub.keep_journal(self.wake)
        if spill_bytes:
            hub.keep_fetching(self._fetcher.wake)

    def wake(self) -> None:
        """There is something to store. Never waits."""
        if self._unstored_since == inf:
            self._unstored_since = trio.current_time()
        if self._deadline == inf:
            self._set_deadline()
        if self._idle:
            self._look()

    async def run(self, pump: Pump | None) -> None:
        """Commit until cancelled; a commit that is under way is waited for by `close`.

        Args:
            pump: through which it hears of commits, if there is one.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_patience)
            nursery.start_soon(self._fetcher.run)
            self._pump = pump
            with self._caller.listening(pump):
                try:
                    await self._serve()
                finally:
                    self._running = self._idle = False
                    # By a defect; otherwise nobody waits for it any more.
                    self._flushed.set()

    async def flush(self, seconds: float) -> None:
        """Wait until everything is stored that there is, for at most so long. Nothing else must come meanwhile."""
        self._flushing = True
        self._wanted.set()
        self._rest.cancel()
        with trio.move_on_after(seconds, shield=True):
            await self._flushed.wait()
            return
        logger.error("%s: what happened last could not be stored: %s", self._store.name, self._failure or "it is slow")

    async def close(self) -> None:
        """Let go of the store; where it still does not answer, not of its connection."""
        try:
            with trio.move_on_after(_CLOSE_SECONDS, shield=True):
                await self._caller.call(self._store.close)
        finally:
            self._caller.close()

    async def replay(self) -> None:
        """Bring back every job of earlier runs, logging how far it has come.

        Raises:
            StorageError: they cannot be read.
        """
        self._replaying = True
        chunks = self._store.replay(self._spill_bytes)
        told = 0
        try:
            while True:
                rows = await self._caller.call(partial(next, chunks, None))
                if rows is None:
                    break
                stored = [row for row in rows if not isinstance(row, BadRow)]
                refused = self._hub.restore(stored)
                bad = [row for row in rows if isinstance(row, BadRow)] + refused
                self._restored += len(stored) - len(refused)
                if bad:
                    self._quarantined += len(bad)
                    for row in bad:
                        logger.error("%s: row %d is quarantined: %s", self._store.name, row.row, row.reason)
                    await self._caller.call(partial(self._store.quarantine, bad))
                if self._restored - told >= _PROGRESS_JOBS:
                    told = self._restored
                    logger.log(NOTICE, "%s: %d jobs are back, more to come", self._store.name, told)
        finally:
            self._replaying = False
        level = NOTICE if self._restored else logging.INFO
        logger.log(level, "%s: all %d jobs are back", self._store.name, self._restored)

    @property
    def refusing(self) -> bool:
        """Whether submissions of jobs that are to be stored are refused."""
        return self._refusing

    @property
    def replaying(self) -> bool:
        """Whether more jobs of earlier runs are to come."""
        return self._replaying

    def statistics(self) -> StoreStatistics:
        """How the store does."""
        spilled, spilled_bytes = self._hub.spilled()
        return StoreStatistics(
            name=self._store.name,
            failure=self._failure,
            refusing=self._refusing,
            commits=self._commits,
            committing=self._committing.copy(),
            lag=max(0.0, trio.current_time() - self._unstored_since),
            added=self._added,
            removed=self._removed,
            restored=self._restored,
            quarantined=self._quarantined,
            replaying=self._replaying,
            spilled=spilled,
            spilled_bytes=spilled_bytes,
            fetched=self._fetcher.fetched,
        )

    async def _serve(self) -> None:
        """Begin what nobody waits for, and see to what has failed."""
        self._running = self._idle = True
        while True:
            if self._left is not None:
                await self._see_to(self._left)
            elif self._idle:
                self._begin()
            if self._flushing and self._idle and not self._hub.has_unstored():
                self._flushed.set()
            await self._wanted.wait()
            self._wanted = trio.Event()
            with trio.CancelScope(deadline=self._begun + _BETWEEN_SECONDS) as self._rest:
                if not self._flushing:
                    await trio.sleep_forever()

    def _look(self) -> None:
        """Begin a batch now if somebody waits for it, else when the task runs, after all that is under way."""
        if self._hub.is_store_awaited():
            self._begin()
        else:
            self._wanted.set()

    def _begin(self) -> None:
        batch = self._take_batch()
        if batch is not None:
            self._idle = False
            self._commit(batch)

    def _take_batch(self) -> Batch | None:
        batch = self._hub.take_batch()
        if batch is not None:
            told = batch.last_handle <= self._handles_told
            batch.last_handle = 0 if told else batch.last_handle + _HANDLES_AHEAD
        return batch

    def _commit(self, batch: Batch) -> None:
        # Nobody needs an empty one stored, unless it is to tell that the store is back.
        if batch.empty and not self._failure:
            self._leave(batch, None)
        else:
            if self._pump is not None:
                # The thread needs the interpreter; and where nobody waits for it, others may be quicker than it.
                self._pump.patient = bool(batch.adds)
            self._begun = trio.current_time()
            self._caller.begin(partial(self._store.commit, batch), partial(self._answered, batch))

    def _answered(self, batch: Batch, answer: Answer[None]) -> None:
        """The store has done with a batch."""
        if self._pump is not None:
            self._pump.patient = False
        if not self._running:
            return
        try:
            answer.take()
        except BaseException as exc:  # noqa: BLE001 - the task raises it, where it is none of the store's
            self._leave(batch, exc)
        else:
            self._committing.add(trio.current_time() - self._begun)
            self._succeed(batch)

    def _leave(self, batch: Batch, error: BaseException | None) -> None:
        """Have the task see to a batch, which failed or need not be stored."""
        self._left, self._error = batch, error
        self._wanted.set()

    async def _see_to(self, batch: Batch) -> None:
        """Try a batch again, with all that has come since, if it failed."""
        if isinstance(self._error, StorageError):
            self._fail(str(self._error))
            await trio.sleep(self._backoff.next_wait())
            later = self._take_batch()
            if later is not None:
                later.put_before(batch)
                batch = later
            self._left = None
            self._commit(batch)
        elif self._error is not None:
            raise self._error
        else:
            self._left = None
            self._succeed(batch)

    def _fail(self, reason: str) -> None:
        if not self._failure:
            logger.error("%s; trying again", reason)
        self._failure = reason

    def _succeed(self, batch: Batch) -> None:
        if self._failure or self._refusing:
            logger.warning("%s: stores jobs again", self._store.name)
        self._failure = ""
        self._refusing = False
        self._backoff.reset()
        self._commits += 1
        self._added += len(batch.adds)
        self._removed += len(batch.removes)
        self._handles_told = max(self._handles_told, batch.last_handle)
        self._hub.committed(batch.number)
        self._set_deadline()
        self._idle = True
        if self._hub.has_unstored():
            self._look()
        elif self._flushing:
            self._wanted.set()

    def _set_deadline(self) -> None:
        """Those who wait from now on wait so long; if nobody does, the first who comes sets it."""
        unstored = self._hub.has_unstored()
        self._unstored_since = trio.current_time() if unstored else inf
        self._deadline = trio.current_time() + self._timeout if unstored else inf
        self._patience.deadline = self._deadline

    async def _watch_patience(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._deadline) as self._patience:
                await trio.sleep_forever()
            self._deadline = inf
            self._refuse()

    def _refuse(self) -> None:
        reason = self._failure or f"{self._store.name} has not stored anything for {self._timeout:g} seconds"
        if not self._refusing:
            logger.error("submissions are refused until jobs can be stored again: %s", reason)
        self._refusing = True
        self._hub.refuse(f"the job cannot be stored: {reason}")


@attrs.frozen
class OpenStore:
    """A store and the state in which it was found."""

    store: Store
    state: StoreState


async def open_store(store: Store | str | None, owner: str) -> OpenStore | None:
    """Open a store, or that of a URL, without making the event loop wait; ``None`` where jobs are in memory only.

    Raises:
        ConfigError: the URL cannot be used.
        StorageError: it cannot be opened.

    Cancellation: does not wait for the store, which is closed when it is open.
    """
    if isinstance(store, str):
        store = make_store(store)
    if store is None:
        return None
    return OpenStore(store, await open_in_thread(store, owner))
