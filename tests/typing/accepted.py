"""Calls that type checkers must take, with the types that they must see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import assert_type

from gearman_trio import (
    Client,
    ForegroundJob,
    GearmanError,
    JobData,
    JobItem,
    JobStatus,
    JobWarning,
    Pipeline,
    PipelineEntry,
    PipelineError,
    TypedJob,
    blocking,
)
from gearman_trio.names import JobHandle

from .functions import (
    as_text,
    count,
    in_thread,
    in_thread_with_job,
    job_at_the_end,
    length_with_job,
    lines,
    longest_word,
    nothing,
    numbers_joined,
    raw_lines,
    raw_parts,
    raw_with_job,
    resize,
    reverse,
    reverse_in_thread,
    squares,
)


async def run(client: Client) -> None:
    assert_type(await client.run(count, "text"), int)
    assert_type(await client.run(count, text="text"), int)
    assert_type(await client.run(resize, "image"), dict[str, int])
    assert_type(await client.run(resize, "image", 5, crop=True), dict[str, int])
    assert_type(await client.run(resize, width=5, image="image"), dict[str, int])
    assert_type(await client.run(in_thread, 1.5), float)
    assert_type(await client.run(in_thread_with_job, 1), list[int])
    assert_type(await client.run(squares, 3), list[int])
    assert_type(await client.run(lines, "text"), list[str])
    assert_type(await client.run(job_at_the_end, "text"), int)
    assert_type(await client.run(reverse, b"abc"), bytes)
    assert_type(await client.run(reverse_in_thread, b"abc"), bytes)
    await client.run(nothing)


async def run_by_name(client: Client) -> None:
    assert_type(await client.run("reverse"), bytes)
    assert_type(await client.run(b"reverse", b"abc", priority="high", unique="-"), bytes)
    assert_type(await client.run(function="reverse", workload=bytearray(b"abc")), bytes)


async def submit(client: Client) -> None:
    assert_type(await client.submit(count, "text"), JobHandle)
    assert_type(await client.submit(resize, "image", crop=True), JobHandle)
    assert_type(await client.submit(in_thread_with_job, 1), JobHandle)
    assert_type(await client.submit(squares, 3), JobHandle)
    assert_type(await client.submit("reverse", b"abc", delay=60), JobHandle)
    assert_type(await client.with_options(delay=60, priority="normal").submit(count, "text"), JobHandle)


async def pipeline(client: Client) -> None:
    async with client.with_options(priority="low").pipeline(on_error="keep") as pipeline:
        assert_type(pipeline, Pipeline)
        assert_type(pipeline.submit(count, "text"), PipelineEntry)
        assert_type(pipeline.submit(resize, "image", crop=True), PipelineEntry)
        assert_type(pipeline.submit("reverse", b"abc", delay=60), PipelineEntry)
        assert_type(pipeline.with_options(unique="u").submit(in_thread_with_job, 1).handle, JobHandle | None)
        await pipeline.flush()
    try:
        async with client.pipeline():
            pass
    except PipelineError as errors:
        assert_type(errors.exceptions[0], GearmanError | ExceptionGroup[GearmanError])
        assert_type(errors.entries[0], PipelineEntry)


async def stream(client: Client) -> None:
    async with client.stream(squares, 3) as items:
        assert_type(items, TypedJob[JobItem[int] | JobWarning | JobStatus, None])
        async for event in items:
            assert_type(event, JobItem[int] | JobWarning | JobStatus)
            if isinstance(event, JobItem):
                assert_type(event.value, int)
    async with client.stream(lines, "text") as texts:
        assert_type(texts, TypedJob[JobItem[str] | JobWarning | JobStatus, None])
    async with client.with_options(max_unread_bytes=1000).stream(resize, "image", crop=True) as job:
        assert_type(job, TypedJob[JobData | JobWarning | JobStatus, dict[str, int]])
        assert_type(await job.result(), dict[str, int])
    async with client.stream(in_thread, 1.5) as job_in_thread:
        assert_type(await job_in_thread.result(), float)
    async with client.stream("reverse", b"abc", max_unread_bytes=1000) as by_name:
        assert_type(by_name, ForegroundJob)
        assert_type(await by_name.result(), bytes)
        async for event_by_name in by_name:
            assert_type(event_by_name, JobData | JobWarning | JobStatus)


async def run_chunks(client: Client) -> None:
    async with client.run_chunks(reverse, "file", chunk_bytes=1000, separator=b"\n") as results:
        assert_type(results, AsyncIterator[bytes])
    async with client.run_chunks("reverse", Path("file"), concurrency=5) as by_name:
        assert_type(by_name, AsyncIterator[bytes])
    with open("file", "rb") as file:  # noqa: ASYNC230 it never runs
        async with client.run_chunks(raw_with_job, file) as of_file:
            assert_type(of_file, AsyncIterator[bytes])
    async with client.run_chunks(raw_parts, [b"a", memoryview(b"b")]) as of_pieces:
        assert_type(of_pieces, AsyncIterator[list[bytes]])


def blocking_calls(client: blocking.Client) -> None:
    assert_type(client.run(count, "text"), int)
    assert_type(client.run(resize, "image", 5, crop=True), dict[str, int])
    assert_type(client.run(in_thread_with_job, 1), list[int])
    assert_type(client.run(squares, 3), list[int])
    assert_type(client.run("reverse", b"abc", unique="-", timeout=5), bytes)
    assert_type(client.with_options(timeout=5, delay=60).submit(resize, "image", crop=True), JobHandle)
    assert_type(client.submit("reverse", b"abc", delay=60, timeout=5), JobHandle)
    with client.stream(squares, 3) as items:
        assert_type(items, blocking.TypedJob[JobItem[int] | JobWarning | JobStatus, None])
    with client.stream(resize, "image") as job:
        assert_type(job.result(timeout=5), dict[str, int])
        for event in job.events(timeout=5):
            assert_type(event, JobData | JobWarning | JobStatus)
    with client.stream("reverse", b"abc", timeout=5) as by_name:
        assert_type(by_name, blocking.ForegroundJob)
        assert_type(by_name.result(), bytes)
    with client.map("reverse", [b"a"], ordered=True) as results:
        assert_type(results, Iterator[bytes])
    with client.map("reverse", [b"a"], on_error="yield") as kept:
        assert_type(kept, Iterator[bytes | GearmanError])
    with client.run_chunks("reverse", Path("file"), separator=b"\n", timeout=5) as chunks:
        assert_type(chunks, Iterator[bytes])
    with client.pipeline(timeout=5) as pipeline:
        assert_type(pipeline.submit("reverse", b"a", priority="high"), PipelineEntry)
        assert_type(pipeline.submit(resize, "image", crop=True), PipelineEntry)
    with client.map(count, ["text"], timeout=5) as counts:
        assert_type(counts, Iterator[int])
    with client.map(in_thread_with_job, [1, 2]) as in_threads:
        assert_type(in_threads, Iterator[list[int]])
    with client.map(squares, [3]) as of_squares:
        assert_type(of_squares, Iterator[list[int]])
    assert_type(client.map_reduce("lines", "count", b"abc"), bytes)


async def map_reduce(client: Client) -> None:
    assert_type(await client.map_reduce(longest_word, count, "text", most=5), int)
    assert_type(await client.map_reduce(longest_word, length_with_job, text="text"), int)
    assert_type(await client.map_reduce(longest_word, "count", "text"), int)
    assert_type(await client.map_reduce(numbers_joined, as_text, 3), str)
    assert_type(await client.map_reduce(raw_lines, reverse, b"abc"), bytes)
    assert_type(await client.map_reduce("lines", b"count", b"abc", unique="u"), bytes)
    assert_type(await client.run(numbers_joined, 3), list[float])
    async for word in longest_word("text"):
        assert_type(word, str)


async def here() -> None:
    # What is decorated stays what it was.
    assert_type(await count("text"), int)
    assert_type(in_thread(1.5), float)
    async for number in squares(3):
        assert_type(number, int)
