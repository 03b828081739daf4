"""What was submitted, as records, and assertions on it."""

from __future__ import annotations

import datetime

import pytest
from trio.testing import MockClock

from gearman_trio import JSON, Abilities, ConfigError, JobLost, Priority, SerializationError
from gearman_trio.names import function_name, unique_id
from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.testing import Gearman, SubmittedJob

P = PacketType


@pytest.fixture
def typed() -> Abilities:
    made = Abilities(serializer=JSON)

    @made.function
    async def area(width: int, height: int = 1) -> int:
        return width * height

    return made


async def test_every_submission_is_recorded(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.client() as client, gearman.client() as other:
        handle = await client.submit("email", b"Ada", priority="high", unique="u1")
        async with other.stream("resize", b"image", priority="low") as job:
            pass
        at = gearman.time() + 60
        later = await client.submit(b"email", b"Ben", run_at=at)

        assert (
            SubmittedJob(
                function=function_name("email"),
                workload=b"Ada",
                unique=unique_id("u1"),
                priority=Priority.HIGH,
                background=True,
                run_at=None,
                reducer=b"",
                handle=handle,
                client="client-1",
            ),
            SubmittedJob(
                function=function_name("resize"),
                workload=b"image",
                unique=unique_id(None),
                priority=Priority.LOW,
                background=False,
                run_at=None,
                reducer=b"",
                handle=job.handle,
                client="client-2",
            ),
        ) == gearman.submitted[:2]
        assert (later, round(at, 3)) == (gearman.submitted[2].handle, gearman.submitted[2].run_at)


async def test_coalesced_submissions_have_one_handle(gearman: Gearman) -> None:
    async with gearman.client() as client:
        for _ in range(2):
            await client.submit("f", b"x", unique="same")

    first, second = gearman.submitted
    assert first == second


async def test_answers_to_questions_are_no_submissions(gearman: Gearman) -> None:
    async with gearman.client() as client:
        handle = await client.submit("f", b"1")
        await client.status(handle)
        await client.echo(b"abc")
        await client.submit("f", b"2")

    assert [b"1", b"2"] == [job.workload for job in gearman.submitted]


async def test_other_ways_to_submit_are_recorded(gearman: Gearman) -> None:
    line = gearman.line("raw")
    async with await line.connect() as stream:
        await stream.send_all(encode_request(P.SUBMIT_REDUCE_JOB_BACKGROUND, b"map", b"", b"sum", b"", b"all"))
        await stream.send_all(encode_request(P.SUBMIT_JOB, b"", b"", b"refused"))
        await stream.send_all(b"\0REQ\0\0\0\x07\0\0\0\1x")
        await stream.send_all(encode_request(P.SUBMIT_JOB_SCHED, b"cron", b"", b"", b"", b"", b"", b"", b"now"))
        while len(line.tap.names("received")) < 4:
            await stream.receive_some()

    assert [(b"map", b"all", b"sum", "raw"), (b"cron", b"now", b"", "raw")] == [
        (job.function, job.workload, job.reducer, job.client) for job in gearman.submitted
    ]


# ---- assert_submitted --------------------------------------------------------------------------------------------


async def test_matching_submissions_are_given(gearman: Gearman) -> None:
    async with gearman.client() as client:
        for workload in (b"1", b"2", b"2"):
            await client.submit("email", workload)
        await client.submit("other", b"2")

    assert 3 == len(gearman.assert_submitted("email"))
    assert list(gearman.submitted[1:3]) == gearman.assert_submitted(b"email", workload=b"2", count=2)
    assert [] == gearman.assert_submitted("email", workload=b"3", count=0)


async def test_every_condition_is_looked_at(gearman: Gearman, autojump_clock: MockClock) -> None:
    at = datetime.datetime.fromtimestamp(gearman.time() + 3600, datetime.UTC)
    async with gearman.client() as client:
        await client.submit("f", b"w", unique="u", run_at=at)
        await client.submit("f", b"w", priority="high")

    gearman.assert_submitted("f", workload=b"w", unique="u", priority="normal", background=True, run_at=at, count=1)
    gearman.assert_submitted("f", priority=Priority.HIGH, count=1)
    gearman.assert_submitted("f", run_at=at.timestamp(), count=1)
    gearman.assert_not_submitted("f", run_at=at.timestamp() + 1)
    gearman.assert_not_submitted("f", background=False)
    gearman.assert_not_submitted("f", unique="other")
    gearman.assert_not_submitted("f", unique="u", priority="high")
    gearman.assert_not_submitted("g")


async def test_failure_lists_what_was_submitted(gearman: Gearman) -> None:
    async with gearman.client() as client:
        await client.submit("email", b"Ada", unique="u1", priority="high")
        await client.submit("email", b"Ben", run_at=2_000_000_000)
        async with client.stream("resize", b"image"):
            pass

    with pytest.raises(AssertionError) as caught:
        gearman.assert_submitted("email", workload=b"Cleo", background=True, priority="low")

    assert (
        "expected at least 1 of b'email', workload=b'Cleo', priority='low', background=True; found 0\n"
        "submitted, in this order:\n"
        "  1. b'email' workload=b'Ada' unique=b'u1' priority='high' background (by client-1)\n"
        "  2. b'email' workload=b'Ben' background run_at=2000000000.0 (by client-1)\n"
        "  3. b'resize' workload=b'image' foreground (by client-1)"
    ) == str(caught.value)


async def test_wrong_count_is_a_failure(gearman: Gearman) -> None:
    with pytest.raises(AssertionError, match=r"expected 2 of b'f'; found 0\nnothing was submitted"):
        gearman.assert_submitted("f", count=2)


async def test_unwanted_submission_is_a_failure(gearman: Gearman) -> None:
    gearman.assert_not_submitted()
    async with gearman.client() as client:
        await client.submit("f", b"w")

    with pytest.raises(AssertionError, match="expected no submission; found 1\nsubmitted"):
        gearman.assert_not_submitted()
    with pytest.raises(AssertionError, match="expected 0 of b'f', workload=b'w'; found 1"):
        gearman.assert_not_submitted("f", workload=b"w")


# ---- decorated functions -----------------------------------------------------------------------------------------


async def test_arguments_are_compared_as_values(gearman: Gearman, typed: Abilities) -> None:
    (area,) = (ability.function for ability in typed)
    async with gearman.client() as client:
        await client.submit(area, 3, height=4)
        await client.submit("area", b"not JSON")

    gearman.assert_submitted(area, count=2)
    gearman.assert_submitted(area, arguments=(3, 4), count=1)
    gearman.assert_submitted(area, arguments={"height": 4, "width": 3}, count=1)
    gearman.assert_not_submitted(area, arguments=(3,))
    with pytest.raises(AssertionError, match=r"expected at least 1 of b'area', arguments=\(4, 3\); found 0"):
        gearman.assert_submitted(area, arguments=(4, 3))


async def test_arguments_that_cannot_be_are_no_failure_of_the_program(gearman: Gearman, typed: Abilities) -> None:
    (area,) = (ability.function for ability in typed)

    with pytest.raises(TypeError, match="missing a required argument"):
        gearman.assert_submitted(area, arguments=())
    with pytest.raises(SerializationError):
        gearman.assert_submitted(area, arguments=(b"bytes",))
    with pytest.raises(ConfigError, match="is a name"):
        gearman.assert_submitted("area", arguments=(3,))
    with pytest.raises(ConfigError, match="must not be empty"):
        gearman.assert_submitted("")
    with pytest.raises(TypeError, match="decorated"):
        gearman.assert_submitted(len)


async def test_answer_that_never_arrives_is_a_submission_all_the_same(gearman: Gearman) -> None:
    async with gearman.client() as client:
        await client.echo(b"connected")
        gearman.cut(client, after_bytes=0, direction="received")
        with pytest.raises(JobLost):
            await client.submit("f")

    gearman.assert_submitted("f", count=1)
