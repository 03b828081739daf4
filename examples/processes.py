"""A function that computes in Python runs in a process of its own, so that jobs side by side use all processors.

It takes an extra: pip install 'gearman-trio[processes]'.  The server is one of its own; to use one that is there
already, give its address:
    python processes.py localhost:4730

Try: run_in="thread", and compare the times; Python runs one thread of a process at a time.
"""

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio

abilities = gearman_trio.Abilities(serializer=gearman_trio.JSON)
PROCESSORS = os.cpu_count() or 1


# At most one for each processor at a time; the worker's other places are for functions that wait.
@abilities.function(run_in="process", max_running=PROCESSORS, timeout=60)
def count_primes(first: int, last: int) -> int:
    return sum(all(number % divisor for divisor in range(2, int(number**0.5) + 1)) for number in range(first, last))


@asynccontextmanager
async def job_server() -> AsyncIterator[str]:
    if len(sys.argv) > 1:
        yield sys.argv[1]
    else:
        async with gearman_trio.open_server(port=0) as server:
            yield server.url


async def count(client: gearman_trio.Client, first: int) -> None:
    began = time.perf_counter()
    primes = await client.run(count_primes, first, first + 20_000)
    print(f"{primes} primes from {first} on, after {time.perf_counter() - began:.1f} s")


async def main() -> None:
    async with (
        job_server() as address,
        gearman_trio.open_worker(abilities, address, concurrency=50),
        gearman_trio.open_client(address) as client,
        trio.open_nursery() as nursery,
    ):
        for first in range(100_000, 180_000, 20_000):
            nursery.start_soon(count, client, first)


# Each process imports this program to find the function; it must not become another worker.
if __name__ == "__main__":
    trio.run(main)
