"""One connection against a scripted server: greeting, grabbing, jobs, and servers that lie."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
import trio.testing

from gearman_trio.protocol import PacketType, encode_response
from gearman_trio.worker import Abilities, Job

from .fakes import ready_worker, running_worker

Clock = trio.testing.MockClock
Log = pytest.LogCaptureFixture
P = PacketType


async def echo(workload: bytes) -> bytes:
    return workload


async def fail(workload: bytes) -> None:
    raise ValueError("no")


async def until_told(workload: bytes) -> None:
    await trio.sleep_forever()


def make_abilities() -> Abilities:
    abilities = Abilities()
    abilities.function(echo)
    abilities.function(timeout=2.5)(fail)
    abilities.function(until_told)
    return abilities


async def test_greeting_names_the_worker_and_its_abilities_before_the_first_grab() -> None:
    async with running_worker(make_abilities()) as servers:
        peer = await servers.accept()

        # The margin of a second lets the worker's own timeout come first.
        assert [
            (P.SET_CLIENT_ID, b"test"),
            (P.CAN_DO, b"echo"),
            (P.CAN_DO_TIMEOUT, b"fail", b"3500"),
            (P.CAN_DO, b"until_told"),
        ] == await peer.greeting()
        assert (P.GRAB_JOB_UNIQ,) == await peer.receive()


async def test_no_job_is_grabbed_before_the_server_knows_the_abilities(autojump_clock: Clock) -> None:
    async with running_worker(make_abilities()) as servers:
        peer = await servers.accept()
        await peer.receive_many(5)

        assert await peer.silent()


async def test_result_and_next_grab_leave_in_one_send() -> None:
    async with ready_worker(make_abilities()) as (_, peer, _):
        sends = peer.sends
        await peer.assign(1, b"echo", b"a\0b")

        assert [(P.WORK_COMPLETE, b"H:1", b"a\0b"), (P.GRAB_JOB_UNIQ,)] == await peer.receive_many(2)
        assert 1 == peer.sends - sends


@pytest.mark.parametrize(
    ("packet", "seen"),
    [
        ((P.JOB_ASSIGN, b"H:1", b"f", b"w\0"), (b"", b"", b"w\0")),
        ((P.JOB_ASSIGN_UNIQ, b"H:1", b"f", b"u", b"w\0"), (b"u", b"", b"w\0")),
        ((P.JOB_ASSIGN_ALL, b"H:1", b"f", b"u", b"r", b"w\0"), (b"u", b"r", b"w\0")),
    ],
)
async def test_every_kind_of_assignment_is_taken(packet: Any, seen: tuple[bytes, ...]) -> None:
    abilities = Abilities()
    jobs = []

    @abilities.function
    async def f(job: Job) -> None:
        jobs.append((job.unique, job.reducer, job.workload))

    async with ready_worker(abilities) as (_, peer, _):
        await peer.send(*packet)
        await peer.receive()

    assert [seen] == jobs


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (P.JOB_ASSIGN, (b"H:1", b"f")),
        (P.JOB_ASSIGN_UNIQ, (b"H:1", b"f", b"")),
        (P.JOB_ASSIGN_ALL, (b"H:1", b"f", b"", b"")),
    ],
)
async def test_large_workload_comes_whole_and_is_not_that_of_the_next_job(
    kind: P, arguments: tuple[bytes, ...]
) -> None:
    abilities = Abilities()

    @abilities.function
    async def f(workload: bytes) -> bytes:
        return workload

    workload = bytes(range(256)) * 1000
    async with ready_worker(abilities) as (_, peer, _):
        await peer.send(kind, *arguments, workload)
        assert (P.WORK_COMPLETE, b"H:1", workload) == await peer.receive()
        await peer.receive()
        await peer.send(kind, *arguments, b"")

        assert (P.WORK_COMPLETE, b"H:1", b"") == await peer.receive()


async def test_no_job_then_sleep_then_noop_then_grab() -> None:
    async with ready_worker(make_abilities()) as (_, peer, _):
        await peer.send(P.NO_JOB)
        assert (P.PRE_SLEEP,) == await peer.receive()
        await peer.send(P.NOOP)

        assert (P.GRAB_JOB_UNIQ,) == await peer.receive()


async def test_noop_while_grabbing_is_passed_over(autojump_clock: Clock) -> None:
    async with ready_worker(make_abilities()) as (_, peer, _):
        await peer.send(P.NOOP)
        assert await peer.silent()
        await peer.send(P.NO_JOB)

        assert (P.PRE_SLEEP,) == await peer.receive()


async def test_noop_right_behind_no_job_is_not_missed(autojump_clock: Clock) -> None:
    async with ready_worker(make_abilities()) as (_, peer, _):
        await peer.send(P.NO_JOB)
        await peer.send(P.NOOP)

        assert [(P.PRE_SLEEP,), (P.GRAB_JOB_UNIQ,)] == await peer.receive_many(2)
        assert await peer.silent()


async def test_lost_noop_is_made_good_by_polling(autojump_clock: Clock) -> None:
    async with ready_worker(make_abilities(), poll_interval=30) as (_, peer, _):
        await peer.send(P.NO_JOB)
        await peer.receive()
        asleep = trio.current_time()
        with trio.fail_after(31):
            await trio.sleep(25)
            assert (P.GRAB_JOB_UNIQ,) == await peer.receive()

        assert 30 >= trio.current_time() - asleep


async def test_busy_worker_says_nothing_to_noop_or_at_polling_time(autojump_clock: Clock) -> None:
    async with ready_worker(make_abilities(), poll_interval=1) as (_, peer, _):
        await peer.assign(1, b"until_told")
        await peer.send(P.NOOP)

        assert await peer.silent(9)


async def test_jobs_run_side_by_side_up_to_the_concurrency(autojump_clock: Clock) -> None:
    async with ready_worker(make_abilities(), concurrency=2) as (worker, peer, _):
        await peer.assign(1, b"until_told")
        assert (P.GRAB_JOB_UNIQ,) == await peer.receive()
        await peer.assign(2, b"until_told")

        assert await peer.silent()
        assert 2 == worker.statistics().running


async def test_exception_in_one_job_does_not_disturb_another(autojump_clock: Clock, caplog: Log) -> None:
    async with ready_worker(make_abilities(), concurrency=2) as (worker, peer, _):
        await peer.assign(1, b"until_told")
        assert (P.GRAB_JOB_UNIQ,) == await peer.receive()
        await peer.assign(2, b"fail")

        assert [
            (P.WORK_EXCEPTION, b"H:2", b"ValueError: no"),
            (P.WORK_FAIL, b"H:2"),
            (P.GRAB_JOB_UNIQ,),
        ] == await peer.receive_many(3)
        statistics = worker.statistics()
        assert (1, 0, 1) == (statistics.running, statistics.done, statistics.failed)


async def test_job_not_found_disturbs_nothing(autojump_clock: Clock, caplog: Log) -> None:
    """The C server ends a job at WORK_EXCEPTION, and answers the WORK_FAIL behind it so."""
    caplog.set_level(logging.INFO)
    async with ready_worker(make_abilities()) as (_, peer, _):
        await peer.assign(1, b"fail")
        await peer.receive_many(3)
        caplog.clear()
        await peer.send(P.ERROR, b"JOB_NOT_FOUND", b"Job not found")
        assert await peer.silent()
        await peer.send(P.NO_JOB)
        assert (P.PRE_SLEEP,) == await peer.receive()
        await peer.send(P.ERROR, b"JOB_NOT_FOUND", b"Job not found")

        assert await peer.silent()
        assert [] == caplog.messages


async def test_other_errors_of_the_server_are_logged(caplog: Log) -> None:
    async with ready_worker(make_abilities()) as (_, peer, _):
        await peer.send(P.ERROR, b"QUEUE_ERROR", b"disk\nfull")
        await peer.assign(1, b"echo")
        await peer.receive()

    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert r"the job server said ERROR QUEUE_ERROR: disk\nfull" in message


async def test_same_job_given_again_while_the_old_run_ends_runs_twice() -> None:
    """A server whose own limit has come requeues the job, and may choose the same worker."""
    async with ready_worker(make_abilities(), concurrency=2) as (worker, peer, _):
        await peer.assign(1, b"until_told")
        await peer.receive()
        await peer.assign(1, b"echo", b"again")

        assert [(P.WORK_COMPLETE, b"H:1", b"again"), (P.GRAB_JOB_UNIQ,)] == await peer.receive_many(2)
        assert 1 == worker.statistics().running


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        ((P.JOB_ASSIGN_UNIQ, b"H:1", b"unknown", b"", b""), "never said to be done here"),
        ((P.JOB_CREATED, b"H:1"), "JOB_CREATED was sent to a worker"),
        ((P.OPTION_RES, b"exceptions"), "OPTION_RES was sent to a worker"),
        ((P.ECHO_RES, b"what"), "ECHO_RES without ECHO_REQ"),
    ],
)
async def test_server_that_breaks_the_protocol_is_left_and_tried_again(
    packet: Any, words: str, autojump_clock: Clock, caplog: Log
) -> None:
    async with ready_worker(make_abilities()) as (_, peer, servers):
        await peer.send(*packet)
        await peer.closed()
        again = await servers.accept()
        await again.registered()

    assert words in caplog.text


@pytest.mark.parametrize(
    "raw",
    [
        b"\0RES\0\0\0\x1f\0\0\0\x05H:1\0f",  # JOB_ASSIGN_UNIQ without its unique ID
        b"\0RES\0\0\0\x0a\0\0\0\0" * 2,  # NO_JOB twice
        b"\0REQ\0\0\0\x0a\0\0\0\0",
        b"\0RES\0\0\1\0\0\0\0\0",
        b"HTTP/1.1 400 Bad Request\r\n",
    ],
)
async def test_nonsense_ends_the_connection_and_nothing_else(raw: bytes, autojump_clock: Clock, caplog: Log) -> None:
    async with ready_worker(make_abilities()) as (_, peer, servers):
        await peer.stream.send_all(raw)
        await (await servers.accept()).registered()

    assert "the job server broke the protocol" in caplog.text


async def test_loss_cancels_the_jobs_of_the_connection_and_is_logged_once(autojump_clock: Clock, caplog: Log) -> None:
    abilities = Abilities()
    reasons = []

    @abilities.function
    async def f() -> None:
        try:
            await trio.sleep_forever()
        except trio.Cancelled as exc:
            reasons.append(exc.reason)
            raise

    async with ready_worker(abilities, concurrency=3) as (worker, peer, servers):
        for number in range(2):
            await peer.assign(number, b"f")
            await peer.receive()
        await peer.stream.aclose()
        await (await servers.accept()).registered()

        assert 2 == worker.statistics().lost
    assert ["the connection to the job server was lost"] * 2 == reasons
    (message,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert message.endswith("running jobs cancelled: 2")


async def test_slow_clean_up_of_a_lost_job_does_not_hold_up_the_reconnect(autojump_clock: Clock) -> None:
    """Its slot stays taken meanwhile."""
    abilities = Abilities()

    @abilities.function
    async def f() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(20)

    async with ready_worker(abilities) as (worker, peer, servers):
        await peer.assign(1, b"f")
        await trio.testing.wait_all_tasks_blocked()
        await peer.stream.aclose()
        again = await servers.accept()
        await again.greeting()

        assert await again.silent()
        assert 1 == worker.statistics().running

        await trio.sleep(20)

        assert (P.GRAB_JOB_UNIQ,) == await again.receive()
        assert await again.silent()


async def test_job_assigned_in_the_last_breath_of_a_connection_gives_its_slot_back(autojump_clock: Clock) -> None:
    async with ready_worker(make_abilities()) as (worker, peer, servers):
        # Both are there when the worker reads, so the connection ends in the turn in which the job was to begin.
        assert peer.stream.send_stream.send_all_hook is not None
        hook, peer.stream.send_stream.send_all_hook = peer.stream.send_stream.send_all_hook, None
        await peer.assign(1, b"until_told")
        await peer.send(P.JOB_CREATED, b"H:1")
        await hook()
        await (await servers.accept()).registered()

        assert (0, 1) == (worker.statistics().running, worker.statistics().lost)


# ---- servers that die without a word ---------------------------------------------------------------------------


async def test_server_that_leaves_a_grab_unanswered_gives_its_slot_to_the_others(
    autojump_clock: Clock, caplog: Log
) -> None:
    """Its machine has lost power, or a proxy in between holds the connection."""
    async with running_worker(make_abilities(), "a", "b") as servers:
        dead, living = await servers.accept(), await servers.accept()
        await dead.registered()
        asked = trio.current_time()
        await living.greeting()

        for _ in range(5):
            assert await living.silent(6)
        while await living.silent(6):
            assert trio.current_time() - asked <= 46

        assert (P.GRAB_JOB_UNIQ,) == await living.receive()
    assert "lost: the job server did not answer within 30 s" in caplog.text


async def test_server_that_died_while_its_job_runs_is_found_by_an_echo(autojump_clock: Clock, caplog: Log) -> None:
    async with ready_worker(make_abilities()) as (worker, peer, servers):
        await peer.assign(1, b"until_told")
        began = trio.current_time()
        again = await servers.accept()
        await again.greeting()

        assert 60 <= trio.current_time() - began <= 92
        assert 1 == worker.statistics().lost
    assert "did not answer within 30 s; running jobs cancelled: 1" in caplog.text


async def test_server_that_answers_is_kept_however_quiet_it_is(autojump_clock: Clock, caplog: Log) -> None:
    async with ready_worker(make_abilities()) as (worker, peer, servers):
        await peer.assign(1, b"until_told")
        for _ in range(200):
            assert await peer.silent()

        assert 15 <= peer.probes <= 1000 / 30
        assert 1 == worker.statistics().running
        assert 1 == len(servers.attempts)
    assert [] == caplog.messages


async def test_large_packet_that_takes_its_time_is_no_silence(autojump_clock: Clock, caplog: Log) -> None:
    async with ready_worker(make_abilities()) as (_, peer, servers):
        packet = encode_response(P.JOB_ASSIGN_UNIQ, b"H:1", b"echo", b"", b"x" * 20)
        for index in range(len(packet)):
            await trio.sleep(10)
            await peer.stream.send_all(packet[index : index + 1])

        assert (P.WORK_COMPLETE, b"H:1", b"x" * 20) == await peer.receive()
        assert 1 == len(servers.attempts)
    assert [] == caplog.messages


async def test_large_result_that_takes_its_time_is_no_silence(autojump_clock: Clock, caplog: Log) -> None:
    """The next question waits behind it, so the server cannot answer."""
    abilities = Abilities()

    @abilities.function
    async def large() -> bytes:
        return bytes(6 * 2**18)

    async with ready_worker(abilities) as (_, peer, servers):
        hook = peer.worker_end.send_stream.send_all_hook
        assert hook is not None

        async def slowly() -> None:
            await trio.sleep(20)
            await hook()

        peer.worker_end.send_stream.send_all_hook = slowly
        began = trio.current_time()
        await peer.assign(1, b"large")
        # The result goes out in six pieces, and another packet before it.
        while trio.current_time() < began + 130:
            assert b"" != await peer.stream.receive_some()

        assert 1 == len(servers.attempts)
    assert [] == caplog.messages


async def test_answer_to_a_probe_that_nobody_sent_is_an_error(autojump_clock: Clock, caplog: Log) -> None:
    async with ready_worker(make_abilities()) as (_, peer, servers):
        await peer.send(P.ECHO_RES, b"gearman_trio: still there?")
        await (await servers.accept()).registered()

    assert "ECHO_RES without ECHO_REQ" in caplog.text
