"""Functions with a limit of their own: their connections, what is asked on them, and what the log says."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from gearman_trio.client import Client, open_client
from gearman_trio.protocol import PacketType
from gearman_trio.server import open_server
from gearman_trio.worker import Abilities, Retry, open_worker
from gearman_trio.worker.groups import groups_of

from ..peers import open_gearmand
from .fakes import FakeServers, Peer, running_worker

Clock = trio.testing.MockClock
Log = pytest.LogCaptureFixture
P = PacketType


@pytest.fixture
def abilities() -> Abilities:
    made = Abilities()

    @made.function
    async def free(workload: bytes) -> bytes:
        await trio.sleep(float(workload))
        return b"free"

    @made.function(max_running=2, timeout=99)
    async def limited(workload: bytes) -> bytes:
        await trio.sleep(float(workload))
        return b"limited"

    return made


async def two_peers(servers: FakeServers) -> tuple[Peer, Peer]:
    """The connections for the functions without a limit, and for the one with it."""
    found = {}
    for _ in range(2):
        peer = await servers.accept()
        (_, *can_do) = await peer.greeting()
        found[can_do[0][1]] = peer
    return found[b"free"], found[b"limited"]


# ---- which functions share a connection ----------------------------------------------------------------------------


def test_functions_without_a_limit_share_a_connection() -> None:
    abilities = Abilities()
    for name, number in [("a", None), ("b", 1), ("c", None), ("d", 3)]:
        abilities.function(name=name, max_running=number)(len)

    groups = groups_of({ability.name: ability for ability in abilities}, 4)

    assert [[b"a", b"c"], [b"b"], [b"d"]] == [list(group.abilities) for group in groups]
    assert [None, 1, 3] == [group.quota and group.quota.free for group in groups]


def test_limit_that_the_concurrency_keeps_costs_no_connection() -> None:
    abilities = Abilities()
    for name, number in [("a", 2), ("b", 1)]:
        abilities.function(name=name, max_running=number)(len)

    by_name = {ability.name: ability for ability in abilities}

    assert [2] == [len(group.abilities) for group in groups_of(by_name, 1)]
    assert [[b"a"], [b"b"]] == [list(group.abilities) for group in groups_of(by_name, 2)]
    assert [[b"a"], [b"b"]] == [list(group.abilities) for group in groups_of(by_name, 3)]


async def test_each_connection_tells_the_worker_and_its_own_functions(
    abilities: Abilities, autojump_clock: Clock
) -> None:
    async with running_worker(abilities, concurrency=5) as servers:
        greetings = [await (await servers.accept()).greeting() for _ in range(2)]

        assert [
            [(P.SET_CLIENT_ID, b"test"), (P.CAN_DO, b"free")],
            [(P.SET_CLIENT_ID, b"test"), (P.CAN_DO_TIMEOUT, b"limited", b"100000")],
        ] == sorted(greetings)


# ---- what is asked on them -----------------------------------------------------------------------------------------


async def test_nothing_is_said_at_the_limit_and_the_others_have_their_jobs(
    abilities: Abilities, autojump_clock: Clock
) -> None:
    """No CANT_DO above all, by which gearmand would queue the running jobs again."""
    async with running_worker(abilities, concurrency=5) as servers:
        free, limited = await two_peers(servers)
        for number in range(2):
            assert (P.GRAB_JOB_UNIQ,) == await limited.receive()
            await limited.assign(number, b"limited", b"15")
        done = 0
        while done < 9:
            if (P.GRAB_JOB_UNIQ,) == await free.receive():
                await free.assign(10 + done, b"free", b"0")
            else:
                done += 1

        assert await limited.silent(9)

        with trio.fail_after(9):
            ended = [await limited.receive() for _ in range(3)]
        assert [P.WORK_COMPLETE, P.WORK_COMPLETE, P.GRAB_JOB_UNIQ] == sorted(
            (packet[0] for packet in ended), key=lambda kind: kind is P.GRAB_JOB_UNIQ
        )


async def test_job_of_another_group_is_refused(abilities: Abilities, autojump_clock: Clock, caplog: Log) -> None:
    async with running_worker(abilities, concurrency=5) as servers:
        _, limited = await two_peers(servers)
        await limited.receive()
        await limited.assign(1, b"free")
        await limited.closed()
        await trio.testing.wait_all_tasks_blocked()

    assert "a job was assigned for b'free', which was never said to be done here" in caplog.text
    assert "server=127.0.0.1:4730 function=limited lost" in caplog.text


async def test_jobs_of_a_lost_connection_that_finish_still_count(abilities: Abilities, autojump_clock: Clock) -> None:
    async with running_worker(abilities, concurrency=5, on_lost="finish") as servers:
        _, limited = await two_peers(servers)
        for number in range(2):
            await limited.receive()
            await limited.assign(number, b"limited", b"20")
        await trio.testing.wait_all_tasks_blocked()
        await limited.stream.aclose()
        again = await servers.accept()
        await again.greeting()

        assert await again.silent(9)
        assert await again.silent(9)
        assert (P.GRAB_JOB_UNIQ,) == await again.receive()


async def test_retry_leaves_with_the_connection_of_its_function_alone(autojump_clock: Clock) -> None:
    abilities = Abilities()

    @abilities.function
    async def free() -> None: ...

    @abilities.function(max_running=1)
    async def limited() -> None:
        raise Retry(after=9)

    async with running_worker(abilities, concurrency=5) as servers:
        peer, limited_peer = await two_peers(servers)
        await limited_peer.receive()
        await limited_peer.assign(1, b"limited")
        await limited_peer.farewell()
        left = trio.current_time()
        assert (P.GRAB_JOB_UNIQ,) == await peer.receive()
        await peer.assign(2, b"free")
        assert (P.WORK_COMPLETE, b"H:2", b"") in await peer.receive_many(3)

        await (await servers.accept()).greeting()
        assert 9 == trio.current_time() - left


async def test_drain_ends_every_connection(abilities: Abilities, autojump_clock: Clock) -> None:
    async with running_worker(abilities, concurrency=5) as servers, trio.open_nursery() as nursery:
        free, limited = await two_peers(servers)
        for peer in (free, limited):
            assert (P.GRAB_JOB_UNIQ,) == await peer.receive()
        await limited.assign(1, b"limited", b"9")
        assert (P.GRAB_JOB_UNIQ,) == await limited.receive()
        worker = await servers.started()
        nursery.start_soon(worker.drain)
        await trio.testing.wait_all_tasks_blocked()
        for peer in (free, limited):
            await peer.send(P.NO_JOB)
        await free.farewell()

        assert (P.WORK_COMPLETE, b"H:1", b"limited") == await limited.receive()
        await limited.farewell()


# ---- how the server stands -----------------------------------------------------------------------------------------


async def test_server_is_connected_when_it_knows_all_functions(abilities: Abilities, autojump_clock: Clock) -> None:
    async with running_worker(abilities, concurrency=5) as servers:
        first, second = await servers.accept(), await servers.accept()
        await first.greeting()
        await trio.sleep(5)
        assert servers.worker is None

        await second.greeting()
        worker = await servers.started()
        assert (True, 1) == (worker.ready, len(worker.statistics().connected))

        await second.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert (False, ()) == (worker.ready, worker.statistics().connected)


async def test_log_says_once_what_all_connections_of_a_server_see(
    abilities: Abilities, autojump_clock: Clock, caplog: Log
) -> None:
    caplog.set_level(logging.INFO)
    async with running_worker(abilities, concurrency=5) as servers:
        servers.failing = 6
        peers = await two_peers(servers)
        servers.failing = 6
        for peer in peers:
            await peer.stream.aclose()
        await two_peers(servers)
        await trio.testing.wait_all_tasks_blocked()

    said = [record.getMessage() for record in caplog.records if record.name == "gearman_trio.worker.link"]
    changes = [" ".join(word for word in line.split() if word in {"connected", "lost:", "cannot"}) for line in said]
    assert ["cannot", "connected", "lost:", "cannot", "connected"] == changes


# ---- with real servers ---------------------------------------------------------------------------------------------


class Watched:
    """Functions that count how many of their jobs run at once."""

    def __init__(self, limit: int) -> None:
        self.abilities = Abilities()
        self.running = 0
        self.most = 0
        self.others = 0
        self.release = trio.Event()
        self.full = trio.Event()

        @self.abilities.function(max_running=limit)
        async def limited(workload: bytes) -> bytes:
            self.running += 1
            self.most = max(self.most, self.running)
            if self.running == limit:
                self.full.set()
            try:
                await self.release.wait()
                await trio.lowlevel.checkpoint()
            finally:
                self.running -= 1
            return workload

        @self.abilities.function
        async def other(workload: bytes) -> bytes:
            self.others += 1
            return workload

    async def prove(self, clients: list[Client]) -> None:
        """Have many jobs of both functions; the others are all done while the limited ones cannot go on."""
        results: list[bytes] = []

        async def run(client: Client, function: str, number: int) -> None:
            results.append(await client.run(function, b"%d" % number, unique=f"{function}{number}"))

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for number in range(40):
                    nursery.start_soon(run, clients[number % len(clients)], "limited", number)
                await self.full.wait()
                async with trio.open_nursery() as others:
                    for number in range(200):
                        others.start_soon(run, clients[number % len(clients)], "other", number)
                self.release.set()

        assert 240 == len(results)


@pytest.mark.parametrize("concurrency", [4, 10])
async def test_limit_holds_over_all_servers_and_starves_nobody(concurrency: int) -> None:
    watched = Watched(3)
    async with (
        open_server(port=0) as one,
        open_server(port=0) as two,
        open_worker(watched.abilities, one.url, two.url, concurrency=concurrency) as worker,
        one.open_client() as first,
        two.open_client() as second,
    ):
        await watched.prove([first, second])

        assert (3, 200, 240) == (watched.most, watched.others, worker.statistics().done)


@pytest.mark.interop
@pytest.mark.slow
async def test_limit_holds_with_gearmand_which_gives_no_job_twice() -> None:
    watched = Watched(3)
    async with (
        open_gearmand() as one,
        open_gearmand() as two,
        open_worker(watched.abilities, *(f"127.0.0.1:{each.port}" for each in (one, two)), concurrency=8) as worker,
        open_client(f"127.0.0.1:{one.port}") as first,
        open_client(f"127.0.0.1:{two.port}") as second,
    ):
        await watched.prove([first, second])

        statistics = worker.statistics()
        assert (3, 200, 240, 0) == (watched.most, watched.others, statistics.done, statistics.failed)
