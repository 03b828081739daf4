"""Programs that a benchmark starts, measures and stops: always by their process, never by a name."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import attrs

__all__ = [
    "BUILD",
    "HOST",
    "ROOT",
    "SERVERS",
    "Missing",
    "Running",
    "find",
    "free_port",
    "open_process",
    "open_server",
    "working_directory",
]

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "benchmarks"
HOST = "127.0.0.1"

#: Debian puts servers where not every PATH looks.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])

#: How long a server may take until it answers, and a program until it has ended when it was asked to.
_PATIENCE_SECONDS = 120.0

#: Ports for servers, below those that the system gives to whoever asks for any; each process begins somewhere else.
_PORTS = range(10_000, 32_768)
_ports = count(os.getpid() * 997)

#: The job servers that can be compared.
SERVERS = ("gearmand", "gearman_trio")


class Missing(Exception):
    """Something that a benchmark needs is not installed; the message names it, and how to get it."""


@attrs.frozen
class Running:
    """A program that runs.

    Attributes:
        process: it.
        port: where it listens; 0 where it does not.
    """

    process: subprocess.Popen[bytes]
    port: int = 0

    @property
    def pid(self) -> int:
        """Its process ID."""
        return self.process.pid


def find(program: str, hint: str) -> str:
    """The path of a program.

    Raises:
        Missing: it is not installed; the message ends with the hint.
    """
    path = shutil.which(program, path=_PATH)
    if path is None:
        raise Missing(f"{program} is not installed: {hint}")
    return path


def working_directory() -> Path:
    """The directory in which every program runs, from which Python finds ``benchmarks`` and nothing else.

    In the root of the tree it would find the sources of gearman_trio too, instead of what is installed, which may be
    compiled.
    """
    directory = BUILD / "path"
    directory.mkdir(parents=True, exist_ok=True)
    link = directory / "benchmarks"
    if not link.exists():
        link.symlink_to(ROOT / "benchmarks", target_is_directory=True)
    return directory


@contextmanager
def open_process(
    command: Sequence[str], *, port: int = 0, account: str = "", speaks: bool = False
) -> Iterator[Running]:
    """Run a program for the length of a block; it is killed if it does not end when it is asked to.

    What it complains of goes to ``log`` in its `working_directory`. Where this is root, it runs as `account`, unless
    empty. The block begins with the program, or when it has said a first line, if it `speaks`.

    Raises:
        RuntimeError: it ended before it said one.
    """
    user = pwd.getpwnam(account).pw_uid if account and os.getuid() == 0 else None
    directory = working_directory()
    with (directory / "log").open("ab") as log:
        stdout = subprocess.PIPE if speaks else None
        process = subprocess.Popen(
            [*command], cwd=directory, stdin=subprocess.DEVNULL, stdout=stdout, stderr=log, user=user
        )
    try:
        if process.stdout is not None and not process.stdout.readline():
            raise RuntimeError(f"{' '.join(command)}: exit status {process.wait()}; see {directory / 'log'}")
        yield Running(process, port)
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def open_server(kind: str, *options: str) -> Iterator[Running]:
    """Run a job server, one of `SERVERS`, on a free port of `HOST` for the length of a block.

    Args:
        kind: which one.
        options: of its command, besides those that every server here gets.

    Raises:
        Missing: it is not installed.
    """
    port = free_port()
    if kind == "gearmand":
        program = find("gearmand", "Debian's package is gearman-job-server")
        # Its messages would be the benchmark's: it says something of each connection that is closed.
        command = [program, "-p", str(port), "-L", HOST, "-l", os.devnull, "--file-descriptors", "8192"]
    else:
        command = [sys.executable, "-m", "gearman_trio", "serve", "--listen", f"{HOST}:{port}", "--drain-timeout", "0"]
    with open_process([*command, *options], port=port) as server:
        _wait_listening(server)
        yield server


def free_port() -> int:
    """A port of `HOST` that nobody has, and that the system gives nobody who asks for any."""
    while True:
        port = _PORTS[next(_ports) % len(_PORTS)]
        with socket.socket() as listener, suppress(OSError):
            listener.bind((HOST, port))
            return port


def _wait_listening(server: Running) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection((HOST, server.port), timeout=1.0).close()
        except OSError:
            if server.process.poll() is not None:
                raise Missing(f"{server.process.args!r} ended with exit status {server.process.returncode}") from None
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
