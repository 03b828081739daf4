"""A worker of pygearman with the abilities that tests/interop/workers.py lists."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gearman import GearmanWorker
from gearman.errors import ServerUnavailable


class Worker(GearmanWorker):  # type: ignore[misc]
    """Answers an exception with WORK_EXCEPTION, which pygearman leaves to its users."""

    def on_job_exception(self, current_job: Any, exc_info: Any) -> bool:
        if exc_info[0] is RuntimeError:
            self.send_job_failure(current_job)
        else:
            self.send_job_exception(current_job, b"boom\0\n")
        return True


def chunks(worker: Worker, job: Any) -> bytes:
    for chunk in (b"one\0", b"two\n", b""):
        worker.send_job_data(job, chunk)
    return b"end"


def warn(worker: Worker, job: Any) -> bytes:
    worker.send_job_warning(job, b"careful\0\n")
    return b"warned"


def progress(worker: Worker, job: Any) -> bytes:
    for done in range(1, 5):
        worker.send_job_status(job, done, 4)
    return b"done"


def fail(worker: Worker, job: Any) -> bytes:
    raise RuntimeError


def boom(worker: Worker, job: Any) -> bytes:
    raise ValueError


def hold(worker: Worker, job: Any) -> bytes:
    worker.send_job_status(job, 1, 2)
    while not Path(job.data.decode()).exists():
        time.sleep(0.005)
    worker.send_job_status(job, 2, 2)
    return b"released"


ABILITIES: dict[str, Callable[[Worker, Any], bytes]] = {
    "reverse": lambda worker, job: job.data[::-1],
    "echo": lambda worker, job: job.data,
    "empty": lambda worker, job: b"",
    "unique": lambda worker, job: job.unique,
    "chunks": chunks,
    "warn": warn,
    "progress": progress,
    "fail": fail,
    "raise": boom,
    "hold": hold,
}

worker = Worker([f"127.0.0.1:{sys.argv[1]}"])
worker.set_client_id("pygearman-worker")
for name in sys.argv[2:] or ABILITIES:
    # Names come from the wire as bytes and are looked up as they came.
    worker.register_task(name.encode(), ABILITIES[name])
while True:
    # It gives up when it finds no server; the loop around it is its user's.
    try:
        worker.work()
    except ServerUnavailable:
        time.sleep(0.05)
