"""Every end that a job can come to, and every place where it can be cancelled."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing

from gearman_trio.protocol import Decoder, PacketType, split_arguments
from gearman_trio.transport import PacketLink
from gearman_trio.worker import Abilities, Job, ThreadJob
from gearman_trio.worker.ability import Ability
from gearman_trio.worker.execution import End, Ending, Executor, Places, execute, open_executor
from gearman_trio.worker.parameters import RunIn

from ..patience import PATIENCE
from .fakes import Peer

Clock = trio.testing.MockClock
Log = pytest.LogCaptureFixture


def ability_of(function: Any, timeout: float | None = None, run_in: RunIn | None = None) -> Ability:
    abilities = Abilities()
    abilities.function(name="f", timeout=timeout, run_in=run_in)(function)
    (ability,) = abilities
    return ability


def make_job(workload: bytes = b"secret") -> Job:
    return Job(handle=b"H:1", function=b"f", workload=workload, link=PacketLink(Peer().worker_end), connection=7)  # type: ignore[arg-type]  # new types


async def end_of(function: Any, job: Job | None = None, **options: Any) -> Ending:
    return await execute(ability_of(function, **options), job or make_job(), Places(trio.CapacityLimiter(1)))


def packets_of(ending: Ending) -> list[tuple[Any, ...]]:
    return [(PacketType(kind), *split_arguments(kind, body)) for kind, body in Decoder().feed(b"".join(ending.packets))]


FAIL = (PacketType.WORK_FAIL, b"H:1")


@pytest.mark.parametrize("result", [b"r\0\n", bytearray(b"r\0\n"), memoryview(b"r\0\n")])
async def test_bytes_like_result_completes(result: Any) -> None:
    async def function() -> Any:
        return result

    ending = await end_of(function)

    assert End.DONE is ending.end
    assert [(PacketType.WORK_COMPLETE, b"H:1", b"r\0\n")] == packets_of(ending)


async def test_large_result_is_not_copied() -> None:
    result = bytes(range(256)) * 300

    async def function() -> bytes:
        return result

    ending = await end_of(function)

    assert [(PacketType.WORK_COMPLETE, b"H:1", result)] == packets_of(ending)
    assert result is ending.packets[-1]


async def test_none_is_an_empty_result() -> None:
    async def function(workload: bytes) -> None: ...

    assert [(PacketType.WORK_COMPLETE, b"H:1", b"")] == packets_of(await end_of(function))


async def test_plain_function_runs_in_a_thread() -> None:
    def function(workload: bytes) -> bytes:
        return threading.current_thread().name.encode()

    ending = await end_of(function)

    assert [(PacketType.WORK_COMPLETE, b"H:1", b"gearman function f")] == packets_of(ending)


async def test_plain_function_that_runs_as_a_task_is_called_on_the_event_loop() -> None:
    def function(workload: bytes, job: Job) -> bytes:
        return b"%s %d" % (job.unique, threading.current_thread() is threading.main_thread())

    job = make_job()
    job.unique = b"u1"
    ending = await end_of(function, job=job, run_in="task")

    assert [(PacketType.WORK_COMPLETE, b"H:1", b"u1 1")] == packets_of(ending)


async def test_exception_is_logged_with_traceback_and_sent(caplog: Log) -> None:
    async def function(workload: bytes) -> bytes:
        raise ValueError("wrong ünit")

    ending = await end_of(function)

    assert End.FAILED is ending.end
    assert [(PacketType.WORK_EXCEPTION, b"H:1", "ValueError: wrong ünit".encode()), FAIL] == packets_of(ending)
    (record,) = caplog.records
    assert logging.ERROR == record.levelno
    assert "conn=7 handle=H:1 function=f raised ValueError" == record.getMessage()
    assert 'raise ValueError("wrong ünit")' in caplog.text
    assert "secret" not in caplog.text


async def test_exception_is_a_plain_failure_where_exceptions_are_off(caplog: Log) -> None:
    async def function() -> None:
        raise ValueError("only in the log")

    ending = await execute(ability_of(function), make_job(), Places(trio.CapacityLimiter(1)), exceptions=False)

    assert (End.FAILED, [FAIL]) == (ending.end, packets_of(ending))
    assert "only in the log" in caplog.text


@pytest.mark.parametrize("result", ["text", 1, [b"a"], object()])
async def test_wrong_result_is_an_exception_that_says_what_was_expected(result: Any, caplog: Log) -> None:
    async def function() -> Any:
        return result

    kind, _, text = packets_of(await end_of(function))[0]

    assert PacketType.WORK_EXCEPTION is kind
    expected = f"TypeError: function 'f' returned {type(result).__name__}, expected bytes, bytearray or memoryview"
    assert text.decode().startswith(expected)


async def test_wrong_item_of_a_generator_is_an_exception_and_closes_it(caplog: Log) -> None:
    closed = []

    async def function() -> AsyncIterator[Any]:
        try:
            yield "text"
        finally:
            closed.append(True)

    packets = packets_of(await end_of(function))

    assert b"TypeError: function 'f' yielded str" in packets[0][2]
    assert [True] == closed


async def test_exception_of_a_thread_is_sent(caplog: Log) -> None:
    def function() -> bytes:
        raise KeyError("k")

    assert b"KeyError: 'k'" == packets_of(await end_of(function))[0][2]


async def test_group_of_exceptions_counts_as_an_exception(caplog: Log) -> None:
    async def child() -> None:
        raise ValueError("in a child")

    async def function() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)

    ending = await end_of(function)

    assert packets_of(ending)[0][2].startswith(b"ExceptionGroup: ")
    assert "in a child" in caplog.text


async def test_exception_whose_message_cannot_be_made_is_sent_all_the_same(caplog: Log) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no message")

    async def function() -> None:
        raise Broken

    assert b"Broken: <its message raised RuntimeError>" == packets_of(await end_of(function))[0][2]


async def test_surrogates_in_a_message_are_escaped(caplog: Log) -> None:
    async def function() -> None:
        raise ValueError("\udcff")

    assert rb"ValueError: \udcff" == packets_of(await end_of(function))[0][2]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_what_is_no_exception_passes(error: type[BaseException]) -> None:
    async def function() -> None:
        raise error

    with pytest.raises(error):
        await end_of(function)


# ---- timeouts -----------------------------------------------------------------------------------------------


async def test_timeout_cancels_the_function_and_fails_the_job(autojump_clock: Clock, caplog: Log) -> None:
    cancelled = []

    async def function() -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append(trio.current_time())

    began = trio.current_time()
    ending = await end_of(function, timeout=2)

    assert [began + 2] == cancelled
    assert (End.FAILED, [FAIL]) == (ending.end, packets_of(ending))
    assert ["conn=7 handle=H:1 function=f failed, it ran into its timeout of 2 s"] == caplog.messages


async def test_result_that_comes_in_time_is_no_timeout(autojump_clock: Clock) -> None:
    async def function() -> bytes:
        await trio.sleep(1.9)
        return b"in time"

    assert End.DONE is (await end_of(function, timeout=2)).end


async def test_function_that_catches_its_timeout_may_still_return(autojump_clock: Clock) -> None:
    async def function() -> bytes:
        with trio.CancelScope(shield=True):
            await trio.sleep(3)
        return b"late"

    assert End.DONE is (await end_of(function, timeout=2)).end


async def test_function_can_move_its_deadline(autojump_clock: Clock) -> None:
    async def function(job: Job) -> bytes:
        job.scope.deadline += 10
        await trio.sleep(11)
        return b"later"

    assert End.DONE is (await end_of(function, timeout=2)).end


async def test_exception_of_the_clean_up_after_a_timeout_is_sent(autojump_clock: Clock, caplog: Log) -> None:
    async def function() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    assert b"ValueError: while cleaning up" == packets_of(await end_of(function, timeout=2))[0][2]


async def test_timeout_closes_a_generator(autojump_clock: Clock, caplog: Log) -> None:
    closed = []

    async def function() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await trio.sleep_forever()
        finally:
            closed.append(True)

    assert [FAIL] == packets_of(await end_of(function, timeout=2))
    assert [True] == closed


async def test_thread_that_outlives_its_timeout_is_left_behind(autojump_clock: Clock, caplog: Log) -> None:
    release = threading.Event()
    heard: list[str] = []
    over = threading.Event()

    def function(job: ThreadJob) -> bytes:
        release.wait(PATIENCE)
        try:
            job.status(1, 1)
        except trio.Cancelled:
            heard.append("cancelled")
            raise
        finally:
            over.set()
        return b"late"

    ending = await end_of(function, timeout=2)
    release.set()
    await trio.to_thread.run_sync(over.wait, 10)

    assert (End.FAILED, [FAIL]) == (ending.end, packets_of(ending))
    assert ["cancelled"] == heard


async def test_thread_that_is_left_behind_keeps_its_place_among_the_threads(autojump_clock: Clock) -> None:
    release = threading.Event()
    limiter = trio.CapacityLimiter(1)

    def stuck() -> None:
        release.wait(PATIENCE)

    await execute(ability_of(stuck, timeout=2), make_job(), Places(limiter))
    waiting = await execute(ability_of(stuck, timeout=2), make_job(), Places(limiter))

    assert End.FAILED is waiting.end
    assert 1 == limiter.borrowed_tokens
    release.set()


# ---- cancellation --------------------------------------------------------------------------------------------


async def test_function_that_cancels_its_own_scope_fails(caplog: Log) -> None:
    async def function(job: Job) -> None:
        job.scope.cancel()
        await trio.lowlevel.checkpoint()

    assert [FAIL] == packets_of(await end_of(function))
    assert "cancelled its own scope" in caplog.text


async def test_deadline_that_the_function_set_itself_is_named_so(autojump_clock: Clock, caplog: Log) -> None:
    async def function(job: Job) -> None:
        job.scope.deadline = trio.current_time() + 1
        await trio.sleep_forever()

    assert [FAIL] == packets_of(await end_of(function))
    assert "a deadline of its own" in caplog.text


async def test_job_that_is_lost_before_its_first_turn_never_begins() -> None:
    began = []

    async def function() -> None:
        began.append(True)

    job = make_job()
    job.lost = True
    job.scope.cancel()
    ending = await end_of(function, job=job)

    assert (End.LOST, ()) == (ending.end, ending.packets)
    assert [] == began


async def sleeping() -> None:
    await trio.sleep_forever()


async def in_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)


async def yielding() -> AsyncIterator[bytes]:
    yield b"first"
    await trio.sleep_forever()


async def full(job: Job) -> None:
    while True:
        await job.data(b"x" * 1_100_000)


async def full_generator() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1_100_000


def in_a_thread() -> None:
    _release.wait(PATIENCE)


_release = threading.Event()

WAITS = [sleeping, in_a_nursery, yielding, full, full_generator, in_a_thread]


@pytest.mark.parametrize("function", WAITS)
async def test_lost_job_is_cancelled_wherever_it_waits(function: Any) -> None:
    _release.clear()
    job = make_job()
    endings = []

    async def run() -> None:
        endings.append(await end_of(function, job=job))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked(0.01)
        job.lost = True
        job.scope.cancel(reason="lost")
    _release.set()

    assert [(End.LOST, ())] == [(ending.end, ending.packets) for ending in endings]


@pytest.mark.parametrize("function", WAITS)
async def test_cancellation_from_outside_passes_wherever_the_job_waits(function: Any) -> None:
    _release.clear()
    ended = []

    async def run() -> None:
        ended.append(await end_of(function))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    _release.set()

    assert [] == ended


async def test_thread_job_that_waits_for_its_turn_is_cancelled() -> None:
    def function() -> None:
        raise AssertionError("it never got a thread")

    job = make_job()
    limiter = trio.CapacityLimiter(1)
    async with trio.open_nursery() as nursery:
        await limiter.acquire_on_behalf_of("another")
        nursery.start_soon(execute, ability_of(function), job, Places(limiter))
        await trio.testing.wait_all_tasks_blocked()
        job.scope.cancel()

    assert job.scope.cancelled_caught


async def test_lost_job_that_ends_all_the_same_is_lost() -> None:
    async def function(job: Job) -> bytes:
        job.lost = True
        return b"for nobody"

    ending = await end_of(function)

    assert (End.LOST, ()) == (ending.end, ending.packets)


async def test_exception_of_a_lost_job_is_logged_and_not_sent(caplog: Log) -> None:
    async def function(job: Job) -> None:
        job.lost = True
        raise ValueError("anyway")

    ending = await end_of(function)

    assert (End.LOST, ()) == (ending.end, ending.packets)
    assert "raised ValueError" in caplog.text


async def test_exceptions_beside_a_cancellation_from_outside_are_logged_and_the_cancellation_passes(
    caplog: Log,
) -> None:
    """A nursery of the function's gathers both; neither may be swallowed, and the exception may not escape."""

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    async def function() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
            await trio.sleep_forever()

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end_of, function)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()

    assert scope.cancelled_caught
    assert "while cleaning up" in caplog.text


# ---- executor ------------------------------------------------------------------------------------------------


async def test_executor_counts_and_tells_the_end_of_each_job(caplog: Log) -> None:
    async def function(workload: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        if workload == b"bad":
            raise ValueError
        return b""

    ended: list[tuple[bytes, End]] = []
    async with open_executor(2) as executor:
        for workload in (b"good", b"bad", b"good"):
            executor.start(ability_of(function), make_job(workload), lambda job, e: ended.append((job.workload, e.end)))
        assert 3 == executor.running

    assert 0 == executor.running
    assert {End.DONE: 2, End.FAILED: 1, End.LOST: 0, End.RETRIED: 0} == executor.ended
    assert sorted([(b"good", End.DONE), (b"good", End.DONE), (b"bad", End.FAILED)], key=str) == sorted(ended, key=str)


async def test_executor_tells_nothing_when_it_is_cancelled() -> None:
    ended = []
    job = make_job()

    with trio.CancelScope() as scope:
        async with open_executor(1) as executor:
            executor.start(ability_of(sleeping), job, lambda job, ending: ended.append(job))
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()

    assert isinstance(executor, Executor)
    assert ([], 0, True) == (ended, executor.running, job.ended)
