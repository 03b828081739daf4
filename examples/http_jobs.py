"""An application of your own that has a job server in it, and jobs over HTTP. Needs the extra `web`.

Try: put a `trio.sleep(600)` before the end, open the page with a browser, and submit a job; or ask with curl:
`curl -N -H 'Authorization: Bearer a-token-of-your-own' -d hello .../gearman/api/v1/functions/reverse/jobs`
"""

import json
from functools import partial
from typing import cast
from urllib.request import Request, urlopen

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIFramework
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

import gearman_trio
from gearman_trio.web import make_app

TOKEN = "a-token-of-your-own"
PAGE = """<!doctype html><title>Reverse</title>
<form><input name=token type=password placeholder=token> <input name=words> <button>Reverse</button></form><p></p>
<script>
document.forms[0].onsubmit = async event => {
  event.preventDefault()
  const form = event.target, body = form.words.value, headers = { Authorization: `Bearer ${form.token.value}` }
  const answer = await fetch("gearman/api/v1/functions/reverse/jobs", { method: "POST", headers, body })
  const told = await answer.json()
  document.querySelector("p").textContent = answer.ok ? told.result : told.detail
}
</script>"""

abilities = gearman_trio.Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload.decode()[::-1].encode()


async def main() -> None:
    config = Config()
    config.bind, config.loglevel = ["127.0.0.1:0"], "WARNING"
    async with gearman_trio.open_server(port=0) as server, gearman_trio.open_worker(abilities, server.url):
        page = Route("/", lambda request: HTMLResponse(PAGE))
        app = Starlette(routes=[page, Mount("/gearman", make_app(server, token=TOKEN))])
        async with trio.open_nursery() as nursery:
            (url,) = await nursery.start(partial(serve, cast(ASGIFramework, app), config))
            job = Request(f"{url}/gearman/api/v1/functions/reverse/jobs", b"hello there")
            job.add_header("Authorization", f"Bearer {TOKEN}")
            answer = await trio.to_thread.run_sync(lambda: urlopen(job).read())
            print(json.loads(answer)["result"])
            nursery.cancel_scope.cancel()


trio.run(main)
