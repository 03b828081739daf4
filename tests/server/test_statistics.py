"""What a server says of itself."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gearman_trio.protocol import PacketType
from gearman_trio.server import ServerOptions

from .raw import connect, join, open_memory_server, open_tcp_server, until

P = PacketType


async def test_functions_tell_their_jobs_and_workers(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker, idle = (join(server, nursery) for _ in range(3))
        for function in (b"f", b"g"):
            await worker.can_do(function)
        await idle.can_do(b"g")
        await idle.sleep()
        for kind in (P.SUBMIT_JOB_HIGH_BG, P.SUBMIT_JOB_BG, P.SUBMIT_JOB_BG, P.SUBMIT_JOB_LOW_BG):
            await client.send(kind, b"f", b"", b"")
            await client.receive()
        await client.send(P.SUBMIT_JOB_EPOCH, b"later", b"", b"2000000100", b"")
        await client.receive()
        await worker.grab()

        f, g, later = server.statistics().functions
        assert (b"f", b"g", b"later") == (f.name, g.name, later.name)
        assert (0, 2, 1, 3, 1, 0) == (f.high, f.normal, f.low, f.queued, f.running, f.scheduled)
        assert (0, 2, 1) == (g.queued, g.workers, g.sleeping)
        assert (0, 1, 0) == (later.queued, later.scheduled, later.workers)


async def test_peers_tell_what_they_do(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        worker = join(server, nursery)
        await worker.send(P.SET_CLIENT_ID, b"builder")
        await worker.can_do(b"f")
        await worker.can_do(b"g")
        client = join(server, nursery)
        await client.submit(b"f", b"")
        await client.submit(b"h", b"")
        await worker.grab()
        await worker.sleep()

        first, second = server.statistics().peers
        assert (1, "in-process", b"builder", [b"f", b"g"]) == (
            first.number,
            first.address,
            first.client_id,
            first.abilities,
        )
        assert (1, 0, True, 0) == (first.running, first.attached, first.sleeping, first.outbox_bytes)
        assert (2, b"", []) == (second.number, second.client_id, second.abilities)
        assert (0, 2, False) == (second.running, second.attached, second.sleeping)


@pytest.mark.slow
async def test_what_waits_in_the_socket_driver_counts_as_unsent(driver: str) -> None:
    async with open_tcp_server(ServerOptions(outbox_pause_bytes=100_000_000)) as server, connect(server) as peer:
        await peer.send(P.ECHO_REQ, bytes(12_000_000))
        await until(lambda: server.statistics().peers[0].outbox_bytes > 0)

        assert server.statistics().peers[0].outbox_bytes <= 12_000_012
        await peer.expect(P.ECHO_RES, bytes(12_000_000))
        await until(lambda: server.statistics().peers[0].outbox_bytes == 0)


async def test_counters_count(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await worker.can_do(b"f")
        for _ in range(4):
            await client.submit_background(b"f", b"")
        await client.submit(b"f", b"", b"same")
        await client.submit(b"f", b"", b"same")
        await client.send(P.SUBMIT_JOB, b"", b"", b"")
        await client.receive()
        outcomes = [P.WORK_COMPLETE, P.WORK_COMPLETE, P.WORK_EXCEPTION]
        for outcome in outcomes:
            handle, _ = await worker.grab()
            await worker.send(outcome, handle, b"")
        handle, _ = await worker.grab()
        await worker.send(P.WORK_FAIL, handle)
        await worker.grab()
        await worker.stream.aclose()
        await client.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()

        counters = server.statistics().counters
        assert (5, 1, 1, 5) == (counters.submitted, counters.coalesced, counters.rejected, counters.assigned)
        assert (2, 1, 1) == (counters.completed, counters.failed, counters.raised)
        assert (1, 2) == (counters.requeued + counters.abandoned - counters.requeued, counters.connections)


async def test_statistics_of_a_server_that_has_ended_stay_readable() -> None:
    async with open_memory_server() as (server, nursery):
        peer = join(server, nursery)
        await peer.submit_background(b"f", b"")
        await server.drain()

    statistics = server.statistics()
    assert ([], [1]) == (statistics.peers, [function.queued for function in statistics.functions])


async def test_statistics_can_be_asked_for_before_a_connection_is_served() -> None:
    async with open_tcp_server() as server:
        ours, theirs = trio.socket.socketpair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.handle_stream, trio.SocketStream(theirs))
            for _ in range(4):
                assert server.statistics().peers == [] or server.statistics().peers[0].outbox_bytes == 0
                await trio.lowlevel.checkpoint()
            ours.close()


async def test_functions_and_connections_tell_times_and_bytes(autojump_clock: MockClock) -> None:
    start = trio.current_time()
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await worker.can_do(b"f")
        handle = await client.submit(b"f", b"w")
        await trio.sleep(2)
        await worker.grab()
        await trio.sleep(3)
        await client.submit(b"f", b"w")
        await worker.send(P.WORK_FAIL, handle)
        await client.receive()
        await trio.sleep(4)
        statistics = server.statistics()

    (function,) = statistics.functions
    assert (start + 9, start) == (statistics.time, statistics.started_at)
    assert (start + 5, 1) == (function.waiting_since, function.failed)
    assert (1, 2.0, 1, 3.0) == (
        function.waited.count,
        function.waited.seconds,
        function.ran.count,
        function.ran.seconds,
    )
    assert [(start, start + 5), (start, start + 5)] == [(p.connected_at, p.heard_at) for p in statistics.peers]
    received = [peer.received_bytes for peer in statistics.peers]
    assert sum(received) == statistics.counters.received_bytes
    assert sum(peer.sent_bytes for peer in statistics.peers) == statistics.counters.sent_bytes
    assert [(handle, "fail")] == [(failure.handle, failure.outcome) for failure in statistics.failures]
    assert (1, 1, 0, 2) == (
        statistics.totals.functions,
        statistics.totals.queued,
        statistics.totals.stalled,
        statistics.totals.connections,
    )


async def test_large_packets_count_with_all_their_bytes(driver: str) -> None:
    """They are received into memory of their own."""
    async with open_tcp_server() as server, connect(server) as peer:
        await peer.send(P.ECHO_REQ, bytes(2_000_000))
        await peer.expect(P.ECHO_RES, bytes(2_000_000))
        (told,) = server.statistics().peers

    assert (2_000_012, 2_000_012) == (told.received_bytes, told.sent_bytes)
