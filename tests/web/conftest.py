"""A job server with its web interface on a free port, and HTTP as it goes over the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import attrs
import pytest
import trio
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from gearman_trio import Server, ServerOptions, open_server
from gearman_trio.testing import MemoryStore
from gearman_trio.web import WebLimits, serve_web

from ..patience import PATIENCE
from ..peers import require
from .browser import STATE, Page

TOKEN = "a-token-of-the-tests"

AUTHORIZATION = f"Authorization: Bearer {TOKEN}\r\n"


@attrs.frozen
class Answer:
    """What came back for one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @classmethod
    def parse(cls, data: bytes) -> Answer:
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return cls(int(first.split()[1]), headers, body)


class Events:
    """A stream of server-sent events."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._data = b""

    async def next(self) -> tuple[str, Any]:
        """Wait for an event, and give its name and its content."""
        with trio.fail_after(PATIENCE):
            while (start := self._data.find(b"event: ")) < 0 or (end := self._data.find(b"\n\n", start)) < 0:
                data = await self._stream.receive_some()
                assert data, self._data
                self._data += data
        name, content = self._data[start:end].split(b"\ndata: ")
        self._data = self._data[end:]
        return name.removeprefix(b"event: ").decode(), json.loads(content)


@attrs.frozen
class Site:
    """The interface of a job server."""

    server: Server
    url: str

    async def connect(self) -> trio.SocketStream:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return await trio.open_tcp_stream(parts.hostname, parts.port)

    async def ask(
        self, path: str, method: str = "GET", headers: str = "", *, host: str = "localhost", body: bytes = b""
    ) -> Answer:
        first = f"{method} {quote(path, safe='/?=&%*:')} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return Answer.parse(await self.send(f"{first}{length}{headers}\r\n".encode() + body))

    async def ask_until(self, path: str, wanted: Callable[[Answer], object], method: str = "GET") -> Answer:
        """Ask again and again until the answer is as wanted."""
        with trio.fail_after(PATIENCE):
            while True:
                answer = await self.ask(path, method)
                if wanted(answer):
                    return answer
                await trio.sleep(0.02)

    async def send(self, data: bytes) -> bytes:
        """Send something, and give all that comes back."""
        async with await self.connect() as stream:
            with trio.fail_after(PATIENCE):
                await stream.send_all(data)
                return b"".join([bytes(chunk) async for chunk in stream])

    async def events(self, stream: trio.SocketStream) -> Events:
        await stream.send_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return Events(stream)


@pytest.fixture
def limits() -> WebLimits:
    return WebLimits()


@pytest.fixture
def token() -> str | None:
    return TOKEN


@pytest.fixture
def hide_workloads() -> bool:
    return False


@pytest.fixture
def store() -> MemoryStore | None:
    """Where the server keeps background jobs; with one, workloads of more than 100 bytes are there alone."""
    return None


@pytest.fixture
async def site(
    limits: WebLimits, token: str | None, hide_workloads: bool, store: MemoryStore | None
) -> AsyncIterator[Site]:
    options = ServerOptions(spill_bytes=100)
    async with (
        open_server(port=0, options=options, store=store, drain_seconds=0) as server,
        trio.open_nursery() as nursery,
    ):
        answering = partial(
            serve_web, server, limits=limits, token=token, hosts=["jobs.example"], hide_workloads=hide_workloads
        )
        (url,) = await nursery.start(answering)
        yield Site(server, url)
        nursery.cancel_scope.cancel()


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = require("chromium")
    # Root may not use the sandbox, and containers have little shared memory.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, Service(require("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
async def page(chrome: Chrome, site: Site) -> AsyncIterator[Page]:
    """The page of a server, open; whatever is done with it, the browser has nothing to complain about."""
    page = Page(chrome, site)
    await page.do(lambda driver: driver.get(site.url))
    await page.until(STATE, "live")
    yield page
    complaints = await page.do(lambda driver: driver.get_log("browser"))  # type: ignore[no-untyped-call] # Selenium's
    await page.do(lambda driver: driver.get("about:blank"))
    assert [] == [each for each in complaints if not any(words in each["message"] for words in page.forgiven)]
