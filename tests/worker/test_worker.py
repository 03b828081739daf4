"""The whole worker: starting, several servers, draining, stopping, and arguments."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from gearman_trio.errors import ConfigError
from gearman_trio.protocol import PacketType
from gearman_trio.transport import Address
from gearman_trio.worker import Abilities, open_worker, run_worker

from .fakes import FakeServers, Peer, ready_worker, running_worker

Clock = trio.testing.MockClock
P = PacketType


@pytest.fixture
def abilities() -> Abilities:
    made = Abilities()

    @made.function
    async def echo(workload: bytes) -> bytes:
        return workload

    @made.function
    async def seconds(workload: bytes) -> bytes:
        await trio.sleep(float(workload))
        return b"slept"

    return made


# ---- start ---------------------------------------------------------------------------------------------------


async def test_started_is_reported_when_a_server_has_confirmed_the_abilities(
    abilities: Abilities, autojump_clock: Clock
) -> None:
    async with running_worker(abilities) as servers:
        peer = await servers.accept()
        await peer.receive_many(4)
        await trio.sleep(5)
        assert servers.worker is None

        await peer.send(P.ECHO_RES, b"gearman_trio: abilities sent")

        assert (await servers.started()).ready


async def test_one_server_of_several_is_enough(abilities: Abilities, autojump_clock: Clock) -> None:
    servers = FakeServers()

    async def connect(address: Address) -> trio.abc.Stream:
        if address.host == "down":
            raise OSError("down")
        return await servers.connect(address)

    async def serve() -> None:
        await (await servers.accept()).registered()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.fail_after(5):
            worker = await nursery.start(partial(run_worker, abilities, "down", "up:1", connect=connect))

        assert (Address("up", 1),) == worker.statistics().connected
        nursery.cancel_scope.cancel()


async def test_ready_follows_the_connections(abilities: Abilities, autojump_clock: Clock) -> None:
    async with ready_worker(abilities) as (worker, peer, servers):
        before = worker.ready
        servers.failing = 3
        await peer.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        between = worker.ready
        assert () == worker.statistics().connected

        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.wait_ready)
            await (await servers.accept()).registered()

        assert [True, False, True] == [before, between, worker.ready]


async def test_waiting_for_the_start_can_be_given_up(abilities: Abilities, autojump_clock: Clock) -> None:
    servers = FakeServers()
    servers.failing = 1_000_000

    entered = False

    with trio.move_on_after(60) as scope:
        async with open_worker(abilities, connect=servers.connect):
            entered = True

    assert (True, False) == (scope.cancelled_caught, entered)


# ---- several servers -------------------------------------------------------------------------------------------


async def test_servers_share_the_slots_in_turn(abilities: Abilities, autojump_clock: Clock) -> None:
    served: list[str] = []

    async def serve(peer: Peer, name: str) -> None:
        await peer.greeting()
        for number in range(5):
            assert (P.GRAB_JOB_UNIQ,) == await peer.receive()
            served.append(name)
            await peer.assign(number, b"seconds", b"1")
            assert (P.WORK_COMPLETE, b"H:%d" % number, b"slept") == await peer.receive()

    async with running_worker(abilities, "a", "b") as servers, trio.open_nursery() as nursery:
        for _ in range(2):
            peer = await servers.accept()
            nursery.start_soon(serve, peer, servers.attempts[-1][1].host)

    assert 10 == len(served)
    assert [served[0], served[1]] * 5 == served


async def test_grab_moves_on_to_the_next_server_when_one_has_no_job(
    abilities: Abilities, autojump_clock: Clock
) -> None:
    async with running_worker(abilities, "a", "b") as servers:
        first, second = await servers.accept(), await servers.accept()
        await first.registered()
        await second.greeting()
        assert await second.silent()

        await first.send(P.NO_JOB)

        assert (P.PRE_SLEEP,) == await first.receive()
        assert (P.GRAB_JOB_UNIQ,) == await second.receive()


async def test_loss_of_one_server_leaves_the_others_and_their_jobs_alone(
    abilities: Abilities, autojump_clock: Clock
) -> None:
    async with running_worker(abilities, "a", "b", concurrency=2) as servers:
        first, second = await servers.accept(), await servers.accept()
        await first.registered()
        await second.registered()
        await first.assign(1, b"seconds", b"5")
        await second.assign(2, b"seconds", b"5")
        await trio.sleep(1)
        await first.stream.aclose()

        assert (P.GRAB_JOB_UNIQ,) == await second.receive()
        assert (P.WORK_COMPLETE, b"H:2", b"slept") == await second.receive()


async def test_slot_of_a_lost_connection_goes_to_the_others(abilities: Abilities, autojump_clock: Clock) -> None:
    async with running_worker(abilities, "a", "b") as servers:
        first, second = await servers.accept(), await servers.accept()
        await first.registered()
        await second.greeting()
        await first.stream.aclose()

        assert (P.GRAB_JOB_UNIQ,) == await second.receive()


async def test_same_address_twice_is_one_server(abilities: Abilities, autojump_clock: Clock) -> None:
    async with running_worker(abilities, "a", "a:4730") as servers:
        await (await servers.accept()).registered()
        await trio.sleep(5)

        assert 1 == len(servers.attempts)


# ---- drain -------------------------------------------------------------------------------------------------------


async def test_leaving_the_block_waits_for_running_jobs_and_their_results(
    abilities: Abilities, autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    servers = FakeServers()
    seen: list[Any] = []

    async def serve() -> None:
        peer = await servers.accept()
        await peer.registered()
        await peer.assign(1, b"seconds", b"5")
        seen.append(await peer.receive())
        await peer.farewell()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with open_worker(abilities, connect=servers.connect) as worker:
            await trio.sleep(1)
            left = trio.current_time()

    assert 4 == trio.current_time() - left
    assert [(P.WORK_COMPLETE, b"H:1", b"slept")] == seen
    assert (0, 1, ()) == (worker.statistics().running, worker.statistics().done, worker.statistics().connected)
    assert [] == [record for record in caplog.records if record.levelno > logging.INFO]
    assert caplog.messages[-1].endswith("lost: the worker drained")


async def test_idle_connection_says_farewell_at_once(abilities: Abilities, autojump_clock: Clock) -> None:
    async with ready_worker(abilities, concurrency=2) as (worker, peer, _):
        await peer.send(P.NO_JOB)
        assert (P.PRE_SLEEP,) == await peer.receive()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.drain)
            await peer.farewell()


async def test_job_that_was_asked_for_before_the_drain_still_runs(abilities: Abilities, autojump_clock: Clock) -> None:
    async with ready_worker(abilities, concurrency=2) as (worker, peer, _), trio.open_nursery() as nursery:
        nursery.start_soon(worker.drain)
        assert await peer.silent()
        await peer.assign(1, b"echo", b"last")

        assert (P.WORK_COMPLETE, b"H:1", b"last") == await peer.receive()
        await peer.farewell()


async def test_no_job_ends_a_drain(abilities: Abilities, autojump_clock: Clock) -> None:
    async with ready_worker(abilities) as (worker, peer, _), trio.open_nursery() as nursery:
        nursery.start_soon(worker.drain)
        await trio.testing.wait_all_tasks_blocked()
        await peer.send(P.NO_JOB)
        await peer.farewell()


async def test_idle_connection_leaves_before_busy_ones(abilities: Abilities, autojump_clock: Clock) -> None:
    """It would take wake-ups that nobody serves."""
    async with running_worker(abilities, "a", "b", concurrency=2) as servers, trio.open_nursery() as nursery:
        busy, idle = await servers.accept(), await servers.accept()
        await busy.registered()
        await idle.sleeping()
        await busy.assign(1, b"seconds", b"9")
        assert (P.GRAB_JOB_UNIQ,) == await busy.receive()
        await busy.send(P.NO_JOB)
        assert (P.PRE_SLEEP,) == await busy.receive()
        nursery.start_soon((await servers.started()).drain)

        await idle.farewell()

        assert await busy.silent(8)
        assert (P.WORK_COMPLETE, b"H:1", b"slept") == await busy.receive()
        await busy.farewell()


async def test_drain_goes_on_where_nobody_waits_for_it_any_more(abilities: Abilities, autojump_clock: Clock) -> None:
    async with ready_worker(abilities) as (worker, peer, _):
        await peer.assign(1, b"seconds", b"5")
        with trio.move_on_after(1) as scope:
            await worker.drain()
        assert scope.cancelled_caught

        assert (P.WORK_COMPLETE, b"H:1", b"slept") == await peer.receive()
        await peer.farewell()
        await worker.drain()


async def test_connection_that_is_lost_while_draining_is_not_made_again(
    abilities: Abilities, autojump_clock: Clock
) -> None:
    async with ready_worker(abilities) as (worker, peer, servers):
        await peer.assign(1, b"seconds", b"50")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.drain)
            await trio.sleep(1)
            await peer.stream.aclose()

        assert 1 == worker.statistics().lost
        assert 1 == len(servers.attempts)


async def test_run_worker_returns_after_a_drain(abilities: Abilities, autojump_clock: Clock) -> None:
    servers = FakeServers()

    async def serve() -> None:
        peer = await servers.accept()
        await peer.sleeping()
        await peer.farewell()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            worker = await nursery.start(partial(run_worker, abilities, connect=servers.connect))
            await trio.sleep(1)
            await worker.drain()

    assert not worker.ready


# ---- hard stop -----------------------------------------------------------------------------------------------------


async def test_cancelling_stops_hard(abilities: Abilities, autojump_clock: Clock) -> None:
    servers = FakeServers()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(run_worker, abilities, connect=servers.connect))
        peer = await servers.accept()
        await peer.registered()
        await peer.assign(1, b"seconds", b"50")
        await trio.sleep(1)
        nursery.cancel_scope.cancel()

    await peer.closed()


async def test_exception_of_the_block_stops_hard_and_comes_out_as_it_is(
    abilities: Abilities, autojump_clock: Clock
) -> None:
    servers = FakeServers()
    peers = []

    async def serve() -> None:
        peer = await servers.accept()
        peers.append(peer)
        await peer.registered()
        await peer.assign(1, b"seconds", b"50")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(KeyError, match="mine"):  # noqa: PT012 the block is what is tested
            async with open_worker(abilities, connect=servers.connect):
                await trio.sleep(1)
                raise KeyError("mine")

    await peers[0].closed()


async def test_drain_that_takes_too_long_can_be_cut_short(abilities: Abilities, autojump_clock: Clock) -> None:
    servers = FakeServers()

    async def serve() -> None:
        peer = await servers.accept()
        await peer.registered()
        await peer.assign(1, b"seconds", b"50")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with trio.CancelScope() as scope:
            async with open_worker(abilities, connect=servers.connect) as worker:
                await trio.sleep(1)
                scope.deadline = trio.current_time() + 5

    assert scope.cancelled_caught
    assert 0 == worker.statistics().running


async def test_waiting_for_a_drain_ends_when_the_worker_is_stopped_hard(
    abilities: Abilities, autojump_clock: Clock
) -> None:
    async with trio.open_nursery() as nursery, ready_worker(abilities) as (worker, peer, _):
        await peer.assign(1, b"seconds", b"50")
        nursery.start_soon(worker.drain)
        await trio.sleep(1)


async def test_what_is_no_exception_ends_the_worker(autojump_clock: Clock) -> None:
    abilities = Abilities()

    @abilities.function
    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012 it comes out of the whole block
        async with ready_worker(abilities) as (_, peer, _):
            await peer.assign(1, b"leave")
            await trio.sleep(5)

    assert caught.group_contains(SystemExit)


# ---- arguments -----------------------------------------------------------------------------------------------------


async def connect_nowhere(address: Address) -> trio.abc.Stream:
    raise AssertionError("the arguments are wrong")


@pytest.mark.parametrize(
    ("servers", "arguments", "words"),
    [
        ((), {"concurrency": 0}, "concurrency: expected a number from 1 on, got 0"),
        ((), {"poll_interval": 0}, "poll_interval"),
        ((), {"poll_interval": float("nan")}, "poll_interval"),
        ((), {"client_id": "two words"}, "client ID"),
        (("host:port",), {}, "host:port"),
    ],
)
async def test_wrong_arguments_are_refused(
    abilities: Abilities, servers: tuple[str, ...], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        await run_worker(abilities, *servers, connect=connect_nowhere, **arguments)
    with pytest.raises(ConfigError, match=words):
        async with open_worker(abilities, *servers, connect=connect_nowhere, **arguments):
            pass


async def test_worker_without_functions_is_refused() -> None:
    with pytest.raises(ConfigError, match="abilities"):
        await run_worker(Abilities(), connect=connect_nowhere)


async def test_default_client_id_tells_host_and_process(abilities: Abilities, autojump_clock: Clock) -> None:
    servers = FakeServers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(run_worker, abilities, connect=servers.connect))
        peer = await servers.accept()
        kind, name = await peer.receive()
        nursery.cancel_scope.cancel()

    assert P.SET_CLIENT_ID is kind
    assert name.startswith(b"gearman_trio-")
    assert name.endswith(b"-%d" % os.getpid())
