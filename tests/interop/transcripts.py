"""Scripted conversations with a job server over raw sockets, and what it answered.

A step is ``(peer, packet name, *fields)`` or ``(peer, bytes, *further pieces)``; a peer's first step connects it.
``(peer, CLOSE)`` closes it and waits until the server has noticed, ``(peer, STOPPED, handle)`` waits until a job does
not run any more.  ``{1}`` in a field stands for the first handle that the server gave, ``{2}`` for the second.

After each step every peer sends an ECHO_REQ, the one that acted first: what comes before its ECHO_RES is the answer to
the step, and nothing is still on its way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import trio

from gearman_trio.protocol import Decoder, PacketType, split_arguments

from ..patience import PATIENCE

__all__ = ["CLOSE", "CLOSED", "SILENT", "STOPPED", "Step", "play"]

Step = tuple[str | bytes, ...]

CLOSE: Final = "close"
STOPPED: Final = "stopped"

#: Instead of a reply: the server has closed the connection, or does not even answer an echo any more.
CLOSED: Final = "(closed)"
SILENT: Final = "(silent)"

_MARK: Final = b"is anything still on its way?"
_HANDLE: Final = re.compile(rb"H:[A-Za-z0-9._-]+:[0-9]+")
#: What differs from server to server, and what stands in its place.
_NAMES: Final = [
    (re.compile(rb"^OK [0-9]+\n"), b"OK <pid>\n"),
    (re.compile(rb"^OK [0-9]+\.[0-9][^ ]*\n"), b"OK <version>\n"),
    (re.compile(rb"^[0-9]+ 127\.0\.0\.1 "), b"<fd> 127.0.0.1 "),
]


class _Peer:
    """One connection and what came over it since the last look."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.over = False

    async def replies(self) -> list[str]:
        """Everything up to the answer of an echo."""
        if self.over:
            return []
        received = b""
        mark = _packet("ECHO_RES", _MARK, magic=b"\0RES")
        with trio.move_on_after(PATIENCE / 2) as scope:
            try:
                await self.stream.send_all(_packet("ECHO_REQ", _MARK))
                while not received.endswith(mark):
                    chunk = await self.stream.receive_some()
                    if not chunk:
                        self.over = True
                        break
                    received += chunk
            except trio.BrokenResourceError:
                self.over = True
        silent = scope.cancelled_caught
        end = [SILENT] if silent else [CLOSED] if self.over else []
        self.over |= silent
        return [*_split(received.removesuffix(mark)), *end]


class _Transcript:
    """The names of the handles, in the order in which they came up."""

    def __init__(self) -> None:
        self.handles: list[bytes] = []

    def fill_in(self, field: bytes) -> bytes:
        for number, handle in enumerate(self.handles, start=1):
            field = field.replace(b"{%d}" % number, handle)
        return field

    def normal(self, reply: str) -> str:
        """The reply without what differs from run to run."""
        raw = _HANDLE.sub(self._name, reply.encode("latin-1"))
        for expression, name in _NAMES:
            raw = expression.sub(name, raw)
        return raw.decode("latin-1")

    def _name(self, match: re.Match[bytes]) -> bytes:
        if match[0] not in self.handles:
            self.handles.append(match[0])
        return b"{%d}" % (self.handles.index(match[0]) + 1)


async def play(port: int, steps: Sequence[Step]) -> list[dict[str, list[str]]]:
    """Go through the steps with a server; of each give who heard what, as text, quiet peers left out."""
    transcript = _Transcript()
    peers: dict[str, _Peer] = {}
    heard: list[dict[str, list[str]]] = []
    try:
        for name, what, *fields in steps:
            assert isinstance(name, str)
            if name not in peers:
                peers[name] = _Peer(await trio.open_tcp_stream("127.0.0.1", port))
            peer = peers[name]
            if what == CLOSE:
                await _close(peer, port)
            elif what == STOPPED:
                await _wait_stopped(transcript.fill_in(_bytes(fields[0])), port)
            else:
                await _act(peer, what, [transcript.fill_in(_bytes(field)) for field in fields], transcript)
            others = [other for other in peers if other != name]
            replies = {other: await peers[other].replies() for other in [name, *others]}
            heard.append(
                {
                    other: _table_sorted([transcript.normal(one) for one in replies[other]])
                    for other in peers
                    if replies[other]
                }
            )
    finally:
        for peer in peers.values():
            await trio.aclose_forcefully(peer.stream)
    return heard


