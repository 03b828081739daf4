"""A Gearman in memory: taking part, time, threads, and letting the queue run until it is empty."""

from __future__ import annotations

import math
import time

import pytest
import trio
from trio.testing import MockClock

from gearman_trio import (
    Abilities,
    ConfigError,
    JobFailed,
    JobRaised,
    ServerError,
    ServerOptions,
    ServersUnavailable,
    open_client,
    open_worker,
)
from gearman_trio.testing import Gearman, open_gearman


async def test_client_and_worker_meet(gearman: Gearman, abilities: Abilities) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        assert b"cba" == await client.run("reverse", b"abc")


async def test_decorated_functions_are_called_through_their_serializers(gearman: Gearman) -> None:
    abilities = Abilities()

    @abilities.function
    async def double(workload: bytes) -> bytes:
        return workload * 2

    async with gearman.worker(abilities), gearman.client() as client:
        assert b"abab" == await client.run(double, b"ab")


async def test_without_pytest_it_is_a_context_manager(abilities: Abilities) -> None:
    async with open_gearman() as gearman, gearman.worker(abilities), gearman.client() as client:
        assert b"cba" == await client.run("reverse", b"abc")


async def test_several_workers_share_the_jobs(
    gearman: Gearman, abilities: Abilities, autojump_clock: MockClock
) -> None:
    async with (
        gearman.worker(abilities) as one,
        gearman.worker(abilities, concurrency=2) as two,
        gearman.client() as client,
    ):
        for _ in range(3):
            await client.submit("grow", b"10")
        await gearman.run_until_empty()

        assert (1, 2) == (one.statistics().done, two.statistics().done)
        assert 10.0 == trio.current_time()
        assert ["worker-1", "worker-2", "client-1"] == [
            peer.client_id.decode() for peer in gearman.server.statistics().peers
        ]


async def test_arguments_go_through(gearman: Gearman, abilities: Abilities) -> None:
    async with (
        gearman.worker(abilities, client_id="mine", exceptions=False),
        gearman.client(client_id="yours", options=()) as client,
    ):
        with pytest.raises(JobFailed):
            await client.run("fail", b"why")
        assert [b"mine", b"yours"] == [peer.client_id for peer in gearman.server.statistics().peers]


async def test_admin_speaks_to_the_same_server(gearman: Gearman, abilities: Abilities) -> None:
    async with gearman.worker(abilities), gearman.admin() as admin:
        rows = await admin.status()

    assert sorted(ability.name.decode() for ability in abilities) == sorted(row.function for row in rows)


async def test_lines_are_for_what_was_opened_otherwise(gearman: Gearman, abilities: Abilities) -> None:
    line = gearman.line("mine")
    async with (
        open_worker(abilities, "elsewhere", connect=gearman.line("other").connect),
        open_client("somewhere", connect=line.connect) as client,
    ):
        assert b"cba" == await client.run("reverse", b"abc")

    assert "SUBMIT_JOB" in line.tap.names()
    assert "mine: " in gearman.transcript()
    assert "<Line mine>" == repr(line)


async def test_what_is_no_party_is_refused(gearman: Gearman) -> None:
    async with open_gearman() as other, other.client() as stranger, open_client("host") as foreign:
        for party in (stranger, foreign, other.line("x")):
            with pytest.raises(ValueError, match="of this gearman"):
                gearman.tap(party)


async def test_handles_do_not_depend_on_the_machine(gearman: Gearman) -> None:
    async with gearman.client() as client:
        assert (await client.submit("f")).startswith(b"H:test:")


async def test_options_are_the_servers() -> None:
    async with open_gearman(options=ServerOptions(handle_prefix="H:mine")) as gearman, gearman.client() as client:
        assert (await client.submit("f")).startswith(b"H:mine:")


# ---- the end -----------------------------------------------------------------------------------------------------


async def test_exception_of_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_gearman():
            raise KeyError("mine")


async def test_outcome_of_pytest_comes_out_as_it_is() -> None:
    with pytest.raises(pytest.fail.Exception, match="mine"):
        async with open_gearman() as gearman, gearman.client():
            pytest.fail("mine")


async def test_cancelling_the_block_ends_everything(abilities: Abilities, autojump_clock: MockClock) -> None:
    with trio.move_on_after(5) as scope:
        async with open_gearman() as gearman, gearman.worker(abilities), gearman.client() as client:
            await client.run("grow", b"100")

    assert scope.cancelled_caught
    assert 5.0 == trio.current_time()


