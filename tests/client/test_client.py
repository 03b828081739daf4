"""Calls of the client, against a job server that follows a script."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gearman_trio.client import JobState, Priority, open_client
from gearman_trio.errors import (
    ConfigError,
    GearmanError,
    JobFailed,
    JobRaised,
    RemoteProtocolError,
    ServerError,
)
from gearman_trio.protocol import PacketType, encode_response

from .outcome import Outcome
from .scripted_server import ScriptedServer, open_pair

P = PacketType


async def test_run_joins_data_and_the_last_part() -> None:
    outcome = Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(outcome.catch, partial(client.run, "reverse", b"a\0b", unique="u"))
        assert [b"reverse", b"u", b"a\0b"] == await server.create(b"H:1")
        await server.send(P.WORK_DATA, b"H:1", b"one ")
        await server.send(P.WORK_WARNING, b"H:1", b"careful")
        await server.send(P.WORK_STATUS, b"H:1", b"1", b"2")
        await server.send(P.WORK_DATA, b"H:1", b"two ")
        await server.send(P.WORK_COMPLETE, b"H:1", b"three\0")

    assert b"one two three\0" == outcome.value


async def test_creation_and_completion_in_one_batch() -> None:
    outcome = Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(outcome.catch, partial(client.run, "f"))
        await server.receive()
        await server.stream.send_all(
            encode_response(P.JOB_CREATED, b"H:1") + encode_response(P.WORK_COMPLETE, b"H:1", b"")
        )

    assert b"" == outcome.value


@pytest.mark.parametrize(
    ("kind", "fields", "error"),
    [
        (P.WORK_FAIL, (b"H:1",), JobFailed),
        (P.WORK_EXCEPTION, (b"H:1", b"ouch"), JobRaised),
    ],
)
async def test_how_a_job_can_end_badly(kind: P, fields: tuple[bytes, ...], error: type[GearmanError]) -> None:
    outcome = Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(outcome.catch, partial(client.run, "f"))
        await server.create(b"H:1")
        await server.send(kind, *fields)

    assert type(outcome.error) is error


async def test_a_refused_job_leaves_the_connection_usable() -> None:
    first, second = Outcome(), Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(first.catch, partial(client.submit, "f"))
        await server.receive()
        await server.send(P.ERROR, b"QUEUE_ERROR", b"full")
        await wait_all_tasks_blocked()
        nursery.start_soon(second.catch, partial(client.submit, "f"))
        await server.create(b"H:2", P.SUBMIT_JOB_BG)

    assert isinstance(first.error, ServerError)
    assert "QUEUE_ERROR" == first.error.code
    assert b"H:2" == second.value


@pytest.mark.parametrize(
    ("priority", "kind"),
    [("high", P.SUBMIT_JOB_HIGH_BG), (Priority.NORMAL, P.SUBMIT_JOB_BG), (Priority.LOW, P.SUBMIT_JOB_LOW_BG)],
)
async def test_submit_gives_the_handle(priority: str, kind: P) -> None:
    outcome = Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(outcome.catch, partial(client.submit, "f", bytearray(b"w"), priority=priority))
        assert [b"f", b"", b"w"] == await server.create(b"H:1", kind)

    assert b"H:1" == outcome.value


async def test_submit_for_later() -> None:
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(partial(client.submit, "f", b"w", run_at=1700000000.5))
        assert [b"f", b"", b"1700000000.500", b"w"] == await server.create(b"H:1", P.SUBMIT_JOB_EPOCH)


async def test_questions_and_answers() -> None:
    status, unique, echo, option = Outcome(), Outcome(), Outcome(), Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        await status.start(nursery, partial(client.status, "H:1"))
        await unique.start(nursery, partial(client.status_by_unique, b"u"))
        await echo.start(nursery, partial(client.echo, b"\0"))
        await option.start(nursery, partial(client.set_option, "exceptions"))
        await server.expect(P.GET_STATUS, b"H:1")
        await server.expect(P.GET_STATUS_UNIQUE, b"u")
        await server.expect(P.ECHO_REQ, b"\0")
        await server.expect(P.OPTION_REQ, b"exceptions")
        await server.send(P.STATUS_RES, b"H:1", b"1", b"1", b"2", b"5")
        await server.send(P.STATUS_RES_UNIQUE, b"u", b"1", b"0", b"0", b"0", b"3")
        await server.send(P.ECHO_RES, b"\0")
        await server.send(P.OPTION_RES, b"exceptions")

    assert JobState(known=True, running=True, numerator=2, denominator=5) == status.value
    assert JobState(known=True, running=False, numerator=0, denominator=0, clients=3) == unique.value
    assert b"\0" == echo.value
    assert option.error is None


async def test_a_senseless_status_is_one_callers_error_only() -> None:
    status, echo = Outcome(), Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        await status.start(nursery, partial(client.status, "H:1"))
        await echo.start(nursery, partial(client.echo, b"e"))
        await server.send(P.STATUS_RES, b"H:1", b"1", b"1", b"half", b"5")
        await server.send(P.ECHO_RES, b"e")

    assert isinstance(status.error, RemoteProtocolError)
    assert b"e" == echo.value


@pytest.mark.parametrize(
    ("method", "arguments", "keywords", "error"),
    [
        ("run", ("", b""), {}, ConfigError),
        ("run", ("a\0b", b""), {}, ConfigError),
        ("run", ("f", "text"), {}, TypeError),
        ("run", ("f", b""), {"priority": "urgent"}, ConfigError),
        ("run", ("f", b""), {"unique": "u" * 65}, ConfigError),
        ("submit", ("f", None), {}, TypeError),
        ("submit", ("f", b""), {"priority": "high", "run_at": 5}, ConfigError),
        ("submit", ("f", b""), {"run_at": "soon"}, ConfigError),
        ("echo", ("text",), {}, TypeError),
        ("status", ("",), {}, ConfigError),
        ("status", ("H" * 64,), {}, ConfigError),
        ("status_by_unique", (b"a\0",), {}, ConfigError),
        ("set_option", ("",), {}, ConfigError),
        ("set_option", ("a\0",), {}, ConfigError),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_anything_is(
    method: str, arguments: tuple[object, ...], keywords: dict[str, object], error: type[Exception]
) -> None:
    server = ScriptedServer()
    async with open_client(connect=server.connect) as client:
        with pytest.raises(error):
            await getattr(client, method)(*arguments, **keywords)

    assert [] == server.addresses


async def test_a_hundred_jobs_at_once_that_end_in_reverse() -> None:
    outcomes = [Outcome() for _ in range(100)]
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        for number, outcome in enumerate(outcomes):
            nursery.start_soon(outcome.catch, partial(client.run, "f", b"%d" % number))
        workloads = [(await server.create(b"H:%d" % number))[2] for number in range(100)]
        await wait_all_tasks_blocked()
        assert 100 == client.statistics().jobs
        for number in reversed(range(100)):
            await server.send(P.WORK_COMPLETE, b"H:%d" % number, workloads[number])

    assert [b"%d" % number for number in range(100)] == [outcome.value for outcome in outcomes]


async def test_coalesced_runs_both_get_everything() -> None:
    outcomes = [Outcome(), Outcome()]
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        for outcome in outcomes:
            nursery.start_soon(outcome.catch, partial(client.run, "f", unique="same"))
            await server.create(b"H:1")
        for part in (b"1", b"1", b"2", b"2"):
            await server.send(P.WORK_DATA, b"H:1", part)
        await server.send(P.WORK_COMPLETE, b"H:1", b"3")
        await server.send(P.WORK_COMPLETE, b"H:1", b"3")

    assert [b"123", b"123"] == [outcome.value for outcome in outcomes]
