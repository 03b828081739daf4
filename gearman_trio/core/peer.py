"""One connection as the broker sees it: client, worker and administrator at once, as the protocol allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..protocol.codec import Decoder
from .deadlines import Timer

if TYPE_CHECKING:
    from .function import Function
    from .job import Job

__all__ = ["Peer"]


class Peer:
    """One connection. Nothing is written to it once it is gone.

    Attributes:
        number: of the connection, counted from 1; also what the ``workers`` table shows as file descriptor.
        address: of the other end, for tables and logs.
        outbox: what is to be sent, in order; the runtime takes it with `take_outbox`.
        outbox_bytes: how many bytes that is.
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
        heard_at: when it last sent anything.
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
        "heard_at",
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
        self.heard_at: float = 0.0
        self.failure: str = ""
        self.gone: bool = False

    def send(self, data: bytes) -> None:
        """Queue bytes for this connection."""
        if self.gone:
            return
        if not self.outbox:
            self._touched.append(self)
        self.outbox.append(data)
        self.outbox_bytes += len(data)

    def take_outbox(self) -> list[bytes]:
        """What is to be sent now; the outbox is empty afterwards."""
        taken = self.outbox
        self.outbox = []
        self.outbox_bytes = 0
        return taken
