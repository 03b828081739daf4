"""``gearman-trio top``: once, and on a terminal, with this server and with gearmand."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from gearman_trio import Abilities, Server, Worker, open_admin, open_client, open_server, open_worker, serve
from gearman_trio.cli.top_look import look

from ..patience import PATIENCE
from ..peers import open_gearmand
from .commands import Command, Output, invoke, invoke_here, open_command
from .terminal import open_terminal

ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[@-~]|O.|.)")


@attrs.define
class Top:
    """The command on a terminal."""

    command: Command
    screen: Output
    keyboard: trio.abc.SendStream
    file: int

    async def press(self, keys: str) -> None:
        await self.keyboard.send_all(keys.encode())

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, which is written anew from its top each time."""
        return ESCAPE.sub("", self.screen.text.rpartition("\x1b[H")[2]).splitlines()

    async def wait_for(self, text: str) -> None:
        """Wait until a text stands on the screen."""
        await self.screen.wait_until(lambda: any(text in line for line in self.lines))

    async def wait_row(self, *cells: str) -> None:
        """Wait until a row begins with these words."""
        await self.screen.wait_until(lambda: any(line.split()[: len(cells)] == list(cells) for line in self.lines))

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        # The terminal is not the one that the process belongs to, so nobody else tells it.
        self.command.send_signal(signal.SIGWINCH)


@asynccontextmanager
async def open_top(server: str, *arguments: str) -> AsyncIterator[Top]:
    """Run the command on a terminal of 80 columns and 24 lines."""
    screen = Output()
    async with open_terminal() as (terminal, theirs), terminal.kept(screen):
        command_line = ("top", "--server", server, "--interval", "0.1", *arguments)
        environment = {"COLUMNS": "", "LINES": ""}
        async with open_command(*command_line, stdin=theirs, stdout=theirs, **with_environment(environment)) as command:
            yield Top(command, screen, terminal.stream, theirs)


def with_environment(removed: dict[str, str]) -> dict[str, dict[str, str]]:
    """That of the tests without what would fix the size of the screen."""
    kept = {name: value for name, value in os.environ.items() if name not in removed}
    return {"env": {**kept, "PYTHONWARNINGS": "error", "TERM": "xterm"}}


