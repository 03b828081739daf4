"""Between Trio and the broker: the only caller of the dispatcher.

Each door of the dispatcher is called with the time; when it returns, the connections it wrote to are told to send, and
the timekeeper's deadline is moved if something is due sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Final, Protocol, TypeVar

import trio

from ..core.batch import BadRow, Batch, SpilledJob, StoredJob
from ..core.dispatcher import Dispatcher
from ..core.inspection import Inspection
from ..core.peer import Peer
from ..core.policy import Policy
from ..core.statistics import Counters, FunctionStatistics, PeerStatistics, Totals
from ..core.steering import Steering
from ..core.tally import Failure

__all__ = ["Hub", "Outlet"]

T = TypeVar("T")

#: How long what may wait for more to be sent with it does, in seconds: some rounds of a busy server, each of which
#: brings more.  A job of a worker that does anything takes longer.
_WAIT_SECONDS: Final = 0.0005

#: While jobs wait for their time, how often the wall clock is looked at, in seconds: it may have been set.
_CLOCK_CHECK_SECONDS: Final = 30.0


#: While more of a long answer waits to be sent, no further piece of it is made.
_ANSWER_BYTES: Final = 262144

#: How often it is looked whether a peer has read more of its answer, in seconds.
_SLOW_READER_SECONDS: Final = 0.01


class Outlet(Protocol):
    """What sends a peer's outbox."""

    @property
    def unsent_bytes(self) -> int:
        """How much was taken from the outbox and has not been sent."""
        ...

    def flush(self) -> None:
        """The outbox has something to send. Must take all of it, must not wait, and must not call the hub."""

    def finish(self, reason: str) -> None:
        """End the connection soon: what waits is sent, nothing more is read. Must not call the hub."""

    def check(self, now: float) -> bool:
        """See `patience.Watched`."""


