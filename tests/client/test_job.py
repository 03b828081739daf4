"""Jobs that are watched while they run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gearman_trio.client import Client, ForegroundJob, JobData, JobStatus, JobWarning
from gearman_trio.errors import GearmanError, JobError, JobFailed, JobLost, JobRaised, ServerError
from gearman_trio.protocol import PacketType

from .outcome import Outcome
from .scripted_server import ScriptedConnection, open_pair

P = PacketType


@asynccontextmanager
async def open_job(
    *, max_unread_bytes: int = 1000
) -> AsyncGenerator[tuple[ForegroundJob, ScriptedConnection, Client, trio.Nursery]]:
    """A watched job H:1, the job server's end of its connection, its client, and a nursery for other calls."""
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.create, b"H:1")
        async with client.stream("f", b"w", unique="u", max_unread_bytes=max_unread_bytes) as job:
            yield job, server, client, nursery


async def events_of(job: ForegroundJob) -> list[object]:
    return [event async for event in job]


async def test_events_come_in_order_and_end_with_the_job() -> None:
    events = Outcome()
    async with open_job() as (job, server, _, nursery):
        assert (b"H:1", b"u") == (job.handle, job.unique)
        assert "<ForegroundJob H:1>" == repr(job)
        await events.start(nursery, partial(events_of, job))
        for kind, fields in [
            (P.WORK_DATA, (b"\0one",)),
            (P.WORK_STATUS, (b"1", b"4")),
            (P.WORK_WARNING, (b"careful",)),
            (P.WORK_DATA, (b"",)),
        ]:
            await server.send(kind, b"H:1", *fields)
        await server.send(P.WORK_COMPLETE, b"H:1", b"end\0")
        assert b"end\0" == await job.result()
        assert b"end\0" == await job.result()

    assert [JobData(b"\0one"), JobStatus(1, 4), JobWarning(b"careful"), JobData(b"")] == events.value


async def test_what_was_not_read_before_the_result_stays_readable() -> None:
    async with open_job() as (job, server, _, _):
        await server.send(P.WORK_DATA, b"H:1", b"one")
        await server.send(P.WORK_COMPLETE, b"H:1", b"two")
        assert b"two" == await job.result()
        events = await events_of(job)

    assert [JobData(b"one")] == events


async def test_only_the_newest_unread_status_is_kept_in_its_place() -> None:
    async with open_job() as (job, server, _, _):
        await server.send(P.WORK_STATUS, b"H:1", b"1", b"3")
        await server.send(P.WORK_DATA, b"H:1", b"a")
        await server.send(P.WORK_STATUS, b"H:1", b"2", b"3")
        await wait_all_tasks_blocked()
        first = await anext(job)
        await server.send(P.WORK_STATUS, b"H:1", b"3", b"3")
        await server.send(P.WORK_COMPLETE, b"H:1", b"")
        rest = await events_of(job)

    assert JobStatus(2, 3) == first
    assert [JobData(b"a"), JobStatus(3, 3)] == rest


async def test_a_senseless_status_is_passed_over() -> None:
    async with open_job() as (job, server, _, _):
        await server.send(P.WORK_STATUS, b"H:1", b"half", b"all")
        await server.send(P.WORK_COMPLETE, b"H:1", b"")
        events = await events_of(job)

    assert [] == events


@pytest.mark.parametrize(
    ("kind", "fields", "error"),
    [(P.WORK_FAIL, (b"H:1",), JobFailed), (P.WORK_EXCEPTION, (b"H:1", b"ouch"), JobRaised)],
)
async def test_a_job_that_ends_badly_gives_its_events_first(
    kind: PacketType, fields: tuple[bytes, ...], error: type[GearmanError]
) -> None:
    async with open_job() as (job, server, _, _):
        await server.send(P.WORK_DATA, b"H:1", b"a")
        await server.send(kind, *fields)
        with pytest.raises(error):
            await job.result()
        event = await anext(job)
        with pytest.raises(error):
            await anext(job)

    assert JobData(b"a") == event


async def test_a_refused_job_is_not_entered() -> None:
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.send, P.ERROR, b"QUEUE_ERROR", b"full")
        with pytest.raises(ServerError):
            async with client.stream("f"):
                pytest.fail("entered")


