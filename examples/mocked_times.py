"""A job for an hour later, tested in no time: the server takes the time of the day from the mocked clock, too.

Try: take away `epoch_clock=epoch_clock`; the server then looks at the real time of the day, and the job runs at once.
"""

import trio
from trio.testing import MockClock, memory_stream_pair

import gearman_trio

abilities = gearman_trio.Abilities()
rang = trio.Event()


@abilities.function
async def ring(workload: bytes) -> None:
    print("rings after", round(trio.current_time() / 60), "minutes:", workload)
    rang.set()


def epoch_clock() -> float:
    # Trio's mocked clock begins with 0.
    return 1_000_000_000 + trio.current_time()


async def main() -> None:
    async with (
        gearman_trio.open_server(listeners=[], epoch_clock=epoch_clock) as server,
        trio.open_nursery() as nursery,
    ):

        async def connect(address: gearman_trio.Address) -> trio.abc.Stream:
            ours, theirs = memory_stream_pair()
            nursery.start_soon(server.handle_stream, theirs)
            return ours

        async with gearman_trio.open_worker(abilities, connect=connect), server.open_client() as client:
            await client.submit("ring", b"good morning", run_at=epoch_clock() + 3600)
            await rang.wait()


trio.run(main, clock=MockClock(autojump_threshold=0))
