"""Two job servers; one of them goes down in the middle of a job, which the other then gets.

Try: leave out the unique ID or resubmit=..., and see JobLost; take routing="round-robin" or "ketama".
"""

import logging
from functools import partial

import trio

import gearman_trio

# The worker logs what it learns; here it would stand between the lines that are printed.
logging.getLogger("gearman_trio").addHandler(logging.NullHandler())

abilities = gearman_trio.Abilities()
started = trio.Event()
first_life = trio.CancelScope()


@abilities.function
async def report(workload: bytes) -> bytes:
    if not started.is_set():
        started.set()
        await trio.sleep_forever()
    return b"report of " + workload


async def serve_first(task_status: trio.TaskStatus[gearman_trio.Server]) -> None:
    with first_life:
        await gearman_trio.serve(port=0, task_status=task_status)


async def print_result(client: gearman_trio.Client) -> None:
    print((await client.run("report", b"May", unique="report-May")).decode())


async def main() -> None:
    async with trio.open_nursery() as servers:
        first = await servers.start(serve_first)
        second = await servers.start(partial(gearman_trio.serve, port=0))
        async with (
            gearman_trio.open_worker(abilities, first.url, second.url, concurrency=2),
            gearman_trio.open_client(first.url, second.url, resubmit="if-unique") as client,
        ):
            async with trio.open_nursery() as calls:
                calls.start_soon(print_result, client)
                await started.wait()
                first_life.cancel()
            for server in client.statistics().servers:
                print("connected" if server.connected else "failed", server.failures)
        servers.cancel_scope.cancel()


trio.run(main)
