"""One connection as the broker sees it: client, worker and administrator at once, as the protocol allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from ..protocol.codec import Decoder
from .deadlines import Timer

if TYPE_CHECKING:
    from .function import Function
    from .job import Job

__all__ = ["Peer"]

#: How many rows of a long answer are made at once: some tenths of a millisecond.
_ROWS_AT_ONCE: Final = 1000

#: How much may wait behind a long answer. A peer that asks for more without reading is cut off.
_MAX_BEHIND_BYTES: Final = 64 * 1024 * 1024

#: What a further long answer that waits counts for.
_WAITING_ANSWER_BYTES: Final = 1000


class Peer:
    """One connection. Nothing is written to it once it is gone.

    Attributes:
        number: of the connection, counted from 1; also what the ``workers`` table shows as file descriptor.
        address: of the other end, for tables and logs.
        outbox: what is to be sent, in order; the runtime takes it with `take_outbox`.
        outbox_bytes: how many bytes that is.
        admin: whether it may give the commands that are for administrators alone.
        rows: the rest of a long answer that is being made, or `None`.
        behind_bytes: about how much waits behind that answer.
        held: whether nothing may be put into the outbox, because of such an answer or because the connection has ended.
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
        "_behind",
        "_touched",
        "abilities",
        "address",
        "admin",
        "attached",
        "behind_bytes",
        "client_id",
        "cursor",
        "decoder",
        "exceptions",
        "failure",
        "gone",
        "heard_at",
        "held",
        "number",
        "outbox",
        "outbox_bytes",
        "raised",
        "released",
        "rows",
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
        self.admin: bool = False
        self.rows: Iterator[bytes] | None = None
        self._behind: deque[bytes | Iterator[bytes]] = deque()
        self.behind_bytes: int = 0
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
        self.heard_at: float = 0.0
        self.failure: str = ""
        self.gone: bool = False

    def send(self, data: bytes) -> None:
        """Queue bytes for this connection."""
        if self.held:
            self._wait(data, len(data))
            return
        if not self.outbox:
            self._touched.append(self)
        self.outbox.append(data)
        self.outbox_bytes += len(data)

    def answer(self, rows: Iterator[bytes]) -> None:
        """Send an answer made of rows: the first thousand now, the others with `go_on`, and nothing in between."""
        if self.held:
            self._wait(rows, _WAITING_ANSWER_BYTES)
        else:
            self.rows = rows
            self.go_on()

    def go_on(self) -> None:
        """Send the next rows of an answer under way; after the last one, what has waited behind it."""
        rows = self.rows
        assert rows is not None, "no answer is under way"
        made = list(islice(rows, _ROWS_AT_ONCE))
        self.held = False
        data = b"".join(made)
        if data:
            self.send(data)
        self.held = True
        if len(made) == _ROWS_AT_ONCE:
            return
        self.rows = None
        self.held = False
        while self._behind:
            waited = self._behind.popleft()
            if isinstance(waited, bytes):
                self.behind_bytes -= len(waited)
                self.send(waited)
            else:
                self.behind_bytes -= _WAITING_ANSWER_BYTES
                self.rows = waited
                self.held = True
                return

    def leave(self) -> None:
        """The connection has ended."""
        self.gone = True
        self.held = True
        self.rows = None
        self._behind.clear()
        self.behind_bytes = 0
        self.take_outbox()

    def _wait(self, waiting: bytes | Iterator[bytes], size: int) -> None:
        """Put something behind the answer under way."""
        if self.gone or self.failure:
            return
        self._behind.append(waiting)
        self.behind_bytes += size
        if self.behind_bytes > _MAX_BEHIND_BYTES:
            self.failure = f"{self.behind_bytes} bytes wait behind an answer that is not read"

    def take_outbox(self) -> list[bytes]:
        """What is to be sent now; the outbox is empty afterwards."""
        taken = self.outbox
        self.outbox = []
        self.outbox_bytes = 0
        return taken
