"""One connection as the broker sees it: client, worker and administrator at once, as the protocol allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from ..protocol.codec import Decoder
from .deadlines import Timer
from .tally import Traffic

if TYPE_CHECKING:
    from .function import Function
    from .job import Job

__all__ = ["Held", "Peer"]

#: How many rows of a long answer are made at once: some tenths of a millisecond.
_ROWS_AT_ONCE: Final = 1000

#: How much may wait behind such an answer, or behind one that waits for the store; with more the peer is cut off.
#: A single packet may be larger.
_MAX_BEHIND_BYTES: Final = 64 * 1024 * 1024

#: For how many more jobs a client must wait, for each result that waits to be sent with the next ones; and for handles.
_OTHERS: Final = 8

#: What a long answer that waits counts for.
_WAITING_ANSWER_BYTES: Final = 1000

#: What the answer to a submission that is yet to be stored counts for, besides the job's workload.
_HELD_BYTES: Final = 100


class Held:
    """The answer to a submission whose job is yet to be stored, or to a grab whose job is yet to be fetched.

    Attributes:
        job: the job.
        number: of the batch that stores it; 0 for a grab.
        size: of the workload that is held meanwhile.
        answer: the packet, once it is known; until then empty. It may be in two pieces, of which the second is long.
    """

    __slots__ = ("answer", "job", "number", "size")

    def __init__(self, job: Job, number: int) -> None:
        self.job = job
        self.number = number
        self.size: int = len(job.workload)
        self.answer: list[bytes] = []


class Peer:
    """One connection. Nothing is written to it once it is gone.

    Attributes:
        number: of the connection, counted from 1; also what the ``workers`` table shows as file descriptor.
        address: of the other end, for tables and logs.
        outbox: what is to be sent, in order; the runtime takes it with `take_outbox`.
        outbox_bytes: how many bytes that is.
        admin: whether it may give the commands that are for administrators alone.
        rows: the rest of a long answer that is being made, or `None`.
        urgent: whether anything in the outbox is to be sent at once.
        results: how many ends of jobs are among what need not be.
        held: whether nothing may be put into the outbox, because of such an answer, because the answer to a submission
            waits for the store, or because the connection has ended. What is sent meanwhile waits in line: clients
            match answers by their order.
        behind_bytes: about how much waits in line.
        decoder: cuts what the connection sends into packets.
        opaque: the last field of the packet that is dealt with, where it is large and came apart; else ``b""``.
        client_id: by SET_CLIENT_ID; empty where there was none.
        exceptions: whether WORK_EXCEPTION is to be forwarded (OPTION_REQ ``exceptions``).
        attached: the jobs that this connection hears of.
        running: the jobs that this connection works on, in the order in which they were assigned.
        abilities: the functions it can do, in the order in which it said so.
        timeouts: the time limit of an ability in seconds, where CAN_DO_TIMEOUT gave one.
        cursor: where in `abilities` the next grab begins to look (round-robin).
        sleeping: whether it waits for NOOP. Invariant: then it is among the sleepers of each of its abilities.
        woken_for: the function whose job it was woken for, until it grabs.
        wake_timer: ends the wait for that grab.
        released: handles of running jobs that were cancelled or taken away; the results still to come are dropped.
        raised: the handle of the last job that it ended by WORK_EXCEPTION; a WORK_FAIL may follow.
        connected_at: when it came, in monotonic seconds.
        heard_at: when it last sent anything, likewise.
        received_bytes: how much it has sent.
        sent_bytes: how much was handed to be sent to it.
        failure: why the connection must be closed, or empty.
        gone: whether the connection has ended.
    """

    __slots__ = (
        "_answering",
        "_line",
        "_storing_bytes",
        "_touched",
        "_traffic",
        "_unanswered",
        "abilities",
        "address",
        "admin",
        "attached",
        "behind_bytes",
        "client_id",
        "connected_at",
        "cursor",
        "decoder",
        "exceptions",
        "failure",
        "gone",
        "heard_at",
        "held",
        "number",
        "opaque",
        "outbox",
        "outbox_bytes",
        "raised",
        "received_bytes",
        "released",
        "results",
        "rows",
        "running",
        "sent_bytes",
        "sleeping",
        "timeouts",
        "urgent",
        "wake_timer",
        "woken_for",
    )

    def __init__(
        self,
        number: int,
        address: str,
        decoder: Decoder,
        touched: list[Peer],
        answering: dict[Peer, None],
        traffic: Traffic,
    ) -> None:
        self.number = number
        self.address = address
        self.decoder = decoder
        self.opaque: bytes = b""
        # Of the dispatcher: the peers with something in their outboxes, and those with rows to be made.
        self._touched = touched
        self._answering = answering
        self._traffic = traffic
        self.outbox: list[bytes] = []
        self.outbox_bytes: int = 0
        self.urgent: bool = False
        self.results: int = 0
        self.admin: bool = False
        self.rows: Iterator[bytes] | None = None
        # What waits its turn. Invariant: empty unless `held`.
        self._line: deque[bytes | Iterator[bytes] | Held] = deque()
        # Those in line that have no answer yet, in the same order.
        self._unanswered: deque[Held] = deque()
        self.behind_bytes: int = 0
        self._storing_bytes: int = 0
        self.held: bool = False
        self.client_id: bytes = b""
        self.exceptions: bool = False
        self.attached: dict[Job, None] = {}
        self.running: dict[Job, None] = {}
        self.abilities: list[Function] = []
        self.timeouts: dict[Function, float] = {}
        self.cursor: int = 0
        self.sleeping: bool = False
        self.woken_for: Function | None = None
        self.wake_timer: Timer | None = None
        self.released: set[bytes] = set()
        self.raised: bytes = b""
        self.connected_at: float = 0.0
        self.heard_at: float = 0.0
        self.received_bytes: int = 0
        self.sent_bytes: int = 0
        self.failure: str = ""
        self.gone: bool = False

    @property
    def held_bytes(self) -> int:
        """About how much memory waits here that is not in the outbox."""
        return self.behind_bytes + self._storing_bytes

    def send(self, data: bytes) -> None:
        """Queue bytes for this connection."""
        self.send_later(data, 0)
        self.urgent = True

    def send_later(self, data: bytes, results: int) -> None:
        """Queue bytes that need not be sent at once; `results` is 1 for the end of a job, else 0. See `may_wait`."""
        if self.held:
            self._wait(data, len(data))
            return
        if not self.outbox:
            self._touched.append(self)
        self.outbox.append(data)
        self.outbox_bytes += len(data)
        self.results += results

    @property
    def may_wait(self) -> bool:
        """Whether the outbox may be sent a moment later, for more will come to be sent with it.

        So it is where it holds handles of foreground jobs, whose results are to follow, and few results beside the jobs
        that the client waits for still: whatever it does with each of them, there is enough that goes on meanwhile.  A
        client with few jobs in flight has nothing to be sent with, and to come back to it costs more.
        """
        return not self.urgent and (self.results or 1) * _OTHERS <= len(self.attached)

    def answer(self, rows: Iterator[bytes]) -> None:
        """Send an answer made of rows: the first thousand now, the others with `go_on`, and nothing in between."""
        if self.held:
            self._wait(rows, _WAITING_ANSWER_BYTES)
        else:
            self._begin(rows)
            self.go_on()

    def go_on(self) -> None:
        """Send the next rows of an answer under way; after the last one, what has waited behind it."""
        rows = self.rows
        assert rows is not None, "no answer is under way"
        made = list(islice(rows, _ROWS_AT_ONCE))
        data = b"".join(made)
        if data:
            self._let_through(data)
        if len(made) < _ROWS_AT_ONCE:
            self.rows = None
            if not self.failure:
                del self._answering[self]
            self.advance()

    def hold(self, job: Job, number: int) -> bool:
        """Put the answer to a submission in line, to be sent when its job is stored.

        Say whether it is the first one for this batch, so that `take_due` must be called when the batch is stored.
        """
        held = Held(job, number)
        self._wait(held, _HELD_BYTES)
        if self.failure:
            return False
        self.held = True
        first = not self._unanswered or self._unanswered[-1].number != number
        self._unanswered.append(held)
        self._storing_bytes += held.size
        return first

    def hold_grab(self, job: Job) -> Held:
        """Put the answer to a grab in line, to be sent with `advance` when it is set."""
        held = Held(job, 0)
        self._wait(held, _HELD_BYTES)
        if not self.failure:
            self.held = True
        return held

    def take_due(self, number: int) -> list[Held]:
        """The answers that wait for a batch up to this one; whoever takes them sets them, and then calls `advance`."""
        due: list[Held] = []
        while self._unanswered and self._unanswered[0].number <= number:
            held = self._unanswered.popleft()
            self._storing_bytes -= held.size
            due.append(held)
        return due

    def advance(self) -> None:
        """Send what is in line, up to an answer that is made of rows or is not there yet."""
        line = self._line
        while line and self.rows is None:
            first = line[0]
            if isinstance(first, bytes):
                self.behind_bytes -= len(first)
                self._let_through(first)
            elif isinstance(first, Held):
                if not first.answer:
                    return
                self.behind_bytes -= _HELD_BYTES
                for piece in first.answer:
                    self._let_through(piece)
            else:
                self.behind_bytes -= _WAITING_ANSWER_BYTES
                self._begin(first)
            line.popleft()
        self.held = self.rows is not None

    def take_opaque(self) -> bytes:
        """The last field, which is empty where it should stand; it may have come apart."""
        opaque = self.opaque
        self.opaque = b""
        return opaque

    def leave(self) -> None:
        """The connection has ended."""
        self.gone = True
        self.held = True
        self.rows = None
        self._answering.pop(self, None)
        self._line.clear()
        self._unanswered.clear()
        self.behind_bytes = 0
        self._storing_bytes = 0
        self.take_outbox()

    def _begin(self, rows: Iterator[bytes]) -> None:
        self.rows = rows
        self.held = True
        self._answering[self] = None

    def _let_through(self, data: bytes) -> None:
        """Send something that is its turn, before what is in line."""
        self.held = False
        self.send(data)
        self.held = True

    def _wait(self, waiting: bytes | Iterator[bytes] | Held, size: int) -> None:
        """Put something in line."""
        if self.gone or self.failure:
            return
        if self.behind_bytes > _MAX_BEHIND_BYTES:
            why = "waits for the store" if self.rows is None else "is not read"
            self.failure = f"{self.behind_bytes} bytes wait behind an answer that {why}"
            # Others may have brought it about: the runtime looks here for peers to disconnect.
            self._answering[self] = None
            return
        self._line.append(waiting)
        self.behind_bytes += size

    def take_outbox(self) -> list[bytes]:
        """What is to be sent now; the outbox is empty afterwards."""
        taken = self.outbox
        self.outbox = []
        if not self.gone:
            self.sent_bytes += self.outbox_bytes
            self._traffic.sent_bytes += self.outbox_bytes
        self.outbox_bytes = 0
        self.urgent = False
        self.results = 0
        return taken

    def count_received(self, size: int) -> None:
        """So many bytes have come."""
        self.received_bytes += size
        self._traffic.received_bytes += size
