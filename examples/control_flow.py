"""A function can say more than a result: that a job failed, that it is to be tried again, or that the worker shall end.

Try: raise ValueError instead of Fail, and compare what the client gets and what the log says.
"""

from functools import partial

import trio

import gearman_trio

abilities = gearman_trio.Abilities(serializer=gearman_trio.TEXT)
tries: list[str] = []


@abilities.function
async def find(name: str) -> str:
    if name != "Gearman":
        # Nothing is wrong with the program: the client gets a warning and JobFailed, the log one line.
        raise gearman_trio.Fail(f"nobody is called {name}")
    return "over there"


@abilities.function
async def call_elsewhere(name: str) -> str:
    tries.append(name)
    if len(tries) == 1:
        # The worker leaves the server for so long; the server gives the job to the next worker that asks.
        raise gearman_trio.Retry(after=0.2)
    return f"{name} answered at try {len(tries)}"


@abilities.function
async def stop() -> str:
    # The client gets this as the result; then the worker finishes what else it has, and ends.
    raise gearman_trio.Shutdown("good night")


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server: gearman_trio.Server = await nursery.start(partial(gearman_trio.serve, port=0))
        async with gearman_trio.open_worker(abilities, server.url) as worker, server.open_client() as client:
            try:
                await client.run(find, "Waldo")
            except gearman_trio.JobFailed:
                print("not found")
            print(await client.run(call_elsewhere, "Gearman"))
            print(await client.run(stop))
            await worker.wait_ended()
        await server.drain()


trio.run(main)
