"""Partitions: functions that split their jobs for a reducer, and put the reduced parts together."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio import JSON, Abilities, Fail, Injected, Job, Serializer
from gearman_trio.client import Client, open_client
from gearman_trio.errors import ConfigError, JobFailed, JobLost, JobRaised
from gearman_trio.server import open_server
from gearman_trio.testing import Gearman
from gearman_trio.worker import Partition, open_worker

abilities = Abilities(serializer=JSON)


def total(numbers: list[int]) -> int:
    return sum(numbers)


def same_list(parts: list[Any]) -> list[Any]:
    return parts


class Prefix(Injected):
    text = "p-"


@abilities.partition(aggregate=total)
async def total_length(job: Job, text: str) -> AsyncIterator[str]:
    """How long the words are."""
    assert job.workload
    for word in text.split():
        yield word


@abilities.function
async def length(word: str) -> int:
    if word == "bad":
        raise ValueError("no word")
    await trio.sleep(1 / len(word))
    return len(word)


@abilities.function
async def nothing(word: str) -> None:
    pass


@abilities.partition(aggregate=same_list)
async def echoed(*, words: list[Any]) -> AsyncIterator[Any]:
    for word in words:
        yield word


@abilities.partition(aggregate=same_list)
async def numbers(count: int) -> AsyncIterator[Any]:
    """Parts of which the last does not fit the serializer."""
    for number in range(count):
        yield "x" * (number + 1)
    yield {1}


@asynccontextmanager
async def open_pair(gearman: Gearman, functions: Abilities, **arguments: Any) -> AsyncIterator[Client]:
    async with gearman.worker(functions, concurrency=20, **arguments), gearman.client() as client:
        yield client


# ---- results ---------------------------------------------------------------------------------------------------------


async def test_the_aggregator_gets_what_the_reducer_made_of_the_parts(
    gearman: Gearman, autojump_clock: MockClock
) -> None:
    async with open_pair(gearman, abilities) as client:
        assert 11 == await client.map_reduce(total_length, length, "one two three")
        assert 11 == await client.map_reduce(total_length, "length", text="one two three")
        assert b"11" == await client.map_reduce("total_length", "length", b'"one two three"')
        assert 0 == await client.map_reduce(total_length, length, "")

    parts = [job.workload for job in gearman.submitted if job.function == b"length"]
    assert sorted([b'"one"', b'"three"', b'"two"'] * 3) == sorted(parts)


async def test_reduced_parts_come_in_the_order_of_the_parts(gearman: Gearman, autojump_clock: MockClock) -> None:
    """The first ones take longest."""
    async with open_pair(gearman, abilities) as client:
        words = ["x" * size for size in range(1, 50)]
        assert list(range(1, 50)) == await client.map_reduce(echoed, length, words=words)


async def test_without_a_reducer_it_is_a_function_that_yields(gearman: Gearman) -> None:
    async with open_pair(gearman, abilities) as client:
        assert ["one", "two"] == await client.run(total_length, "one two")


async def test_a_reducer_without_results(gearman: Gearman) -> None:
    async with open_pair(gearman, abilities) as client:
        assert [None, None] == await client.map_reduce(echoed, nothing, words=["a", "b"])


async def test_it_can_be_called_as_it_was_decorated() -> None:
    job: Any = type("AnyJob", (), {"workload": b"w"})()

    assert ["a", "b"] == [part async for part in total_length(job, "a b")]
    assert ("total_length", "How long the words are.") == (total_length.__name__, total_length.__doc__)  # type: ignore[attr-defined]  # as a function has it


async def test_an_aggregator_may_be_async_or_run_in_a_thread(gearman: Gearman) -> None:
    functions = Abilities()
    threads: list[str] = []

    async def join(parts: list[bytes]) -> bytes:
        threads.append(threading.current_thread().name)
        return b"+".join(parts)

    def join_in_thread(parts: list[bytes]) -> bytes:
        threads.append(threading.current_thread().name)
        return b"-".join(parts)

    @functions.partition(aggregate=join)
    async def one(workload: bytes) -> AsyncIterator[bytes]:
        yield workload
        yield workload

    functions.partition(aggregate=join_in_thread, name="two")(one.split)

    @functions.function
    def upper(workload: bytes) -> bytes:
        return workload.upper()

    async with open_pair(gearman, functions) as client:
        assert b"A+A" == await client.map_reduce(one, upper, b"a")
        assert b"A-A" == await client.map_reduce("two", "upper", b"a")

    assert threading.current_thread().name == threads[0]
    assert threading.current_thread().name != threads[1]


async def test_it_takes_what_the_lifespan_gave_and_has_names_like_others(gearman: Gearman) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[Prefix]:
        yield Prefix()

    inner, outer = Abilities(serializer=JSON, namespace="in."), Abilities(serializer=JSON)

    @inner.partition(aggregate=same_list, name="split")
    async def split(prefix: Prefix, text: str) -> AsyncIterator[str]:
        yield prefix.text + text

    @inner.function
    async def upper(text: str) -> str:
        return text.upper()

    outer.include(inner, prefix="out.")
    async with open_pair(gearman, outer, lifespan=lifespan) as client:
        assert ["P-A"] == await client.map_reduce(split, upper, "a")

    assert [b"out.in.split", b"out.in.upper"] == [job.function for job in gearman.submitted]


# ---- bounds ----------------------------------------------------------------------------------------------------------


async def test_as_many_parts_are_with_the_reducer_as_were_allowed(gearman: Gearman, autojump_clock: MockClock) -> None:
    functions = Abilities()
    running = 0
    most = 0

    @functions.partition(aggregate=b"".join, concurrency=3)
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x"

    @functions.function
    async def wait(workload: bytes) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1
        return workload

    async with open_pair(gearman, functions) as client:
        assert 20 * b"x" == await client.map_reduce(parts, wait)

    assert 3 == most


async def test_parts_go_to_the_server_that_the_job_came_from() -> None:
    """Of two servers; the reducer is at the second one alone, and so is the client."""
    mappers, reducers = Abilities(serializer=JSON), Abilities(serializer=JSON)
    mappers.partition(aggregate=total, name="total_length")(total_length.split)
    reducers.function(length)
    async with (
        open_server(port=0) as first,
        open_server(port=0) as second,
        open_worker(mappers, first.url, second.url),
        open_worker(reducers, second.url),
        open_client(second.url) as client,
    ):
        with trio.fail_after(30):
            assert 3 == await client.map_reduce(total_length, length, "abc")
        assert 0 == first.statistics().counters.submitted


# ---- failures --------------------------------------------------------------------------------------------------------


async def test_a_part_that_fails_fails_the_job(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with open_pair(gearman, abilities) as client:
        with pytest.raises(JobRaised, match="no word") as caught:
            await client.map_reduce(total_length, length, "one bad three")
        assert 3 == await client.map_reduce(total_length, length, "one")

    assert caught.value.data.startswith(b"JobRaised: job H:")
    assert caught.value.data.endswith(b"ValueError: no word")


async def test_a_part_that_cannot_be_written(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with open_pair(gearman, abilities) as client:
        with pytest.raises(JobRaised, match="yielded set, which does not fit JSON"):
            await client.map_reduce(numbers, length, 3)


async def test_a_reduced_part_that_cannot_be_read(gearman: Gearman) -> None:
    functions, others = Abilities(serializer=JSON), Abilities()
    functions.include(abilities)

    @others.function
    async def raw(workload: bytes) -> bytes:
        return b"\xff"

    functions.include(others)
    async with open_pair(gearman, functions) as client:
        with pytest.raises(JobRaised, match="cannot be read as JSON"):
            await client.map_reduce(total_length, "raw", "one")


async def test_an_aggregator_that_raises(gearman: Gearman) -> None:
    functions = Abilities(serializer=JSON)

    def fail(parts: list[int]) -> int:
        raise Fail("not today")

    @functions.partition(aggregate=fail)
    async def parts() -> AsyncIterator[int]:
        yield 1

    @functions.function
    async def same(number: int) -> int:
        return number

    async with open_pair(gearman, functions) as client:
        with pytest.raises(JobFailed):
            await client.map_reduce(parts, same)


async def test_a_result_that_does_not_fit(gearman: Gearman, autojump_clock: MockClock) -> None:
    functions = Abilities(serializer=JSON)
    functions.function(length)
    functions.partition(aggregate=set, name="words")(total_length.split)
    async with open_pair(gearman, functions) as client:
        with pytest.raises(JobRaised, match="returned set, which does not fit JSON"):
            await client.map_reduce("words", "length", b'"one"')


async def test_the_timeout_counts_for_all_of_it(gearman: Gearman, autojump_clock: MockClock) -> None:
    functions = Abilities()
    ended = False

    @functions.partition(aggregate=b"".join, timeout=10)
    async def parts() -> AsyncIterator[bytes]:
        nonlocal ended
        try:
            yield b"x"
        finally:
            ended = True

    @functions.function
    async def hang(workload: bytes) -> bytes:
        await trio.sleep(100)
        return workload

    async with open_pair(gearman, functions) as client:
        with pytest.raises(JobFailed):
            await client.map_reduce(parts, hang)
        assert 10 == pytest.approx(trio.current_time())
        assert ended


async def test_a_lost_connection_ends_the_job_and_its_parts_are_left(
    gearman: Gearman, autojump_clock: MockClock
) -> None:
    splitting, reducing = Abilities(serializer=JSON), Abilities(serializer=JSON)
    splitting.partition(aggregate=total, name="total_length")(total_length.split)
    reducing.function(length)
    async with (
        gearman.worker(splitting) as splitter,
        gearman.worker(reducing) as reducer,
        gearman.client() as client,
        trio.open_nursery() as nursery,
    ):
        results: list[int] = []

        async def ask() -> None:
            results.append(await client.map_reduce(total_length, length, "abcd"))

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        assert (1, 1) == (splitter.statistics().running, reducer.statistics().running)
        await gearman.drop(splitter)
        assert (0, 1) == (splitter.statistics().running, splitter.statistics().lost)

    assert [4] == results


async def test_a_stopped_worker_leaves_its_parts(gearman: Gearman, autojump_clock: MockClock) -> None:
    splitting = Abilities(serializer=JSON)
    splitting.partition(aggregate=total, name="total_length")(total_length.split)
    async with gearman.client() as client, trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(JobLost):
                await client.map_reduce(total_length, length, "abcd")

        with trio.CancelScope() as scope:
            async with gearman.worker(splitting):
                nursery.start_soon(ask)
                await wait_all_tasks_blocked()
                gearman.assert_submitted("length", count=1)
                scope.cancel()
        await wait_all_tasks_blocked()
        await gearman.drop(client)


# ---- decorating ------------------------------------------------------------------------------------------------------


async def test_only_workers_with_partitions_ask_for_everything(gearman: Gearman) -> None:
    plain = Abilities()

    @plain.function
    async def f() -> None: ...

    async with gearman.worker(plain) as one, gearman.worker(abilities) as other:
        assert "GRAB_JOB_UNIQ" in gearman.tap(one).names("sent")
        assert "GRAB_JOB_ALL" in gearman.tap(other).names("sent")
        assert "GRAB_JOB_UNIQ" not in gearman.tap(other).names("sent")


def test_what_cannot_be_a_partition() -> None:
    functions = Abilities()

    async def one_result(workload: bytes) -> bytes:
        return workload

    async def parts(workload: bytes) -> AsyncIterator[bytes]:
        yield workload

    with pytest.raises(ConfigError, match="'one_result': a partition gives one part after the other"):
        functions.partition(aggregate=same_list)(one_result)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ConfigError, match="concurrency: expected a number from 1 on, got 0"):
        functions.partition(aggregate=same_list, concurrency=0)(parts)

    wrong: list[Any] = [parts, None]
    for aggregate in wrong:
        with pytest.raises(ConfigError, match="aggregate: expected a function that gives one result, got"):
            functions.partition(aggregate=aggregate)(parts)

    async def numbers(workload: bytes) -> AsyncIterator[int]:
        yield 1

    with pytest.raises(ConfigError, match="yields"):
        functions.partition(aggregate=same_list)(numbers)
    functions.partition(aggregate=same_list)(parts)
    with pytest.raises(ConfigError, match="of that name already"):
        functions.partition(aggregate=same_list)(parts)
    assert ["parts"] == [ability.name.decode() for ability in functions]
    assert isinstance(next(iter(functions)).partition, Partition)


@pytest.mark.parametrize("serializer", [None, JSON])
def test_options_are_those_of_functions(serializer: Serializer | None) -> None:
    functions = Abilities()
    functions.partition(aggregate=same_list, name="n", timeout=5, serializer=serializer)(
        total_length.split if serializer else _raw
    )
    (ability,) = functions

    assert (b"n", 5) == (ability.name, ability.timeout)
    assert (serializer or ability.signature.serializer) is ability.signature.serializer


async def _raw(workload: bytes) -> AsyncIterator[bytes]:
    yield workload
