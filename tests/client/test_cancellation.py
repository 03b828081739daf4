"""Calls that are cancelled at each point where they wait; the connection stays usable."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio.client import Client
from gearman_trio.protocol import PacketType

from .outcome import Outcome
from .scripted_server import open_pair

P = PacketType


async def test_a_large_workload_waits_for_those_before_it() -> None:
    """With more than a megabyte unsent a submission waits; cancelled there, it never reaches the job server."""
    large = b"x" * 2_000_000
    outcome = Outcome()
    async with open_pair(slow=True) as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(partial(client.submit, "one", large))
        await wait_all_tasks_blocked()
        nursery.start_soon(partial(client.submit, "two", large))
        await wait_all_tasks_blocked()
        nursery.start_soon(outcome.catch, partial(client.submit, "never"))
        await wait_all_tasks_blocked()
        assert 2_000_000 < client.statistics().unsent_bytes < 2_000_100
        outcome.scope.cancel()
        await wait_all_tasks_blocked()
        assert [b"one", b"two"] == [(await server.create(b"H:1", P.SUBMIT_JOB_BG))[0] for _ in range(2)]
        await wait_all_tasks_blocked()
        assert 0 == client.statistics().unsent_bytes

    assert outcome.scope.cancelled_caught


@pytest.mark.parametrize("which", [0, 1])
async def test_coalesced_runs_with_one_cancelled_half_way(which: int) -> None:
    outcomes = [Outcome(), Outcome()]
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        for outcome in outcomes:
            nursery.start_soon(outcome.catch, partial(client.run, "f", unique="same"))
            await server.create(b"H:1")
        await server.send(P.WORK_DATA, b"H:1", b"1")
        await server.send(P.WORK_DATA, b"H:1", b"1")
        await wait_all_tasks_blocked()
        outcomes[which].scope.cancel()
        await wait_all_tasks_blocked()
        assert (1, 1) == (client.statistics().jobs, client.statistics().abandoned_jobs)
        await server.send(P.WORK_DATA, b"H:1", b"2")
        await server.send(P.WORK_DATA, b"H:1", b"2")
        await server.send(P.WORK_COMPLETE, b"H:1", b"3")
        await server.send(P.WORK_COMPLETE, b"H:1", b"3")
        await wait_all_tasks_blocked()
        assert (0, 0) == (client.statistics().jobs, client.statistics().abandoned_jobs)

    assert outcomes[which].scope.cancelled_caught
    assert b"123" == outcomes[1 - which].value


async def test_run_cancelled_before_it_sends_has_no_effect() -> None:
    async with open_pair() as (client, server):
        with trio.CancelScope() as scope:
            scope.cancel()
            await client.run("never")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.echo, b"next")
            await server.expect(P.ECHO_REQ, b"next")
            await server.send(P.ECHO_RES, b"next")


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (partial(Client.run, function="f"), (P.JOB_CREATED, b"H:1")),
        (partial(Client.submit, function="f"), (P.JOB_CREATED, b"H:1")),
        (partial(Client.status, handle="H:1"), (P.STATUS_RES, b"H:1", b"0", b"0", b"0", b"0")),
        (partial(Client.status_by_unique, unique="u"), (P.STATUS_RES_UNIQUE, b"u", b"0", b"0", b"0", b"0", b"0")),
        (partial(Client.echo, workload=b"lost"), (P.ECHO_RES, b"lost")),
        (partial(Client.set_option, name="o"), (P.ERROR, b"UNKNOWN_OPTION", b"")),
    ],
)
async def test_cancelled_while_waiting_for_the_answer(
    call: partial[Awaitable[object]], answer: tuple[PacketType, *tuple[bytes, ...]]
) -> None:
    cancelled, next_ = Outcome(), Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        await cancelled.start(nursery, partial(call, client))
        await next_.start(nursery, partial(client.echo, b"next"))
        cancelled.scope.cancel()
        await wait_all_tasks_blocked()
        await server.receive()
        await server.receive()
        await server.send(answer[0], *answer[1:])
        await server.send(P.ECHO_RES, b"next")

    assert cancelled.scope.cancelled_caught
    assert b"next" == next_.value


async def test_run_cancelled_after_its_handle_came() -> None:
    cancelled, next_ = Outcome(), Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(cancelled.catch, partial(client.run, "f"))
        await server.create(b"H:1")
        await wait_all_tasks_blocked()
        cancelled.scope.cancel()
        nursery.start_soon(next_.catch, partial(client.run, "f"))
        await server.create(b"H:2")
        for handle in (b"H:1", b"H:2"):
            await server.send(P.WORK_DATA, handle, b"part of " + handle)
            await server.send(P.WORK_COMPLETE, handle, b"")

    assert cancelled.scope.cancelled_caught
    assert b"part of H:2" == next_.value


async def test_a_result_that_came_before_the_cancellation_is_kept() -> None:
    outcome = Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(outcome.catch, partial(client.run, "f"))
        await server.create(b"H:1")
        await wait_all_tasks_blocked()
        await server.send(P.WORK_COMPLETE, b"H:1", b"done")
        while client.statistics().jobs:
            await trio.lowlevel.checkpoint()
        # The link's task has woken the caller, which has not gone on yet.
        outcome.scope.cancel()

    assert b"done" == outcome.value


async def test_cancelling_the_block_is_no_error(autojump_clock: MockClock) -> None:
    with trio.move_on_after(1) as scope:
        async with open_pair() as (client, server):
            await client.run("f")

    assert scope.cancelled_caught
    await server.receive()
    await server.wait_closed()
