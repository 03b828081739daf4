"""Every packet of the Gearman protocol, in one table.

Rule 1: codec, documentation and tests read this table; nobody lists a packet's arguments a second time.

Rule 2: a packet is a number, the peers that may send it, its arguments, and perhaps an opaque last field.  Arguments
are ended by NUL, the last field of a packet by the packet's own end; only an opaque last field may hold NUL itself.

WARNING: `docs/reference/protocol.md` and the golden tests are generated from this table.

The source is the PROTOCOL document of gearmand; where gearmand or libgearman send something else than the document
says, the row follows the wire and its note says so.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["PACKETS", "PacketSpec", "PacketType", "Sender"]


class Sender(IntEnum):
    """Who may send a packet. Clients and workers send with the magic ``\\0REQ``, the job server with ``\\0RES``."""

    CLIENT = 1
    WORKER = 2
    SERVER = 4


class PacketType(IntEnum):
    """The number of each packet. 5 has been unused since before the protocol was written down."""

    CAN_DO = 1
    CANT_DO = 2
    RESET_ABILITIES = 3
    PRE_SLEEP = 4
    NOOP = 6
    SUBMIT_JOB = 7
    JOB_CREATED = 8
    GRAB_JOB = 9
    NO_JOB = 10
    JOB_ASSIGN = 11
    WORK_STATUS = 12
    WORK_COMPLETE = 13
    WORK_FAIL = 14
    GET_STATUS = 15
    ECHO_REQ = 16
    ECHO_RES = 17
    SUBMIT_JOB_BG = 18
    ERROR = 19
    STATUS_RES = 20
    SUBMIT_JOB_HIGH = 21
    SET_CLIENT_ID = 22
    CAN_DO_TIMEOUT = 23
    ALL_YOURS = 24
    WORK_EXCEPTION = 25
    OPTION_REQ = 26
    OPTION_RES = 27
    WORK_DATA = 28
    WORK_WARNING = 29
    GRAB_JOB_UNIQ = 30
    JOB_ASSIGN_UNIQ = 31
    SUBMIT_JOB_HIGH_BG = 32
    SUBMIT_JOB_LOW = 33
    SUBMIT_JOB_LOW_BG = 34
    SUBMIT_JOB_SCHED = 35
    SUBMIT_JOB_EPOCH = 36
    SUBMIT_REDUCE_JOB = 37
    SUBMIT_REDUCE_JOB_BACKGROUND = 38
    GRAB_JOB_ALL = 39
    JOB_ASSIGN_ALL = 40
    GET_STATUS_UNIQUE = 41
    STATUS_RES_UNIQUE = 42


class PacketSpec:
    """One row of the table.

    Attributes:
        type: the number of the packet.
        senders: the peers that may send it, `Sender` values added up.
        arguments: the names of its NUL-ended arguments, in order.
        opaque: the name of its last field, which may hold any byte; empty where the packet has none.
        section: the part of the PROTOCOL document that describes it.
        note: where the wire differs from that document.
    """

    def __init__(
        self,
        number: PacketType,
        senders: int,
        arguments: tuple[str, ...] = (),
        *,
        opaque: str = "",
        section: str,
        note: str = "",
    ) -> None:
        self.type = number
        self.senders = senders
        self.arguments = arguments
        self.opaque = opaque
        self.section = section
        self.note = note

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field in order, the opaque one included."""
        return (*self.arguments, self.opaque) if self.opaque else self.arguments

    def may_send(self, sender: Sender) -> bool:
        """Whether this kind of peer may send the packet."""
        return bool(self.senders & sender)


_C: Final = int(Sender.CLIENT)
_W: Final = int(Sender.WORKER)
_S: Final = int(Sender.SERVER)
_REQUEST: Final = "Client Requests"
_REPLY: Final = "Client Responses"
_WORK: Final = "Worker Requests"
_ASSIGN: Final = "Worker Responses"
_BOTH: Final = "Client/Worker Requests"
_BOTH_REPLY: Final = "Client/Worker Responses"
_UNDOCUMENTED: Final = "not in the document; libgearman/command.cc"
_CRON: Final = ("function", "unique", "minute", "hour", "day_of_month", "month", "day_of_week")
_REDUCE_NOTE: Final = "libgearman sends an empty aggregate between reducer and workload; the document has no such field"


_P: Final = PacketType
_SUBMIT: Final = ("function", "unique")
_REDUCE: Final = ("function", "unique", "reducer", "aggregate")

