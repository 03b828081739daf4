"""Packets to bytes and bytes to packets.

A packet is twelve bytes of header (magic, type, size of the body, big-endian) and a body.  A stream that does not begin
with NUL where a packet should begin is a line of the administrative protocol instead: the first byte tells which.

`Decoder` never raises for what a peer sends: it gives the packets that came whole and keeps the reason why the stream
cannot be read any further in `Decoder.failure`, so that packets before the bad one are still served.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from struct import Struct
from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from .body import LargeBody
from .table import PACKETS, PacketSpec, Sender

__all__ = [
    "HEADER_BYTES",
    "MAX_LINE_BYTES",
    "MAX_PACKET_BYTES",
    "OPAQUE",
    "TEXT",
    "WRONG_MAGIC",
    "Decoder",
    "argument_patterns",
    "encode_request",
    "encode_response",
    "pack_size",
    "request_prefix",
    "response_prefix",
    "split_arguments",
]

REQUEST_MAGIC: Final = b"\0REQ"
RESPONSE_MAGIC: Final = b"\0RES"
HEADER_BYTES: Final = 12

#: The largest body that the size field of a header can announce: the protocol's own limit.
MAX_PACKET_BYTES: Final = 4_294_967_295

#: The longest administrative line; the longest command holds one function name (at most 512 bytes) and three numbers.
MAX_LINE_BYTES: Final = 8192

#: Stands in the place of a packet's type where a line of the administrative protocol came instead.  No type is
#: negative, so no packet passes for a line; a packet of type 0 is of an unknown type.
TEXT: Final = -2

#: Stands in the place of a packet's type where a packet had the magic of the other direction.
WRONG_MAGIC: Final = -1

#: Stands in the place of a packet's type where the large last field of the packet that follows is given apart.
OPAQUE: Final = -3

#: Over this size a body that has not come whole gets memory of its own, so that it need not be copied again.
_LARGE: Final = 65536

#: Within so many bytes of a large body the end of its arguments is looked for; gearmand takes 8192 bytes of them.
_ARGUMENT_BYTES: Final = 16384

_header: Final = Struct(">4sII")
_unpack_header: Final = _header.unpack_from
_pack_header: Final = _header.pack

_pack_number: Final = Struct(">I").pack

#: Small sizes as they stand in a header.
_SIZES: Final = [_pack_number(size) for size in range(1024)]


def pack_size(size: int) -> bytes:
    """A packet's size as it stands in a header: four bytes, big-endian."""
    return _SIZES[size] if 0 <= size < 1024 else _pack_number(size)


