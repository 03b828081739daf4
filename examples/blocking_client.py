"""A program without an event loop: plain calls, from as many threads as there are.

It starts a job server of its own.  To use one that is there already, give its address:
    python blocking_client.py localhost:4730

Try: give `run` a `timeout=0.01`; it raises TimeoutError, and the client goes on as if nothing had happened.
"""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue

import trio

from gearman_trio import Abilities, ThreadJob, open_server
from gearman_trio.blocking import Client, Worker

abilities = Abilities()


@abilities.function
def shout(workload: bytes, job: ThreadJob) -> bytes:
    job.status(1, 2)
    return workload.upper()


@contextmanager
def job_server() -> Iterator[str]:
    if len(sys.argv) > 1:
        yield sys.argv[1]
        return
    started, stop = SimpleQueue[str](), threading.Event()

    async def serve() -> None:
        async with open_server(port=0) as server:
            started.put(server.url)
            await trio.to_thread.run_sync(stop.wait)

    threading.Thread(target=trio.run, args=(serve,)).start()
    try:
        yield started.get()
    finally:
        stop.set()


with job_server() as address, Worker(abilities, address, concurrency=8), Client(address) as client:
    # One client for all threads: each gets the result of its own job.
    with ThreadPoolExecutor(8) as pool:
        print(*pool.map(lambda word: client.run("shout", word, timeout=10), [b"one", b"two", b"three"]))

    with client.stream("shout", b"watched", timeout=10) as job:
        print(*job.events(timeout=10))
        print(job.result(timeout=10))

    print("in the background:", client.submit("shout", b"later", timeout=10).decode())
