"""The process as service managers and operators see it: background, signals, sockets, states."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
import trustme

from gearman_trio import open_admin, open_client

from ..cli.commands import ROOT, Command, open_command, open_program
from ..interop.programs import wait_until
from ..patience import PATIENCE

pytestmark = pytest.mark.slow


async def run_command(*arguments: str) -> tuple[int, str]:
    """Run a command until all of it that holds its output has let go; give exit code and standard error."""
    async with open_command(*arguments) as command:
        code = await command.wait_ended()
        return code, command.stderr.text


def text_of(path: Path) -> str:
    """What is in a file; nothing if there is none."""
    return path.read_text() if path.exists() else ""


@pytest.fixture
async def pid_file(tmp_path: Path) -> AsyncIterator[Path]:
    """For a background process, which is killed if a test leaves it."""
    path = tmp_path / "pid"
    yield path
    with suppress(ValueError, ProcessLookupError):
        os.kill(int(text_of(path)), signal.SIGKILL)


# ---- background ------------------------------------------------------------------------------------------------------


async def test_background_server_outlives_its_command(pid_file: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"

    code, errors = await run_command("serve", "-d", "-L", "127.0.0.1:0", "-P", str(pid_file), "-l", str(log))

    # It is ready, and holds no pipe of ours any more.
    assert (0, "") == (code, errors)
    process = int(text_of(pid_file))
    address = text_of(log).partition("ready: listening on ")[2].strip()
    async with open_admin(address) as admin:
        assert process == await admin.process_id()
    assert os.getsid(process) not in {process, os.getsid(0)}
    os.kill(process, signal.SIGTERM)
    await wait_until(lambda: not text_of(pid_file))
    assert " NOTICE gearman_trio.daemon.running: SIGTERM: finishing what runs" in text_of(log)


async def test_command_says_why_the_background_server_does_not_run(pid_file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        code, errors = await run_command("serve", "-d", "-L", f"127.0.0.1:{port}", "-P", str(pid_file), "-l", "none")

    assert 3 == code
    assert f"gearman-trio: cannot listen on 127.0.0.1, port {port}: Address already in use\n" == errors
    assert "" == text_of(pid_file)


async def test_second_server_with_the_same_pid_file_is_refused(pid_file: Path) -> None:
    async with open_command("serve", "-L", "127.0.0.1:0", "-P", str(pid_file)) as first:
        await first.wait_port()

        code, errors = await run_command("serve", "-L", "127.0.0.1:0", "-P", str(pid_file))

        assert 2 == code
        assert f"gearman-trio: --pid-file: '{pid_file}' names process {first.process.pid}, which is running\n" == errors
        assert f"{first.process.pid}\n" == text_of(pid_file)


async def test_pid_file_of_a_killed_server_is_replaced(pid_file: Path) -> None:
    async with open_command("serve", "-L", "127.0.0.1:0", "-P", str(pid_file)) as first:
        await first.wait_port()
        first.send_signal(signal.SIGKILL)
        await first.wait_ended()
    async with open_command("serve", "-L", "127.0.0.1:0", "-P", str(pid_file)) as second:
        await second.wait_port()

        assert f"{second.process.pid}\n" == text_of(pid_file)


# ---- signals ---------------------------------------------------------------------------------------------------------


async def test_sighup_opens_the_log_file_anew(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with open_command("serve", "-L", "127.0.0.1:0", "-l", str(log)) as server:
        await wait_until(lambda: "ready" in text_of(log))
        log.rename(tmp_path / "old")
        server.send_signal(signal.SIGHUP)
        await wait_until(lambda: "SIGHUP" in text_of(log))

    assert "SIGHUP" not in text_of(tmp_path / "old")


async def test_sighup_reads_the_certificate_anew(tmp_path: Path) -> None:
    authorities = [trustme.CA(), trustme.CA()]
    certificate = tmp_path / "pem"
    write_certificate(authorities[0], certificate)
    line = ["serve", "--ssl", "--ssl-certificate", str(certificate), "-L", "127.0.0.1:0"]
    async with open_command(*line) as server:
        url = f"127.0.0.1:{await server.wait_port()}"
        assert b"hello" == await echo(url, authorities[0])
        write_certificate(authorities[1], certificate)
        server.send_signal(signal.SIGHUP)
        await server.stderr.wait_for(b"SIGHUP: what can change while the server runs was read anew")
        assert b"hello" == await echo(url, authorities[1])
        certificate.unlink()
        server.send_signal(signal.SIGHUP)
        await server.stderr.wait_for(b"SIGHUP: TLS: the certificate ")
        assert b"hello" == await echo(url, authorities[1])


def write_certificate(authority: trustme.CA, path: Path) -> None:
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)


async def echo(url: str, authority: trustme.CA) -> bytes:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with open_client(url, ssl_context=context) as client:
        return await client.echo(b"hello")


# ---- service manager -------------------------------------------------------------------------------------------------


#: What systemd does between fork and exec: the socket becomes descriptor 3, and the variables get the process' ID.
START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), WATCHDOG_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "gearman_trio", "serve"])
"""


class Manager:
    """What a service manager hears from a service."""

    def __init__(self, line: trio.socket.SocketType) -> None:
        self._line = line

    async def wait_for(self, *words: str) -> str:
        """The next state that is told other than that of the watchdog, or the first that has one of the words."""
        with trio.fail_after(PATIENCE):
            while True:
                message: str = (await self._line.recv(4096)).decode()
                if any(word in message for word in words) or (not words and message != "WATCHDOG=1"):
                    return message


@asynccontextmanager
async def open_service(tmp_path: Path) -> AsyncIterator[tuple[Command, Manager, int]]:
    """A job server that was started as systemd does it, with a socket that listens already; gives the port too."""
    with (
        trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        await line.bind(str(tmp_path / "notify"))
        descriptor = listening.fileno()
        environ = {
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "100000",
            "LISTEN_FDS": "1",
            "PYTHONPATH": str(ROOT),
        }
        async with open_program(
            [sys.executable, "-c", START, str(descriptor)], env=environ, pass_fds=[descriptor]
        ) as server:
            yield server, Manager(line), listening.getsockname()[1]


async def test_service_manager_is_told_and_its_socket_is_served(tmp_path: Path) -> None:
    async with open_service(tmp_path) as (server, manager, port):
        assert f"READY=1\nSTATUS=listening on 127.0.0.1:{port}" == await manager.wait_for()
        async with open_admin(f"127.0.0.1:{port}") as admin:
            assert server.process.pid == await admin.process_id()
        assert "WATCHDOG=1" == await manager.wait_for("WATCHDOG=1")
        server.send_signal(signal.SIGHUP)
        assert (await manager.wait_for()).startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert (await manager.wait_for()).startswith("READY=1\n")
        server.send_signal(signal.SIGTERM)
        assert "STOPPING=1" == await manager.wait_for()
        assert 0 == await server.wait_ended()

    # Of the default, all addresses at port 4730, nothing was opened.
    (line,) = [line for line in server.stderr.text.splitlines() if "ready: listening" in line]
    assert line.endswith(f"ready: listening on 127.0.0.1:{port}")
