"""Options of calls that stand apart from their arguments."""

from __future__ import annotations

import datetime
from datetime import UTC
from functools import partial
from typing import Any

import pytest
import trio

from gearman_trio import JSON, Abilities
from gearman_trio.client import Client, Priority, open_client
from gearman_trio.errors import ConfigError, JobError, ServersUnavailable
from gearman_trio.protocol import PacketType
from gearman_trio.transport import Address

from .outcome import Outcome
from .scripted_server import ScriptedServer, open_pair

P = PacketType

abilities = Abilities(serializer=JSON)


@abilities.function
async def count(text: str) -> int:
    return len(text)


NOON = 1_700_000_000.25


@pytest.mark.parametrize(
    ("options", "kind", "sent"),
    [
        ({}, P.SUBMIT_JOB_BG, [b"count", b"", b'"t"']),
        ({"priority": "high"}, P.SUBMIT_JOB_HIGH_BG, [b"count", b"", b'"t"']),
        ({"priority": Priority.LOW, "unique": "u"}, P.SUBMIT_JOB_LOW_BG, [b"count", b"u", b'"t"']),
        ({"run_at": 5, "unique": b"u"}, P.SUBMIT_JOB_EPOCH, [b"count", b"u", b"5", b'"t"']),
        (
            {"run_at": datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)},
            P.SUBMIT_JOB_EPOCH,
            [b"count", b"", b"1700000000", b'"t"'],
        ),
        ({"delay": 60}, P.SUBMIT_JOB_EPOCH, [b"count", b"", b"1700000060.250", b'"t"']),
        ({"delay": 0}, P.SUBMIT_JOB_EPOCH, [b"count", b"", b"1700000000.250", b'"t"']),
        ({"name": "count.v2"}, P.SUBMIT_JOB_BG, [b"count.v2", b"", b'"t"']),
    ],
)
async def test_submit_with_options(options: dict[str, Any], kind: P, sent: list[bytes]) -> None:
    server = ScriptedServer()
    async with (
        open_client(connect=server.connect, options=(), epoch_clock=lambda: NOON) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(client.with_options(**options).submit, count, "t")
        connection = await server.accept()
        assert sent == await connection.create(b"H:1", kind)


@pytest.mark.parametrize(
    ("keywords", "kind", "sent"),
    [
        ({}, P.SUBMIT_JOB_HIGH_BG, [b"f", b"u", b"w"]),
        ({"priority": "low"}, P.SUBMIT_JOB_LOW_BG, [b"f", b"u", b"w"]),
        ({"unique": "v"}, P.SUBMIT_JOB_HIGH_BG, [b"f", b"v", b"w"]),
        ({"run_at": 7, "priority": "normal"}, P.SUBMIT_JOB_EPOCH, [b"f", b"u", b"7", b"w"]),
        ({"delay": 1, "priority": "normal"}, P.SUBMIT_JOB_EPOCH, [b"f", b"u", b"1700000001.250", b"w"]),
    ],
)
async def test_keywords_of_a_call_by_name_come_before_options(
    keywords: dict[str, Any], kind: P, sent: list[bytes]
) -> None:
    server = ScriptedServer()
    async with (
        open_client(connect=server.connect, options=(), epoch_clock=lambda: NOON) as client,
        trio.open_nursery() as nursery,
    ):
        view = client.with_options(priority="high", unique="u")
        nursery.start_soon(partial(view.submit, "f", b"w", **keywords))
        connection = await server.accept()
        assert sent == await connection.create(b"H:1", kind)


async def test_views_add_to_each_other_and_leave_their_client_as_it_is() -> None:
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        view = client.with_options(priority="high").with_options(unique="u")
        for caller, kind, unique in [(view, P.SUBMIT_JOB_HIGH, b"u"), (client, P.SUBMIT_JOB, b"")]:
            nursery.start_soon(caller.run, "f", b"w")
            assert [b"f", unique, b"w"] == await server.create(b"H:1", kind)
            await server.send(P.WORK_COMPLETE, b"H:1", b"")


async def test_a_later_time_takes_the_place_of_an_earlier_one() -> None:
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(client.with_options(delay=5).with_options(run_at=9).submit, "f")
        assert b"9" == (await server.create(b"H:1", P.SUBMIT_JOB_EPOCH))[2]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"priority": "urgent"}, "priority"),
        ({"unique": "u" * 65}, "unique ID"),
        ({"delay": -1}, "delay: expected seconds from 0 on"),
        ({"delay": float("nan")}, "delay"),
        ({"delay": "soon"}, "delay"),
        ({"delay": 1, "run_at": 1}, "run_at and delay"),
        ({"name": "a\0"}, "function name"),
        ({"server": "elsewhere:1"}, r"server: expected one of 127\.0\.0\.1:4730, got elsewhere:1"),
    ],
)
async def test_options_that_cannot_be_used(options: dict[str, Any], words: str) -> None:
    async with open_client() as client:
        with pytest.raises(ConfigError, match=words):
            client.with_options(**options)


@pytest.mark.parametrize("options", [{"run_at": 5}, {"delay": 5}])
async def test_a_foreground_job_cannot_start_later(options: dict[str, Any]) -> None:
    server = ScriptedServer()
    async with open_client(connect=server.connect) as client:
        view = client.with_options(**options)
        with pytest.raises(ConfigError, match="use submit"):
            await view.run(count, "t")
        with pytest.raises(ConfigError, match="use submit"):
            async with view.stream("f"):
                pass

    assert [] == server.addresses


async def test_a_job_with_a_delay_has_the_normal_priority() -> None:
    async with open_client() as client:
        with pytest.raises(ConfigError, match="has the normal priority"):
            await client.with_options(delay=1, priority="high").submit(count, "t")


async def test_limit_of_unread_bytes() -> None:
    outcome = Outcome()

    async def watch(client: Client) -> None:
        async with client.stream(count, "t") as job:
            await job.result()

    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(outcome.catch, partial(watch, client.with_options(max_unread_bytes=200)))
        await server.create(b"H:1")
        await server.send(P.WORK_DATA, b"H:1", b"x" * 73)

    assert isinstance(outcome.error, JobError)
    assert "over 200 bytes" in str(outcome.error)


async def test_a_chosen_server_has_a_connection_of_its_own() -> None:
    server = ScriptedServer()
    async with (
        open_client("one", "two", connect=server.connect, options=("exceptions",)) as client,
        trio.open_nursery() as nursery,
    ):
        view = client.with_options(server="two")
        for caller, address in [(client, Address("one")), (view, Address("two"))]:
            nursery.start_soon(caller.submit, "f")
            connection = await server.accept()
            assert address == connection.address
            await connection.expect(P.OPTION_REQ, b"exceptions")
            await connection.send(P.OPTION_RES, b"exceptions")
            await connection.create(b"H:1", P.SUBMIT_JOB_BG)
            assert address == caller.server
        assert view.server == client.with_options(server=Address("two")).server

    with pytest.raises(ServersUnavailable, match="the client was closed"):
        await view.echo(b"")


async def test_the_only_server_needs_no_second_connection() -> None:
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(client.with_options(server="127.0.0.1:4730").submit, "f")
        await server.create(b"H:1", P.SUBMIT_JOB_BG)
