"""Calls of one function without a server."""

from __future__ import annotations

import os
import threading
import time

import pytest
import trio
from trio.testing import MockClock

from gearman_trio import (
    JSON,
    TEXT,
    Abilities,
    ConfigError,
    Injected,
    Job,
    JobFailed,
    JobRaised,
    JobStatus,
    SerializationError,
)
from gearman_trio.testing import CallReport, call
from gearman_trio.worker import CallNext

from ..patience import PATIENCE
from ..worker import in_processes


async def test_call_by_name_takes_and_gives_bytes(abilities: Abilities) -> None:
    assert CallReport(result=b"cba") == await call(abilities, "reverse", b"abc")
    assert CallReport(result=b"") == await call(abilities, b"reverse")


async def test_everything_that_is_sent_is_reported(abilities: Abilities) -> None:
    report = await call(abilities, "report", b"everything")

    assert (
        CallReport(result=b"part of everything", data=(b"part of ",), status=(JobStatus(1, 2),), warnings=(b"careful",))
        == report
    )


async def test_items_of_a_generator_are_the_result(abilities: Abilities) -> None:
    raw = await call(abilities, "count", b"3")

    assert (b"0,1,2,", (b"0,", b"1,", b"2,")) == (raw.result, raw.data)
    (letters,) = [each.function for each in abilities if each.name == b"letters"]
    assert CallReport(result=["a", "b"], data=(b"a", b"b")) == await call(abilities, letters, "ab")


async def test_plain_function_runs_in_a_thread(abilities: Abilities, autojump_clock: MockClock) -> None:
    assert CallReport(result=b"abab", status=(JobStatus(3, 4),)) == await call(abilities, "in_thread", b"ab")


async def test_decorated_function_is_called_through_its_serializer() -> None:
    abilities = Abilities(serializer=JSON, namespace="shop.")

    @abilities.function
    async def total(prices: list[int], *, discount: int = 0) -> dict[str, int]:
        return {"total": sum(prices) - discount}

    report = await call(total, [1, 2], discount=1)
    assert CallReport(result={"total": 2}) == report
    assert report == await call(abilities, total, [1, 2], discount=1)
    raw = await call(abilities, "shop.total", b'{"prices":[1,2]}')
    assert b'{"total":3}' == raw.result


async def test_job_is_not_an_argument() -> None:
    abilities = Abilities(serializer=TEXT)

    @abilities.function
    async def shout(job: Job, text: str) -> str:
        await job.status(1, 1)
        return f"{job.function.decode()} {job.workload.decode()} {text.upper()}"

    report = await call(shout, "abc")
    assert ("shout abc ABC", (JobStatus(1, 1),)) == (report.result, report.status)


async def test_unique_id_is_shown_to_the_job() -> None:
    abilities = Abilities()

    @abilities.function
    async def tell(job: Job) -> bytes:
        return job.unique

    assert b"u1" == (await call(abilities, "tell", unique=b"u1")).result


async def test_calling_twice_leaves_no_trace() -> None:
    abilities = Abilities()

    @abilities.function
    async def f(workload: bytes) -> bytes:
        return workload

    for _ in range(2):
        assert b"x" == (await call(f, b"x")).result
    assert 1 == len(abilities)


# ---- what a worker would have besides ------------------------------------------------------------------------------


class Prices(Injected):
    def __init__(self, tea: int) -> None:
        self.tea = tea


async def test_lifespan_and_middleware_are_those_of_the_options() -> None:
    abilities = Abilities(serializer=JSON)
    seen = []

    @abilities.function
    async def price(prices: Prices, cups: int) -> int:
        return prices.tea * cups

    async def watch(job: Job, call_next: CallNext) -> bytes:
        seen.append(job.lifespan.tea)
        return await call_next()

    caller = call.with_options(lifespan=Prices(3), middleware=[watch])

    assert 6 == (await caller(price, 2)).result
    assert 9 == (await caller(abilities, price, 3)).result
    assert b"12" == (await caller(abilities, "price", b"4")).result
    assert [3, 3, 3] == seen


async def test_missing_lifespan_is_named() -> None:
    abilities = Abilities(serializer=JSON)

    @abilities.function
    async def price(prices: Prices, cups: int) -> int:
        return prices.tea * cups

    with pytest.raises(ConfigError, match="'price' takes a Prices, but the worker's lifespan gave a NoneType"):
        await call(price, 1)


