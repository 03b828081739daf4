"""The time limit of a job is the deadline of its cancel scope, which the function may look at and move.

When its server is lost the job is cancelled, for the server has given it to another worker by then.
Try: leave out the line that moves the deadline; `on_lost="finish"`, and see that the last job is not cancelled.
"""

import logging
from contextlib import suppress

import trio

import gearman_trio

logging.getLogger("gearman_trio").addHandler(logging.NullHandler())

abilities = gearman_trio.Abilities()
begun, ended = trio.Event(), trio.Event()
life_of_the_server = trio.CancelScope()


@abilities.function(timeout=0.2)
async def patient(job: gearman_trio.Job, workload: bytes) -> bytes:
    print("seconds that it may take:", round(job.scope.deadline - trio.current_time(), 1))
    job.scope.deadline += 10 if workload == b"large" else 0
    await trio.sleep(0.5)
    return b"done"


@abilities.function
async def wait(job: gearman_trio.Job) -> None:
    try:
        begun.set()
        await trio.sleep_forever()
    finally:
        print("cancelled:", job.scope.cancel_called, "lost:", job.lost)
        ended.set()


async def serve(task_status: trio.TaskStatus[gearman_trio.Server]) -> None:
    with life_of_the_server:
        await gearman_trio.serve(port=0, task_status=task_status)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server: gearman_trio.Server = await nursery.start(serve)
        async with (
            gearman_trio.open_worker(abilities, server.url, on_lost="cancel"),
            gearman_trio.open_client(server.url) as client,
        ):
            print(await client.run("patient", b"large"))
            with suppress(gearman_trio.JobFailed):
                await client.run("patient", b"small")
            await client.submit("wait")
            await begun.wait()
            life_of_the_server.cancel()
            await ended.wait()


trio.run(main)
