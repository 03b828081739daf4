"""A job server that answers HTTP: health, metrics, and what it does. Needs the extra `web`.

Try: put a `trio.sleep(600)` behind the questions, and ask with curl: `/metrics`, `/api/v1/workers`, and
`curl -N .../api/v1/events`, which tells every second what has changed.
"""

import json
from urllib.request import urlopen

import trio

import gearman_trio
from gearman_trio.web import serve_web

abilities = gearman_trio.Abilities()
resized = trio.Event()


@abilities.function
async def resize(workload: bytes) -> None:
    resized.set()


async def main() -> None:
    async with gearman_trio.open_server(port=0, drain_seconds=0) as server, trio.open_nursery() as nursery:
        (url,) = await nursery.start(serve_web, server)

        async with server.open_client() as client:
            handle = await client.submit("resize", b"cat.png")
            print("submitted", bool(handle))

        # Nobody has said that it can do this.
        function = json.loads(await get(f"{url}api/v1/functions/resize"))
        print("queued:", function["queued"], "workers:", function["workers"], "stalled:", function["stalled"])

        for line in (await get(f"{url}metrics")).decode().splitlines():
            if line.startswith("gearman_jobs_waiting"):
                print(line)

        async with gearman_trio.open_worker(abilities, server.url):
            await resized.wait()
        nursery.cancel_scope.cancel()


async def get(url: str) -> bytes:
    # In a thread, because urllib blocks; the job server goes on.
    def fetch() -> bytes:
        with urlopen(url) as answer:
            body: bytes = answer.read()
            return body

    return await trio.to_thread.run_sync(fetch)


trio.run(main)
