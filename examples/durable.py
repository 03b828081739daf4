"""Background jobs that outlive the job server: it stores them in a file before it acknowledges them.

Try: kill this program with SIGKILL between the two servers; run it with another name of the file; look into the file
with the program `sqlite3`.
"""

import tempfile
from pathlib import Path

import trio

import gearman_trio

abilities = gearman_trio.Abilities()
sent = trio.Event()


@abilities.function
async def send(address: bytes) -> None:
    print("sent to", address)
    sent.set()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:{Path(folder) / 'jobs.db'}"

        async with gearman_trio.open_server(port=0, store=url) as server, server.open_client() as client:
            # When this returns, the job is on the disk. Nobody can do it yet.
            await client.submit("send", b"ann@example.org")

        async with gearman_trio.open_server(port=0, store=url) as server:
            statistics = server.statistics().store
            assert statistics is not None
            print("jobs that came back:", statistics.restored)
            async with gearman_trio.open_worker(abilities, server.url):
                await sent.wait()


trio.run(main)
