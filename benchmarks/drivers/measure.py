"""What the drivers share: their arguments, and the stopwatch whose readings they print."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass

__all__ = ["WORKLOAD", "Settings", "Stopwatch", "check", "client_settings", "worker_settings"]

#: What each job carries, and what its result must be.
WORKLOAD = b"x" * 32


@dataclass(frozen=True)
class Settings:
    """Where a driver works, and how much.

    Attributes:
        host: the job server's address.
        port: the job server's port.
        function: what is called.
        jobs: how many jobs a client submits.
        depth: how many jobs a client has in flight at once, or a worker runs at once, where its library can do that.
    """

    host: str
    port: int
    function: str
    jobs: int
    depth: int


class Stopwatch:
    """Measures wall-clock time and the processor time of this process, all threads included."""

    def __init__(self) -> None:
        self._wall = 0.0
        self._cpu = 0.0

    def start(self) -> None:
        """Begin, when everything is connected."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self, jobs: int) -> None:
        """End, and print the readings as a line of JSON."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        print(json.dumps({"jobs": jobs, "seconds": wall, "cpu_seconds": cpu}))


def client_settings() -> Settings:
    """Read the arguments of a client: HOST PORT FUNCTION JOBS DEPTH."""
    host, port, function, jobs, depth = sys.argv[1:6]
    return Settings(host, int(port), function, int(jobs), int(depth))


def worker_settings() -> Settings:
    """Read the arguments of a worker: HOST PORT FUNCTION DEPTH."""
    host, port, function, depth = sys.argv[1:5]
    return Settings(host, int(port), function, 0, int(depth))


def check(results: list[bytes], jobs: int) -> None:
    """End the program with an error where a result is missing or not the workload."""
    if len(results) != jobs or any(result != WORKLOAD for result in results):
        raise SystemExit(f"{len(results)} results came for {jobs} jobs, not all of them right")
