"""What a worker opens once, and what stands around each job."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from gearman_trio.errors import ConfigError
from gearman_trio.protocol import PacketType
from gearman_trio.serializers import JSON
from gearman_trio.worker import Abilities, CallNext, Fail, Injected, Job, Retry, Shutdown, log_jobs, open_worker

from .fakes import FakeServers, ready_worker, running_worker

Clock = trio.testing.MockClock
Log = pytest.LogCaptureFixture
P = PacketType


class Prices(Injected):
    """What the lifespan of these tests gives."""

    def __init__(self) -> None:
        self.calls = 0
        self.open = True


class Other(Injected):
    """Something else."""


@asynccontextmanager
async def lifespan() -> AsyncIterator[Prices]:
    prices = Prices()
    await trio.lowlevel.checkpoint()
    yield prices
    prices.open = False


# ---- lifespan ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["async", "thread", "generator", "keyword", "with job"])
async def test_value_is_injected_by_annotation(kind: str) -> None:
    abilities = Abilities()
    if kind == "async":

        @abilities.function(name="f")
        async def f1(prices: Prices, workload: bytes) -> bytes:
            return b"%d %s" % (prices.open, workload)

    elif kind == "thread":

        @abilities.function(name="f")
        def f2(workload: bytes, prices: Prices) -> bytes:
            return b"%d %s" % (prices.open, workload)

    elif kind == "generator":

        @abilities.function(name="f")
        async def f3(prices: Prices, workload: bytes) -> AsyncIterator[bytes]:
            yield b"%d %s" % (prices.open, workload)

    elif kind == "keyword":

        @abilities.function(name="f")
        async def f4(workload: bytes, *, prices: Prices) -> bytes:
            return b"%d %s" % (prices.open, workload)

    else:

        @abilities.function(name="f")
        async def f5(job: Job, prices: Prices) -> bytes:
            assert job.lifespan is prices
            return b"%d %s" % (prices.open, job.workload)

    async with ready_worker(abilities, lifespan=lifespan) as (_, peer, _):
        await peer.assign(1, b"f", b"w")

        assert b"1 w" in await peer.receive()


async def test_value_is_no_part_of_the_workload() -> None:
    abilities = Abilities(serializer=JSON)

    @abilities.function
    async def f(prices: Prices, a: int, b: int) -> int:
        return a + b

    async with ready_worker(abilities, lifespan=lifespan) as (_, peer, _):
        await peer.assign(1, b"f", b'{"a":1,"b":2}')

        assert (P.WORK_COMPLETE, b"H:1", b"3") == await peer.receive()


async def test_lifespan_is_open_before_the_first_connection_and_until_the_last_job_has_ended(
    autojump_clock: Clock,
) -> None:
    events: list[str] = []
    servers = FakeServers()
    abilities = Abilities()

    @asynccontextmanager
    async def noting() -> AsyncIterator[None]:
        assert [] == servers.attempts
        events.append("opened")
        yield
        events.append("closed")

    @abilities.function
    async def f() -> None:
        await trio.sleep(5)
        events.append("job ended")

    async def serve() -> None:
        peer = await servers.accept()
        await peer.registered()
        await peer.assign(1, b"f")
        await peer.receive()
        await peer.farewell()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with open_worker(abilities, connect=servers.connect, lifespan=noting) as worker:
            await trio.sleep(1)

    assert worker.statistics().done == 1
    assert ["opened", "job ended", "closed"] == events


def wanting() -> Abilities:
    abilities = Abilities()

    @abilities.function
    async def f(other: Other) -> None: ...

    return abilities


async def test_function_that_wants_a_lifespan_needs_one() -> None:
    with pytest.raises(ConfigError, match="function 'f' takes a Other, but the worker was given no lifespan"):
        async with open_worker(wanting()):
            pass


async def test_value_of_another_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="function 'f' takes a Other, but the worker's lifespan gave a Prices"):
        async with open_worker(wanting(), lifespan=lifespan):
            pass


async def test_what_the_lifespan_raises_comes_out_as_it_is() -> None:
    abilities = Abilities()

    @abilities.function
    async def f() -> None: ...

    def broken() -> AbstractAsyncContextManager[None]:
        raise KeyError("no database")

    with pytest.raises(KeyError, match="no database"):
        async with open_worker(abilities, lifespan=broken):
            pass


# ---- middleware ----------------------------------------------------------------------------------------------------


def make_abilities(**functions: Any) -> Abilities:
    abilities = Abilities()
    for name, function in functions.items():
        abilities.function(name=name)(function)
    return abilities


async def echo(workload: bytes) -> bytes:
    return workload


async def test_middleware_stands_around_each_job_first_one_outermost() -> None:
    seen: list[str] = []

    async def outer(job: Job, call_next: CallNext) -> bytes:
        seen.append(f"outer {job.workload.decode()}")
        result = await call_next()
        seen.append("outer again")
        return b"<" + result + b">"

    async def inner(job: Job, call_next: CallNext) -> bytes:
        seen.append("inner")
        return await call_next()

    async with ready_worker(make_abilities(echo=echo), middleware=[outer, inner]) as (_, peer, _):
        await peer.assign(1, b"echo", b"w")

        assert (P.WORK_COMPLETE, b"H:1", b"<w>") == await peer.receive()
    assert ["outer w", "inner", "outer again"] == seen


async def test_middleware_may_answer_by_itself_and_turn_errors_into_orders() -> None:
    async def guard(job: Job, call_next: CallNext) -> bytes:
        if job.workload == b"known":
            return b"cached"
        try:
            return await call_next()
        except ValueError as exc:
            raise Fail(str(exc)) from exc

    async def f() -> None:
        raise ValueError("bad value")

    async with ready_worker(make_abilities(f=f), middleware=[guard]) as (_, peer, _):
        await peer.assign(1, b"f", b"known")
        assert (P.WORK_COMPLETE, b"H:1", b"cached") == await peer.receive()
        await peer.receive()
        await peer.assign(2, b"f")

        assert [(P.WORK_WARNING, b"H:2", b"bad value"), (P.WORK_FAIL, b"H:2")] == await peer.receive_many(2)


async def test_middleware_that_forgets_the_result_is_told(caplog: Log) -> None:
    async def forgetful(job: Job, call_next: CallNext) -> Any:
        await call_next()

    async with ready_worker(make_abilities(echo=echo), middleware=[forgetful]) as (_, peer, _):
        await peer.assign(1, b"echo")

        assert (await peer.receive())[2].startswith(b"TypeError: the middleware returned NoneType")


async def test_middleware_must_be_callable() -> None:
    with pytest.raises(ConfigError, match="middleware: expected async functions, got 1"):
        async with open_worker(make_abilities(echo=echo), middleware=[1]):  # type: ignore[list-item]  # the test
            pass


async def test_log_jobs_writes_one_line_a_job(autojump_clock: Clock, caplog: Log) -> None:
    caplog.set_level(logging.INFO, "gearman_trio.worker.middleware")

    async def slow() -> None:
        await trio.sleep(1)

    async def fail() -> None:
        raise Fail

    async def boom() -> None:
        raise ValueError

    async def again() -> None:
        raise Retry

    async def leave() -> None:
        raise Shutdown

    abilities = make_abilities(slow=slow, fail=fail, boom=boom, again=again, leave=leave)
    abilities.function(name="late", timeout=1)(trio.sleep_forever)
    async with ready_worker(abilities, middleware=[log_jobs], concurrency=9) as (_, peer, _):
        for number, name in enumerate([b"slow", b"fail", b"boom", b"late", b"again"]):
            await peer.assign(number, name)
            await trio.sleep(2)
    async with ready_worker(abilities, middleware=[log_jobs]) as (_, peer, _):
        await peer.assign(9, b"leave")
        await trio.sleep(2)

    lines = [r.getMessage() for r in caplog.records if r.name == "gearman_trio.worker.middleware"]
    told = [line.partition("function=")[2].partition(" after ")[0] for line in lines]
    assert [
        "slow done",
        "fail failed",
        "boom raised ValueError",
        "late cancelled",
        "again put off",
        "leave done, and asked for the worker's end,",
    ] == told
    assert all("handle=H:" in line and line.endswith(" s") for line in lines)


# ---- lost connections and the end ----------------------------------------------------------------------------------


async def test_jobs_of_a_lost_connection_may_finish(autojump_clock: Clock, caplog: Log) -> None:
    ended: list[bool] = []

    async def f(job: Job) -> bytes:
        await trio.sleep(5)
        await job.status(1, 1)
        ended.append(job.lost)
        return b"for nobody"

    async with running_worker(make_abilities(f=f), on_lost="finish") as servers:
        peer = await servers.accept()
        await peer.registered()
        await peer.assign(1, b"f")
        await trio.sleep(1)
        await peer.stream.aclose()
        new = await servers.accept()
        await new.greeting()
        assert await new.silent(3)

        # Its slot is free when it has ended, not sooner.
        assert (P.GRAB_JOB_UNIQ,) == await new.receive()
        assert ([True], 1) == (ended, (await servers.started()).statistics().lost)
    assert "running jobs that finish for nobody: 1" in caplog.text


async def test_drain_waits_for_the_jobs_of_a_lost_connection(autojump_clock: Clock) -> None:
    ended: list[float] = []

    async def f() -> None:
        await trio.sleep(5)
        ended.append(trio.current_time())

    async with ready_worker(make_abilities(f=f), on_lost="finish") as (worker, peer, _):
        await peer.assign(1, b"f")
        await trio.sleep(1)
        await peer.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        await worker.drain()

        assert [trio.current_time()] == ended


async def test_drain_ends_after_its_time_and_the_jobs_go_back(autojump_clock: Clock, caplog: Log) -> None:
    async with ready_worker(make_abilities(f=trio.sleep_forever), drain_seconds=20) as (worker, peer, _):
        await peer.assign(1, b"f")
        await trio.sleep(1)
        began = trio.current_time()
        await worker.drain()

        assert 20 == trio.current_time() - began
        await peer.closed()
        assert (0, 1) == (worker.statistics().running, worker.statistics().lost)
    assert "draining took more than 20 s" in caplog.text


async def test_drain_that_ends_in_time_cancels_nothing(autojump_clock: Clock, caplog: Log) -> None:
    async def f() -> None:
        await trio.sleep(5)

    async with ready_worker(make_abilities(f=f), drain_seconds=20) as (worker, peer, _):
        await peer.assign(1, b"f")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.drain)
            assert P.WORK_COMPLETE is (await peer.receive())[0]
            await peer.farewell()

    assert [] == [record for record in caplog.records if record.levelno > logging.INFO]


async def test_leaving_the_block_is_limited_too(autojump_clock: Clock) -> None:
    servers = FakeServers()

    async def serve() -> None:
        peer = await servers.accept()
        await peer.registered()
        await peer.assign(1, b"f")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        async with open_worker(make_abilities(f=trio.sleep_forever), connect=servers.connect, drain_seconds=3):
            await trio.sleep(1)
            left = trio.current_time()

    assert 3 == trio.current_time() - left


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"drain_seconds": -1}, "drain_seconds: expected"),
        ({"drain_seconds": float("nan")}, "drain_seconds: expected"),
        ({"on_lost": "ignore"}, "on_lost: expected 'cancel' or 'finish', got 'ignore'"),
    ],
)
async def test_wrong_arguments_are_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        async with open_worker(make_abilities(echo=echo), **arguments):
            pass
