"""``--web`` and ``--protocol http``: the command answers HTTP beside its job server."""

from __future__ import annotations

import errno
import json
import signal
import socket
import sys
import urllib.request

import pytest
import trio

from gearman_trio.config import resolve
from gearman_trio.daemon import Launch
from gearman_trio.daemon.listening import open_gateway, open_web
from gearman_trio.errors import ConfigError

from ..cli.commands import invoke_here, open_command


def launch(web: str) -> Launch:
    return Launch.of(resolve({"web": web}, {}))


@pytest.mark.parametrize(
    ("given", "address"),
    [("8080", "127.0.0.1:8080"), ("0", "127.0.0.1:0"), ("[::1]:80", "[::1]:80"), ("localhost:80", "localhost:80")],
)
def test_port_alone_is_one_of_this_machine(given: str, address: str) -> None:
    assert address == str(launch(given).web)


@pytest.mark.parametrize("given", ["localhost", "unix:/run/x", "1:2:3", "99999", "a:99999", ""])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="--web"):
        launch(given)


def test_nothing_is_answered_unless_asked_for() -> None:
    assert Launch.of(resolve({}, {})).web is None


def test_missing_library_is_told_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("gearman_trio.web")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)

    result = invoke_here("serve", "--check-args", "--web", "8080")

    assert 2 == result.exit_code
    assert "pip install 'gearman-trio[web]'" in result.stderr


async def test_place_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(OSError, match=f"--web: cannot listen on 127.0.0.1:{port}: ") as caught:
            await open_web(launch(str(port)))

    assert errno.EADDRINUSE == caught.value.errno


@pytest.mark.parametrize(
    ("listen", "gateway"),
    [
        ([], ["*:8081"]),
        (["127.0.0.1", "[::1]:4731", "unix:/run/x", "127.0.0.1:4732"], ["127.0.0.1:8081", "[::1]:8081"]),
        (["unix:/run/x"], ["*:8081"]),
    ],
)
def test_jobs_over_http_are_taken_where_clients_are(listen: list[str], gateway: list[str]) -> None:
    settings = resolve({"protocol": "http", "http-port": "8081", "listen": listen}, {})

    assert gateway == [str(address) for address in Launch.of(settings).gateway]


def test_http_port_alone_means_nothing() -> None:
    assert () == Launch.of(resolve({"http-port": "8081"}, {})).gateway


async def test_http_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = resolve({"protocol": "http", "http-port": str(port), "listen": ["127.0.0.1"]}, {})

        with pytest.raises(OSError, match=f"--http-port: cannot listen on 127.0.0.1:{port}: "):
            await open_gateway(Launch.of(settings))


@pytest.mark.slow
async def test_command_takes_jobs_over_http() -> None:
    async with open_command("serve", "-L", "127.0.0.1:0", "-r", "http", "--http-port=0") as command:
        await command.wait_port()
        (url,) = [line.partition("http: ")[2] for line in command.stderr.text.splitlines() if "http: " in line]

        def submit() -> str | None:
            request = urllib.request.Request(f"{url}f", b"abc", {"X-Gearman-Background": "true"})
            with urllib.request.urlopen(request) as answer:
                command: str | None = answer.headers["X-Gearman-Command"]
                return command

        told = await trio.to_thread.run_sync(submit)
        command.send_signal(signal.SIGINT)
        code = await command.wait_ended()

    assert "JOB_CREATED" == told
    assert 0 == code


@pytest.mark.slow
async def test_command_answers_beside_its_job_server() -> None:
    async with open_command("serve", "-L", "127.0.0.1:0", "--web", "0") as command:
        port = await command.wait_port()
        (url,) = [line.partition("web: ")[2] for line in command.stderr.text.splitlines() if "web: " in line]

        def fetch() -> bytes:
            with urllib.request.urlopen(f"{url}api/v1/server") as answer:
                body: bytes = answer.read()
                return body

        server = json.loads(await trio.to_thread.run_sync(fetch))
        command.send_signal(signal.SIGTERM)
        code = await command.wait_ended()

    assert [f"127.0.0.1:{port}"] == server["addresses"]
    assert 0 == code