_ROWS: Final = [
    PacketSpec(_P.CAN_DO, _W, ("function",), section=_WORK),
    PacketSpec(_P.CANT_DO, _W, ("function",), section=_WORK),
    PacketSpec(_P.RESET_ABILITIES, _W, section=_WORK),
    PacketSpec(_P.PRE_SLEEP, _W, section=_WORK),
    PacketSpec(_P.NOOP, _S, section=_ASSIGN),
    PacketSpec(_P.SUBMIT_JOB, _C, _SUBMIT, opaque="workload", section=_REQUEST),
    PacketSpec(_P.JOB_CREATED, _S, ("handle",), section=_REPLY),
    PacketSpec(_P.GRAB_JOB, _W, section=_WORK),
    PacketSpec(_P.NO_JOB, _S, section=_ASSIGN),
    PacketSpec(_P.JOB_ASSIGN, _S, ("handle", "function"), opaque="workload", section=_ASSIGN),
    PacketSpec(_P.WORK_STATUS, _W | _S, ("handle", "numerator", "denominator"), section=_WORK),
    PacketSpec(_P.WORK_COMPLETE, _W | _S, ("handle",), opaque="result", section=_WORK),
    PacketSpec(_P.WORK_FAIL, _W | _S, ("handle",), section=_WORK),
    PacketSpec(_P.GET_STATUS, _C, ("handle",), section=_REQUEST),
    PacketSpec(_P.ECHO_REQ, _C | _W, opaque="workload", section=_BOTH),
    PacketSpec(_P.ECHO_RES, _S, opaque="workload", section=_BOTH_REPLY),
    PacketSpec(_P.SUBMIT_JOB_BG, _C, _SUBMIT, opaque="workload", section=_REQUEST),
    PacketSpec(_P.ERROR, _S, ("code", "text"), section=_BOTH_REPLY),
    PacketSpec(_P.STATUS_RES, _S, ("handle", "known", "running", "numerator", "denominator"), section=_REPLY),
    PacketSpec(_P.SUBMIT_JOB_HIGH, _C, _SUBMIT, opaque="workload", section=_REQUEST),
    PacketSpec(_P.SET_CLIENT_ID, _C | _W, ("client_id",), section=_WORK, note="libgearman's clients send it too"),
    PacketSpec(
        _P.CAN_DO_TIMEOUT,
        _W,
        ("function", "timeout"),
        section=_WORK,
        note="milliseconds since gearmand 1.1.19; the document says seconds",
    ),
    PacketSpec(_P.ALL_YOURS, _W, section=_WORK, note="gearmand answers ERROR"),
    PacketSpec(_P.WORK_EXCEPTION, _W | _S, ("handle",), opaque="exception", section=_WORK),
    PacketSpec(_P.OPTION_REQ, _C | _W, ("option",), section=_REQUEST),
    PacketSpec(_P.OPTION_RES, _S, ("option",), section=_REPLY),
    PacketSpec(_P.WORK_DATA, _W | _S, ("handle",), opaque="data", section=_WORK),
    PacketSpec(_P.WORK_WARNING, _W | _S, ("handle",), opaque="warning", section=_WORK),
    PacketSpec(_P.GRAB_JOB_UNIQ, _W, section=_WORK),
    PacketSpec(_P.JOB_ASSIGN_UNIQ, _S, ("handle", "function", "unique"), opaque="workload", section=_ASSIGN),
    PacketSpec(_P.SUBMIT_JOB_HIGH_BG, _C, _SUBMIT, opaque="workload", section=_REQUEST),
    PacketSpec(_P.SUBMIT_JOB_LOW, _C, _SUBMIT, opaque="workload", section=_REQUEST),
    PacketSpec(_P.SUBMIT_JOB_LOW_BG, _C, _SUBMIT, opaque="workload", section=_REQUEST),
    PacketSpec(_P.SUBMIT_JOB_SCHED, _C, _CRON, opaque="workload", section=_REQUEST, note="gearmand answers ERROR"),
    PacketSpec(_P.SUBMIT_JOB_EPOCH, _C, ("function", "unique", "epoch"), opaque="workload", section=_REQUEST),
    PacketSpec(_P.SUBMIT_REDUCE_JOB, _C, _REDUCE, opaque="workload", section=_REQUEST, note=_REDUCE_NOTE),
    PacketSpec(_P.SUBMIT_REDUCE_JOB_BACKGROUND, _C, _REDUCE, opaque="workload", section=_REQUEST, note=_REDUCE_NOTE),
    PacketSpec(_P.GRAB_JOB_ALL, _W, section=_WORK),
    PacketSpec(
        _P.JOB_ASSIGN_ALL,
        _S,
        ("handle", "function", "unique", "reducer"),
        opaque="workload",
        section=_ASSIGN,
        note="gearmand answers GRAB_JOB_ALL with JOB_ASSIGN_UNIQ where the job has no reducer",
    ),
    PacketSpec(_P.GET_STATUS_UNIQUE, _C, ("unique",), section=_UNDOCUMENTED),
    PacketSpec(
        _P.STATUS_RES_UNIQUE,
        _S,
        ("unique", "known", "running", "numerator", "denominator", "clients"),
        section=_UNDOCUMENTED,
    ),
]

#: Every packet by its number, in the order of the numbers.
PACKETS: Final[dict[int, PacketSpec]] = {int(row.type): row for row in sorted(_ROWS, key=lambda row: int(row.type))}