async def _act(peer: _Peer, what: str | bytes, fields: list[bytes], transcript: _Transcript) -> None:
    try:
        if isinstance(what, bytes):
            for piece in [transcript.fill_in(what), *fields]:
                await peer.stream.send_all(piece)
                await trio.lowlevel.checkpoint()
        else:
            await peer.stream.send_all(_packet(what, b"\0".join(fields)))
    except trio.BrokenResourceError:
        peer.over = True


async def _close(peer: _Peer, port: int) -> None:
    """Close a peer and wait until the server has let go of it: an echo to another peer may overtake the news.

    The table of connections is asked for over a connection of its own, which stays until the row has gone.
    """
    async with await trio.open_tcp_stream("127.0.0.1", port) as watcher:
        before = await _connections(watcher)
        peer.over = True
        await peer.stream.aclose()
        while await _connections(watcher) >= before:  # noqa: ASYNC110 - no server tells when it has noticed
            await trio.sleep(0.01)


async def _wait_stopped(handle: bytes, port: int) -> None:
    """Ask for the status of a job, over a connection of its own, until it does not run."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as watcher:
        while await _is_running(watcher, handle):  # noqa: ASYNC110 - no server tells who did not submit the job
            await trio.sleep(0.01)


async def _is_running(watcher: trio.SocketStream, handle: bytes) -> bool:
    """Whether the answer to GET_STATUS says that a job runs."""
    await watcher.send_all(_packet("GET_STATUS", handle))
    decoder = Decoder(responses=True)
    while not (packets := decoder.feed(bytes(await watcher.receive_some()))):
        pass
    ((kind, body),) = packets
    _, _, running, *_ = split_arguments(kind, body)
    return running == b"1"


async def _connections(watcher: trio.SocketStream) -> int:
    """How many rows the table of connections has."""
    await watcher.send_all(b"workers\n")
    received = b""
    while not received.endswith(b".\n"):
        chunk = await watcher.receive_some()
        assert chunk, f"the server closed the connection amid its table {received!r}"
        received += chunk
    return received.count(b"\n") - 1


def _packet(name: str, body: bytes, *, magic: bytes = b"\0REQ") -> bytes:
    """A packet however wrong; the name may be a number that no packet has."""
    kind = PacketType[name] if name in PacketType.__members__ else int(name)
    return magic + kind.to_bytes(4) + len(body).to_bytes(4) + body


def _bytes(field: str | bytes) -> bytes:
    return field if isinstance(field, bytes) else field.encode()


def _split(received: bytes) -> list[str]:
    """Packets as ``NAME field|field``, and in between lines as they are."""
    replies: list[str] = []
    while received:
        if received[0] != 0:
            line, end, received = received.partition(b"\n")
            replies.append((line + end).decode("latin-1"))
            continue
        size = 12 + int.from_bytes(received[8:12])
        ((kind, body),) = Decoder(responses=True).feed(received[:size])
        replies.append(f"{PacketType(kind).name} {body.decode('latin-1')}".rstrip(" "))
        received = received[size:]
    return replies


def _table_sorted(replies: list[str]) -> list[str]:
    """Rows of a table in the order of their text: servers go through their hashes in an order of their own."""
    return [*sorted(replies[:-1]), ".\n"] if replies and replies[-1] == ".\n" else replies
