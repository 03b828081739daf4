"""`Client.map`: order, bounds, errors, and its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio import JSON, Abilities
from gearman_trio.client import Client
from gearman_trio.errors import ConfigError, JobRaised, SerializationError
from gearman_trio.testing import Gearman

abilities = Abilities()


@abilities.function
async def wait(workload: bytes) -> bytes:
    """Take as many seconds as the workload says."""
    await trio.sleep(float(workload))
    return workload


@abilities.function(serializer=JSON)
async def half(number: int) -> int:
    if number % 2:
        raise ValueError("odd")
    return number // 2


@abilities.function(serializer=JSON)
async def count(number: int) -> AsyncIterator[int]:
    for each in range(number):
        yield each


@pytest.fixture(params=["connected", "not connected"])
async def client(gearman: Gearman, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """A client whose jobs need no tasks, or one whose first jobs wait for its connection in tasks."""
    async with gearman.worker(abilities, concurrency=100), gearman.client() as client:
        if request.param == "connected":
            await client.echo(b"")
        yield client


async def read(results: AsyncIterator[Any]) -> list[Any]:
    return [result async for result in results]


async def read_into(found: list[Any], results: AsyncIterator[Any]) -> None:
    async for result in results:
        found.append(result)


async def test_results_come_as_jobs_end(client: Client, autojump_clock: MockClock) -> None:
    async with client.map("wait", [b"3", b"1", b"2"]) as results:
        assert [b"1", b"2", b"3"] == await read(results)
        assert [] == await read(results)


async def test_ordered_results_come_in_the_order_of_the_items(client: Client, autojump_clock: MockClock) -> None:
    async with client.map("wait", [b"3", b"1", b"2"], ordered=True) as results:
        assert [b"3", b"1", b"2"] == await read(results)


@pytest.mark.parametrize("ordered", [False, True])
async def test_items_may_be_an_async_iterable_without_end(
    client: Client, autojump_clock: MockClock, ordered: bool
) -> None:
    async def evens() -> AsyncIterator[int]:
        number = 0
        while True:
            await trio.sleep(1)
            yield number
            number += 2

    found = []
    source = evens()
    async with client.map(half, source, ordered=ordered) as results:
        async for result in results:
            found.append(result)
            if result == 4:
                break
    await source.aclose()  # type: ignore[attr-defined]  # a generator is more than an iterator

    assert [0, 1, 2, 3, 4] == found


async def test_a_result_does_not_wait_for_a_slow_source(client: Client, autojump_clock: MockClock) -> None:
    async def two() -> AsyncIterator[bytes]:
        yield b"1"
        await trio.sleep(100)
        yield b"2"

    async with client.map("wait", two()) as results:
        assert b"1" == await anext(results)
        assert 1 == trio.current_time()
        assert [b"2"] == await read(results)


async def test_no_items(client: Client) -> None:
    async with client.map("wait", []) as results:
        assert [] == await read(results)


async def test_a_function_that_yields_gives_lists(client: Client) -> None:
    async with client.map(count, [2, 3], ordered=True) as results:
        assert [[0, 1], [0, 1, 2]] == await read(results)


@pytest.mark.parametrize("ordered", [False, True])
async def test_bounds(client: Client, autojump_clock: MockClock, ordered: bool) -> None:
    """Three under way, and three more started or ended that nobody has read."""
    taken = 0

    def items() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"1"

    async with client.map("wait", items(), concurrency=3, ordered=ordered) as results:
        await wait_all_tasks_blocked()
        assert 3 == taken
        await trio.sleep(1000)
        assert 6 == taken
        assert 0 == client.statistics().jobs
        await anext(results)
        await trio.sleep(1000)
        assert 7 == taken


async def test_a_slow_first_job_holds_back_ordered_ones(client: Client, autojump_clock: MockClock) -> None:
    workloads = iter([b"100", *[b"1"] * 20])
    async with client.map("wait", workloads, concurrency=2, ordered=True) as results:
        await trio.sleep(50)
        assert 17 == len([*workloads])
        assert b"100" == await anext(results)


@pytest.mark.parametrize("ordered", [False, True])
async def test_an_item_that_fails_raises_at_its_place_and_stops_the_rest(
    client: Client, gearman: Gearman, ordered: bool
) -> None:
    items = iter([0, 2, 3, *[4] * 100])
    found: list[int] = []
    async with client.map(half, items, concurrency=1, ordered=ordered) as results:
        with pytest.raises(JobRaised, match="odd"):
            await read_into(found, results)
        await wait_all_tasks_blocked()
        submitted = len(gearman.submitted)
        assert [] == await read(results)

    assert [0, 1] == found
    assert submitted <= 4


async def test_the_error_comes_out_of_the_block_as_it_was_raised(client: Client) -> None:
    with pytest.raises(JobRaised):
        async with client.map(half, [1, 2, 3]) as results:
            await read(results)


async def test_errors_as_results(client: Client) -> None:
    async with client.map(half, [0, 1, "x", {1}, 8], ordered=True, on_error="yield") as results:
        found = await read(results)

    assert [int, JobRaised, JobRaised, SerializationError, int] == [type(each) for each in found]
    assert (0, 4) == (found[0], found[4])


async def test_a_mistake_is_raised_in_any_case(client: Client) -> None:
    async with client.map("wait", ["text"], on_error="yield") as results:
        with pytest.raises(TypeError):
            await anext(results)

    async with client.map("", [b""], on_error="yield") as results:
        with pytest.raises(ConfigError):
            await anext(results)


@pytest.mark.parametrize("on_error", ["raise", "yield"])
async def test_an_error_of_the_source_is_raised_after_the_results_before_it(client: Client, on_error: Any) -> None:
    def items() -> Iterator[int]:
        yield 2
        yield 4
        raise ConfigError("no more")

    found: list[int] = []
    async with client.map(half, items(), ordered=True, on_error=on_error) as results:
        with pytest.raises(ConfigError, match="no more"):
            await read_into(found, results)

    assert [1, 2] == found


async def test_leaving_the_block_abandons_what_runs(client: Client, autojump_clock: MockClock) -> None:
    async with client.map("wait", [b"1000"] * 3) as results:
        await wait_all_tasks_blocked()
        assert 3 == client.statistics().jobs

    assert (0, 3) == (client.statistics().jobs, client.statistics().abandoned_jobs)
    assert [] == await read(results)


async def test_cancelled_while_waiting(client: Client, autojump_clock: MockClock) -> None:
    with trio.move_on_after(5) as scope:
        async with client.map("wait", [b"10"]) as results:
            await anext(results)

    assert scope.cancelled_caught

    async with client.map("wait", [b"10"]) as results:
        with trio.move_on_after(5):
            await anext(results)
        assert [b"10"] == await read(results)


async def test_what_the_block_raises_comes_out_as_it_was(client: Client) -> None:
    error = ExceptionGroup("two", [ValueError(), KeyError()])
    with pytest.raises(ExceptionGroup) as caught:
        async with client.map(half, [2]):
            raise error

    assert error is caught.value


@pytest.mark.parametrize("arguments", [{"concurrency": 0}, {"on_error": "ignore"}])
async def test_arguments_that_are_refused(client: Client, arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        async with client.map("wait", [], **arguments):
            pytest.fail("opened")


async def test_nothing_is_begun_for_an_item_that_comes_after_the_end(
    client: Client, gearman: Gearman, autojump_clock: MockClock
) -> None:
    """A source may be in a thread, and give its item though nobody wants it any more."""
    asked = trio.Event()

    async def source() -> AsyncGenerator[bytes]:
        asked.set()
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        yield b"0"

    async with aclosing(source()) as items, client.map("wait", items):
        await asked.wait()
    await client.echo(b"")

    assert () == gearman.submitted