async def test_function_runs_where_it_was_decorated_to_run() -> None:
    abilities = Abilities()

    def here() -> bytes:
        return threading.current_thread().name.encode()

    threaded = abilities.function(name="thread")(here)
    inline = abilities.function(name="task", run_in="task")(lambda: here())  # noqa: PLW0108 a function of its own

    assert b"gearman function thread" == (await call(threaded)).result
    assert b"MainThread" == (await call(inline)).result
    assert b"MainThread" == (await call(abilities, "task")).result
    assert b"gearman function task" == (await call.with_options(run_in="thread")(inline)).result
    assert b"gearman function task" == (await call.with_options(run_in="thread")(abilities, "task")).result


@pytest.mark.slow
async def test_process_is_one_or_made_a_thread(autojump_clock: MockClock) -> None:
    here = b"%d" % os.getpid()

    assert here != (await call(in_processes.pid)).result
    assert here != (await call(in_processes.abilities, "pid")).result
    assert here == (await call.with_options(run_in="thread")(in_processes.pid)).result
    assert 0.0 == trio.current_time()


async def test_place_that_does_not_suit_a_function_is_refused(abilities: Abilities) -> None:
    with pytest.raises(ConfigError, match="'reverse': an async function runs as a task"):
        await call.with_options(run_in="thread")(abilities, "reverse", b"abc")
    with pytest.raises(ConfigError, match=r"'in_thread'.*cannot go into a process"):
        await call.with_options(run_in="process")(abilities, "in_thread", b"abc")


_release = threading.Event()


def held() -> None:
    _release.wait(PATIENCE)


async def test_timeout_holds_elsewhere_too(caplog: pytest.LogCaptureFixture) -> None:
    abilities = Abilities()
    abilities.function(timeout=0.1, run_in="process")(held)

    with pytest.raises(JobFailed):
        await call.with_options(run_in="thread")(abilities, held)

    assert "timeout of 0.1 s" in caplog.text
    _release.set()


# ---- failures ----------------------------------------------------------------------------------------------------


async def test_exception_comes_as_a_client_gets_it(abilities: Abilities, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(JobRaised) as caught:
        await call(abilities, "fail", b"why")

    assert b"ValueError: why" == caught.value.data
    assert "raise ValueError" in caplog.text


async def test_timeout_of_the_ability_holds(abilities: Abilities, autojump_clock: MockClock) -> None:
    with pytest.raises(JobFailed):
        await call(abilities, "grow", b"601")

    assert 600.0 == trio.current_time()


async def test_cancelled_job_fails() -> None:
    abilities = Abilities()

    @abilities.function
    async def give_up(job: Job) -> None:
        job.scope.cancel()
        await trio.sleep_forever()

    with pytest.raises(JobFailed):
        await call(give_up)


async def test_what_cannot_be_sent_is_found(abilities: Abilities) -> None:
    typed = Abilities(serializer=JSON)

    @typed.function
    async def wrong(value: object) -> object:
        return {value}

    with pytest.raises(SerializationError, match="parameter 'value'"):
        await call(wrong, b"bytes")
    with pytest.raises(JobRaised, match="returned set, which does not fit JSON"):
        await call(wrong, 1)
    with pytest.raises(JobRaised, match="cannot be read as JSON"):
        await call(typed, "wrong", b"not JSON")


async def test_what_is_not_there_cannot_be_called(abilities: Abilities) -> None:
    with pytest.raises(LookupError, match=r"expected a function of <Abilities reverse, .*>, got 'nothing'"):
        await call(abilities, "nothing")
    with pytest.raises(TypeError, match="decorated"):
        await call(time.sleep, 1)


async def test_call_can_be_cancelled(abilities: Abilities, autojump_clock: MockClock) -> None:
    with trio.move_on_after(5) as scope:
        await call(abilities, "grow", b"100")

    assert (True, 5.0) == (scope.cancelled_caught, trio.current_time())


async def test_thread_does_not_run_into_a_mocked_deadline(autojump_clock: MockClock) -> None:
    abilities = Abilities()

    @abilities.function(timeout=1)
    def compute() -> bytes:
        time.sleep(0.05)
        return b"done"

    assert b"done" == (await call(abilities, compute)).result
    assert 0.0 == trio.current_time()
