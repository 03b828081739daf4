"""A job server inside a program: it is a task like any other, and the program has a client of it without a socket.

Try: while it runs, ask the server from outside; print `server.url`, put a `trio.sleep(60)` before the drain, and use
`gearman-trio admin workers --server HOST:PORT` in another terminal.
"""

from functools import partial

import trio

import gearman_trio

abilities = gearman_trio.Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


async def main() -> None:
    async with trio.open_nursery() as nursery:
        # Started when it listens; port 0 is any free port, and the server tells which.
        server: gearman_trio.Server = await nursery.start(partial(gearman_trio.serve, host="127.0.0.1", port=0))
        print("listening on", len(server.addresses), "address")

        async with gearman_trio.open_worker(abilities, server.url), server.open_client() as client:
            print(await client.run("reverse", b"!dlrow olleH"))

            statistics = server.statistics()
            for function in statistics.functions:
                print(function.name, "workers:", function.workers, "queued:", function.queued)
            print("jobs completed:", statistics.counters.completed)

        # Refuses new jobs, lets those that are running end, for at most ten seconds, and ends the task.
        await server.drain(10)


trio.run(main)
