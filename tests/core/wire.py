"""A broker and the peers on its wire: packets are sent by name, replies are read back decoded."""

from __future__ import annotations

from gearman_trio.core import Dispatcher, Policy
from gearman_trio.protocol import Decoder, PacketType, encode_request, split_arguments

__all__ = ["J1", "J2", "J3", "J4", "Reply", "Wire", "WirePeer"]

#: A packet of the server: its name, its fields.
Reply = tuple[str, *tuple[bytes, ...]]

J1, J2, J3, J4 = b"H:t:1", b"H:t:2", b"H:t:3", b"H:t:4"


class Wire:
    """A broker whose clock the test moves."""

    def __init__(self, policy: Policy | None = None, *, wake_late: bool = False) -> None:
        self.policy = policy or Policy()
        self.policy.handle_prefix = b"H:t"
        self.broker = Dispatcher(self.policy, wake_late=wake_late)
        self.now = 0.0

    def peer(self) -> WirePeer:
        return WirePeer(self)

    def worker(self, *functions: bytes) -> WirePeer:
        """Connect a worker that can do these functions."""
        worker = WirePeer(self)
        for function in functions:
            worker.send("CAN_DO", function)
        return worker

    def sleeper(self, *functions: bytes) -> WirePeer:
        """Connect a worker that can do these functions and sleeps."""
        worker = self.worker(*functions)
        worker.send("PRE_SLEEP")
        return worker

    def background(self, function: bytes, workload: bytes = b"", packet: str = "SUBMIT_JOB_BG") -> None:
        """Submit a background job over a connection that ends at once."""
        client = WirePeer(self)
        client.send(packet, function, b"", workload)
        client.leave()

    def received(self) -> None:
        """A peer has sent something."""

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.broker.expire(self.now)


class WirePeer:
    """One connection to the broker."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.end = wire.broker.connect("10.0.0.1")
        self._decoder = Decoder(responses=True, text=False)

    def raw(self, data: bytes) -> None:
        self._wire.broker.receive(self.end, data, self._wire.now)
        self._wire.received()

    def send(self, name: str, *fields: bytes) -> None:
        self.raw(encode_request(PacketType[name], *fields))

    def body(self, name: str, body: bytes) -> list[Reply]:
        """Send a packet with any body, however wrong; give the replies."""
        self.raw(b"\0REQ" + PacketType[name].to_bytes(4) + len(body).to_bytes(4) + body)
        return self.read()

    def ask(self, name: str, *fields: bytes) -> list[Reply]:
        """Send a packet and give every reply since the last look."""
        self.send(name, *fields)
        return self.read()

    def line(self, text: bytes) -> bytes:
        """Send an administrative line and give the bytes of the answer."""
        self.raw(text + b"\n")
        return b"".join(self.end.take_outbox())

    def read(self) -> list[Reply]:
        """Give the replies since the last look."""
        packets = self._decoder.feed(b"".join(self.end.take_outbox()))
        assert (self._decoder.buffered, self._decoder.failure) == (0, None)
        return [(PacketType(kind).name, *split_arguments(kind, body)) for kind, body in packets]

    def leave(self) -> None:
        self._wire.broker.disconnect(self.end, self._wire.now)
