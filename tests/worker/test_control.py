"""Fail, Shutdown and Retry, against a scripted server."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing

from gearman_trio.errors import GearmanError
from gearman_trio.protocol import PacketType
from gearman_trio.serializers import JSON
from gearman_trio.worker import Abilities, Fail, Retry, Shutdown, open_worker

from .fakes import FakeServers, ready_worker, running_worker

Clock = trio.testing.MockClock
Log = pytest.LogCaptureFixture
P = PacketType


async def seconds(workload: bytes) -> bytes:
    await trio.sleep(float(workload))
    return b"slept"


def make_abilities(function: Any, **options: Any) -> Abilities:
    abilities = Abilities()
    abilities.function(name="f", **options)(function)
    abilities.function(seconds)
    return abilities


# ---- Fail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "packets"),
    [
        ("no such file: ü", [(P.WORK_WARNING, b"H:1", "no such file: ü".encode()), (P.WORK_FAIL, b"H:1")]),
        (b"\xff", [(P.WORK_WARNING, b"H:1", b"\xff"), (P.WORK_FAIL, b"H:1")]),
        ("", [(P.WORK_FAIL, b"H:1")]),
    ],
)
async def test_fail_warns_and_fails_without_a_traceback(message: Any, packets: list[Any], caplog: Log) -> None:
    caplog.set_level(logging.INFO)

    async def f() -> None:
        raise Fail(message)

    async with ready_worker(make_abilities(f)) as (worker, peer, _):
        await peer.assign(1, b"f")

        assert [*packets, (P.GRAB_JOB_UNIQ,)] == await peer.receive_many(len(packets) + 1)
        assert 1 == worker.statistics().failed
    (record,) = [record for record in caplog.records if "failed" in record.getMessage()]
    assert (logging.INFO, None) == (record.levelno, record.exc_info)


def test_fail_refuses_what_cannot_be_sent() -> None:
    with pytest.raises(TypeError, match=r"Fail\(\) got int"):
        Fail(1)  # type: ignore[arg-type]  # that is what is tested


async def test_fail_is_understood_in_threads_and_nurseries() -> None:
    def thread() -> None:
        raise Fail("thread")

    async def child() -> None:
        raise Fail("child")

    async def nursery() -> None:
        async with trio.open_nursery() as inner:
            inner.start_soon(child)

    for function, message in [(thread, b"thread"), (nursery, b"child")]:
        async with ready_worker(make_abilities(function)) as (_, peer, _):
            await peer.assign(1, b"f")

            assert [(P.WORK_WARNING, b"H:1", message), (P.WORK_FAIL, b"H:1")] == await peer.receive_many(2)


# ---- Shutdown ----------------------------------------------------------------------------------------------------


async def raised() -> bytes:
    raise Shutdown(b"bye")


async def returned() -> Any:
    return Shutdown(b"bye")


def from_a_thread() -> Any:
    return Shutdown(b"bye")


async def yielding() -> AsyncIterator[bytes]:
    yield b""
    raise Shutdown


@pytest.mark.parametrize(
    ("function", "result"), [(raised, b"bye"), (returned, b"bye"), (from_a_thread, b"bye"), (yielding, b"")]
)
async def test_shutdown_completes_the_job_and_ends_the_worker(function: Any, result: bytes) -> None:
    async with ready_worker(make_abilities(function)) as (worker, peer, _):
        await peer.assign(1, b"f")
        while (packet := await peer.receive())[0] is P.WORK_DATA:
            pass

        assert (P.WORK_COMPLETE, b"H:1", result) == packet
        # Not a grab.
        await peer.farewell()
        with trio.fail_after(5):
            await worker.wait_ended()
        assert 1 == worker.statistics().done


async def test_shutdown_goes_through_the_serializer() -> None:
    async def f() -> Any:
        return Shutdown([1, "a"])

    async with ready_worker(make_abilities(f, serializer=JSON)) as (_, peer, _):
        await peer.assign(1, b"f")

        assert (P.WORK_COMPLETE, b"H:1", b'[1,"a"]') == await peer.receive()


async def test_shutdown_with_a_result_that_does_not_fit_fails_the_job_and_ends_the_worker(caplog: Log) -> None:
    async def f() -> Any:
        return Shutdown(object())

    async with ready_worker(make_abilities(f)) as (worker, peer, _):
        await peer.assign(1, b"f")

        assert [P.WORK_EXCEPTION, P.WORK_FAIL] == [packet[0] for packet in await peer.receive_many(2)]
        await peer.farewell()
        await worker.wait_ended()


async def test_shutdown_lets_the_other_jobs_finish(autojump_clock: Clock) -> None:
    async with ready_worker(make_abilities(raised), concurrency=2) as (worker, peer, _):
        await peer.assign(1, b"seconds", b"5")
        await peer.receive()
        await peer.assign(2, b"f")

        assert (P.WORK_COMPLETE, b"H:2", b"bye") == await peer.receive()
        assert (P.WORK_COMPLETE, b"H:1", b"slept") == await peer.receive()
        await peer.farewell()
        await worker.wait_ended()


async def test_block_of_a_worker_that_was_shut_down_goes_on(autojump_clock: Clock) -> None:
    servers = FakeServers()

    async def serve() -> None:
        peer = await servers.accept()
        await peer.registered()
        await peer.assign(1, b"f")
        await peer.receive()
        await peer.farewell()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with open_worker(make_abilities(raised), connect=servers.connect) as worker:
            await worker.wait_ended()
            await trio.sleep(100)


# ---- Retry -------------------------------------------------------------------------------------------------------


async def again() -> None:
    raise Retry(after=7)


async def test_retry_closes_the_connection_and_comes_back_later(autojump_clock: Clock, caplog: Log) -> None:
    caplog.set_level(logging.INFO)
    async with ready_worker(make_abilities(again)) as (worker, peer, servers):
        await peer.assign(1, b"f")
        # Nothing of the job, and no grab.
        await peer.farewell()
        closed = trio.current_time()
        await trio.testing.wait_all_tasks_blocked()
        assert (False, 1) == (worker.ready, worker.statistics().retried)
        await (await servers.accept()).registered()

        assert 7 == trio.current_time() - closed
    assert [] == [record for record in caplog.records if record.levelno > logging.INFO]
    assert "left for 7 s: a job is to be tried again" in caplog.text


async def test_retry_waits_for_the_other_jobs_of_the_connection(autojump_clock: Clock) -> None:
    async with ready_worker(make_abilities(again), concurrency=4) as (_, peer, servers):
        await peer.assign(1, b"seconds", b"5")
        assert [(P.GRAB_JOB_UNIQ,)] * 2 == await peer.receive_many(2)
        await peer.assign(2, b"f")
        # This one was sent with the assignment, before the function ran; nothing is asked after that.
        assert (P.GRAB_JOB_UNIQ,) == await peer.receive()
        # What comes of grabs that are under way still runs.
        await peer.assign(3, b"seconds", b"9")
        await peer.send(P.NO_JOB)

        assert (P.WORK_COMPLETE, b"H:1", b"slept") == await peer.receive()
        assert (P.WORK_COMPLETE, b"H:3", b"slept") == await peer.receive()
        await peer.farewell()
        await servers.accept()


async def test_retry_leaves_the_other_servers_alone(autojump_clock: Clock) -> None:
    async with running_worker(make_abilities(again), "a", "b") as servers:
        first, second = await servers.accept(), await servers.accept()
        await first.registered()
        await second.greeting()
        await first.assign(1, b"f")
        await first.farewell()

        assert (P.GRAB_JOB_UNIQ,) == await second.receive()


async def test_server_that_does_not_answer_the_farewell_is_left_all_the_same(autojump_clock: Clock) -> None:
    async with ready_worker(make_abilities(again)) as (_, peer, servers):
        await peer.assign(1, b"f")
        assert P.ECHO_REQ is (await peer.receive())[0]
        asked = trio.current_time()
        await (await servers.accept()).registered()

        assert 37 == trio.current_time() - asked


async def test_drain_does_not_wait_for_the_next_try(autojump_clock: Clock) -> None:
    async with ready_worker(make_abilities(again)) as (worker, peer, servers):
        await peer.assign(1, b"f")
        await peer.farewell()
        with trio.fail_after(1):
            await worker.drain()

        assert 1 == len(servers.attempts)


@pytest.mark.parametrize("after", [-1, float("nan"), float("inf")])
def test_retry_wants_seconds(after: float) -> None:
    with pytest.raises(ValueError, match="Retry: after"):
        Retry(after=after)


@pytest.mark.parametrize("order", [Fail, Retry, Shutdown])
def test_orders_are_no_errors_of_the_package(order: type[Exception]) -> None:
    assert not issubclass(order, GearmanError)


async def retry() -> None:
    raise Retry


async def fail() -> None:
    raise Fail("no")


@pytest.mark.parametrize("function", [retry, fail])
async def test_order_of_a_lost_job_is_passed_over(function: Any, autojump_clock: Clock) -> None:
    async def f() -> None:
        try:
            await trio.sleep_forever()
        finally:
            await function()

    async with ready_worker(make_abilities(f)) as (worker, peer, servers):
        await peer.assign(1, b"f")
        await trio.testing.wait_all_tasks_blocked()
        await peer.stream.aclose()
        await (await servers.accept()).registered()

        statistics = worker.statistics()
        assert (1, 0, 0) == (statistics.lost, statistics.retried, statistics.failed)
