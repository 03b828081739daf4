"""Draining: what runs is finished and told, nothing new is taken, and the time has an end."""

from __future__ import annotations

import os
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio.protocol import PacketType
from gearman_trio.server import Server, ServerOptions, open_server, serve

from .conftest import Certificate
from .raw import RawPeer, connect, join, open_bystanders, open_memory_server, open_tcp_server, until

P = PacketType

SHUTDOWN = (P.ERROR, [b"SHUTDOWN", b"the job server is shutting down and takes no new jobs"])


async def start_job(client: RawPeer, worker: RawPeer) -> bytes:
    """Have a job run; give its handle."""
    await worker.can_do(b"f")
    handle = await client.submit(b"f", b"workload", b"unique")
    await worker.grab()
    return handle


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


async def test_running_job_finishes_and_its_client_gets_the_result(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        handle = await start_job(client, worker)
        nursery.start_soon(server.drain)
        await trio.sleep(100)
        await worker.send(P.WORK_DATA, handle, b"part")
        await worker.send(P.WORK_COMPLETE, handle, b"rest")

        await client.expect(P.WORK_DATA, handle, b"part")
        await client.expect(P.WORK_COMPLETE, handle, b"rest")
        assert b"" == await client.receive_all()
        await server.wait_ended()
        assert 100 == trio.current_time()


@pytest.mark.slow
async def test_large_result_is_sent_whole_before_the_connection_ends(driver: str) -> None:
    result = os.urandom(1_000_000) * 12
    async with open_tcp_server() as server, connect(server) as client, connect(server) as worker:
        handle = await start_job(client, worker)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.drain)
            nursery.start_soon(worker.send, P.WORK_COMPLETE, handle, result)
            kind, fields = await client.receive()

        assert (P.WORK_COMPLETE, handle, True) == (kind, fields[0], fields[1] == result)


async def test_result_over_tls_is_sent_before_the_connection_ends(certificate: Certificate) -> None:
    async with open_server(port=0, ssl_context=certificate.server) as server:
        streams = [
            await trio.open_ssl_over_tcp_stream("127.0.0.1", server.addresses[0].port, ssl_context=certificate.client)
            for _ in range(2)
        ]
        client, worker = map(RawPeer, streams)
        handle = await start_job(client, worker)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.drain)
            await worker.send(P.WORK_COMPLETE, handle, b"result")
            await client.expect(P.WORK_COMPLETE, handle, b"result")
            # In TLS an end without a good-bye would be an error.
            assert b"" == await streams[0].receive_some(1)
        for stream in streams:
            await trio.aclose_forcefully(stream)


