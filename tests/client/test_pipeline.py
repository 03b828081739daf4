"""`Client.pipeline`: what is sent when, what becomes of each entry, and what a loss or a cancellation leaves."""

from __future__ import annotations

import contextlib
import datetime
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio import JSON, Abilities
from gearman_trio.client import Client, PipelineEntry, PipelineError, Priority, open_client
from gearman_trio.errors import (
    ConfigError,
    GearmanError,
    JobLost,
    SerializationError,
    ServerError,
    ServersUnavailable,
)
from gearman_trio.protocol import PacketType
from gearman_trio.testing import Direction, Gearman

from .farm import Farm
from .outcome import Outcome
from .scripted_server import ScriptedServer, open_pair

P = PacketType

abilities = Abilities(serializer=JSON)


@abilities.function
async def resize(name: str, width: int = 10) -> int:
    return width


def handles(entries: list[PipelineEntry]) -> list[bytes | None]:
    return [entry.handle for entry in entries]


def errors(entries: list[PipelineEntry]) -> list[type | None]:
    return [None if entry.error is None else type(entry.error) for entry in entries]


# ---- submitting ------------------------------------------------------------------------------------------------------


async def test_all_submissions_leave_at_the_end_and_have_their_handles_then(gearman: Gearman) -> None:
    async with gearman.client() as client:
        await client.echo(b"")
        before = gearman.transcript()
        async with client.pipeline() as pipeline:
            entries = [pipeline.submit("f", b"%d" % number) for number in range(1000)]
            await wait_all_tasks_blocked()
            assert 1000 == len(pipeline)
            assert before == gearman.transcript()
            assert [None] * 1000 == handles(entries)

    assert [job.handle for job in gearman.submitted] == handles(entries)
    assert [b"%d" % number for number in range(1000)] == [job.workload for job in gearman.submitted]
    assert {True} == {job.background for job in gearman.submitted}


async def test_one_write() -> None:
    async with open_pair() as (client, connection), trio.open_nursery() as nursery:
        done = Outcome()

        async def submit() -> None:
            async with client.pipeline() as pipeline:
                for _ in range(3):
                    pipeline.submit("f", b"w")

        await done.start(nursery, submit)
        data = await connection.stream.receive_some()
        for number in range(3):
            await connection.send(P.JOB_CREATED, b"H:%d" % number)

    assert 3 == bytes(data).count(b"\0REQ")
    assert done.error is None


async def test_options_of_the_call_the_pipeline_and_the_client(gearman: Gearman) -> None:
    later = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
    async with gearman.client() as client, client.with_options(priority="low").pipeline() as pipeline:
        first = pipeline.submit("f")
        pipeline.submit("f", priority="high", unique="u")
        pipeline.with_options(unique="v").submit(resize, "cat", width=5)
        pipeline.with_options(priority="normal", run_at=later).submit(resize, "dog")
        pipeline.with_options(priority="normal", delay=60).submit(function="f", workload=b"w")

    jobs = gearman.submitted
    assert [Priority.LOW, Priority.HIGH, Priority.LOW, Priority.NORMAL, Priority.NORMAL] == [
        job.priority for job in jobs
    ]
    assert [b"", b"u", b"v", b"", b""] == [job.unique for job in jobs]
    assert [b"f", b"f", b"resize", b"resize", b"f"] == [job.function for job in jobs]
    gearman.assert_submitted(resize, arguments=("cat", 5), unique="v", count=1)
    gearman.assert_submitted(resize, run_at=later, count=1)
    assert (b"f", b"", first.handle) == (first.function, first.unique, jobs[0].handle)


async def test_what_cannot_be_sent_is_raised_at_once_and_not_added(gearman: Gearman) -> None:
    async with gearman.client() as client, client.pipeline() as pipeline:
        with pytest.raises(SerializationError):
            pipeline.submit(resize, {"cat"})  # type: ignore[call-overload]  # wrong on purpose
        with pytest.raises(ConfigError):
            pipeline.submit("")
        with pytest.raises(TypeError):
            pipeline.submit("f", "text")  # type: ignore[call-overload]  # as above
        with pytest.raises(ConfigError):
            pipeline.with_options(priority="highest")
        with pytest.raises(ConfigError):
            pipeline.submit("f", delay=1, priority="high")
        assert (0, 0) == (len(pipeline), pipeline.unsent_bytes)

    gearman.assert_not_submitted()


