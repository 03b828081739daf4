"""Connections at rest: what thousands of them cost both job servers while nothing happens."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from .processes import HOST, SERVERS, Running, open_server
from .rounds import run_rounds
from .tables import Table, number

__all__ = ["measure_rest"]

#: File descriptors that are in use besides the connections.
_OTHER_DESCRIPTORS = 100

#: How long a server may be busy with new connections before it is measured.
_SETTLING_SECONDS = 0.5


def measure_rest(rounds: int, connections: int, seconds: float, *, progress: Callable[[str], None]) -> Table:
    """Measure the processor time that connections take on which nothing happens.

    Args:
        rounds: how often each server is measured.
        connections: how many there are.
        seconds: how long they are watched.
        progress: told of each measurement before it is made.

    Raises:
        Missing: gearmand is not there.
    """
    cases = {server: partial(_cost, server, connections, seconds) for server in SERVERS}
    samples = run_rounds(cases, rounds, progress=lambda message: progress(f"rest, {message}"))
    table = Table("Processor time of connections at rest", ["connections", "gearmand CPU ms/s", "ours"])
    table.add(f"{connections:,}", *(number(median(samples[server])) for server in SERVERS))
    return table


def _cost(kind: str, connections: int, seconds: float) -> float:
    """Milliseconds of processor time in a second."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < connections + _OTHER_DESCRIPTORS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (connections + _OTHER_DESCRIPTORS, hard))
    with open_server(kind) as server, ExitStack() as stack:
        for _ in range(connections):
            stack.enter_context(socket.create_connection((HOST, server.port)))
        time.sleep(_SETTLING_SECONDS)
        before = _cpu_seconds(server)
        time.sleep(seconds)
        return (_cpu_seconds(server) - before) / seconds * 1000


def _cpu_seconds(server: Running) -> float:
    """The processor time that a server has used, in user mode and in the kernel."""
    # The name, the second field, is in parentheses and may hold anything.
    fields = Path(f"/proc/{server.pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
