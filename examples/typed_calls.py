"""Functions with values of Python instead of bytes, called through the client with their own signatures.

A type checker knows the types of these calls, and refuses those that are wrong.

It starts a job server of its own.  To use one that is there already, give its address:
    python typed_calls.py localhost:4730

Try: pass a number for `text` and run mypy or pyright over this file; then run it, and see that nothing was sent.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio
from gearman_trio import JSON, TEXT, Abilities, Job, JobItem

abilities = Abilities(serializer=JSON, namespace="text.")


# Several parameters: the workload is {"text": "...", "shortest": 3}.
@abilities.function(timeout=30)
async def count_words(job: Job, text: str, shortest: int = 1) -> dict[str, int]:
    await job.status(1, 2)
    return {word: text.split().count(word) for word in text.split() if len(word) >= shortest}


# Each item goes to the client at once, by itself.
@abilities.function(serializer=TEXT)
async def sentences(text: str) -> AsyncIterator[str]:
    for sentence in text.split("."):
        yield sentence.strip()


@asynccontextmanager
async def job_server() -> AsyncIterator[str]:
    if len(sys.argv) > 1:
        yield sys.argv[1]
    else:
        async with gearman_trio.open_server(port=0) as server:
            yield server.url


async def main() -> None:
    async with (
        job_server() as address,
        gearman_trio.open_worker(abilities, address),
        gearman_trio.open_client(address) as client,
    ):
        counts: dict[str, int] = await client.run(count_words, "a cat and a dog", shortest=2)
        print(counts, await client.run("text.count_words", b'{"text": "a cat"}'))
        print("left there:", await client.with_options(priority="high", unique="-").submit(count_words, "a cat"))
        async with client.stream(sentences, "One. Two") as job:
            print([event.value.upper() async for event in job if isinstance(event, JobItem)])


trio.run(main)
