"""Calls of decorated functions, against a job server that follows a script."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gearman_trio import BYTES, JSON, TEXT, Abilities, Job
from gearman_trio.client import JobData, JobItem, JobStatus, TypedJob, open_client
from gearman_trio.errors import JobFailed, SerializationError
from gearman_trio.protocol import PacketType

from .outcome import Outcome
from .scripted_server import ScriptedServer, open_pair

P = PacketType

abilities = Abilities(serializer=JSON, namespace="lib.")


@abilities.function
async def count(text: str) -> int:
    return len(text)


@abilities.function
async def area(job: Job, width: int, height: int = 1) -> int:
    return width * height


@abilities.function(name="list")
async def squares(n: int) -> AsyncGenerator[int]:
    for number in range(n):
        yield number


@abilities.function
def forget(key: str) -> None: ...


@abilities.function(serializer=BYTES)
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


@abilities.function(serializer=TEXT)
async def lines(text: str) -> AsyncIterator[str]:
    yield text


def undecorated(text: str) -> int:
    return 0


@pytest.mark.parametrize(
    ("call", "sent", "packets", "value"),
    [
        ((count, "grün"), [b"lib.count", b"", '"grün"'.encode()], [(P.WORK_COMPLETE, b" 4 ")], 4),
        ((area, 2, 3), [b"lib.area", b"", b'{"width":2,"height":3}'], [(P.WORK_COMPLETE, b"6")], 6),
        ((forget, "k"), [b"lib.forget", b"", b'"k"'], [(P.WORK_COMPLETE, b"")], None),
        ((reverse, b"a\0"), [b"lib.reverse", b"", b"a\0"], [(P.WORK_COMPLETE, b"\0a")], b"\0a"),
        # Bytes in parts are put together, one value of JSON stands alone.
        ((reverse, b""), [b"lib.reverse", b"", b""], [(P.WORK_DATA, b"1"), (P.WORK_COMPLETE, b"2")], b"12"),
        ((count, ""), [b"lib.count", b"", b'""'], [(P.WORK_DATA, b"part"), (P.WORK_COMPLETE, b"0")], 0),
        # A function that yields gives a list; workers of others end it with the last item.
        (
            (squares, 2),
            [b"lib.list", b"", b"2"],
            [(P.WORK_DATA, b"0"), (P.WORK_DATA, b"1"), (P.WORK_COMPLETE, b"")],
            [0, 1],
        ),
        ((squares, 2), [b"lib.list", b"", b"2"], [(P.WORK_DATA, b"0"), (P.WORK_COMPLETE, b"1")], [0, 1]),
        ((squares, 0), [b"lib.list", b"", b"0"], [(P.WORK_COMPLETE, b"")], []),
        (
            (lines, "t"),
            [b"lib.lines", b"", b"t"],
            [(P.WORK_DATA, b""), (P.WORK_DATA, b"\xc3\xbc"), (P.WORK_COMPLETE, b"")],
            ["", "ü"],
        ),
    ],
)
async def test_run(call: Any, sent: list[bytes], packets: list[tuple[P, bytes]], value: object) -> None:
    outcome = Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(outcome.catch, partial(client.run, *call))
        assert sent == await server.create(b"H:1")
        for kind, payload in packets:
            await server.send(kind, b"H:1", payload)

    assert (None, value) == (outcome.error, outcome.value)


@pytest.mark.parametrize(
    ("call", "packets"),
    [
        ((count, ""), [(P.WORK_COMPLETE, b"four")]),
        ((count, ""), [(P.WORK_COMPLETE, b"")]),
        ((squares, 2), [(P.WORK_DATA, b"0"), (P.WORK_DATA, b""), (P.WORK_COMPLETE, b"")]),
    ],
)
async def test_unreadable_result_is_the_callers_error(call: Any, packets: list[tuple[P, bytes]]) -> None:
    outcome, echo = Outcome(), Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(outcome.catch, partial(client.run, *call))
        await server.create(b"H:1")
        for kind, payload in packets:
            await server.send(kind, b"H:1", payload)
        await echo.start(nursery, partial(client.echo, b"e"))
        await server.expect(P.ECHO_REQ, b"e")
        await server.send(P.ECHO_RES, b"e")

    assert isinstance(outcome.error, SerializationError)
    assert b"e" == echo.value


@pytest.mark.parametrize("method", ["run", "submit", "stream"])
@pytest.mark.parametrize(
    ("arguments", "keywords", "error"),
    [
        ((undecorated, ""), {}, TypeError),
        ((len, ""), {}, TypeError),
        ((count,), {}, TypeError),
        ((count, "", 1), {}, TypeError),
        ((count, ""), {"priority": "high"}, TypeError),
        ((area, 1), {"job": None}, TypeError),
        ((count, b"bytes"), {}, SerializationError),
        ((area, 1, {2}), {}, SerializationError),
        ((reverse, "text"), {}, SerializationError),
    ],
)
async def test_what_does_not_fit_is_refused_before_anything_is_sent(
    method: str, arguments: tuple[object, ...], keywords: dict[str, object], error: type[Exception]
) -> None:
    async def call(client: Any) -> None:
        called = getattr(client, method)(*arguments, **keywords)
        await (called.__aenter__() if method == "stream" else called)

    server = ScriptedServer()
    async with open_client(connect=server.connect) as client:
        with pytest.raises(error):
            await call(client)

    assert [] == server.addresses


async def test_submit() -> None:
    outcome = Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(outcome.catch, partial(client.submit, area, 2, height=3))
        assert [b"lib.area", b"", b'{"width":2,"height":3}'] == await server.create(b"H:1", P.SUBMIT_JOB_BG)

    assert b"H:1" == outcome.value


async def test_stream_of_a_function_that_yields() -> None:
    events: list[object] = []
    async with open_pair() as (client, server), trio.open_nursery() as nursery:

        async def watch() -> None:
            async with client.stream(squares, 3) as job:
                assert isinstance(job, TypedJob)
                assert "<TypedJob H:1>" == repr(job)
                async for event in job:
                    events.append(event)
                await job.result()

        nursery.start_soon(watch)
        await server.create(b"H:1")
        await server.send(P.WORK_DATA, b"H:1", b"0")
        await server.send(P.WORK_STATUS, b"H:1", b"1", b"3")
        await server.send(P.WORK_DATA, b"H:1", b"1")
        await server.send(P.WORK_COMPLETE, b"H:1", b"4")

    assert [JobItem(0), JobStatus(1, 3), JobItem(1), JobItem(4)] == events


async def test_an_item_that_cannot_be_read_leaves_those_after_it() -> None:
    async with open_pair() as (client, server), trio.open_nursery() as nursery:

        async def watch() -> None:
            async with client.stream(squares, 3) as job:
                with pytest.raises(SerializationError, match=r"function 'lib\.list'"):
                    await anext(job)
                assert JobItem(1) == await anext(job)
                with pytest.raises(JobFailed):
                    await anext(job)

        nursery.start_soon(watch)
        await server.create(b"H:1")
        await server.send(P.WORK_DATA, b"H:1", b"zero")
        await server.send(P.WORK_DATA, b"H:1", b"1")
        await server.send(P.WORK_FAIL, b"H:1")


async def test_stream_of_a_function_that_returns() -> None:
    events: list[object] = []
    async with open_pair() as (client, server), trio.open_nursery() as nursery:

        async def watch() -> None:
            async with client.with_options(unique="u").stream(count, "four") as job:
                async for event in job:
                    events.append(event)
                assert 4 == await job.result()
                assert b"u" == job.unique

        nursery.start_soon(watch)
        await server.create(b"H:1")
        await server.send(P.WORK_DATA, b"H:1", b"not JSON")
        await server.send(P.WORK_COMPLETE, b"H:1", b"4")

    assert [JobData(b"not JSON")] == events


async def test_cancelled_typed_run_leaves_the_connection_usable() -> None:
    outcome, second = Outcome(), Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(outcome.catch, partial(client.run, count, "x"))
        await server.create(b"H:1")
        await wait_all_tasks_blocked()
        outcome.scope.cancel()
        await wait_all_tasks_blocked()
        await server.send(P.WORK_COMPLETE, b"H:1", b"not JSON")
        nursery.start_soon(second.catch, partial(client.run, count, "y"))
        await server.create(b"H:2")
        await server.send(P.WORK_COMPLETE, b"H:2", b"1")

    assert outcome.scope.cancelled_caught
    assert 1 == second.value


async def test_name_by_keyword_is_still_a_name() -> None:
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(partial(client.submit, function="f", workload=b"w"))
        assert [b"f", b"", b"w"] == await server.create(b"H:1", P.SUBMIT_JOB_BG)
