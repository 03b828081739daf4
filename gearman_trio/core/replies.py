"""The packets that the broker sends, written straight into outboxes; no object is made per packet.

So is the one answer that every malformed packet gets: see `read_fields`.
"""

from __future__ import annotations

from typing import Final

from ..errors import RemoteProtocolError
from ..protocol.codec import pack_size, response_prefix, split_arguments
from ..protocol.table import PacketType
from .job import Job
from .peer import Peer

__all__ = [
    "NOOP",
    "NO_JOB",
    "assignment",
    "error_packet",
    "handle_packet",
    "read_fields",
    "send_assignment",
    "send_error",
    "send_handle",
    "send_packet",
    "send_result",
]

_ERROR: Final = response_prefix(PacketType.ERROR)
_JOB_ASSIGN: Final = response_prefix(PacketType.JOB_ASSIGN)
_JOB_ASSIGN_UNIQ: Final = response_prefix(PacketType.JOB_ASSIGN_UNIQ)
_JOB_ASSIGN_ALL: Final = response_prefix(PacketType.JOB_ASSIGN_ALL)

NOOP: Final = response_prefix(PacketType.NOOP) + pack_size(0)
NO_JOB: Final = response_prefix(PacketType.NO_JOB) + pack_size(0)

#: From this size on a body goes into the outbox as a piece of its own, uncopied.
_SEPARATE_BYTES: Final = 4096


def read_fields(peer: Peer, kind: int, body: bytes) -> list[bytes] | None:
    """The fields of a packet that came from this peer, or `None` where their number is wrong, and the peer was told."""
    try:
        return split_arguments(kind, body)
    except RemoteProtocolError as exc:
        send_error(peer, "INVALID_PACKET", str(exc))
        return None


def send_packet(peer: Peer, prefix: bytes, body: bytes) -> None:
    """Send a packet whose first eight bytes are `prefix`."""
    size = len(body)
    if size < _SEPARATE_BYTES:
        peer.send(prefix + pack_size(size) + body)
    else:
        peer.send(prefix + pack_size(size))
        peer.send(body)


def send_result(peer: Peer, prefix: bytes, body: bytes) -> None:
    """As `send_packet`, of what ends a job and may wait for others if it is small."""
    size = len(body)
    if size < _SEPARATE_BYTES:
        peer.send_later(prefix + pack_size(size) + body, 1)
    else:
        send_packet(peer, prefix, body)


def send_error(peer: Peer, code: str, text: str) -> None:
    """Send ERROR; the code is one of libgearman's return codes without its prefix, the text has no NUL at its end."""
    peer.send(error_packet(code, text))


def error_packet(code: str, text: str) -> bytes:
    """The packet that `send_error` sends."""
    body = code.encode() + b"\0" + text.encode("utf-8", "backslashreplace")
    return _ERROR + pack_size(len(body)) + body


def send_handle(peer: Peer, prefix: bytes, job: Job) -> None:
    """Send a packet that holds a handle and nothing else: JOB_CREATED, WORK_FAIL."""
    peer.send(handle_packet(prefix, job))


def handle_packet(prefix: bytes, job: Job) -> bytes:
    """The packet that `send_handle` sends."""
    handle = job.handle
    return prefix + pack_size(len(handle)) + handle


def send_assignment(peer: Peer, kind: int, job: Job) -> None:
    """Answer the grab of type `kind` with a job."""
    head = _assignment_head(kind, job)
    workload = job.workload
    # As in `assignment`, without a list.
    if len(workload) < _SEPARATE_BYTES:
        peer.send(head + workload)
    else:
        peer.send(head)
        peer.send(workload)


def assignment(kind: int, job: Job) -> list[bytes]:
    """The packet that answers a grab of type `kind`, in one piece or two."""
    head = _assignment_head(kind, job)
    workload = job.workload
    return [head + workload] if len(workload) < _SEPARATE_BYTES else [head, workload]


def _assignment_head(kind: int, job: Job) -> bytes:
    """All of an assignment but the workload.

    GRAB_JOB_ALL is answered with JOB_ASSIGN_ALL, as the protocol document says; gearmand does so only where there is a
    reducer.
    """
    if kind == PacketType.GRAB_JOB_UNIQ:
        prefix = _JOB_ASSIGN_UNIQ
        head = job.handle + b"\0" + job.function.name + b"\0" + job.unique + b"\0"
    elif kind == PacketType.GRAB_JOB:
        prefix = _JOB_ASSIGN
        head = job.handle + b"\0" + job.function.name + b"\0"
    else:
        prefix = _JOB_ASSIGN_ALL
        head = job.handle + b"\0" + job.function.name + b"\0" + job.unique + b"\0" + job.reducer + b"\0"
    return prefix + pack_size(len(head) + len(job.workload)) + head