async def test_leaving_the_worker_lets_its_jobs_end(
    gearman: Gearman, abilities: Abilities, autojump_clock: MockClock
) -> None:
    async with gearman.client() as client:
        async with gearman.worker(abilities) as worker:
            await client.submit("grow", b"100")
            await trio.testing.wait_all_tasks_blocked()

        assert 1 == worker.statistics().done
        assert 100.0 == trio.current_time()


# ---- time --------------------------------------------------------------------------------------------------------


async def test_time_of_the_worker_is_trios(gearman: Gearman, abilities: Abilities, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        with pytest.raises(JobFailed):
            await client.run("grow", b"100000")

        assert 600.0 == trio.current_time()


async def test_time_limit_of_the_server_is_trios(gearman: Gearman, autojump_clock: MockClock) -> None:
    """A worker that hangs: the server fails the job a second after the worker should have."""
    abilities = Abilities()

    @abilities.function(timeout=60)
    async def hang() -> None:
        await trio.sleep_forever()

    async with gearman.worker(abilities) as worker, gearman.client() as client:
        gearman.stall(worker)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_failure, client.run("hang"))
            await trio.testing.wait_all_tasks_blocked()
            gearman.resume(worker)
            await trio.testing.wait_all_tasks_blocked()
            gearman.stall(worker)

        assert 61.0 == trio.current_time()


async def expect_failure(running: object) -> None:
    with pytest.raises(JobFailed):
        await running  # type: ignore[misc] # a coroutine


async def test_job_runs_at_its_time(gearman: Gearman, autojump_clock: MockClock) -> None:
    abilities = Abilities()
    ran: list[float] = []

    @abilities.function
    async def ring() -> None:
        ran.append(gearman.time())

    async with gearman.worker(abilities), gearman.client() as client:
        at = gearman.time() + 3600
        await client.submit("ring", run_at=at)
        await client.submit("ring", delay=7200)
        await gearman.run_until_empty(scheduled=True)

    assert [0.0, 3600.0] == [round(time - at, 1) for time in ran]


async def test_real_time_is_where_the_clock_begins(gearman: Gearman, autojump_clock: MockClock) -> None:
    assert math.isclose(time.time(), gearman.time(), abs_tol=60)


async def test_clock_can_begin_anywhere(autojump_clock: MockClock) -> None:
    async with open_gearman(epoch=1_000_000.0) as gearman:
        await trio.sleep(5)

        assert 1_000_005.0 == gearman.time()


async def test_clock_waits_for_threads(gearman: Gearman, autojump_clock: MockClock) -> None:
    """A mocked clock knows nothing of threads: it would run into the time limit while they compute."""
    abilities = Abilities()

    @abilities.function(timeout=1)
    def compute(workload: bytes) -> bytes:
        time.sleep(0.05)
        return workload

    async with gearman.worker(abilities), gearman.client() as client:
        for _ in range(2):
            assert b"done" == await client.run("compute", b"done")

        assert 0.0 == trio.current_time()


# ---- until the queue is empty ------------------------------------------------------------------------------------


async def test_empty_queue_is_empty_at_once(gearman: Gearman) -> None:
    await gearman.run_until_empty()