class Decoder:
    """Cuts the bytes of one direction of one connection into packets, whatever the pieces they come in.

    Limits are checked on the header, before the body is kept; memory grows with the bytes received, never with the
    bytes announced.

    Attributes:
        begun: how many packets were kept because they did not come whole; tells one such packet from the next.
        failure: why nothing more can be read from this stream, or ``None``. The packets that `feed` gave are good.
    """

    __slots__ = ("_apart", "_buffer", "_expected", "_large", "_max_packet", "_needed", "_text", "begun", "failure")

    def __init__(
        self,
        *,
        responses: bool = False,
        max_packet_bytes: int = MAX_PACKET_BYTES,
        text: bool = True,
        apart: dict[int, re.Pattern[bytes]] | None = None,
    ) -> None:
        """Make a decoder.

        Args:
            responses: whether packets of the job server (``\\0RES``) are expected, instead of requests (``\\0REQ``).
            max_packet_bytes: the largest body that is taken.
            text: whether administrative lines are taken.
            apart: the packets, by `argument_patterns`, whose last field is given apart where it is large: as `OPAQUE`,
                right before the packet itself, whose body then ends where that field would begin.
        """
        self._expected: bytes = RESPONSE_MAGIC if responses else REQUEST_MAGIC
        self._max_packet = max_packet_bytes
        self._text = text
        self._apart = apart
        self._buffer = bytearray()
        # How many bytes the buffer must hold before another look at it is worth while; 0 where nothing is kept.
        self._needed = 0
        self.begun = 0
        # The body of the packet that is kept, where it is large. Invariant: the buffer is empty then.
        self._large: LargeBody | None = None
        self.failure: RemoteProtocolError | None = None

    @property
    def buffered(self) -> int:
        """How many bytes of a packet that has not come whole are kept."""
        large = self._large
        return len(self._buffer) if large is None else HEADER_BYTES + len(large.arguments) + large.received

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take what was received and give every packet that is whole, as (type, body), in order.

        The type is a number of the table or unknown to it, or `TEXT` (the body is a line without its end), or
        `WRONG_MAGIC`, or `OPAQUE` where that was asked for.  Once `failure` is set, everything further is thrown away.
        """
        packets: list[tuple[int, bytes]] = []
        if self.failure is not None:
            return packets
        resumed = self._needed != 0
        if resumed:
            gone_on = self._go_on(data, packets)
            if gone_on is None:
                return packets
            data = gone_on
        position, end = 0, len(data)
        expected = self._expected
        # Compiled, a number whose type is not known would be an object.
        kind: int
        size: int
        while position < end:
            if data[position] != 0:
                line_end = self._line(data, position, packets)
                if line_end < 0:
                    break
                position = line_end
                continue
            if end - position < HEADER_BYTES:
                if self._is_magic(data[position : position + 4]):
                    # A wrong magic is told by its first wrong byte, also where the bytes come one by one.
                    self._needed = HEADER_BYTES if end - position >= 4 else end - position + 1
                break
            if data[position : position + 4] == expected and not (
                data[position + 4]
                or data[position + 5]
                or data[position + 6]
                or data[position + 8]
                or data[position + 9]
            ):
                # Nearly all are of a type below 256 and a size below 65,536.
                kind = data[position + 7]
                size = data[position + 10] << 8 | data[position + 11]
            else:
                magic, kind, size = _unpack_header(data, position)
                if magic != expected:
                    if not self._is_magic(magic):
                        break
                    kind = WRONG_MAGIC
            if size > self._max_packet:
                self._fail(f"a packet of type {kind} announced {size} bytes; at most {self._max_packet} are taken")
                break
            body = position + HEADER_BYTES
            if end - body < size:
                self._needed = HEADER_BYTES + size
                if size > _LARGE:
                    self._begin_large(kind, size, data, body)
                break
            position = body + size
            packets.append((kind, data[body:position]))
        if self._needed:
            if self._large is None:
                self._buffer += data[position:] if position else data
            if packets or not resumed:
                self.begun += 1
        return packets

    def _go_on(self, data: bytes, packets: list[tuple[int, bytes]]) -> bytes | None:
        """Go on with the packet that is kept; give what is to be looked at now, `None` where more must come first."""
        if self._large is not None:
            data = data[self._large.add(data) :]
            if not self._large.whole:
                return None
            self._give_large(packets)
        else:
            buffer = self._buffer
            buffer += data
            if len(buffer) < self._needed:
                return None
            data = bytes(buffer)
            self._buffer = bytearray()
        self._needed = 0
        return data

    def _begin_large(self, kind: int, size: int, data: bytes, body: int) -> None:
        """Give the large body that begins at `body` memory of its own, once it is known where its arguments end."""
        arguments = b""
        pattern = None if self._apart is None else self._apart.get(kind)
        if pattern is not None:
            if len(data) - body < _ARGUMENT_BYTES:
                self._needed = HEADER_BYTES + _ARGUMENT_BYTES
                return
            found = pattern.match(data, body, body + _ARGUMENT_BYTES)
            # At the very end an aggregate could follow.
            if found is not None and found.end() < body + _ARGUMENT_BYTES:
                arguments = found.group()
        start = len(arguments)
        self._large = LargeBody(kind, arguments, size - start, data[body + start :])

    def _give_large(self, packets: list[tuple[int, bytes]]) -> None:
        """The large body has come whole."""
        large = self._large
        assert large is not None
        self._large = None
        if large.arguments:
            packets.append((OPAQUE, large.take()))
            packets.append((large.kind, large.arguments))
        else:
            packets.append((large.kind, large.take()))

    def room(self) -> memoryview | None:
        """Where the next bytes are best received: into the large body that is on its way, `None` where there is none.

        The memory must be let go of before any other method is called, then `filled` once, and `feed` as it says.
        """
        return None if self._large is None else self._large.room()

    def filled(self, count: int) -> bool:
        """So many bytes were written into `room`. Say whether the packet is whole, for the next `feed` to give."""
        assert self._large is not None
        self._large.received += count
        return self._large.whole

    def _line(self, data: bytes, start: int, packets: list[tuple[int, bytes]]) -> int:
        """Take the line at `start`; give where it ends, or -1 where it has not ended yet or must not be."""
        if not self._text:
            self._fail(f"expected a packet, got {data[start : start + 20]!r}")
            return -1
        line_end = data.find(b"\n", start, start + MAX_LINE_BYTES + 1)
        if line_end < 0:
            if len(data) - start > MAX_LINE_BYTES:
                self._fail(f"a line of over {MAX_LINE_BYTES} bytes that begins with {data[start : start + 20]!r}")
            else:
                self._needed = len(data) - start + 1
            return -1
        packets.append((TEXT, data[start:line_end].rstrip(b"\r")))
        return line_end + 1

    def _is_magic(self, start: bytes) -> bool:
        """Whether a packet, of either direction, may begin like this; it fails where none does."""
        if REQUEST_MAGIC.startswith(start) or RESPONSE_MAGIC.startswith(start):
            return True
        self._fail(f"expected the magic {self._expected!r}, got {start!r}")
        return False

    def _fail(self, reason: str) -> None:
        self.failure = RemoteProtocolError(reason)
        self._buffer = bytearray()
        self._needed = 0


def argument_patterns(kinds: Iterable[int]) -> dict[int, re.Pattern[bytes]]:
    """For packets with an opaque last field: what is before it, with the NUL that ends it.

    The aggregate, which libgearman sends and the document does not know, is taken for one where it is empty.
    """
    patterns: dict[int, re.Pattern[bytes]] = {}
    for kind in kinds:
        arguments = PACKETS[kind].arguments
        if arguments[-1] == "aggregate":
            patterns[kind] = re.compile(rb"(?:[^\0]*\0){%d}\0?" % (len(arguments) - 1))
        else:
            patterns[kind] = re.compile(rb"(?:[^\0]*\0){%d}" % len(arguments))
    return patterns


def split_arguments(kind: int, body: bytes) -> list[bytes]:
    """The fields of a packet's body, in the table's order.

    A single NUL after the last argument is passed over: gearmand itself ends the handle of some WORK_FAIL with one.

    Raises:
        RemoteProtocolError: the type is unknown, or the body has too few or too many fields.
    """
    spec = PACKETS.get(kind)
    if spec is None:
        raise RemoteProtocolError(f"unknown packet type {kind}")
    if spec.opaque:
        fields = body.split(b"\0", len(spec.arguments))
    elif spec.arguments:
        # Not more than can be told from the right number: a body of nothing but NULs would become very many fields.
        fields = body.split(b"\0", len(spec.arguments) + 1)
        if len(fields) == len(spec.arguments) + 1 and not fields[-1]:
            fields.pop()
    else:
        fields = [body] if body else []
    if len(fields) != len(spec.fields):
        raise RemoteProtocolError(wrong_count(spec, body.count(b"\0") + 1 if body else 0))
    return fields


def wrong_count(spec: PacketSpec, count: int) -> str:
    """How to tell a peer that its packet has the wrong number of fields."""
    names = f" ({', '.join(spec.fields)})" if spec.fields else ""
    return f"{spec.type.name} takes {len(spec.fields)} fields{names}, got {count}"


def request_prefix(kind: int) -> bytes:
    """The first eight bytes of a packet from a client or worker; `pack_size` of the body and the body follow."""
    return REQUEST_MAGIC + pack_size(kind)


def response_prefix(kind: int) -> bytes:
    """The first eight bytes of a packet from the job server; `pack_size` of the body and the body follow."""
    return RESPONSE_MAGIC + pack_size(kind)


def encode_request(kind: int, *fields: bytes) -> bytes:
    """A packet from a client or worker.

    Raises:
        LocalProtocolError: unknown type, a packet that only the job server sends, wrong number of fields, a NUL in a
            field that cannot hold it, or a body over 4 GiB - 1.
    """
    return _encode(REQUEST_MAGIC, Sender.CLIENT | Sender.WORKER, kind, fields)


def encode_response(kind: int, *fields: bytes) -> bytes:
    """A packet from the job server.

    Raises:
        LocalProtocolError: as for `encode_request`, for a packet that only clients and workers send.
    """
    return _encode(RESPONSE_MAGIC, Sender.SERVER, kind, fields)


def _encode(magic: bytes, senders: int, kind: int, fields: tuple[bytes, ...]) -> bytes:
    spec = PACKETS.get(kind)
    if spec is None:
        raise LocalProtocolError(f"unknown packet type {kind}")
    if not spec.senders & senders:
        raise LocalProtocolError(f"{spec.type.name} is not sent with the magic {magic!r}")
    if len(fields) != len(spec.fields):
        raise LocalProtocolError(wrong_count(spec, len(fields)))
    for name, field in zip(spec.arguments, fields, strict=False):
        if b"\0" in field:
            raise LocalProtocolError(f"{spec.type.name}: {name} must not hold a NUL, got {field[:40]!r}")
    size = sum(map(len, fields)) + max(0, len(fields) - 1)
    if size > MAX_PACKET_BYTES:
        raise LocalProtocolError(f"{spec.type.name} of {size} bytes; the protocol carries {MAX_PACKET_BYTES}")
    header = _pack_header(magic, kind, size)
    # One join, so that a large field is copied once.
    return b"\0".join((header + fields[0], *fields[1:])) if fields else header
