"""The page of a job server in a web application of your own, which serves other things, too. Needs the extra `web`.

Try: put a `trio.sleep(600)` behind the questions, and look at http://127.0.0.1:PORT/gearman/ with a browser; leave out
`token`, and the buttons are gone.
"""

import json
import logging
import sys
from functools import partial
from typing import cast
from urllib.request import Request, urlopen

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIFramework
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import gearman_trio
from gearman_trio.web import History, make_app

TOKEN = "use-a-secret-of-your-own"


async def ask(request: Request) -> bytes:
    # In a thread, because urllib blocks; the job server goes on.
    return await trio.to_thread.run_sync(lambda: bytes(urlopen(request).read()))


async def main() -> None:
    async with gearman_trio.open_server(port=0, drain_seconds=0) as server, trio.open_nursery() as nursery:
        # Takes a sample a second, for the charts.
        history = History(server)
        nursery.start_soon(history.run)
        page = make_app(server, history=history, token=TOKEN)
        home = Route("/", lambda request: PlainTextResponse("the application's own page"))
        app = Starlette(routes=[home, Mount("/gearman", page)])
        config = Config()
        config.bind, config.loglevel = ["127.0.0.1:0"], "WARNING"
        (url,) = await nursery.start(partial(serve, cast(ASGIFramework, app), config))

        async with server.open_client() as client:
            handle = (await client.submit("resize", b"cat.png")).decode()
        print("the page is there:", b"<title>Gearman" in await ask(Request(f"{url}/gearman/")))
        job = json.loads(await ask(Request(f"{url}/gearman/api/v1/jobs/{handle}")))
        print(job["function"], job["state"], job["workload"]["text"])
        cancel = Request(f"{url}/gearman/api/v1/jobs/{handle}/cancel", method="POST")
        cancel.add_header("Authorization", f"Bearer {TOKEN}")
        await ask(cancel)
        nursery.cancel_scope.cancel()


# Whoever changes something is told of there.
logging.basicConfig(format="%(message)s", stream=sys.stdout)
trio.run(main)
