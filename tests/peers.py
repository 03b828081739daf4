"""Programs of other projects that the interoperation tests talk to."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import NoReturn

import attrs
import pytest
import trio

from .patience import PATIENCE

__all__ = ["Gearmand", "open_gearman_worker", "open_gearmand", "require", "wait_listening"]

#: Debian puts servers, and the collectors of Netdata, where not every PATH looks.
_PATH = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/usr/lib/netdata/plugins.d"]
)


def require(program: str) -> str:
    """The path of a program. Where it is missing the test is skipped, or fails if GEARMAN_TRIO_REQUIRE_PEERS is 1."""
    path = shutil.which(program, path=_PATH)
    return _missing(program) if path is None else path


def require_php_extension(name: str) -> str:
    """The path of a PHP interpreter that has an extension; as `require` where it is missing."""
    php = require("php")
    code = f"exit(extension_loaded('{name}') ? 0 : 1);"
    return php if _succeeds(php, "-r", code) else _missing(f"PHP's extension {name}")


def require_perl_module(name: str) -> str:
    """The path of a Perl interpreter that has a module; as `require` where it is missing."""
    perl = require("perl")
    return perl if _succeeds(perl, f"-M{name}", "-e", "1") else _missing(f"Perl's module {name}")


def require_python_package(name: str) -> str:
    """The path of this Python interpreter, if a package can be imported; as `require` where it is missing."""
    return _missing(f"the Python package {name}") if find_spec(name) is None else sys.executable


def require_libgearman_program(source: Path, target: Path) -> str:
    """The path of a C program that uses libgearman, made from its source; as `require` where that cannot be done."""
    command = (require("gcc"), "-Wall", "-Wextra", "-Werror", str(source), "-o", str(target), "-lgearman")
    has_library = _succeeds(command[0], "-fsyntax-only", "-x", "c", "-include", "libgearman-1.0/gearman.h", os.devnull)
    if not has_library:
        _missing("libgearman with its headers")
    subprocess.run(command, check=True)
    return str(target)


@cache
def _succeeds(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _missing(what: str) -> NoReturn:
    if os.environ.get("GEARMAN_TRIO_REQUIRE_PEERS") == "1":
        pytest.fail(f"{what} is not installed, and GEARMAN_TRIO_REQUIRE_PEERS=1")
    pytest.skip(f"{what} is not installed")


@attrs.frozen
class Gearmand:
    """A C job server that runs.

    Attributes:
        port: where it listens, on 127.0.0.1.
        process: may be stopped before the block's end.
    """

    port: int
    process: trio.Process


@asynccontextmanager
async def open_gearmand(*arguments: str, port: int | None = None) -> AsyncGenerator[Gearmand]:
    """Run the C job server on a port of 127.0.0.1, a free one by default, for a block."""
    port = free_port() if port is None else port
    command = [require("gearmand"), "-p", str(port), "-L", "127.0.0.1", "-l", "stderr", *arguments]
    async with _open_process(command) as process:
        with trio.fail_after(PATIENCE):
            await wait_listening(port)
        yield Gearmand(port, process)


@asynccontextmanager
async def open_gearman_worker(port: int, function: str, *command: str) -> AsyncGenerator[None]:
    """Run the C worker for a block: a command for each job, with the workload as its input."""
    async with _open_process(
        [require("gearman"), "-w", "-h", "127.0.0.1", "-p", str(port), "-f", function, "--", *command]
    ):
        yield


@asynccontextmanager
async def _open_process(command: list[str]) -> AsyncGenerator[trio.Process]:
    run = partial(trio.run_process, command, check=False, capture_stdout=True, capture_stderr=True)
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(run)
        yield process
        nursery.cancel_scope.cancel()


#: Below those that a system gives to whoever asks for any, so that nobody gets one of them in the meantime; and every
#: process that runs tests begins somewhere else.
_PORTS = range(10_000, 32_768)
_ports = count(os.getpid() * 997)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has."""
    while True:
        port = _PORTS[next(_ports) % len(_PORTS)]
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


async def wait_listening(port: int) -> None:
    """Wait until somebody listens on a port of 127.0.0.1."""
    while True:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            await trio.sleep(0.02)
        else:
            await stream.aclose()
            return
