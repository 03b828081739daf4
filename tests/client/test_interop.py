"""Our client with the C job server and the C worker."""

from __future__ import annotations

import socket
import time

import pytest
import trio

from gearman_trio.client import open_client
from gearman_trio.errors import JobFailed, JobLost, ServerError, ServersUnavailable
from gearman_trio.transport import Address, connect_tcp

from ..patience import PATIENCE
from ..peers import open_gearman_worker, open_gearmand

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("workload", [b"", b"a\0b\n\xff\n"], ids=["empty", "binary"])
async def test_workloads_come_back_as_they_went(workload: bytes) -> None:
    async with (
        open_gearmand() as gearmand,
        open_gearman_worker(gearmand.port, "cat", "cat"),
        open_client(f"127.0.0.1:{gearmand.port}") as client,
    ):
        with trio.fail_after(PATIENCE):
            assert workload == await client.run("cat", workload)
            assert workload == await client.echo(workload)


async def test_ten_million_bytes() -> None:
    """Through `wc`: the C worker writes the whole workload before it reads, so `cat` and it would block each other."""
    workload = b"x\n" * 5_000_000
    async with (
        open_gearmand() as gearmand,
        open_gearman_worker(gearmand.port, "wc", "wc", "-l"),
        open_client(f"127.0.0.1:{gearmand.port}") as client,
    ):
        with trio.fail_after(PATIENCE):
            assert workload == await client.echo(workload)
            assert b"5000000\n" == await client.run("wc", workload)


async def test_many_jobs_at_once() -> None:
    results: list[bytes] = []

    async with (
        open_gearmand() as gearmand,
        open_gearman_worker(gearmand.port, "cat", "cat"),
        open_client(f"127.0.0.1:{gearmand.port}") as client,
    ):

        async def run(number: int) -> None:
            results.append(await client.run("cat", b"%d" % number, priority=("high", "normal", "low")[number % 3]))

        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for number in range(50):
                    nursery.start_soon(run, number)

    assert sorted(b"%d" % number for number in range(50)) == sorted(results)


async def test_coalesced_jobs_on_one_connection() -> None:
    """Submitted before there is a worker, so that they meet in the queue."""
    results: list[bytes] = []

    async with open_gearmand() as gearmand, open_client(f"127.0.0.1:{gearmand.port}") as client:

        async def watch() -> None:
            async with client.stream("cat", b"w", unique="same") as job:
                results.append(job.handle)
                results.extend([event.data async for event in job if hasattr(event, "data")])
                results.append(await job.result())

        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(watch)
                while client.statistics().jobs < 3:
                    await client.echo(b"")
                assert 3 == (await client.status_by_unique("same")).clients
                async with open_gearman_worker(gearmand.port, "cat", "cat"):
                    while client.statistics().jobs:
                        await client.echo(b"")

    handle = results[0]
    assert [handle] * 3 == results[:3]
    assert [b"w"] * 3 == [part for part in results[3:] if part]


async def test_a_failing_worker() -> None:
    async with (
        open_gearmand() as gearmand,
        open_gearman_worker(gearmand.port, "no", "false"),
        open_client(f"127.0.0.1:{gearmand.port}") as client,
    ):
        with trio.fail_after(PATIENCE), pytest.raises(JobFailed):
            await client.run("no")


async def test_background_jobs_and_their_status() -> None:
    async with open_gearmand() as gearmand, open_client(f"127.0.0.1:{gearmand.port}", client_id="tests") as client:
        with trio.fail_after(PATIENCE):
            handles = [await client.submit("later", b"", priority=priority) for priority in ("high", "normal", "low")]
            handles.append(await client.submit("later", b"", run_at=time.time() + 3600.5, unique="in an hour"))
            handles.append(await client.submit("later", b"", run_at=int(time.time()) + 3600))
            states = [await client.status(handle) for handle in handles]
            unknown = await client.status("H:nowhere:99")
            by_unique = await client.status_by_unique("in an hour")

    assert 5 == len(set(handles))
    assert [(True, False)] * 5 == [(state.known, state.running) for state in states]
    assert (False, False) == (unknown.known, unknown.running)
    assert (True, False, 0) == (by_unique.known, by_unique.running, by_unique.clients)


async def test_a_refused_option_and_a_full_queue() -> None:
    async with open_gearmand() as gearmand, open_client(f"127.0.0.1:{gearmand.port}") as client:
        with trio.fail_after(PATIENCE):
            with pytest.raises(ServerError, match="UNKNOWN_OPTION"):
                await client.set_option("nonsense")
            await client.set_option("exceptions")
            await client.submit("full")
            await ask_admin(gearmand.port, b"maxqueue full 1\n")
            with pytest.raises(ServerError, match="QUEUE_ERROR"):
                await client.submit("full")
            assert b"still here" == await client.echo(b"still here")


async def test_a_job_server_that_goes_away() -> None:
    async with (
        open_gearmand() as first,
        open_gearmand() as second,
        open_client(f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}") as client,
    ):
        with trio.fail_after(PATIENCE):
            assert b"" == await client.echo(b"")
            assert Address("127.0.0.1", first.port) == client.server
            first.process.kill()
            with pytest.raises(JobLost) as caught:
                await client.run("f")
            assert b"" == await client.echo(b"")
            assert Address("127.0.0.1", second.port) == client.server

    assert caught.value.may_have_run
    assert 1 == client.statistics().reconnects


async def ask_admin(port: int, command: bytes) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(command)
        await stream.receive_some()


async def test_nobody_listens() -> None:
    async with open_client("127.0.0.1:1") as client:
        with trio.fail_after(PATIENCE), pytest.raises(ServersUnavailable, match=r"127\.0\.0\.1:1: .*refused"):
            await client.run("f")


async def test_tcp_connections_are_probed_by_the_kernel() -> None:
    async with open_gearmand() as gearmand, await connect_tcp(Address("127.0.0.1", gearmand.port)) as stream:
        assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
