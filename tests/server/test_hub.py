"""When outboxes are sent: those of workers first, and what may wait together with what comes soon."""

from __future__ import annotations

from trio.testing import MockClock

from gearman_trio.core import Peer, Policy
from gearman_trio.protocol import Decoder, PacketType, encode_request
from gearman_trio.server.hub import Hub

P = PacketType


#: So many jobs a client must wait for, lest its handles are sent at once.
MANY = 8


class Noting:
    """Sends nothing, but notes what it would send, in a list that several share."""

    unsent_bytes = 0

    def __init__(self, name: str, sent: list[tuple[str, list[str]]]) -> None:
        self.name = name
        self.peer: Peer | None = None
        self._sent = sent
        self._decoder = Decoder(responses=True)

    def flush(self) -> None:
        assert self.peer is not None
        packets = self._decoder.feed(b"".join(self.peer.take_outbox()))
        self._sent.append((self.name, [P(kind).name for kind, _ in packets]))

    def finish(self, reason: str) -> None:
        raise AssertionError(reason)

    def check(self, now: float) -> bool:
        raise AssertionError("nobody watches")


class Rig:
    """A hub with a client and a worker."""

    def __init__(self) -> None:
        self.hub = Hub(Policy(), lambda: 0.0, lambda how: None)
        self._sent: list[tuple[str, list[str]]] = []
        self.client = self.connect("client")
        self.worker = self.connect("worker")
        self.receive(self.worker, encode_request(P.CAN_DO, b"f"))

    def connect(self, name: str) -> Peer:
        outlet = Noting(name, self._sent)
        outlet.peer = self.hub.connect(outlet, name, admin=False)
        return outlet.peer

    def receive(self, peer: Peer, *packets: bytes) -> None:
        self.hub.receive(peer, b"".join(packets))

    def submit(self, jobs: int = 1) -> None:
        self.receive(self.client, *[encode_request(P.SUBMIT_JOB, b"f", b"", b"w")] * jobs)

    def grab(self) -> None:
        self.receive(self.worker, encode_request(P.GRAB_JOB))

    def complete(self) -> None:
        (job,) = self.worker.running
        self.receive(self.worker, encode_request(P.WORK_COMPLETE, job.handle, b"r"))

    def sent(self) -> list[tuple[str, list[str]]]:
        """What was sent to whom since the last look, in order."""
        sent = self._sent[:]
        self._sent.clear()
        return sent


CREATED = ("client", ["JOB_CREATED"] * MANY)
ASSIGNED = ("worker", ["JOB_ASSIGN"])


async def test_workers_come_first() -> None:
    rig = Rig()
    rig.submit(MANY)
    rig.grab()
    rig.hub.flush()

    assert [ASSIGNED, CREATED] == rig.sent()


async def test_handle_is_sent_with_the_result_of_the_next_round() -> None:
    rig = Rig()
    rig.submit(MANY)
    rig.grab()
    rig.hub.flush_round()
    rig.complete()
    rig.hub.flush_round()

    assert [ASSIGNED, ("client", ["JOB_CREATED"] * MANY + ["WORK_COMPLETE"])] == rig.sent()


async def test_handle_of_a_client_with_few_jobs_is_sent_at_once() -> None:
    rig = Rig()
    rig.submit()
    rig.hub.flush_round()

    assert [("client", ["JOB_CREATED"])] == rig.sent()


async def test_results_of_a_client_with_many_jobs_are_sent_together() -> None:
    rig = Rig()
    rig.submit(30)
    rig.grab()
    rig.hub.flush()
    rig.sent()
    for _ in range(4):
        rig.complete()
        rig.grab()
        rig.hub.flush_round()

    assert [ASSIGNED] * 4 + [("client", ["WORK_COMPLETE"] * 4)] == rig.sent()


async def test_what_waits_is_sent_at_rest() -> None:
    rig = Rig()
    rig.submit(MANY)
    rig.hub.flush_round()
    before = rig.sent()
    rig.hub.flush_waiting()
    at_rest = rig.sent()
    rig.hub.flush_waiting()

    assert ([], [CREATED], []) == (before, at_rest, rig.sent())


async def test_what_waits_is_sent_by_any_other_flush() -> None:
    rig = Rig()
    rig.submit(MANY)
    rig.hub.flush_round()
    rig.hub.flush()

    assert [CREATED] == rig.sent()


async def test_nothing_waits_for_more_than_half_a_millisecond(mock_clock: MockClock) -> None:
    rig = Rig()
    other = rig.connect("other")
    rig.submit(MANY)
    rig.hub.flush_round()
    mock_clock.jump(0.0004)
    rig.receive(other, *[encode_request(P.SUBMIT_JOB, b"f", b"", b"w")] * MANY)
    rig.hub.flush_round()
    before = rig.sent()
    mock_clock.jump(0.0001)
    rig.hub.flush_round()
    after = rig.sent()
    rig.submit(MANY)
    rig.hub.flush_round()

    assert ([], [CREATED, ("other", ["JOB_CREATED"] * MANY)], []) == (before, after, rig.sent())


async def test_peer_that_leaves_is_not_waited_for() -> None:
    rig = Rig()
    rig.submit(MANY)
    rig.hub.flush_round()
    rig.hub.disconnect(rig.client)
    rig.hub.flush_waiting()

    assert [] == rig.sent()
