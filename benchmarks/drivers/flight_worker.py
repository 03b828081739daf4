"""What abilities cost a process with workers in it.

HOST PORT WORKERS FUNCTIONS prints the resident memory before and while so many workers, with so many functions each,
are ready for jobs.  Each worker has a connection of its own, and functions of its own: what programs of their own would
have, but for Python itself.
"""

from __future__ import annotations

import json
import sys

import trio

import gearman_trio

from .flight_client import resident_bytes


def abilities_of(worker: int, functions: int) -> gearman_trio.Abilities:
    """So many functions, with names that no other worker has."""
    abilities = gearman_trio.Abilities(namespace=f"worker-{worker}.")
    for number in range(functions):

        async def echo(workload: bytes) -> bytes:
            return workload

        abilities.function(name=f"function-{number}")(echo)
    return abilities


async def ready(server: str, workers: int, functions: int) -> None:
    """Have so many workers ready."""
    # What the first one needs is not what each of them costs.
    async with gearman_trio.open_worker(abilities_of(0, 1), server) as first, trio.open_nursery() as nursery:
        await first.wait_ready()
        before = resident_bytes()
        for number in range(1, workers + 1):
            abilities = abilities_of(number, functions)
            worker: gearman_trio.Worker = await nursery.start(gearman_trio.run_worker, abilities, server)
            await worker.wait_ready()
        during = resident_bytes()
        nursery.cancel_scope.cancel()
    print(json.dumps({"before": before, "during": during}))


def main() -> None:
    """Measure what the arguments say."""
    host, port, workers, functions = sys.argv[1:]
    trio.run(ready, f"{host}:{port}", int(workers), int(functions))


if __name__ == "__main__":
    main()