async def test_nothing_is_sent_where_nothing_was_submitted_or_the_block_raises(gearman: Gearman) -> None:
    async with gearman.client() as client:
        async with client.pipeline():
            pass
        with contextlib.suppress(KeyError):
            async with client.pipeline() as pipeline:
                entry = pipeline.submit("f")
                raise KeyError
        with pytest.raises(RuntimeError, match="has ended"):
            pipeline.with_options(priority="low").submit("f")

    gearman.assert_not_submitted()
    assert (None, None) == (entry.handle, entry.error)


async def test_on_error_is_checked(gearman: Gearman) -> None:
    async with gearman.client() as client:
        with pytest.raises(ConfigError, match="'raise' or 'keep', got 'yield'"):
            async with client.pipeline(on_error="yield"):  # type: ignore[arg-type]  # wrong on purpose
                pytest.fail("opened")


# ---- flushing --------------------------------------------------------------------------------------------------------


async def test_flush_sends_a_piece_and_keeps_nothing_of_it(gearman: Gearman) -> None:
    async with gearman.client() as client, client.pipeline() as pipeline:
        first = pipeline.submit("f", b"x" * 1000)
        assert 1000 < pipeline.unsent_bytes < 1100
        await pipeline.flush()
        assert first.handle is not None
        assert (0, 0) == (len(pipeline), pipeline.unsent_bytes)
        second = pipeline.submit("f")
        await pipeline.flush()
        await pipeline.flush()

    assert [job.handle for job in gearman.submitted] == handles([first, second])


async def test_a_long_pipeline_waits_for_the_server_to_read() -> None:
    """Of 100 large packets only as much is on its way as the link takes before it makes senders wait."""
    async with open_pair(slow=True) as (client, connection), trio.open_nursery() as nursery:

        async def submit() -> None:
            async with client.pipeline() as pipeline:
                for _ in range(100):
                    pipeline.submit("f", bytes(100_000))

        nursery.start_soon(submit)
        await wait_all_tasks_blocked()
        statistics = client.statistics()
        assert 1024 * 1024 < statistics.unsent_bytes < 1024 * 1024 + 2 * 100_100
        assert 11 == statistics.pending_replies
        for number in range(100):
            await connection.create(b"H:%d" % number, P.SUBMIT_JOB_BG)

    assert 0 == client.statistics().pending_replies


async def test_clear_forgets_what_was_not_sent(gearman: Gearman) -> None:
    async with gearman.client() as client, client.pipeline() as pipeline:
        pipeline.submit("f")
        pipeline.clear()
        assert (0, 0) == (len(pipeline), pipeline.unsent_bytes)

    gearman.assert_not_submitted()


# ---- errors ----------------------------------------------------------------------------------------------------------


async def submit_refused(client: Client, **arguments: str) -> list[PipelineEntry]:
    entries: list[PipelineEntry] = []
    async with client.pipeline(**arguments) as pipeline:  # type: ignore[arg-type]  # a test gives the right ones
        entries += [pipeline.submit(name, unique=name) for name in ("good", "bad", "good", "bad")]
    return entries