async def test_a_job_that_is_not_read_ends_alone() -> None:
    outcome = Outcome()
    async with open_job(max_unread_bytes=1000) as (job, server, client, nursery):
        await outcome.start(nursery, partial(client.run, "f"))
        await server.create(b"H:2")
        await server.send(P.WORK_DATA, b"H:1", b"x" * 700)
        await server.send(P.WORK_DATA, b"H:1", b"y" * 700)
        await server.send(P.WORK_DATA, b"H:1", b"z")
        with pytest.raises(JobError, match="has over 1000 bytes that were not read") as caught:
            await job.result()
        kept = await anext(job)
        with pytest.raises(JobError, match="not read"):
            await anext(job)
        await server.send(P.WORK_COMPLETE, b"H:1", b"")
        await server.send(P.WORK_COMPLETE, b"H:2", b"other")

    assert not isinstance(caught.value, JobLost)
    assert JobData(b"x" * 700) == kept
    assert b"other" == outcome.value


async def test_empty_events_count_too() -> None:
    async with open_job(max_unread_bytes=1000) as (job, server, _, _):
        for _ in range(8):
            await server.send(P.WORK_WARNING, b"H:1", b"")
        with pytest.raises(JobError, match="not read"):
            await job.result()


async def test_what_is_read_does_not_count_any_longer() -> None:
    async with open_job(max_unread_bytes=1000) as (job, server, _, _):
        for number in range(8):
            await server.send(P.WORK_DATA, b"H:1", b"%d" % number * 800)
            assert JobData(b"%d" % number * 800) == await anext(job)


async def test_leaving_early_drops_the_rest_and_ends_whoever_waits() -> None:
    outcome, next_ = Outcome(), Outcome()
    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.create, b"H:1")
        async with client.stream("f") as job:
            await outcome.start(nursery, job.result)
        await next_.start(nursery, partial(client.run, "f"))
        await server.create(b"H:2")
        for handle in (b"H:1", b"H:2"):
            await server.send(P.WORK_DATA, handle, b"part of " + handle)
            await server.send(P.WORK_COMPLETE, handle, b"")

    assert isinstance(outcome.error, JobError)
    assert "was left before it ended" in str(outcome.error)
    assert b"part of H:2" == next_.value


async def test_cancelled_while_waiting_for_the_handle() -> None:
    outcome = Outcome()

    async def watch(client: Client) -> None:
        async with client.stream("f"):
            pytest.fail("entered")

    async with open_pair() as (client, server), trio.open_nursery() as nursery:
        await outcome.start(nursery, partial(watch, client))
        outcome.scope.cancel()
        await wait_all_tasks_blocked()
        await server.create(b"H:1")
        await server.send(P.WORK_COMPLETE, b"H:1", b"")
        await wait_all_tasks_blocked()
        assert (0, 0) == (client.statistics().jobs, client.statistics().abandoned_jobs)
        assert client.statistics().connected

    assert outcome.scope.cancelled_caught


async def test_cancelled_while_waiting_for_an_event_or_the_result() -> None:
    event, result = Outcome(), Outcome()
    async with open_job() as (job, server, _, nursery):
        await event.start(nursery, partial(anext, job))
        await result.start(nursery, job.result)
        event.scope.cancel()
        result.scope.cancel()
        await wait_all_tasks_blocked()
        await server.send(P.WORK_DATA, b"H:1", b"a")
        await server.send(P.WORK_COMPLETE, b"H:1", b"b")
        assert JobData(b"a") == await anext(job)
        assert b"b" == await job.result()

    assert (True, True) == (event.scope.cancelled_caught, result.scope.cancelled_caught)


async def test_cancelled_with_an_event_at_hand_it_stays() -> None:
    async with open_job() as (job, server, _, _):
        await server.send(P.WORK_DATA, b"H:1", b"a")
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(job)
        assert JobData(b"a") == await anext(job)

    assert scope.cancelled_caught


async def test_two_tasks_that_iterate_share_the_events() -> None:
    one, two = Outcome(), Outcome()
    async with open_job() as (job, server, _, nursery):
        await one.start(nursery, partial(events_of, job))
        await two.start(nursery, partial(events_of, job))
        for part in (b"a", b"b", b"c"):
            await server.send(P.WORK_DATA, b"H:1", part)
        await server.send(P.WORK_COMPLETE, b"H:1", b"")
        await job.result()

    assert isinstance(one.value, list)
    assert isinstance(two.value, list)
    assert [b"a", b"b", b"c"] == sorted(event.data for event in one.value + two.value)


async def test_coalesced_watchers_each_get_every_event() -> None:
    async with open_job() as (one, server, client, nursery):
        nursery.start_soon(server.create, b"H:1")
        async with client.stream("f", unique="u") as two:
            for kind in (P.WORK_DATA, P.WORK_DATA, P.WORK_COMPLETE, P.WORK_COMPLETE):
                await server.send(kind, b"H:1", b"x")
            results = [await one.result(), await two.result()]
            events = [await events_of(one), await events_of(two)]

    assert [b"x", b"x"] == results
    assert [[JobData(b"x")], [JobData(b"x")]] == events
