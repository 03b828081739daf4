"""Many jobs from a program without an event loop: submitted together, one for each item, one for each part of a file.

It starts a job server of its own.  To use one that is there already, give its address:
    python blocking_many.py localhost:4730

Try: give `map` ordered=True; take another `chunk_bytes`; let `shout` raise, with on_error="yield" and without.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import trio

from gearman_trio import Abilities, open_server
from gearman_trio.blocking import Client, Worker

abilities = Abilities()


@abilities.function
def shout(workload: bytes) -> bytes:
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
    with client.map("shout", [b"one", b"two", b"three"], concurrency=2, timeout=10) as results:
        print(sorted(results))

    with client.run_chunks("shout", Path(__file__), chunk_bytes=500, separator=b"\n", timeout=10) as results:
        print(b"".join(results).decode().splitlines()[0])

    with client.pipeline(timeout=10) as pipeline:
        entries = [pipeline.submit("shout", word) for word in (b"later", b"latest")]
    print("in the background:", all(entry.handle for entry in entries))
