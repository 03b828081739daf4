"""One connection as the broker sees it: client, worker and administrator at once, as the protocol allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..protocol.codec import Decoder
from .deadlines import Timer

if TYPE_CHECKING:
    from .function import Function
    from .job import Job

__all__ = ["Held", "Peer"]

#: What one answer that is held back takes, besides what it makes wait.
_HELD_BYTES: Final = 100


class Held:
    """The answer to a submission whose job is yet to be stored.

    Attributes:
        job: the job.
        number: of the batch that stores it.
        behind: what the connection is to be sent after the answer, up to the next one that is held back.
        size: how much memory waits here, about, in bytes.
    """

    __slots__ = ("behind", "job", "number", "size")

    def __init__(self, job: Job, number: int) -> None:
        self.job = job
        self.number = number
        self.behind: list[bytes] = []
        self.size: int = _HELD_BYTES + len(job.workload)


class Peer:
    """One connection. Nothing is written to it once it is gone.

    Attributes:
        number: of the connection, counted from 1; also what the ``workers`` table shows as file descriptor.
        address: of the other end, for tables and logs.
        outbox: what is to be sent, in order; the runtime takes it with `take_outbox`.
        outbox_bytes: how many bytes that is.
        held: answers that wait for the store, and what waits behind them; in order.
        held_bytes: how many bytes that is, with the workloads that are being stored.
        holding: whether what is sent goes behind the last of them.
        decoder: cuts what the connection sends into packets.
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
        released: handles of running jobs that were cancelled; the results still to come are dropped.
        raised: the handle of the last job that it ended by WORK_EXCEPTION; a WORK_FAIL may follow.
        failure: why the connection must be closed, or empty.
        gone: whether the connection has ended.
    """

    __slots__ = (
        "_touched",
        "abilities",
        "address",
        "attached",
        "client_id",
        "cursor",
        "decoder",
        "exceptions",
        "failure",
        "gone",
        "held",
        "held_bytes",
        "holding",
        "number",
        "outbox",
        "outbox_bytes",
        "raised",
        "released",
        "running",
        "sleeping",
        "timeouts",
        "wake_timer",
        "woken_for",
    )

    def __init__(self, number: int, address: str, decoder: Decoder, touched: list[Peer]) -> None:
        self.number = number
        self.address = address
        self.decoder = decoder
        self._touched = touched
        self.outbox: list[bytes] = []
        self.outbox_bytes: int = 0
        self.held: list[Held] = []
        self.held_bytes: int = 0
        self.holding: bool = False
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
        self.failure: str = ""
        self.gone: bool = False

    def send(self, data: bytes) -> None:
        """Queue bytes for this connection."""
        if self.gone:
            return
        if self.holding:
            held = self.held[-1]
            held.behind.append(data)
            held.size += len(data)
            self.held_bytes += len(data)
            return
        if not self.outbox:
            self._touched.append(self)
        self.outbox.append(data)
        self.outbox_bytes += len(data)

    def hold(self, job: Job, number: int) -> bool:
        """Hold the answer to a submission back until its job is stored; say whether it is the first of its batch."""
        first = not self.held or self.held[-1].number != number
        held = Held(job, number)
        self.held.append(held)
        self.held_bytes += held.size
        self.holding = True
        return first

    def release(self, number: int) -> list[Held]:
        """Take the answers that wait for a batch up to this one; whoever takes them sends them, in this order."""
        held = self.held
        count = 0
        while count < len(held) and held[count].number <= number:
            self.held_bytes -= held[count].size
            count += 1
        released = held[:count]
        del held[:count]
        self.holding = False
        return released

    def take_outbox(self) -> list[bytes]:
        """What is to be sent now; the outbox is empty afterwards."""
        taken = self.outbox
        self.outbox = []
        self.outbox_bytes = 0
        return taken
