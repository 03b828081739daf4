"""Decorated functions called through client, job server and worker, as they would be called here."""

from __future__ import annotations

import pickle
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from gearman_trio import (
    BYTES,
    JSON,
    TEXT,
    Abilities,
    Address,
    Client,
    Job,
    JobItem,
    JobRaised,
    JobStatus,
    ThreadJob,
    open_client,
    open_server,
    open_worker,
)


class Pickle:
    """A serializer that a program brings along; for workers that trust their clients."""

    structured = True

    def dumps(self, value: Any, /) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes, /) -> Any:
        return pickle.loads(data)


rung: list[str] = []

inner = Abilities(serializer=JSON)


@inner.function
async def area(job: Job, width: int, height: int = 2) -> dict[str, int]:
    await job.status(1, 1)
    return {"area": width * height}


@inner.function
def doubled(job: ThreadJob, numbers: list[int]) -> list[int]:
    return [2 * number for number in numbers]


@inner.function
async def squares(n: int, job: Job | None = None) -> AsyncIterator[int]:
    for number in range(n):
        if job is not None:
            await job.status(number, n)
        yield number**2


@inner.function(serializer=TEXT)
def shout(text: str) -> str:
    return text.upper()


@inner.function(serializer=BYTES)
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


@inner.function(serializer=Pickle())
async def union(first: set[int], second: frozenset[int]) -> set[int]:
    return first | second


@inner.function
async def ring(what: str) -> None:
    rung.append(what)


@inner.function
async def nothing() -> None: ...


@inner.function
async def wrong() -> Any:
    return {1, 2}


abilities = Abilities(namespace="test.")
abilities.include(inner, prefix="v1.")


@asynccontextmanager
async def open_all() -> AsyncGenerator[Client]:
    """A client of a job server with a worker, without a socket."""
    async with open_server(listeners=[]) as server, trio.open_nursery() as nursery:

        async def connect(address: Address) -> trio.abc.Stream:
            ours, theirs = memory_stream_pair()
            nursery.start_soon(server.handle_stream, theirs)
            return ours

        async with (
            open_worker(abilities, connect=connect, concurrency=4),
            open_client(connect=connect, epoch_clock=lambda: 0) as client,
        ):
            yield client


async def test_results_are_those_of_the_functions() -> None:
    async with open_all() as client:
        assert {"area": 6} == await client.run(area, 3)
        assert {"area": 12} == await client.run(area, height=4, width=3)
        assert [2, 4] == await client.run(doubled, [1, 2])
        assert [0, 1, 4] == await client.run(squares, 3)
        assert [] == await client.run(squares, 0)
        assert "GRÜN" == await client.run(shout, "grün")
        assert b"\0ba" == await client.run(reverse, b"ab\0")
        assert {1, 2} == await client.run(union, {1}, frozenset({2}))
        await client.run(nothing)


async def test_names_and_bytes_reach_the_same_functions() -> None:
    async with open_all() as client:
        assert b'{"area":6}' == await client.run("test.v1.area", b'{"width": 3}')
        assert b"[2]" == await client.run("test.v1.doubled", b"[1]")
        # Parts by name are put together as they are.
        assert b"014" == await client.run("test.v1.squares", b"3")
        assert b"null" == await client.run("test.v1.nothing")


async def test_stream_gives_items_as_they_come() -> None:
    async with open_all() as client, client.stream(squares, 2) as job:
        events = [event async for event in job if not isinstance(event, JobStatus)]

    assert [JobItem(0), JobItem(1)] == events


async def test_what_the_worker_cannot_read_or_write_is_told() -> None:
    async with open_all() as client:
        with pytest.raises(
            JobRaised, match=r"SerializationError: function 'test\.v1\.area': the workload lacks 'width'"
        ):
            await client.run("test.v1.area", b"{}")
        with pytest.raises(JobRaised, match=r"SerializationError: function 'test\.v1\.wrong' returned set"):
            await client.run(wrong)


async def test_delay_is_counted_from_the_clients_clock(autojump_clock: MockClock) -> None:
    """At the epoch clock of this client everything is long due."""
    rung.clear()
    async with open_all() as client:
        await client.with_options(delay=30).submit(ring, "bell")
        with trio.fail_after(1):
            while not rung:
                await wait_all_tasks_blocked()

    assert ["bell"] == rung


async def test_decorated_functions_are_called_as_before() -> None:
    assert {2} == await union(set(), frozenset({2}))
    assert "A" == shout("a")
    assert [0] == [number async for number in squares(1)]
