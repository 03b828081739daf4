"""What can go wrong with a job, and how the client hears of it.

To use a job server that is there already, give its address: python errors.py localhost:4730

Try: take away the line about logging; `open_client(url, options=())`, and an exception comes as JobFailed.
"""

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio

abilities = gearman_trio.Abilities()
logging.getLogger("gearman_trio").addHandler(logging.NullHandler())


@abilities.function
async def divide(workload: bytes) -> bytes:
    return b"%d" % (1 // int(workload))


@abilities.function(timeout=0.1)
async def wait_too_long() -> None:
    await trio.sleep(10)


@asynccontextmanager
async def job_server() -> AsyncIterator[str]:
    if len(sys.argv) > 1:
        yield sys.argv[1]
    else:
        async with gearman_trio.open_server(port=0) as server:
            yield server.url


async def main() -> None:
    async with job_server() as url, gearman_trio.open_worker(abilities, url), gearman_trio.open_client(url) as client:
        try:
            await client.run("divide", b"0")
        except gearman_trio.JobRaised as exc:
            print("the function raised:", exc.data)
        try:
            await client.run("wait_too_long")
        except gearman_trio.JobFailed:
            print("the job failed: its time was up")
        try:
            await client.set_option("no-such-option")
        except gearman_trio.ServerError as exc:
            print("the job server refused:", exc.code)
        # There are no time-out errors: the caller decides how long to wait.
        with trio.move_on_after(0.1):
            await client.run("nobody_can_do_this")


trio.run(main)
