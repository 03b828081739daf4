"""SIGTERM stops a program gracefully: the job that is running ends, and its client gets the result.

Try: send SIGTERM twice, and put `nursery.cancel_scope.cancel()` into the loop for the second one.
"""

import os
import signal
from functools import partial

import trio

import gearman_trio

abilities = gearman_trio.Abilities()
baking = trio.Event()


@abilities.function
async def bake(workload: bytes) -> bytes:
    baking.set()
    await trio.sleep(0.3)
    return workload + b" is done"


async def stop_on_signal(
    worker: gearman_trio.Worker, server: gearman_trio.Server, task_status: trio.TaskStatus[None]
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            print("stopping because of", signal.Signals(number).name)
            # The worker grabs no more jobs and waits for those that it has; then the server lets go of everything.
            await worker.drain()
            await server.drain(30)
            return


async def order(server: gearman_trio.Server) -> None:
    async with server.open_client() as client:
        print(await client.run("bake", b"bread"))


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server: gearman_trio.Server = await nursery.start(partial(gearman_trio.serve, port=0))
        worker: gearman_trio.Worker = await nursery.start(gearman_trio.run_worker, abilities, server.url)
        await nursery.start(stop_on_signal, worker, server)
        nursery.start_soon(order, server)
        await baking.wait()
        os.kill(os.getpid(), signal.SIGTERM)


trio.run(main)
