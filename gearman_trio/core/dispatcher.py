"""The only way into the broker.

Rule 1: every door is a plain synchronous function that takes the time and never waits, sleeps, logs, reads a clock or
draws a random number.  So it is atomic, needs no lock, and the same calls give the same bytes.

Rule 2: replies are written into the outboxes of the peers that they are for; `Dispatcher.take_touched` names those
peers. When a door has returned, or several have, the runtime sends each touched peer's outbox, once.

Rule 3: what a peer sends is never an exception; it is an ERROR packet, or a failure that closes that one connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Final

from ..protocol.codec import OPAQUE, TEXT, WRONG_MAGIC, Decoder, argument_patterns
from ..protocol.table import PACKETS, PacketType, Sender
from .admin import Admin
from .answers import Answers
from .assignment import Assignments
from .batch import BadRow, Batch, SpilledJob, StoredJob
from .commits import Commits
from .inspection import Inspection
from .outcome import Outcomes
from .peer import Peer
from .policy import Policy
from .registry import Registry
from .replies import send_error
from .spill import Spill
from .statistics import Counters, FunctionStatistics, PeerStatistics, Totals
from .steering import Steering
from .submission import SUBMISSIONS, Submissions
from .tally import Failure
from .waking import Waking

__all__ = ["Dispatcher"]

#: The hole in the table. gearmand knows it as a type that nobody may send.
_UNUSED: Final = 5

#: Their workloads are kept as they came, so the large ones are received apart. Reports are forwarded whole.
_APART: Final = argument_patterns(SUBMISSIONS)

_Handler = Callable[[Peer, int, bytes, float], None]


class Dispatcher:
    """A whole Gearman broker as a state machine.

    Example: two peers and a job, without any input or output::

        broker = Dispatcher(Policy())
        client, worker = broker.connect("client"), broker.connect("worker")
        broker.receive(worker, encode_request(PacketType.CAN_DO, b"f"), now=0.0)
        broker.receive(client, encode_request(PacketType.SUBMIT_JOB, b"f", b"", b"w"), now=0.0)
        broker.receive(worker, encode_request(PacketType.GRAB_JOB), now=0.0)
        assert worker.take_outbox() == [encode_response(PacketType.JOB_ASSIGN, b"H:localhost:1", b"f", b"w")]

    Attributes:
        answering: the peers whose long answers go on with `go_on`, in no order that matters.
        inspection: questions about single jobs.

    All times are monotonic seconds, but for those that a client gives in SUBMIT_JOB_EPOCH and SUBMIT_JOB_SCHED.
    """

    def __init__(self, policy: Policy, *, wake_late: bool = False) -> None:
        """Make a broker.

        Args:
            policy: the operator's choices.
            wake_late: whether a job wakes a sleeper only at the next `wake_due`, and only if no other worker has
                grabbed it by then. Without effect unless `Policy.worker_wakeup` is 1.
        """
        self._policy = policy
        self._registry = Registry(policy)
        waking = Waking(self._registry, late=wake_late)
        self._waking = waking
        self._outcomes = Outcomes(self._registry)
        self._commits = Commits(self._registry, self._registry.ledger, waking) if policy.durable else None
        self._submissions = Submissions(self._registry, waking, self._commits)
        self._spill = Spill(self._registry, waking, self._outcomes)
        self._assignments = Assignments(self._registry, waking, self._outcomes, self._spill)
        self._peers: dict[int, Peer] = {}
        self.answering: dict[Peer, None] = {}
        self._touched: list[Peer] = []
        self._steering = Steering(self._registry, self._outcomes, waking)
        self.inspection = Inspection(self._registry, self._peers)
        self._admin = Admin(self._registry, self._steering, self._peers)
        self._handlers = self._make_handlers(self._admin)

    # Doors

    def connect(self, address: str, *, admin: bool = False, now: float = 0.0) -> Peer:
        """A connection has begun.

        Args:
            address: for tables and logs.
            admin: whether it may give the commands that are for administrators alone.
            now: for statistics.
        """
        self._registry.counters.connections += 1
        decoder = Decoder(max_packet_bytes=self._policy.max_packet_bytes, apart=_APART)
        peer = Peer(
            self._registry.counters.connections,
            address,
            decoder,
            self._touched,
            self.answering,
            self._registry.traffic,
        )
        peer.connected_at = now
        peer.heard_at = now
        peer.exceptions = self._policy.exceptions
        peer.admin = admin
        self._peers[peer.number] = peer
        return peer

    def receive(self, peer: Peer, data: bytes, now: float) -> None:
        """Bytes have come from a connection; every packet that is whole is dealt with.

        Afterwards `Peer.failure` says whether, and why, the connection must be closed.
        """
        if peer.gone or peer.failure:
            return
        peer.heard_at = now
        peer.count_received(len(data))
        self._registry.now = now
        handlers = self._handlers
        for kind, body in peer.decoder.feed(data):
            handler = handlers.get(kind)
            if handler is None:
                self._unexpected(peer, kind)
            else:
                handler(peer, kind, body, now)
        if peer.decoder.failure is not None:
            # Before the failure, after which nothing more is put in line.
            send_error(peer, "INVALID_PACKET", str(peer.decoder.failure))
            peer.failure = str(peer.decoder.failure)

    def disconnect(self, peer: Peer, now: float) -> None:
        """A connection has ended, for whatever reason: nothing of it stays in any index."""
        if peer.gone:
            return
        self._registry.now = now
        peer.leave()
        del self._peers[peer.number]
        # First the jobs that it waits for: one that it also runs must not be queued again for nobody.
        self._outcomes.client_gone(peer)
        self._assignments.worker_gone(peer, now)

    def expire(self, now: float) -> None:
        """Do everything that is due at `now`."""
        self._registry.now = now
        timers = self._registry.timers
        timer = timers.pop_due(now)
        while timer is not None:
            if timer.job is not None:
                timer.job.timer = None
                self._assignments.timed_out(timer.job, now)
            elif timer.peer is not None:
                timer.peer.wake_timer = None
                self._waking.settle(timer.peer, now)
            timer = timers.pop_due(now)
        schedule = self._registry.schedule
        timer = schedule.pop_due(now + self._submissions.epoch_offset)
        while timer is not None:
            if timer.job is not None:
                self._registry.enqueue(timer.job)
                self._waking.job_queued(timer.job.function, now)
            timer = schedule.pop_due(now + self._submissions.epoch_offset)

    def wake_due(self, now: float) -> None:
        """Wake the sleepers that the doors since the last call need; where they are woken late."""
        self._waking.wake_due(now)

    def go_on(self, peer: Peer) -> None:
        """Make the next part of the long answer of a peer in `answering`."""
        peer.go_on()

    def steering(self, now: float) -> Steering:
        """Doors for operators; what is given is for use at this moment alone."""
        self._registry.now = now
        return self._steering

    def set_clock(self, epoch_offset: float) -> None:
        """Say what to add to monotonic seconds for epoch seconds; at the start, and whenever the wall clock is set."""
        self._submissions.epoch_offset = epoch_offset

    def drain(self) -> None:
        """Take no further jobs; those that there are go on."""
        self._submissions.closed = True

    def close(self) -> None:
        """Let go of every job, and of the memory that it takes. The last door; only questions may follow."""
        self._registry.close()

    # Doors for a store; only where the policy says that jobs are stored

    def take_batch(self) -> Batch | None:
        """What is to be stored now, to be answered by `committed` or `refuse`; `None` for nothing.

        An empty batch is one whose jobs have come and gone, and that nevertheless somebody waits for.
        """
        ledger = self._registry.ledger
        return None if ledger.batch.empty else ledger.take(self._registry.last_handle)

    def committed(self, number: int, now: float) -> None:
        """Every batch up to this one is stored; those who wait for that are answered, and their jobs queued."""
        assert self._commits is not None
        self._registry.now = now
        self._commits.committed(number, now + self._submissions.epoch_offset, now)

    def refuse(self, text: str) -> None:
        """Nothing is being stored: answer all who wait, and all who come before the next `committed`, with ERROR."""
        assert self._commits is not None
        self._commits.refuse(text)

    def restore(self, stored: Sequence[StoredJob | SpilledJob], now: float) -> list[BadRow]:
        """Jobs of an earlier run have come back from the store, in their order; those given back cannot be jobs."""
        assert self._commits is not None
        self._registry.now = now
        return self._commits.restore(stored, now + self._submissions.epoch_offset, now)

    def take_wanted(self) -> list[int]:
        """The rows whose workloads are wanted now, to be answered by `fetched` or `not_fetched`.

        None after `not_fetched` asks whether the store is there again; `fetched` says so.
        """
        return self._spill.take()

    def fetched(self, workloads: Mapping[int, bytes], now: float) -> list[bytes]:
        """These are the workloads, by row, that the store has of those taken.

        Gives the handles of jobs that failed, because their workload is not there, or is not the one that was.
        """
        self._registry.now = now
        return [job.handle for job in self._spill.fetched(workloads, now)]

    def not_fetched(self) -> None:
        """The store does not answer. It may yet: a `fetched` that comes later is welcome."""
        self._spill.not_fetched()

    # Questions

    def has_unstored(self) -> bool:
        """Whether `take_batch` would give something."""
        return not self._registry.ledger.batch.empty

    def is_store_awaited(self) -> bool:
        """Whether jobs are among it that nobody is told of before they are stored."""
        return bool(self._registry.ledger.batch.adds)

    def has_wanted(self) -> bool:
        """Whether workloads are wanted, taken or not, or the store has not answered."""
        return self._spill.wants()

    def spilled(self) -> tuple[int, int]:
        """How many jobs have their workload in the store alone, and how many bytes these are."""
        return self._registry.spilled_jobs, self._registry.spilled_bytes

    def next_deadline(self) -> float:
        """When `expire` must be called next, infinity for never."""
        scheduled = self._registry.schedule.next_time()
        timers = self._registry.timers.next_time()
        return timers if scheduled == inf else min(timers, scheduled - self._submissions.epoch_offset)

    def has_schedule(self) -> bool:
        """Whether jobs wait for their time, so that it matters when the wall clock is set."""
        return self._registry.schedule.next_time() != inf

    def has_work(self) -> bool:
        """Whether a job is running, being stored, or queued for a connected worker that may have it. O(functions)."""
        return any(
            function.running
            or function.committing
            or function.fetching
            or (function.queued and function.workers and not function.paused)
            for function in self._registry.functions.values()
        )

    @property
    def shutdown(self) -> str:
        """``"now"`` or ``"graceful"`` where an administrator has asked for it, else empty."""
        return self._admin.shutdown

    def take_touched(self) -> list[Peer]:
        """The peers whose outboxes were empty and are not any more, each once; gone ones may be among them."""
        touched = self._touched[:]
        self._touched.clear()
        return touched

    def counters(self) -> Counters:
        """What has been done since the start, as of now."""
        counters = self._registry.counters.copy()
        counters.received_bytes = self._registry.traffic.received_bytes
        counters.sent_bytes = self._registry.traffic.sent_bytes
        return counters

    def totals(self) -> Totals:
        """What there is now, all functions and connections together."""
        return Totals(self._registry.functions.values(), self._peers.values())

    def failures(self) -> list[Failure]:
        """The last jobs that failed, the oldest first."""
        return list(self._registry.failures)

    def functions(self) -> list[FunctionStatistics]:
        """What each function has now, in the order in which they were first heard of."""
        return [FunctionStatistics(function) for function in self._registry.functions.values()]

    def peers(self) -> list[PeerStatistics]:
        """What each connection does now, in the order in which they came."""
        return [PeerStatistics(peer) for peer in self._peers.values()]

    # Packets that need no more than this module

    def _opaque(self, peer: Peer, kind: int, body: bytes, now: float) -> None:
        """The large workload of the submission that is dealt with next."""
        peer.opaque = body

    def _unexpected(self, peer: Peer, kind: int) -> None:
        """A packet that no peer may send (gearmand 2.0 server.cc; it closes the connection of an unknown type)."""
        if kind == WRONG_MAGIC:
            send_error(peer, "INVALID_MAGIC", "Request magic expected")
        elif kind in PACKETS or kind == _UNUSED:
            send_error(peer, "INVALID_COMMAND", "Command not expected")
        else:
            send_error(peer, "INVALID_COMMAND", "Invalid command expected")

    def _make_handlers(self, admin: Admin) -> dict[int, _Handler]:
        """Who deals with each packet that a client or worker may send."""
        submit, assign, outcome = self._submissions, self._assignments, self._outcomes
        answers = Answers(self._registry)
        handlers: dict[int, _Handler] = {int(kind): submit.submit for kind in SUBMISSIONS}
        handlers[PacketType.SUBMIT_JOB_EPOCH] = submit.submit_epoch
        handlers[PacketType.SUBMIT_JOB_SCHED] = submit.submit_scheduled
        handlers[PacketType.SUBMIT_REDUCE_JOB] = submit.submit_reduce
        handlers[PacketType.SUBMIT_REDUCE_JOB_BACKGROUND] = submit.submit_reduce
        handlers[PacketType.CAN_DO] = assign.can_do
        handlers[PacketType.CAN_DO_TIMEOUT] = assign.can_do
        handlers[PacketType.CANT_DO] = assign.cant_do
        handlers[PacketType.RESET_ABILITIES] = assign.reset_abilities
        handlers[PacketType.PRE_SLEEP] = assign.pre_sleep
        handlers[PacketType.GRAB_JOB] = assign.grab
        handlers[PacketType.GRAB_JOB_UNIQ] = assign.grab
        handlers[PacketType.GRAB_JOB_ALL] = assign.grab
        handlers[PacketType.WORK_DATA] = outcome.data
        handlers[PacketType.WORK_WARNING] = outcome.data
        handlers[PacketType.WORK_STATUS] = outcome.status
        handlers[PacketType.WORK_COMPLETE] = outcome.complete
        handlers[PacketType.WORK_FAIL] = outcome.fail
        handlers[PacketType.WORK_EXCEPTION] = outcome.exception
        handlers[PacketType.GET_STATUS] = answers.get_status
        handlers[PacketType.GET_STATUS_UNIQUE] = answers.get_status_unique
        handlers[PacketType.ECHO_REQ] = answers.echo
        handlers[PacketType.OPTION_REQ] = answers.option
        handlers[PacketType.SET_CLIENT_ID] = answers.set_client_id
        handlers[PacketType.ALL_YOURS] = answers.all_yours
        expected = {kind for kind, spec in PACKETS.items() if spec.senders & (Sender.CLIENT | Sender.WORKER)}
        assert set(handlers) == expected, set(handlers) ^ expected
        handlers[TEXT] = admin.command
        handlers[OPAQUE] = self._opaque
        return handlers