async def test_refused_submissions_are_raised_together_with_their_entries(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.refused = {b"bad"}
    async with open_client("a", connect=farm.connect) as client:
        with pytest.raises(PipelineError, match="2 of 4 submissions failed") as caught:
            await submit_refused(client)

    group = caught.value
    assert [ServerError, ServerError] == [type(error) for error in group.exceptions]
    assert list(group.exceptions) == [entry.error for entry in group.entries]
    assert [b"bad", b"bad"] == [entry.function for entry in group.entries]
    assert [["submission of b'bad', unique ID b'bad'"]] * 2 == [error.__notes__ for error in group.exceptions]


async def test_a_part_of_the_group_knows_its_entries(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.refused = {b"bad"}
    async with open_client("a", connect=farm.connect) as client:
        with pytest.raises(PipelineError) as caught:
            await submit_refused(client)

    first = caught.value.exceptions[0]
    matching, rest = caught.value.split(lambda error: error is first)
    assert isinstance(matching, PipelineError)
    assert isinstance(rest, PipelineError)
    assert (caught.value.entries[:1], caught.value.entries[1:]) == (matching.entries, rest.entries)


async def test_errors_may_stay_with_their_entries(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.refused = {b"bad"}
    async with open_client("a", connect=farm.connect) as client:
        entries = await submit_refused(client, on_error="keep")

    assert [b"H:a:1", None, b"H:a:2", None] == handles(entries)
    assert [None, ServerError, None, ServerError] == errors(entries)
    assert "b'good' b'H:a:1'" in repr(entries[0])
    assert "QUEUE_ERROR" in repr(entries[1])


async def test_no_server_fails_every_entry_after_one_attempt(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.down = {"a", "b"}
    async with open_client("a", "b", connect=farm.connect) as client:
        with pytest.raises(PipelineError) as caught:
            await submit_refused(client)

    assert ["a", "b"] == farm.tried
    assert 4 == len(caught.value.exceptions)
    assert {ServersUnavailable} == {type(error) for error in caught.value.exceptions}


# ---- several servers -------------------------------------------------------------------------------------------------


async def test_ketama_sends_each_unique_id_where_submit_does(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    uniques = [b"%d" % number for number in range(50)]
    async with open_client("a", "b", "c", connect=farm.connect, routing="ketama") as client:
        for unique in uniques:
            await client.submit("f", unique=unique)
        one_by_one = {host: list(jobs) for host, jobs in farm.jobs.items()}
        farm.jobs.clear()
        async with client.pipeline() as pipeline:
            for unique in uniques:
                pipeline.submit("f", unique=unique)

    assert 3 == len(one_by_one)
    assert one_by_one == farm.jobs


async def test_round_robin_shares_out_a_pipeline(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    async with (
        open_client("a", "b", connect=farm.connect, routing="round-robin") as client,
        client.pipeline() as pipeline,
    ):
        for number in range(10):
            pipeline.submit("f", unique=b"%d" % number)

    assert {"a": 5, "b": 5} == {host: len(jobs) for host, jobs in farm.jobs.items()}


async def test_a_pipeline_to_one_server(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    async with (
        open_client("a", "b", connect=farm.connect) as client,
        client.with_options(server="b").pipeline() as pipeline,
    ):
        pipeline.submit("f")

    assert ["b"] == list(farm.jobs)


async def test_a_server_that_is_down_is_passed_over(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.down = {"a"}
    async with open_client("a", "b", connect=farm.connect) as client, client.pipeline() as pipeline:
        entry = pipeline.submit("f")

    assert b"H:b:1" == entry.handle


# ---- losses ----------------------------------------------------------------------------------------------------------


async def test_what_was_surely_not_sent_goes_to_the_next_server(autojump_clock: MockClock) -> None:
    """The first server reads a little of what fills the outbox, and goes away."""
    server = ScriptedServer(slow=True)
    entries: list[PipelineEntry] = []
    async with open_client("a", "b", connect=server.connect, options=()) as client:

        async def submit() -> None:
            async with client.pipeline(on_error="keep") as pipeline:
                entries.extend(pipeline.submit("f", bytes(300_000)) for _ in range(3))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(submit)
            first = await server.accept()
            await first.create(b"H:a:1", P.SUBMIT_JOB_BG)
            await first.stream.receive_some(1000)
            await first.stream.aclose()
            second = await server.accept()
            await second.create(b"H:b:1", P.SUBMIT_JOB_BG)

    assert [b"H:a:1", None, b"H:b:1"] == handles(entries)
    assert [None, JobLost, None] == errors(entries)
    assert isinstance(entries[1].error, JobLost)
    assert entries[1].error.may_have_run


async def test_a_server_that_loses_every_connection_is_not_tried_for_ever(autojump_clock: MockClock) -> None:
    server = ScriptedServer(slow=True)
    entries: list[PipelineEntry] = []
    async with open_client("a", connect=server.connect, options=()) as client:

        async def submit() -> None:
            async with client.pipeline(on_error="keep") as pipeline:
                entries.extend(pipeline.submit("f", bytes(300_000)) for _ in range(3))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(submit)
            for _ in range(2):
                connection = await server.accept()
                await connection.stream.receive_some(1000)
                await connection.stream.aclose()

    assert [JobLost] * 3 == errors(entries)
    assert [True, True, False] == [isinstance(e.error, JobLost) and e.error.may_have_run for e in entries]
    assert 2 == len(server.addresses)


async def test_answers_that_are_lost_fail_their_entries_alone(gearman: Gearman) -> None:
    async with gearman.client() as client:
        await client.echo(b"")
        gearman.cut(client, after_bytes=50, direction=Direction.RECEIVED)
        async with client.pipeline(on_error="keep") as pipeline:
            entries = [pipeline.submit("f") for _ in range(10)]

    assert [gearman.submitted[0].handle, *[None] * 9] == handles(entries)
    assert [None, *[JobLost] * 9] == errors(entries)
    assert 10 == len(gearman.submitted)


# ---- cancellation ----------------------------------------------------------------------------------------------------


async def test_cancelled_while_answers_are_awaited() -> None:
    async with open_pair() as (client, connection), trio.open_nursery() as nursery:
        entries: list[PipelineEntry] = []
        outcome, later = Outcome(), Outcome()

        async def submit() -> None:
            async with client.pipeline() as pipeline:
                entries.extend(pipeline.submit("f") for _ in range(3))

        await outcome.start(nursery, submit)
        await connection.create(b"H:1", P.SUBMIT_JOB_BG)
        await wait_all_tasks_blocked()
        outcome.scope.cancel()
        await wait_all_tasks_blocked()
        await later.start(nursery, partial(client.submit, "f"))
        for number in (2, 3, 4):
            await connection.create(b"H:%d" % number, P.SUBMIT_JOB_BG)

    assert outcome.scope.cancelled_caught
    assert [b"H:1", None, None] == handles(entries)
    assert [None] * 3 == errors(entries)
    assert b"H:4" == later.value


async def test_cancelled_while_the_outbox_is_full() -> None:
    async with open_pair(slow=True) as (client, connection), trio.open_nursery() as nursery:
        entries: list[PipelineEntry] = []
        outcome, later = Outcome(), Outcome()

        async def submit() -> None:
            async with client.pipeline() as pipeline:
                entries.extend(pipeline.submit("f", bytes(600_000)) for _ in range(4))

        await outcome.start(nursery, submit)
        outcome.scope.cancel()
        await wait_all_tasks_blocked()
        await later.start(nursery, partial(client.echo, b"e"))
        for number in (1, 2):
            await connection.create(b"H:%d" % number, P.SUBMIT_JOB_BG)
        await connection.expect(P.ECHO_REQ, b"e")
        await connection.send(P.ECHO_RES, b"e")

    assert [None] * 4 == handles(entries)
    assert b"e" == later.value


async def test_cancelled_while_connecting(autojump_clock: MockClock) -> None:
    async def connect(address: object) -> trio.abc.Stream:
        await trio.sleep(5)
        raise OSError("refused")

    async with open_client("a", connect=connect) as client:
        with trio.move_on_after(1) as scope:
            async with client.pipeline() as pipeline:
                entry = pipeline.submit("f")

    assert scope.cancelled_caught
    assert (None, None) == (entry.handle, entry.error)


async def test_closing_the_client_fails_what_is_under_way() -> None:
    outcome = Outcome()
    group: PipelineError | None = None
    async with trio.open_nursery() as nursery, open_pair() as (client, _):

        async def submit() -> None:
            nonlocal group
            try:
                async with client.pipeline() as pipeline:
                    pipeline.submit("f")
            except PipelineError as exc:
                group = exc

        await outcome.start(nursery, submit)

    assert group is not None
    (error,) = group.exceptions
    assert isinstance(error, JobLost)
    assert isinstance(error, GearmanError)
