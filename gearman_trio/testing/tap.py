"""What went over a connection, packet by packet, to look at and to show when a test fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, overload

import attrs
import trio

from ..errors import RemoteProtocolError
from ..protocol import PACKETS, TEXT, WRONG_MAGIC, Decoder, split_arguments
from ..transport import Address, Connect
from .wire import Direction

__all__ = ["ProtocolTap", "TappedConnection", "TappedPacket", "shortened"]

#: How much of a field a transcript shows; enough to know one workload from another, and one line of a terminal.
_SHOWN_BYTES: Final = 60

#: What a worker says and hears when there is nothing to do.
_IDLE: Final = [(Direction.SENT, "GRAB_JOB_UNIQ"), (Direction.RECEIVED, "NO_JOB"), (Direction.SENT, "PRE_SLEEP")]

_ARROWS: Final = {Direction.SENT: "->", Direction.RECEIVED: "<-", None: "--"}


def shortened(value: bytes) -> str:
    """Bytes as Python writes them, without the end of long ones."""
    if len(value) <= _SHOWN_BYTES:
        return repr(value)
    return f"{value[:_SHOWN_BYTES]!r}... ({len(value)} bytes)"


@attrs.frozen(kw_only=True)
class TappedPacket:
    """One packet, or one thing that happened to the connection.

    Attributes:
        name: of the packet as the protocol document has it (``"SUBMIT_JOB"``); ``"TEXT"`` for a line of the
            administrative protocol; in lower case what happened: ``"connected"``, ``"closed"``, ``"lost"``,
            ``"part"`` for a packet that had not come whole at the end, ``"garbage"`` for what is no packet.
        direction: which way it went, seen from the client or worker; ``None`` for what happened to the connection.
        fields: the packet's fields by their names in the protocol, in their order.
        time: seconds of Trio's clock since the first connection.
        connection: the number of the connection, from 1 on.
    """

    name: str
    direction: Direction | None
    fields: Mapping[str, bytes]
    time: float
    connection: int

    def __str__(self) -> str:
        """One line of a transcript."""
        shown = "".join(f" {name}={shortened(value)}" for name, value in self.fields.items())
        return f"{self.time:10.3f} #{self.connection} {_ARROWS[self.direction]} {self.name}{shown}"


class ProtocolTap(Sequence[TappedPacket]):
    """A list of the packets that went over a connection, both ways, and over others of the same client or worker.

    `Gearman.tap` gives the one of a client or worker.  It can also be put between a client or worker and any job
    server::

        tap = ProtocolTap()
        async with open_client("host:4730", connect=tap.connect(connect_tcp)) as client: ...
        print(tap.transcript())

    A packet is there as soon as the last of its bytes has passed: for a packet that is sent, when it was written, and
    for one that is received, when it was read.  `str()` of a tap is its transcript.
    """

    def __init__(self, name: str = "peer", *, max_packets: int = 100_000) -> None:
        """Make a tap that has seen nothing.

        Args:
            name: stands at the head of the transcript.
            max_packets: so many are kept; the older half is forgotten when there are more.  Under a mocked clock a test
                that hangs makes a worker ask for jobs as fast as the machine allows.
        """
        self.name = name
        self._max_packets = max_packets
        self._packets: list[TappedPacket] = []
        self._forgotten = 0
        self._began = 0.0
        self._connections = 0

    @overload
    def __getitem__(self, index: int) -> TappedPacket: ...

    @overload
    def __getitem__(self, index: slice) -> list[TappedPacket]: ...

    def __getitem__(self, index: int | slice) -> TappedPacket | list[TappedPacket]:
        return self._packets[index]

    def __len__(self) -> int:
        return len(self._packets)

    def __iter__(self) -> Iterator[TappedPacket]:
        return iter(self._packets)

    def __str__(self) -> str:
        return self.transcript()

    def __repr__(self) -> str:
        return f"<ProtocolTap {self.name}, {len(self)} packets>\n{self.transcript()}"

    def names(self, direction: Direction | str | None = None) -> list[str]:
        """The names alone, of what went one way (``"sent"``, ``"received"``) or both, connection events left out."""
        wanted = set(Direction) if direction is None else {Direction(direction)}
        return [packet.name for packet in self._packets if packet.direction in wanted]

    def transcript(self, *, last: int | None = None) -> str:
        """One line a packet: time, connection, direction, name and fields; all of them or the last few lines.

        A worker that asks for a job again and again, and gets none, is shown once and counted.
        """
        lines = _folded(self._packets)
        shown = lines if last is None or len(lines) <= last else ["...", *lines[len(lines) - last :]]
        return "\n".join([f"{self.name}: {len(self) + self._forgotten} packets", *shown])

    def clear(self) -> None:
        """Forget what was seen so far, so that a test may look at one exchange alone."""
        self._packets.clear()
        self._forgotten = 0

    def connect(self, connect: Connect) -> Connect:
        """What opens a connection as `connect` does, with this tap in between; for the argument of that name."""

        async def tapped(address: Address) -> trio.abc.Stream:
            stream = await connect(address)
            return _TappedStream(stream, self.connected())

        return tapped

    def connected(self) -> TappedConnection:
        """A new connection begins; what it gives is to be told of the bytes."""
        connection = TappedConnection(self)
        connection.begin()
        return connection

    def _next_number(self) -> int:
        if not self._connections:
            self._began = trio.current_time()
        self._connections += 1
        return self._connections

    def _add(
        self,
        connection: int,
        name: str,
        fields: Mapping[str, bytes] | None = None,
        direction: Direction | None = None,
    ) -> None:
        if len(self._packets) >= self._max_packets:
            half = (len(self._packets) + 1) // 2
            del self._packets[:half]
            self._forgotten += half
        self._packets.append(
            TappedPacket(
                name=name,
                direction=direction,
                fields=fields or {},
                time=trio.current_time() - self._began,
                connection=connection,
            )
        )


class TappedConnection:
    """Tells a tap what goes over one connection, of several perhaps at the same time.

    The mutable state is the packets of which a part has passed.
    """

    def __init__(self, tap: ProtocolTap) -> None:
        self._tap = tap
        self._number = 0
        self._decoders = {Direction.SENT: Decoder(), Direction.RECEIVED: Decoder(responses=True)}

    def begin(self) -> None:
        """The connection was made; to be called once, before any byte."""
        self._number = self._tap._next_number()
        self._tap._add(self._number, "connected")

    def sent(self, data: bytes) -> None:
        """The client or worker sent bytes."""
        self._feed(Direction.SENT, data)

    def received(self, data: bytes) -> None:
        """The client or worker received bytes."""
        self._feed(Direction.RECEIVED, data)

    def ended(self, *, lost: bool) -> None:
        """The connection ended, and was closed by the client or worker."""
        for direction, decoder in self._decoders.items():
            if decoder.buffered:
                self._tap._add(self._number, "part", {"bytes": b"%d" % decoder.buffered}, direction)
        self._tap._add(self._number, "lost" if lost else "closed")

    def _feed(self, direction: Direction, data: bytes) -> None:
        decoder = self._decoders[direction]
        broken = decoder.failure is not None
        for kind, body in decoder.feed(data):
            self._tap._add(self._number, *_described(kind, body), direction)
        if decoder.failure is not None and not broken:
            self._tap._add(self._number, "garbage", {"reason": str(decoder.failure).encode()}, direction)


class _TappedStream(trio.abc.Stream):
    """Tells a tap what passes through a stream."""

    def __init__(self, stream: trio.abc.Stream, tap: TappedConnection) -> None:
        self._stream = stream
        self._tap = tap
        self._lost = False
        self._closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        # Told first: the answer may be read before this task has its next turn.
        self._tap.sent(bytes(data))
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            self._lost = True
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(max_bytes))
        except trio.BrokenResourceError:
            self._lost = True
            raise
        self._tap.received(data)
        return data

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._tap.ended(lost=self._lost)
        await self._stream.aclose()


def _folded(packets: Sequence[TappedPacket]) -> list[str]:
    """The lines of a transcript, with each run of idle rounds after the first of them as one line."""
    lines: list[str] = []
    position = 0
    while position < len(packets):
        rounds = 0
        while _is_idle(packets, position + rounds * len(_IDLE)):
            rounds += 1
        if rounds < 2:
            lines.append(str(packets[position]))
            position += 1
            continue
        lines += map(str, packets[position : position + len(_IDLE)])
        position += rounds * len(_IDLE)
        lines.append(f"{packets[position - 1].time:10.3f} ... the same {rounds - 1} times more")
    return lines


def _is_idle(packets: Sequence[TappedPacket], start: int) -> bool:
    return [(packet.direction, packet.name) for packet in packets[start : start + len(_IDLE)]] == _IDLE


def _described(kind: int, body: bytes) -> tuple[str, Mapping[str, bytes]]:
    """What a transcript calls a packet, and its fields; what cannot be taken apart is shown whole."""
    if kind == TEXT:
        return "TEXT", {"line": body}
    if kind == WRONG_MAGIC:
        return "garbage", {"reason": b"a packet with the magic of the other direction", "body": body}
    if kind not in PACKETS:
        return f"type {kind}", {"body": body}
    spec = PACKETS[kind]
    try:
        values = split_arguments(kind, body)
    except RemoteProtocolError:
        return spec.type.name, {"body": body}
    return spec.type.name, dict(zip(spec.fields, values, strict=True))
