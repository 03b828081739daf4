"""Three job servers; the unique ID of a job says which of them gets it, so that equal jobs of all clients meet.

Try: routing="round-robin", and see that the job runs once for each server.
"""

import logging
from contextlib import AsyncExitStack

import trio

import gearman_trio

# The worker logs what it learns; here it would stand between the lines that are printed.
logging.getLogger("gearman_trio").addHandler(logging.NullHandler())

abilities = gearman_trio.Abilities()
runs: list[bytes] = []
answers: list[bytes] = []


@abilities.function
async def report(month: bytes) -> bytes:
    runs.append(month)
    await trio.sleep(0.3)
    return b"report of " + month


async def ask(addresses: list[str]) -> None:
    async with gearman_trio.open_client(*addresses, routing="ketama") as client:
        answers.append(await client.run("report", b"May", unique="report-May"))


async def main() -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(gearman_trio.open_server(port=0)) for _ in range(3)]
        addresses = [server.url for server in servers]
        await stack.enter_async_context(gearman_trio.open_worker(abilities, *addresses, concurrency=3))
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, addresses)
        print(answers, "by as many runs as", len(runs))


trio.run(main)
