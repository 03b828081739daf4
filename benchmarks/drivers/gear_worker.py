"""The worker of gear: one thread or several, as its `getJob` allows."""

from __future__ import annotations

import threading
from typing import Any

import gear

from .measure import worker_settings


def work(worker: Any) -> None:
    """Do jobs for ever."""
    while True:
        job = worker.getJob()
        job.sendWorkComplete(job.arguments)


def main() -> None:
    """Work until killed, in as many threads as jobs may run at once."""
    settings = worker_settings()
    worker = gear.Worker("benchmark")
    worker.addServer(settings.host, settings.port)
    worker.waitForServer()
    worker.registerFunction(settings.function)
    for _ in range(settings.depth - 1):
        threading.Thread(target=work, args=(worker,), daemon=True).start()
    work(worker)


if __name__ == "__main__":
    main()
