"""Packets to bytes and bytes to packets.

A packet is twelve bytes of header (magic, type, size of the body, big-endian) and a body.  A stream that does not begin
with NUL where a packet should begin is a line of the administrative protocol instead: the first byte tells which.

`Decoder` never raises for what a peer sends: it gives the packets that came whole and keeps the reason why the stream
cannot be read any further in `Decoder.failure`, so that packets before the bad one are still served.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from .table import PACKETS, PacketSpec, Sender

__all__ = [
    "HEADER_BYTES",
    "MAX_LINE_BYTES",
    "MAX_PACKET_BYTES",
    "TEXT",
    "WRONG_MAGIC",
    "Decoder",
    "encode_request",
    "encode_response",
    "pack_size",
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

#: From this size on a body is cut out of the buffer by itself, so that it is copied once and not twice.
_LARGE: Final = 65536

_header: Final = Struct(">4sII")
_unpack_header: Final = _header.unpack_from
_pack_header: Final = _header.pack

#: A packet's size as it stands in a header: four bytes, big-endian.
pack_size: Final = Struct(">I").pack


class Decoder:
    """Cuts the bytes of one direction of one connection into packets, whatever the pieces they come in.

    Limits are checked on the header, before the body is kept; memory grows with the bytes received, never with the
    bytes announced.

    Attributes:
        begun: how many packets were kept because they did not come whole; tells one such packet from the next.
        failure: why nothing more can be read from this stream, or ``None``. The packets that `feed` gave are good.
    """

    __slots__ = ("_buffer", "_expected", "_max_packet", "_needed", "_text", "begun", "failure")

    def __init__(self, *, responses: bool = False, max_packet_bytes: int = MAX_PACKET_BYTES, text: bool = True) -> None:
        """Make a decoder.

        Args:
            responses: whether packets of the job server (``\\0RES``) are expected, instead of requests (``\\0REQ``).
            max_packet_bytes: the largest body that is taken.
            text: whether administrative lines are taken.
        """
        self._expected: bytes = RESPONSE_MAGIC if responses else REQUEST_MAGIC
        self._max_packet = max_packet_bytes
        self._text = text
        self._buffer = bytearray()
        # How many bytes the buffer must hold before another look at it is worth while; 0 where it is empty.
        self._needed = 0
        self.begun = 0
        self.failure: RemoteProtocolError | None = None

    @property
    def buffered(self) -> int:
        """How many bytes of a packet that has not come whole are kept."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take what was received and give every packet that is whole, as (type, body), in order.

        The type is a number of the table or unknown to it, or `TEXT` (the body is a line without its end), or
        `WRONG_MAGIC`.  Once `failure` is set, everything further is thrown away.
        """
        packets: list[tuple[int, bytes]] = []
        if self.failure is not None:
            return packets
        resumed = self._needed != 0
        if resumed:
            buffer = self._buffer
            buffer += data
            if len(buffer) < self._needed:
                return packets
            data = self._take_large(packets) if self._needed > _LARGE else bytes(buffer)
            self._buffer = bytearray()
            self._needed = 0
        position = 0
        end = len(data)
        expected = self._expected
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
                break
            position = body + size
            packets.append((kind, data[body:position]))
        if self._needed:
            self._buffer += data[position:] if position else data
            if packets or not resumed:
                self.begun += 1
        return packets

    def _take_large(self, packets: list[tuple[int, bytes]]) -> bytes:
        """Move the one packet that the buffer begins with into `packets`; give what follows it."""
        with memoryview(self._buffer) as view:
            magic, kind, _ = _unpack_header(view, 0)
            packets.append((kind if magic == self._expected else WRONG_MAGIC, bytes(view[HEADER_BYTES : self._needed])))
            return bytes(view[self._needed :])

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
        fields = body.split(b"\0")
        if len(fields) == len(spec.arguments) + 1 and not fields[-1]:
            fields.pop()
    else:
        fields = [body] if body else []
    if len(fields) != len(spec.fields):
        raise RemoteProtocolError(wrong_count(spec, len(fields)))
    return fields


def wrong_count(spec: PacketSpec, count: int) -> str:
    """How to tell a peer that its packet has the wrong number of fields."""
    names = f" ({', '.join(spec.fields)})" if spec.fields else ""
    return f"{spec.type.name} takes {len(spec.fields)} fields{names}, got {count}"


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
    body = b"\0".join(fields)
    if len(body) > MAX_PACKET_BYTES:
        raise LocalProtocolError(f"{spec.type.name} of {len(body)} bytes; the protocol carries {MAX_PACKET_BYTES}")
    return _pack_header(magic, kind, len(body)) + body
