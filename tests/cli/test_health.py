"""``gearman-trio worker --health``: what is asked over HTTP, and answered of one process and of several."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from typing import Any

import pytest
import trio

from gearman_trio import ConfigError, open_client, open_server
from gearman_trio.cli.health import health_address, open_health_listeners
from gearman_trio.transport import Address

from ..patience import PATIENCE
from .commands import Command, invoke, open_command

TARGET = "tests.cli.process_jobs:abilities"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        (":8080", Address("127.0.0.1", 8080)),
        ("[::]:0", Address("::", 0)),
    ],
)
def test_address_has_a_port(text: str, address: Address) -> None:
    assert address == health_address(text)


@pytest.mark.parametrize("text", ["8080", "localhost", "[::1]", "", "unix:/s"])
async def test_address_without_a_port_is_refused(text: str) -> None:
    result = await invoke("worker", "m:o", "--health", text)

    assert 2 == result.exit_code
    assert f"'--health': expected HOST:PORT, for example 127.0.0.1:8080, got {text!r}" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--processes", "2"]])
async def test_port_that_is_taken_is_told(arguments: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        result = await invoke("worker", TARGET, "--health", address, *arguments)

    assert 3 == result.exit_code
    assert f"gearman-trio: --health: cannot listen on {address}: Address already in use\n" == result.stderr


async def test_missing_h11_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h11", None)

    with pytest.raises(ConfigError, match=r"gearman-trio\[health\]"):
        await open_health_listeners("127.0.0.1:0")


class Probe:
    """Asks a command how it is."""

    def __init__(self, workers: Command) -> None:
        self._workers = workers

    async def ask(self, path: str) -> tuple[int, Any]:
        """The status, and the content of the body."""
        match = re.search(r" health: http://127.0.0.1:(\d+)/readyz\n", self._workers.stderr.text)
        assert match is not None
        with trio.fail_after(PATIENCE):
            async with await trio.open_tcp_stream("127.0.0.1", int(match[1])) as stream:
                await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
                answer = b"".join([bytes(chunk) async for chunk in stream])
        return int(answer.split()[1]), json.loads(answer.partition(b"\r\n\r\n")[2])

    async def wait_for(self, path: str, status: int) -> Any:
        """Ask until the answer is this one, as orchestrators do: a busy machine may be slow to answer."""
        with trio.fail_after(PATIENCE):
            while True:
                answered, content = await self.ask(path)
                if answered == status:
                    return content


def open_probed(server: str, *arguments: str) -> Any:
    return open_command("worker", TARGET, "--server", server, "--health", "127.0.0.1:0", *arguments)


@pytest.mark.slow
async def test_worker_tells_its_servers() -> None:
    async with (
        open_server(port=0) as server,
        open_probed(server.url, "--server", "127.0.0.1:1") as worker,
        open_client(server.url) as client,
    ):
        probe = Probe(worker)
        await worker.stderr.wait_for(b" ready\n")
        address = str(server.addresses[0])
        good = {"alive": True, "ready": True, "running": 0}
        servers = {address: "connected", "127.0.0.1:1": "not connected"}
        assert (200, {**good, "servers": servers}) == await probe.ask("/readyz")

        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with listener:
            await client.submit("here.hold", b"%d" % listener.socket.getsockname()[1])
            async with await listener.accept() as job:
                # While it drains it is no longer ready.
                worker.send_signal(signal.SIGTERM)
                await worker.stderr.wait_for(b"SIGTERM: finishing what runs")
                bad = {"alive": True, "ready": False, "running": 1, "servers": servers}
                assert (503, bad) == await probe.ask("/readyz")
                assert (200, bad) == await probe.ask("/healthz")
                await job.send_all(b"x")
        assert 0 == await worker.wait_ended()
        with pytest.raises(OSError, match=r"all attempts to connect|Connection refused"):
            await probe.ask("/healthz")


@pytest.mark.slow
async def test_worker_without_a_server_is_alive_and_not_ready() -> None:
    async with open_probed("127.0.0.1:1") as worker:
        await worker.stderr.wait_for(b" cannot connect: ")

        expected = {"alive": True, "ready": False, "running": 0, "servers": {"127.0.0.1:1": "not connected"}}
        assert (503, expected) == await Probe(worker).ask("/readyz")
        assert (200, expected) == await Probe(worker).ask("/healthz")


@pytest.mark.slow
async def test_processes_are_ready_when_all_of_them_are() -> None:
    async with open_server(port=0) as server, open_probed(server.url, "--processes", "2") as workers:
        probe = Probe(workers)
        await workers.stderr.wait_for(b"ready: processes=2\n")
        content = await probe.wait_for("/readyz", 200)
        rows = content.pop("processes")
        assert {"alive": True, "ready": True, "ready_processes": 2, "wanted_processes": 2} == content
        row = {"answers": True, "ready": True, "running": 0, "servers": {str(server.addresses[0]): "connected"}}
        assert [{"process": number, "pid": rows[number - 1]["pid"], **row} for number in (1, 2)] == rows

        # A process that is stopped says nothing.
        pids = [row["pid"] for row in rows]
        try:
            os.kill(pids[0], signal.SIGSTOP)
            content = await probe.wait_for("/readyz", 503)
            assert (True, False, 2) == (content["alive"], content["ready"], content["wanted_processes"])
            assert {"process": 1, "pid": pids[0], "answers": False, "ready": False, "running": 0, "servers": {}} == (
                content["processes"][0]
            )
            os.kill(pids[1], signal.SIGSTOP)
            content = await probe.wait_for("/healthz", 503)
            assert (False, 0) == (content["alive"], content["ready_processes"])
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        await probe.wait_for("/healthz", 200)
        await probe.wait_for("/readyz", 200)