async def test_jobs_are_waited_for(gearman: Gearman, abilities: Abilities, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        for seconds in (10, 20, 30):
            await client.submit("grow", b"%d" % seconds)
        await gearman.run_until_empty()

        assert (3, 60.0) == (worker.statistics().done, trio.current_time())


async def test_jobs_that_tasks_are_about_to_submit_are_waited_for(
    gearman: Gearman, abilities: Abilities, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        nursery.start_soon(client.run, "grow", b"10")
        await gearman.run_until_empty()

        assert 1 == worker.statistics().done


async def test_jobs_of_jobs_are_waited_for(gearman: Gearman, autojump_clock: MockClock) -> None:
    abilities = Abilities()

    async with gearman.client() as client:

        @abilities.function
        async def countdown(workload: bytes) -> None:
            await trio.sleep(1)
            left = int(workload)
            if left:
                await client.submit("countdown", b"%d" % (left - 1))

        async with gearman.worker(abilities):
            await client.submit("countdown", b"5")
            await gearman.run_until_empty()

            assert 6 == len(gearman.submitted)


async def test_bytes_on_their_way_are_waited_for(
    gearman: Gearman, abilities: Abilities, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        await client.echo(b"connected")
        gearman.delay(client, 50)
        nursery.start_soon(client.run, "reverse", b"abc")
        await gearman.run_until_empty()

        assert 1 == worker.statistics().done


async def test_failed_jobs_are_done(gearman: Gearman, abilities: Abilities) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        await client.submit("fail", b"why")
        await gearman.run_until_empty()

        assert 1 == worker.statistics().failed


async def test_jobs_with_a_time_are_left_unless_asked_for(
    gearman: Gearman, abilities: Abilities, autojump_clock: MockClock
) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        await client.submit("reverse", b"abc", run_at=gearman.time() + 1000)
        await gearman.run_until_empty()
        before = worker.statistics().done, trio.current_time()
        await gearman.run_until_empty(scheduled=True)

        assert ((0, 0.0), 1) == (before, worker.statistics().done)
        assert math.isclose(1000.0, trio.current_time(), abs_tol=0.01)


async def test_jobs_for_which_there_is_no_worker_are_named(gearman: Gearman, abilities: Abilities) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        await client.submit("email", b"1")
        await client.submit("email", b"2")
        with pytest.raises(AssertionError, match=r"there is no worker: b'email' \(2 queued\)"):
            await gearman.run_until_empty()


async def test_job_that_loses_its_worker_is_named(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.client() as client:
        handle = await client.submit("email", b"1", run_at=gearman.time() + 100)
        with pytest.raises(AssertionError, match="no worker"):
            await gearman.run_until_empty(scheduled=True)

        assert (await client.status(handle)).known


async def test_worker_that_is_about_to_come_back_is_waited_for(
    gearman: Gearman, abilities: Abilities, autojump_clock: MockClock
) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        await gearman.drop(worker)
        await client.submit("reverse", b"abc")
        await gearman.run_until_empty()

        assert 1 == worker.statistics().done


async def test_waiting_can_be_given_up(gearman: Gearman, abilities: Abilities, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        await client.submit("grow", b"500")
        with trio.move_on_after(60) as scope:
            await gearman.run_until_empty()

        assert scope.cancelled_caught
        await gearman.run_until_empty()
        assert 500.0 == trio.current_time()


# ---- restart -----------------------------------------------------------------------------------------------------


async def test_restart_loses_jobs_and_the_worker_comes_back(
    gearman: Gearman, abilities: Abilities, autojump_clock: MockClock
) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        handle = await client.submit("unknown", b"abc")
        await client.submit("grow", b"100")
        await trio.testing.wait_all_tasks_blocked()
        before = gearman.server
        await gearman.restart_server(down=5)
        await worker.wait_ready()

        assert before is not gearman.server
        assert b"cba" == await client.run("reverse", b"abc")
        assert not (await client.status(handle)).known
        assert (1, 1) == (worker.statistics().lost, worker.statistics().done)
        assert 3 == len(gearman.submitted)


async def test_handles_are_new_after_a_restart(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.client() as client:
        first = await client.submit("f")
        await gearman.restart_server()
        second = await client.submit("f")

    assert first != second


async def test_server_that_is_down_cannot_be_reached(
    gearman: Gearman, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with gearman.client() as client:
        nursery.start_soon(gearman.restart_server)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ServersUnavailable, match="the job server is down"):
            await client.echo(b"")
        with pytest.raises(RuntimeError, match="down"):
            _ = gearman.server
        with pytest.raises(RuntimeError, match="down"):
            await gearman.restart_server()
        await gearman.run_until_empty()

        assert b"up" == await client.echo(b"up")


async def test_refusal_of_the_server_is_the_clients(gearman: Gearman) -> None:
    async with gearman.client() as client, gearman.admin() as admin:
        await admin.maxqueue("f", 1)
        await client.submit("f")
        with pytest.raises(ServerError, match="QUEUE_ERROR"):
            await client.submit("f")

    assert 1 == len(gearman.submitted)


async def test_exceptions_are_the_clients(gearman: Gearman, abilities: Abilities) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        with pytest.raises(JobRaised, match="ValueError: why"):
            await client.run("fail", b"why")


async def test_bad_options_are_refused() -> None:
    with pytest.raises(ConfigError):
        async with open_gearman(options=ServerOptions(max_attempts=-1)):
            pass
