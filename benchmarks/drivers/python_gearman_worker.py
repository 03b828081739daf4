"""The worker of pygearman and of gearman3."""

from __future__ import annotations

from typing import Any

from .measure import worker_settings
from .python_gearman import gearman


def echo(worker: Any, job: Any) -> Any:
    """Give the workload back."""
    return job.data


def main() -> None:
    """Work until killed."""
    settings = worker_settings()
    worker = gearman.GearmanWorker([f"{settings.host}:{settings.port}"])
    # pygearman looks functions up as they came from the wire, gearman3 as text.
    name: Any = settings.function.encode() if hasattr(gearman, "compat") and gearman.compat.PY3 else settings.function
    worker.register_task(name, echo)
    worker.work()


if __name__ == "__main__":
    main()
