"""The wire: a pair of streams as Trio wants them, and what can be done to them."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock, check_two_way_stream, wait_all_tasks_blocked

from gearman_trio.testing.wire import BUFFER_BYTES, Direction, Faults, Wire


class Recorder:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.endings: list[bool] = []

    def sent(self, data: bytes) -> None:
        self.seen.append(("sent", data))

    def received(self, data: bytes) -> None:
        self.seen.append(("received", data))

    def ended(self, *, lost: bool) -> None:
        self.endings.append(lost)


def make(faults: Faults | None = None) -> Wire:
    return Wire(faults or Faults(), Recorder(), Recorder(), lambda wire: None)


async def make_pair() -> tuple[trio.abc.Stream, trio.abc.Stream]:
    wire = make()
    return wire.near, wire.far


async def make_clogged_pair() -> tuple[trio.abc.Stream, trio.abc.Stream]:
    wire = make()
    await wire.near.send_all(bytes(BUFFER_BYTES))
    await wire.far.send_all(bytes(BUFFER_BYTES))
    return wire.near, wire.far


async def test_it_is_a_stream_as_trio_wants_it(autojump_clock: MockClock) -> None:
    await check_two_way_stream(make_pair, make_clogged_pair)


async def test_bytes_arrive_in_order_and_are_seen_at_both_ends() -> None:
    near, far = Recorder(), Recorder()
    wire = Wire(Faults(), near, far, lambda wire: None)
    await wire.near.send_all(b"abc")
    await wire.near.send_all(b"def")
    await wire.far.send_all(b"answer")

    assert (b"ab", b"cdef", b"answer") == (
        await wire.far.receive_some(2),
        await wire.far.receive_some(),
        await wire.near.receive_some(),
    )
    assert [("sent", b"abc"), ("sent", b"def"), ("received", b"answer")] == near.seen
    assert [("received", b"answer"), ("sent", b"ab"), ("sent", b"cdef")] == far.seen


async def test_sender_waits_while_nobody_reads(nursery: trio.Nursery) -> None:
    wire = make()
    done = trio.Event()

    async def send() -> None:
        await wire.near.send_all(bytes(BUFFER_BYTES + 1))
        done.set()

    nursery.start_soon(send)
    await wait_all_tasks_blocked()
    before = done.is_set()
    await wire.far.receive_some(1)
    await done.wait()

    assert not before


async def test_stalled_bytes_arrive_when_resumed(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    faults = Faults(stalled=True)
    wire = make(faults)
    await wire.near.send_all(b"abc")
    with trio.move_on_after(1000) as scope:
        await wire.far.receive_some()
    moving_before = wire.moving
    faults.stalled = False
    wire.wake()

    assert scope.cancelled_caught
    assert (False, True) == (moving_before, wire.moving)
    assert b"abc" == await wire.far.receive_some()
    assert not wire.moving


async def test_end_of_stream_is_stalled_too(autojump_clock: MockClock) -> None:
    faults = Faults(stalled=True)
    wire = make(faults)
    await wire.near.aclose()
    with trio.move_on_after(10) as scope:
        await wire.far.receive_some()
    faults.stalled = False

    assert scope.cancelled_caught
    assert b"" == await wire.far.receive_some()


async def test_delayed_bytes_arrive_after_that_time_in_order(autojump_clock: MockClock) -> None:
    faults = Faults(delay=3.0)
    wire = make(faults)
    await wire.near.send_all(b"slow")
    faults.delay = 0.0
    await wire.near.send_all(b"fast")
    await wire.near.aclose()
    began = trio.current_time()
    first = await wire.far.receive_some()

    assert math.isclose(3.0, trio.current_time() - began)
    assert (b"slowfast", b"") == (first, await wire.far.receive_some())


async def test_lost_wire_breaks_both_ends_and_drops_what_was_on_its_way() -> None:
    wire = make()
    await wire.near.send_all(b"abc")
    wire.lose()

    for end in (wire.near, wire.far):
        with pytest.raises(trio.BrokenResourceError):
            await end.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await end.send_all(b"x")


async def test_lost_wire_wakes_who_waits(nursery: trio.Nursery) -> None:
    faults = Faults(stalled=True)
    wire = make(faults)
    await wire.near.send_all(bytes(BUFFER_BYTES))

    async def expect_loss(operation: trio.abc.Stream, *, send: bool) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await (operation.send_all(b"x") if send else operation.receive_some())

    nursery.start_soon(lambda: expect_loss(wire.near, send=True))
    nursery.start_soon(lambda: expect_loss(wire.far, send=False))
    await wait_all_tasks_blocked()
    wire.lose()


@pytest.mark.parametrize("size", [0, 1, 5, 6])
async def test_cut_lets_so_many_bytes_pass(size: int) -> None:
    wire = make(Faults(cuts={Direction.SENT: size}))
    await wire.far.send_all(b"on its way")
    # As with a socket, the bytes are gone before anyone knows that the connection is.
    await wire.near.send_all(b"packet")

    received = b"" if size == 0 else await wire.far.receive_some()

    assert b"packet"[:size] == received
    for end in (wire.near, wire.far):
        with pytest.raises(trio.BrokenResourceError):
            await end.receive_some()


async def test_cut_counts_over_several_packets_and_happens_once() -> None:
    faults = Faults(cuts={Direction.RECEIVED: 4})
    wire = make(faults)
    await wire.far.send_all(b"abc")
    await wire.far.send_all(b"def")

    assert b"abcd" == await wire.near.receive_some()
    assert {} == faults.cuts


async def test_both_ends_closed_end_the_wire() -> None:
    ended: list[Wire] = []
    near, far = Recorder(), Recorder()
    wire = Wire(Faults(), near, far, ended.append)
    await wire.near.aclose()
    half = list(ended)
    await wire.far.aclose()
    await wire.far.aclose()

    assert ([], [wire]) == (half, ended)
    assert ([False], [False]) == (near.endings, far.endings)


async def test_two_tasks_must_not_send_at_once(nursery: trio.Nursery) -> None:
    wire = make()
    nursery.start_soon(wire.near.send_all, bytes(BUFFER_BYTES + 1))
    await wait_all_tasks_blocked()

    with pytest.raises(trio.BusyResourceError):
        await wire.near.send_all(b"x")
    await wire.far.receive_some()
