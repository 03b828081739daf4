"""Decorated functions and options of calls, in a program without an event loop.

It needs two job servers, and starts them in a thread of their own.

Try: pass a number for `who` and run mypy or pyright over this file; leave out `times`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import trio

from gearman_trio import JSON, Abilities, open_server
from gearman_trio.blocking import AdminClient, Client, Worker

abilities = Abilities(serializer=JSON, namespace="greetings.")


@abilities.function
def greet(who: str, times: int = 1) -> list[str]:
    return [f"Hello, {who}!"] * times


@contextmanager
def job_servers() -> Iterator[list[str]]:
    started, stop = SimpleQueue[list[str]](), threading.Event()

    async def serve() -> None:
        async with open_server(port=0) as one, open_server(port=0) as other:
            started.put([one.url, other.url])
            await trio.to_thread.run_sync(stop.wait)

    threading.Thread(target=trio.run, args=(serve,)).start()
    try:
        yield started.get()
    finally:
        stop.set()


with (
    job_servers() as addresses,
    Worker(abilities, *addresses) as worker,
    Client(*addresses, routing="round-robin", resubmit="if-unique") as client,
):
    worker.wait_ready(timeout=10)
    # All arguments are those of the function.
    print(client.with_options(timeout=10).run(greet, "Gearman", times=2))

    patient = client.with_options(timeout=10, priority="normal", unique="-", delay=3600)
    handles = {patient.with_options(server=addresses[0]).submit(greet, who) for who in ["Ada", "Grace", "Ada"]}

    with AdminClient(addresses[0]) as admin:
        print([(row.function, row.total) for row in admin.status(timeout=10)])
        for handle in handles:
            admin.cancel(handle, timeout=10)
