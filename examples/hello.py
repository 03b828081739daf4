"""A job server, a worker and a client in one program.

Try: add a function; run the job twenty times at once in a nursery.
"""

import trio

import gearman_trio

abilities = gearman_trio.Abilities()


@abilities.function(name="reverse", timeout=30)
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


async def main() -> None:
    async with (
        gearman_trio.open_server(port=0) as server,
        gearman_trio.open_worker(abilities, server.url, concurrency=10),
        gearman_trio.open_client(server.url) as client,
    ):
        print(await client.run("reverse", b"!dlrow olleH"))


trio.run(main)