async def test_queued_job_of_a_connected_worker_is_done_too(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await worker.can_do(b"f")
        first = await client.submit(b"f", b"1")
        second = await client.submit_background(b"f", b"2")
        nursery.start_soon(server.drain)
        for handle, workload in [(first, b"1"), (second, b"2")]:
            await trio.sleep(1)
            assert (handle, workload) == await worker.grab()
            await trio.sleep(1)
            await worker.send(P.WORK_COMPLETE, handle, b"")
        await server.wait_ended()

        assert (4, 2) == (trio.current_time(), server.statistics().counters.completed)


async def test_sleeping_worker_is_woken_for_the_rest(autojump_clock: MockClock) -> None:
    """A job whose worker is lost while the server drains goes to another one."""
    async with open_memory_server() as (server, nursery):
        client, lost, asleep = (join(server, nursery) for _ in range(3))
        handle = await start_job(client, lost)
        await asleep.can_do(b"f")
        await asleep.sleep()
        nursery.start_soon(server.drain)
        await wait_all_tasks_blocked()
        await lost.stream.aclose()
        await asleep.expect(P.NOOP)
        assert (handle, b"workload") == await asleep.grab()
        await asleep.send(P.WORK_COMPLETE, handle, b"done after all")

        await client.expect(P.WORK_COMPLETE, handle, b"done after all")
        await server.wait_ended()


async def test_job_whose_only_worker_is_lost_is_not_waited_for(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await start_job(client, worker)
        nursery.start_soon(server.drain)
        await wait_all_tasks_blocked()
        await worker.stream.aclose()
        await server.wait_ended()

        assert 0 == trio.current_time()
        assert ["stopping with 1 queued, 0 scheduled and 0 running jobs in memory, which are lost"] == warnings(caplog)


async def test_new_jobs_are_refused_and_live_ones_can_still_be_joined(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker, late = (join(server, nursery) for _ in range(3))
        handle = await start_job(client, worker)
        nursery.start_soon(server.drain)
        await wait_all_tasks_blocked()

        await late.send(P.SUBMIT_JOB, b"f", b"", b"new")
        assert SHUTDOWN == await late.receive()
        await late.send(P.SUBMIT_JOB_BG, b"g", b"", b"new")
        assert SHUTDOWN == await late.receive()
        await late.send(P.SUBMIT_JOB_EPOCH, b"f", b"", b"2000000000", b"new")
        assert SHUTDOWN == await late.receive()
        assert handle == await late.submit(b"f", b"", b"unique")
        await worker.send(P.WORK_COMPLETE, handle, b"r")
        await client.expect(P.WORK_COMPLETE, handle, b"r")
        await late.expect(P.WORK_COMPLETE, handle, b"r")


async def test_listeners_close_at_once() -> None:
    async with open_tcp_server() as server, connect(server) as client, connect(server) as worker:
        handle = await start_job(client, worker)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.drain)
            await wait_all_tasks_blocked()
            with pytest.raises(OSError, match="all attempts to connect"):
                await trio.open_tcp_stream("127.0.0.1", server.addresses[0].port)
            await worker.send(P.WORK_FAIL, handle)
            await client.expect(P.WORK_FAIL, handle)


async def test_timeout_cuts_and_says_what_is_lost(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await start_job(client, worker)
        await server.drain(5)

        assert 5 == trio.current_time()
        assert b"" == await client.receive_all()
        assert ["stopping with 0 queued, 0 scheduled and 1 running jobs in memory, which are lost"] == warnings(caplog)


async def test_timeout_of_zero_cuts_at_once(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await start_job(client, worker)
        await server.drain(0)

        assert 0 == trio.current_time()


@pytest.mark.parametrize(("first", "second", "ended"), [(100, 3, 5), (5, 100, 5), (float("inf"), 0, 2)])
async def test_further_call_may_shorten_the_time_and_never_lengthens_it(
    autojump_clock: MockClock, first: float, second: float, ended: float
) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await start_job(client, worker)
        nursery.start_soon(server.drain, first)
        await trio.sleep(2)
        await server.drain(second)

        assert ended == trio.current_time()


async def test_jobs_that_nobody_can_do_now_are_not_waited_for(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await worker.can_do(b"other")
        await client.submit_background(b"f", b"")
        await client.submit_background(b"g", b"")
        await client.send(P.SUBMIT_JOB_EPOCH, b"other", b"", b"2000000100", b"")
        assert P.JOB_CREATED == (await client.receive())[0]
        await server.drain()

        assert 0 == trio.current_time()
        assert ["stopping with 2 queued, 1 scheduled and 0 running jobs in memory, which are lost"] == warnings(caplog)


async def test_idle_server_drains_at_once_and_without_a_word(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    """At once: it would take an hour if it waited for what `close_seconds` limits."""
    options = ServerOptions(close_seconds=3600)
    async with open_tcp_server(options) as server, connect(server) as client, connect(server) as worker:
        await client.synchronize()
        await worker.can_do(b"f")
        await worker.sleep()
        await server.drain()

        assert (b"", b"") == (await client.receive_all(), await worker.receive_all())
        assert [] == warnings(caplog)
        lines = [record.getMessage() for record in caplog.records if " closed: " in record.getMessage()]
        assert 2 == sum(line.endswith("the server has drained") for line in lines)


@pytest.mark.slow
async def test_peer_that_does_not_read_holds_the_end_up_for_close_seconds_only(driver: str) -> None:
    options = ServerOptions(close_seconds=0.1)
    async with open_tcp_server(options) as server, connect(server) as client, connect(server) as worker:
        handle = await start_job(client, worker)
        await worker.send(P.WORK_COMPLETE, handle, bytes(20_000_000))
        await until(lambda: server.statistics().peers[0].outbox_bytes > 0)
        await server.drain()


async def test_cancelled_drain_goes_on(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        handle = await start_job(client, worker)
        with trio.move_on_after(1) as scope:
            await server.drain(50)
        assert scope.cancelled_caught

        await client.send(P.SUBMIT_JOB, b"f", b"", b"new")
        assert SHUTDOWN == await client.receive()
        await worker.send(P.WORK_COMPLETE, handle, b"r")
        await client.expect(P.WORK_COMPLETE, handle, b"r")
        await server.drain()

        assert 1 == trio.current_time()


async def test_cancelled_drain_still_ends_at_its_time(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await start_job(client, worker)
        with trio.move_on_after(1):
            await server.drain(50)
        await server.wait_ended()

        assert 50 == trio.current_time()


async def test_drain_after_the_end_returns_at_once(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, _):
        await server.drain()
        await server.drain()

        assert 0 == trio.current_time()


async def test_hard_stop_interrupts_a_drain(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve, listeners=[]))
        client, worker = join(server, nursery), join(server, nursery)
        await start_job(client, worker)
        nursery.start_soon(server.drain)
        await trio.sleep(3)
        nursery.cancel_scope.cancel()

    assert (3, []) == (trio.current_time(), server.statistics().peers)


async def test_block_of_open_server_waits_for_drain_seconds(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        async with open_server(listeners=[], drain_seconds=7) as server:
            client, worker = join(server, nursery), join(server, nursery)
            await start_job(client, worker)

        assert 7 == trio.current_time()


async def test_other_connections_are_served_while_the_server_drains() -> None:
    async with open_tcp_server() as server, connect(server) as client, connect(server) as worker:
        handle = await start_job(client, worker)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.drain)
            await wait_all_tasks_blocked()
            await client.send(P.GET_STATUS, handle)
            await client.expect(P.STATUS_RES, handle, b"1", b"1", b"0", b"0")
            await worker.send(P.WORK_COMPLETE, handle, b"")


async def test_bystanders_are_undisturbed_by_the_end_of_another_server() -> None:
    async with open_tcp_server() as server, open_bystanders(server), open_tcp_server() as other:
        await other.drain()