class Hub:
    """Owns the dispatcher, the outlets of its peers, and the scope in which the timekeeper sleeps."""

    def __init__(self, policy: Policy, epoch_clock: Callable[[], float], shut_down: Callable[[str], None]) -> None:
        """Make a hub with a broker.

        Args:
            policy: of the broker.
            epoch_clock: tells epoch seconds.
            shut_down: called when an administrator has asked for it, with ``"now"`` or ``"graceful"``, perhaps often.
        """
        self._dispatcher = Dispatcher(policy, wake_late=True)
        self._shut_down = shut_down
        self._answering = self._dispatcher.answering
        self._epoch_clock = epoch_clock
        # That of `trio.current_time`, which looks for it each time.
        self._now: Callable[[], float] = trio.lowlevel.current_clock().current_time
        self._outlets: dict[Peer, Outlet] = {}
        # Those whose outboxes wait for more, and since when.
        self._waiting: list[Peer] = []
        self._waiting_since = 0.0
        self._sleep = trio.CancelScope()
        # Called when there is something to store, and when there are workloads to fetch.
        self._on_unstored: Callable[[], None] | None = None
        self._on_wanted: Callable[[], None] | None = None
        self._draining = False
        self._idle = trio.Event()
        # There while a task waits for it.
        self._activity: trio.Event | None = None
        self._question: trio.Event | None = None
        self.read_clock()

    def connect(self, outlet: Outlet, address: str, *, admin: bool) -> Peer:
        """A connection has begun."""
        peer = self._dispatcher.connect(address, admin=admin, now=self._now())
        self._outlets[peer] = outlet
        self._note_activity()
        return peer

    def receive(self, peer: Peer, data: bytes) -> None:
        """Bytes have come. `Peer.failure` says afterwards whether the connection must be closed.

        The answers stay in the outboxes until `flush`, so that those to many reads leave together.
        """
        self._dispatcher.receive(peer, data, self._now())

    def disconnect(self, peer: Peer) -> None:
        """A connection has ended; safe to call in clean-up, because it never waits."""
        self._dispatcher.disconnect(peer, self._now())
        del self._outlets[peer]
        self.flush()

    def drain(self) -> None:
        """Refuse new jobs from now on."""
        self._draining = True
        self._dispatcher.drain()
        self.flush()

    def finish(self, reason: str) -> None:
        """End every connection, as soon as what waits to be sent is sent."""
        for outlet in self._outlets.values():
            outlet.finish(reason)

    def outlets(self) -> Iterable[Outlet]:
        """Those of all connections."""
        return self._outlets.values()

    def flush(self) -> None:
        """To be called after each door, or after several: wakes whom they need, and sends what they brought about."""
        self._dispatcher.wake_due(self._now())
        self._send(wait=False)
        self._follow_up()

    def flush_round(self) -> None:
        """As `flush`, after one round of several: what may wait is sent with what comes soon, or by `flush_waiting`."""
        now = self._now()
        self._dispatcher.wake_due(now)
        if not self._waiting:
            self._waiting_since = now
        self._send(wait=now - self._waiting_since < _WAIT_SECONDS)
        self._follow_up()

    def flush_waiting(self) -> None:
        """Send what waits: nothing more has come."""
        if self._waiting:
            self._send(wait=False)

    def _send(self, *, wait: bool) -> None:
        """Send the outboxes, those of workers first: what they do next is what clients wait for."""
        outlets = self._outlets
        clients = self._waiting
        self._waiting = []
        for peer in self._dispatcher.take_touched():
            if peer.abilities:
                outlet = outlets.get(peer)
                if outlet is not None:
                    outlet.flush()
            else:
                clients.append(peer)
        for peer in clients:
            if wait and peer.may_wait:
                self._waiting.append(peer)
            else:
                outlet = outlets.get(peer)
                if outlet is not None:
                    outlet.flush()

    def _follow_up(self) -> None:
        if self._on_unstored is not None and self._dispatcher.has_unstored():
            self._on_unstored()
        if self._on_wanted is not None and self._dispatcher.has_wanted():
            self._on_wanted()
        if self._next_deadline() < self._sleep.deadline:
            # A job with a time to run at may be the first one for days, so this is a good moment to look at the clock.
            self.read_clock()
            self._sleep.deadline = self._next_deadline()
        if self._activity is not None:
            self._note_activity()
        if self._answering and self._question is not None:
            self._question.set()
            self._question = None
        if self._dispatcher.shutdown:
            self._shut_down(self._dispatcher.shutdown)
        if self._draining and not self._dispatcher.has_work():
            self._idle.set()

    def close(self) -> None:
        """Let go of the jobs that are left; to be called when no connection and no timekeeper is there any more."""
        self._dispatcher.close()

    async def wait_active(self) -> None:
        """Wait until a connection comes, or anything is received or sent; only one task may wait."""
        self._activity = trio.Event()
        await self._activity.wait()

    def keep_journal(self, on_unstored: Callable[[], None]) -> None:
        """Call this whenever there is something to store; it may take the batch, but must not wait, nor change more."""
        self._on_unstored = on_unstored

    def keep_fetching(self, on_wanted: Callable[[], None]) -> None:
        """Call this whenever workloads are wanted; it must not wait, nor change anything here."""
        self._on_wanted = on_wanted

    def has_unstored(self) -> bool:
        """Whether there is something to store."""
        return self._dispatcher.has_unstored()

    def is_store_awaited(self) -> bool:
        """Whether somebody waits for it."""
        return self._dispatcher.is_store_awaited()

    def take_batch(self) -> Batch | None:
        """What is to be stored now, `None` for nothing."""
        return self._dispatcher.take_batch()

    def committed(self, number: int) -> None:
        """Every batch up to this one is stored."""
        self._dispatcher.committed(number, self._now())
        self.flush()

    def refuse(self, text: str) -> None:
        """Nothing is being stored: refuse who waits, and who comes before the next commit."""
        self._dispatcher.refuse(text)
        self.flush()

    def take_wanted(self) -> list[int]:
        """The rows whose workloads are wanted; see `Dispatcher.take_wanted`."""
        return self._dispatcher.take_wanted()

    def fetched(self, workloads: Mapping[int, bytes]) -> list[bytes]:
        """These are the workloads that the store has; gives the handles of jobs that failed for want of theirs."""
        lost = self._dispatcher.fetched(workloads, self._now())
        self.flush()
        return lost

    def not_fetched(self) -> None:
        """The store does not answer."""
        self._dispatcher.not_fetched()
        self.flush()

    def spilled(self) -> tuple[int, int]:
        """How many jobs have their workload in the store alone, and how many bytes these are."""
        return self._dispatcher.spilled()

    def restore(self, stored: Sequence[StoredJob | SpilledJob]) -> list[BadRow]:
        """Jobs of an earlier run have come back; those given back cannot be jobs."""
        bad = self._dispatcher.restore(stored, self._now())
        self.flush()
        return bad

    async def wait_idle(self) -> None:
        """After `drain`: wait until no job is running, and none is queued for a worker that is connected."""
        await self._idle.wait()

    async def keep_time(self) -> None:
        """Call the broker whenever something is due. Runs until cancelled."""
        while True:
            with trio.CancelScope(deadline=self._next_deadline()) as self._sleep:
                await trio.sleep_forever()
            self.read_clock()
            self._dispatcher.expire(self._now())
            self.flush()

    async def keep_answering(self) -> None:
        """Make long answers, piece by piece, each when its peer has read most of what came before it."""
        while True:
            if not self._answering:
                self._question = trio.Event()
                await self._question.wait()
            went_on = False
            for peer in list(self._answering):
                outlet = self._outlets[peer]
                if peer.failure:
                    outlet.finish(peer.failure)
                elif outlet.unsent_bytes <= _ANSWER_BYTES:
                    self._dispatcher.go_on(peer)
                    went_on = True
            self.flush()
            # Without a checkpoint between them the pieces would be as bad as the whole.
            await trio.sleep(0 if went_on else _SLOW_READER_SECONDS)

    def epoch(self) -> float:
        """What the wall clock says, in seconds."""
        return self._epoch_clock()

    def read_clock(self) -> None:
        """Tell the broker what the wall clock says."""
        self._dispatcher.set_clock(self._epoch_clock() - self._now())

    def steer(self, action: Callable[[Steering], T]) -> T:
        """Do what an operator wants, and give what that gives."""
        result = action(self._dispatcher.steering(self._now()))
        self.flush()
        return result

    @property
    def inspection(self) -> Inspection:
        """Answers questions about single jobs."""
        return self._dispatcher.inspection

    def counters(self) -> Counters:
        """What has been done since the start."""
        return self._dispatcher.counters()

    def totals(self) -> Totals:
        """What there is now, all functions and connections together."""
        totals = self._dispatcher.totals()
        for outlet in self._outlets.values():
            totals.outbox_bytes += outlet.unsent_bytes
        return totals

    def failures(self) -> list[Failure]:
        """The last jobs that failed."""
        return self._dispatcher.failures()

    def functions(self) -> list[FunctionStatistics]:
        """What each function has now."""
        return self._dispatcher.functions()

    def peers(self) -> list[PeerStatistics]:
        """What each connection does now."""
        peers = self._dispatcher.peers()
        unsent = {peer.number: outlet.unsent_bytes for peer, outlet in self._outlets.items()}
        for peer in peers:
            peer.outbox_bytes += unsent[peer.number]
        return peers

    def _note_activity(self) -> None:
        if self._activity is not None:
            self._activity.set()
            self._activity = None

    def _next_deadline(self) -> float:
        deadline = self._dispatcher.next_deadline()
        if deadline != inf and self._dispatcher.has_schedule():
            now: float = self._now()
            return min(deadline, now + _CLOCK_CHECK_SECONDS)
        return deadline
