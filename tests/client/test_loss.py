"""How calls end when their connection does, or their client."""

from __future__ import annotations

import logging
import re
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gearman_trio.client import Client, open_client
from gearman_trio.errors import (
    JobFailed,
    ServersUnavailable,
)
from gearman_trio.protocol import PacketType, encode_response
from gearman_trio.transport import Address

from .outcome import Outcome
from .scripted_server import ScriptedServer, open_pair

P = PacketType


async def test_loss_of_the_connection_in_every_waiting_state() -> None:
    created, waiting, submitted, echo, streamed = (Outcome() for _ in range(5))

    async def stream(client: Client) -> None:
        async with client.stream("f") as job:
            await job.result()

    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(created.catch, partial(client.run, "f"))
        await server.create(b"H:1")
        nursery.start_soon(streamed.catch, partial(stream, client))
        await server.create(b"H:2")
        await waiting.start(nursery, partial(client.run, "f"))
        await submitted.start(nursery, partial(client.submit, "f"))
        await echo.start(nursery, partial(client.echo, b""))
        await server.stream.aclose()

    assert (b"H:1", True) == (created.lost.handle, created.lost.may_have_run)
    assert (b"H:2", True) == (streamed.lost.handle, streamed.lost.may_have_run)
    assert (None, True) == (waiting.lost.handle, waiting.lost.may_have_run)
    assert (None, True) == (submitted.lost.handle, submitted.lost.may_have_run)
    assert isinstance(echo.error, ServersUnavailable)
    assert ("127.0.0.1:4730: the job server closed the connection",) == echo.error.causes


async def test_a_submission_that_waits_for_room_goes_to_the_next_connection() -> None:
    server, outcome = ScriptedServer(slow=True), Outcome()
    async with open_client(connect=server.connect, options=()) as client, trio.open_nursery() as nursery:
        await Outcome().start(nursery, partial(client.submit, "large", b"x" * 2_000_000))
        await outcome.start(nursery, partial(client.submit, "f"))
        await (await server.accept()).stream.aclose()
        assert [b"f", b"", b""] == await (await server.accept()).create(b"H:1", P.SUBMIT_JOB_BG)

    assert b"H:1" == outcome.value


async def test_a_job_that_was_never_sent_cannot_have_run() -> None:
    begun, unsent = Outcome(), Outcome()
    async with open_pair(slow=True) as (client, server), trio.open_nursery() as nursery:
        await begun.start(nursery, partial(client.run, "one"))
        await unsent.start(nursery, partial(client.submit, "two"))
        await server.stream.aclose()

    assert begun.lost.may_have_run
    assert not unsent.lost.may_have_run
    assert "it did not run" in str(unsent.error)


@pytest.mark.parametrize(
    ("nonsense", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "expected a packet"),
        (b"\0REQ\0\0\0\x10\0\0\0\0", "a packet of type -1 came where"),
        (encode_response(P.NOOP), "NOOP came where JOB_CREATED"),
        (b"\0RES\0\0\0\x08\xff\xff\xff\xff", "at most 1000 are taken"),
    ],
)
async def test_a_job_server_that_breaks_the_protocol(
    nonsense: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outcome, again = Outcome(), Outcome()
    server = ScriptedServer()
    async with (
        open_client("here", connect=server.connect, options=(), max_packet_bytes=1000) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(outcome.catch, partial(client.run, "f"))
        connection = await server.accept()
        await connection.receive()
        await connection.stream.send_all(nonsense)
        await connection.wait_closed()
        await wait_all_tasks_blocked()
        nursery.start_soon(again.catch, partial(client.submit, "f"))
        await (await server.accept()).create(b"H:1", P.SUBMIT_JOB_BG)

    assert re.search(reason, str(outcome.lost))
    assert b"H:1" == again.value
    lines = [record.message.partition(":4730 ")[2] for record in caplog.records]
    assert ["connected", lines[1], "connected", "closed"] == lines
    assert re.search(reason, lines[1])


async def test_leaving_the_block_ends_calls_in_other_tasks() -> None:
    job, echo, late = Outcome(), Outcome(), Outcome()
    async with trio.open_nursery() as nursery:
        async with open_pair() as (client, server):
            await job.start(nursery, partial(client.run, "f"))
            await echo.start(nursery, partial(client.echo, b""))
        await server.receive()
        await server.receive()
        await server.wait_closed()
        nursery.start_soon(late.catch, partial(client.run, "f"))

    assert "the client was closed" in str(job.lost)
    assert isinstance(echo.error, ServersUnavailable)
    assert isinstance(late.error, ServersUnavailable)
    assert client.server is None


async def test_leaving_the_block_ends_calls_that_wait_for_a_connection() -> None:
    async def connect(address: Address) -> trio.abc.Stream:
        await trio.sleep_forever()

    outcome = Outcome()
    async with trio.open_nursery() as nursery, open_client(connect=connect) as client:
        await outcome.start(nursery, partial(client.run, "f"))

    assert isinstance(outcome.error, ServersUnavailable)


async def test_a_call_in_a_shielded_clean_up_gets_an_error_instead_of_waiting() -> None:
    outcome = Outcome()
    server = ScriptedServer()
    with trio.CancelScope() as scope:
        async with open_client(connect=server.connect, options=()) as client:
            try:
                scope.cancel()
                await trio.lowlevel.checkpoint()
            finally:
                with trio.CancelScope(shield=True):
                    await wait_all_tasks_blocked()
                    await outcome.catch(partial(client.run, "f"))

    assert isinstance(outcome.error, ServersUnavailable)


async def test_what_the_block_raises_comes_out_as_it_was_raised() -> None:
    error = JobFailed(b"H:1")
    with pytest.raises(JobFailed) as caught:
        async with open_pair():
            raise error

    assert error is caught.value

    group = ExceptionGroup("two", [ValueError(), KeyError()])
    with pytest.raises(ExceptionGroup) as caught_group:
        async with open_pair():
            raise group

    assert group is caught_group.value
