"""Calls that type checkers must refuse: each line is an error, or else its comment is one too much."""

from __future__ import annotations

from gearman_trio import Abilities, Client, blocking

from .functions import (
    as_text,
    count,
    in_thread,
    in_thread_with_job,
    job_by_keyword,
    lines,
    longest,
    longest_word,
    nothing,
    resize,
    reverse,
    squares,
)


async def run(client: Client) -> None:
    await client.run(count, 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.run(count)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.run(count, "text", 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.run(count, txt="text")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.run(count, b"text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.run(resize, "image", "wide")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.run(resize, "image", crop=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue]
    await client.run(resize, "image", 5, True)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.run(in_thread, "number")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.run(in_thread_with_job, "number")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.run(squares, "number")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.run(lines, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.run(nothing, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.run(reverse, "text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    # Options are no arguments of the function, and nobody passes a job.
    await client.run(count, "text", priority="high")  # type: ignore[arg-type, call-arg, type-var]  # pyright: ignore[reportCallIssue]
    await client.run(job_by_keyword, "text")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def results(client: Client) -> object:
    text: str = await client.run(count, "text")  # type: ignore[call-overload]  # pyright: ignore[reportAssignmentType]
    items: list[str] = await client.run(squares, 3)  # type: ignore[call-overload]  # pyright: ignore[reportAssignmentType]
    raw: str = await client.run("reverse", b"abc")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    return text, items, raw


async def by_name(client: Client) -> None:
    await client.run("reverse", "text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.run("reverse", b"abc", delay=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.run("reverse", b"abc", b"abc")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.run(5, b"abc")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def submit(client: Client) -> None:
    await client.submit(count, 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.submit(resize, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await client.submit(squares, "number")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.submit(count, "text", delay=5)  # type: ignore[call-arg, type-var]  # pyright: ignore[reportCallIssue]


async def pipeline(client: Client) -> None:
    async with client.pipeline() as pipeline:
        pipeline.submit(count, 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pipeline.submit(resize, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        pipeline.submit("reverse", "text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pipeline.submit(count, "text", delay=5)  # type: ignore[call-arg, type-var]  # pyright: ignore[reportCallIssue]
        pipeline.with_options(server="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    async with client.pipeline(on_error="yield"):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        pass


async def stream(client: Client) -> object:
    async with client.stream(squares, "number"):  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass
    async with client.stream(resize):  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        pass
    async with client.stream(count, "text") as job:
        number: str = await job.result()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        return number


async def run_chunks(client: Client) -> None:
    async with client.run_chunks(reverse, 5):  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass
    async with client.run_chunks(reverse, ["text"]):  # type: ignore[arg-type, list-item, type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass
    async with client.run_chunks(count, b"text"):  # type: ignore[arg-type, type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass
    async with client.run_chunks("reverse", b"", separator="x"):  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
        pass
    async with client.run_chunks("reverse", b"", ordered=True):  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
        pass


def blocking_calls(client: blocking.Client) -> None:
    client.run(count, 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    client.run(resize, "image", "wide")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    client.submit(squares, "number")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    client.run("reverse", "text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    # All arguments are the function's: the time limit of such a call is an option.
    client.run(count, "text", timeout=5)  # type: ignore[arg-type, call-arg, type-var]  # pyright: ignore[reportCallIssue]
    client.map("reverse", ["text"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType, reportCallIssue]
    client.map(count, [5])  # type: ignore[arg-type, type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]
    client.run_chunks("reverse", "file", separator="x")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    client.pipeline(on_error="yield")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.map_reduce("lines", "count", "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def map_reduce(client: Client) -> object:
    await client.map_reduce(longest_word, count, 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    # mypy takes `text` for the job here, though it is none, and misses what is missing.
    await client.map_reduce(longest_word, count)  # pyright: ignore[reportCallIssue]
    await client.map_reduce(longest_word, as_text, "text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.map_reduce(longest_word, in_thread, "text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.map_reduce(count, count, "text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.map_reduce("lines", "count", "text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await client.map_reduce("lines", "count", b"text", priority="high")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    result: str = await client.map_reduce(longest_word, count, "text")  # type: ignore[call-overload]  # pyright: ignore[reportAssignmentType]
    return result


def options(client: Client) -> None:
    client.with_options(priority=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.with_options(delay="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.with_options(timeout=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def decorate(abilities: Abilities) -> None:
    abilities.function(timeout="long")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    abilities.function(serializer="json")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    abilities.partition()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    abilities.partition(aggregate=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    abilities.partition(aggregate=longest)(count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    abilities.include(abilities, "prefix")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
