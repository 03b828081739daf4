"""A job that gives its result piece by piece and says how far it is, and a client that follows it.

It starts a job server of its own.  To use one that is there already, give its address:
    python progress.py localhost:4730

Try: leave the loop after the second piece (`break`) and see that the client can go on with another job; call
`client.run("squares", b"5")`, which gives all pieces together.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio
from gearman_trio import JobData, JobStatus, JobWarning

abilities = gearman_trio.Abilities()


# Each item that an async generator yields goes to the client at once.
@abilities.function(timeout=30)
async def squares(workload: bytes, job: gearman_trio.Job) -> AsyncIterator[bytes]:
    count = int(workload)
    for number in range(1, count + 1):
        await trio.sleep(0.05)
        yield b"%d\n" % number**2
        await job.status(number, count)
    await job.warning("there are more of them")


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
        client.stream("squares", b"5") as job,
    ):
        async for event in job:
            match event:
                case JobData(data):
                    print("data", data)
                case JobStatus(numerator, denominator):
                    print("status", numerator, "of", denominator, f"({event.fraction:.0%})")
                case JobWarning(data):
                    print("warning", data)


trio.run(main)
