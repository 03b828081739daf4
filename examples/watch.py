"""Looking at a job server and steering it: the administrative commands as typed questions.

It starts a job server of its own.  To use one that is there already, give its address:
    python watch.py localhost:4730

Try: call `admin.maxqueue("resize", 2)` before the jobs are submitted, and see which error the third one gets.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio


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
        gearman_trio.open_client(address, client_id="shop") as client,
        gearman_trio.open_admin(address) as admin,
    ):
        handles = [await client.submit("resize", b"%d.jpg" % number) for number in range(3)]
        for function in await admin.status():
            print(function.function, "total:", function.total, "running:", function.running)
        for row in await admin.priority_status():
            print(row.function, "high:", row.high, "normal:", row.normal, "low:", row.low)
        for connection in await admin.workers():
            print(connection.client_id, "can do", connection.functions or "nothing")
        for handle in handles:
            await admin.cancel(handle)
        print("jobs left:", len(await admin.jobs()))
        try:
            await admin.cancel(handles[0])
        except gearman_trio.ServerError as exc:
            print("not cancelled:", exc.code)


trio.run(main)