@pytest.fixture(params=["ours", pytest.param("gearmand", marks=pytest.mark.interop)])
async def any_server(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of a server with one job of the function `resize` and no worker."""
    if request.param == "ours":
        async with open_server(port=0, drain_seconds=0) as server:
            yield await with_a_job(str(server.addresses[0]))
    else:
        async with open_gearmand() as gearmand:
            yield await with_a_job(f"127.0.0.1:{gearmand.port}")


async def with_a_job(address: str) -> str:
    async with open_client(address) as client:
        await client.submit("resize")
    return address


# ---- once ----


async def test_one_look_as_text(any_server: str) -> None:
    result = await invoke("top", "--server", any_server, "--once")

    assert (0, "") == (result.exit_code, result.stderr)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["FUNCTION", "WAITING", "RUNNING", "WORKERS"] == lines[1][:4]
    assert ["resize", "1", "0", "0"] == lines[2][:4]


async def test_one_look_as_json(any_server: str) -> None:
    result = await invoke("top", "--server", any_server, "--once", "--json")

    assert (0, "") == (result.exit_code, result.stderr)
    picture = json.loads(result.stdout)
    (function,) = picture["functions"]
    assert ("resize", 1, 1, 0, 0) == tuple(
        function[name] for name in ("function", "waiting", "normal", "running", "workers")
    )
    assert {"version", "own", "connections", "functions", "jobs", "workers"} == set(picture)
    assert picture["own"] == (function["oldest_seconds"] is not None)


@pytest.fixture
async def keeper(server: Server) -> AsyncIterator[Worker]:
    """A worker whose jobs of the function `keep` go on until the end of the test."""
    abilities, going_on = Abilities(), trio.Event()

    @abilities.function
    async def keep(workload: bytes) -> bytes:
        await going_on.wait()
        return workload

    async with open_worker(abilities, server.url, client_id="keeper") as running:
        yield running
        going_on.set()


async def test_running_job_and_its_worker(server: Server, keeper: Worker) -> None:
    async with open_client(server.url) as client:
        handle = (await client.submit("keep")).decode()
        picture: dict[str, Any] = {"jobs": []}
        with trio.fail_after(PATIENCE):
            while not picture["jobs"]:
                picture = json.loads((await invoke("top", "--once", "--json")).stdout)

    (job,) = picture["jobs"]
    assert (handle, "keep", "keeper", 1) == (job["handle"], job["function"], job["worker"], job["attempts"])
    assert ["keeper"] == [row["client_id"] for row in picture["workers"]]


async def test_rates_are_those_between_two_looks(server: Server) -> None:
    async with open_admin(server.addresses[0]) as admin, open_client(server.url) as client:
        await client.submit("a")
        first = await look(admin, None)
        await client.submit("a")
        await client.submit("b")
        second = await look(admin, first)

    assert [None] == [line.in_per_second for line in first.functions]
    a, b = second.functions
    assert a.in_per_second is not None
    assert 0 < a.in_per_second == b.in_per_second
    assert 0 == a.out_per_second


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--json"], 2, "goes with --once only"),
        (["--interval", "0"], 2, "expected a number of seconds from 0.1 to 3600, got '0'"),
        (["--interval", "often"], 2, "expected a number of seconds from 0.1 to 3600, got 'often'"),
        ([], 2, "top needs a terminal; --once prints one look, and --once --json gives it to a program"),
        (["--once", "--server", "127.0.0.1:1"], 3, "127.0.0.1:1"),
    ],
)
def test_what_cannot_be_done(arguments: list[str], code: int, message: str) -> None:
    result = invoke_here("top", *arguments)

    assert (code, "") == (result.exit_code, result.stdout)
    assert message in " ".join(result.stderr.split())


# ---- on a terminal ----


@pytest.mark.slow
async def test_tables_are_shown_and_q_leaves(any_server: str) -> None:
    async with open_top(any_server) as top:
        await top.wait_row("resize", "1", "0", "0")
        await top.press("3")
        await top.wait_for("no workers")
        await top.press("q")

        assert 0 == await top.command.wait_ended()

    # The screen as it was before has come back, and the cursor.
    assert "\x1b[?1049l" in top.screen.text
    assert top.screen.text.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in top.screen.text
    assert "" == top.command.stderr.text


@pytest.mark.slow
async def test_what_changes_is_shown() -> None:
    async with open_server(port=0, drain_seconds=0) as server, open_top(str(server.addresses[0])) as top:
        await top.wait_for("no functions")
        async with open_client(server.url) as client:
            await client.submit("resize")
            await top.wait_row("resize", "1")
            await client.submit("resize")
            await top.wait_row("resize", "2")


@pytest.mark.slow
async def test_job_is_cancelled_by_keys(server: Server, keeper: Worker) -> None:
    async with open_client(server.url) as client, open_top(str(server.addresses[0])) as top:
        handle = (await client.submit("keep")).decode()
        await top.press("2")
        await top.wait_row(handle, "keep")
        await top.press("c")
        await top.wait_for(f"cancel {handle}? y for yes")
        await top.press("y")
        await top.wait_for(f"{handle} is cancelled")
        await top.wait_for("no jobs")

    assert 1 == server.statistics().counters.cancelled


@pytest.mark.slow
async def test_function_is_paused_and_resumed_by_keys(server: Server) -> None:
    async with open_client(server.url) as client, open_top(str(server.addresses[0])) as top:
        await client.submit("resize")
        await top.wait_row("resize", "1")
        await top.press("p")
        await top.wait_for("pause resize? y for yes")
        await top.press("y")
        await top.wait_row("resize", "(paused)", "1")
        assert [True] == [function.paused for function in server.functions()]
        await top.press("py")
        await top.wait_row("resize", "1")

    assert [False] == [function.paused for function in server.functions()]


@pytest.mark.slow
async def test_server_that_goes_and_comes_back_is_waited_for(nursery: trio.Nursery) -> None:
    async with open_server(port=0, drain_seconds=0) as server:
        port = server.addresses[0].port
        await with_a_job(f"127.0.0.1:{port}")
        async with open_top(f"127.0.0.1:{port}") as top:
            await top.wait_row("resize", "1")
            await server.drain(0)
            await top.wait_for("no connection; what is shown is ")
            # What was seen last is still there.
            await top.wait_row("resize", "1")
            await top.press("c")
            await top.press(" ")
            await nursery.start(partial(serve, port=port))
            await top.wait_for("no functions")
            await top.press("q")

            assert 0 == await top.command.wait_ended()


@pytest.mark.slow
async def test_server_that_is_not_there_is_waited_for() -> None:
    async with open_top("127.0.0.1:1") as top:
        await top.wait_for("no connection: 127.0.0.1:1: Connection refused")
        top.command.send_signal(signal.SIGINT)

        assert 130 == await top.command.wait_ended()


@pytest.mark.slow
async def test_thousand_functions_on_screens_of_two_sizes() -> None:
    async with open_server(port=0, drain_seconds=0) as server, open_client(server.url) as client:
        for number in range(1000):
            await client.submit(f"f{number:03}")
        await client.submit("f500")
        async with open_top(str(server.addresses[0])) as top:
            await top.wait_row("f500", "2")
            await top.wait_for("1 Functions 1000")
            # The screen comes in pieces; this is its last row.
            await top.wait_row("f016", "1")
            small = len([line for line in top.lines if line.startswith("f")])
            top.resize(160, 50)
            await top.wait_for("RETRIED")
            await top.wait_row("f042", "1")
            large = len([line for line in top.lines if line.startswith("f")])
            await top.press("/f999\r")
            await top.wait_for("filter: f999")
            await top.wait_row("f999", "1")

    assert (18, 44) == (small, large)


@pytest.mark.slow
async def test_terminal_that_goes_ends_it() -> None:
    async with open_server(port=0) as server, open_terminal() as (terminal, theirs):
        command_line = ("top", "--server", str(server.addresses[0]))
        async with open_command(*command_line, stdin=theirs, stdout=theirs) as command:
            await terminal.stream.receive_some()
            await terminal.stream.aclose()
            await command.wait_ended()

    assert "Traceback" not in command.stderr.text
