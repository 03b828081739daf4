"""Server, worker and client in one program without a socket, and a clock that does not wait: what tests are made of.

A connection of the job server can be any stream of Trio; here both ends of it are in memory.

Try: take away `clock=...`, and it takes an hour.
"""

import trio
from trio.testing import MockClock, memory_stream_pair

import gearman_trio

abilities = gearman_trio.Abilities()


@abilities.function(timeout=7200)
async def grow_tree(workload: bytes) -> bytes:
    await trio.sleep(3600)
    return b"a tree from " + workload


async def main() -> None:
    # No listeners: this server is reached by streams alone.
    async with gearman_trio.open_server(listeners=[]) as server, trio.open_nursery() as nursery:

        async def connect(address: gearman_trio.Address) -> trio.abc.Stream:
            ours, theirs = memory_stream_pair()
            nursery.start_soon(server.handle_stream, theirs)
            return ours

        async with (
            gearman_trio.open_worker(abilities, connect=connect),
            gearman_trio.open_client(connect=connect) as client,
        ):
            began = trio.current_time()
            print(await client.run("grow_tree", b"a seed"))
            print("hours that passed:", round((trio.current_time() - began) / 3600))


# When every task waits, the clock jumps to the moment at which the first of them goes on.
trio.run(main, clock=MockClock(autojump_threshold=0))
