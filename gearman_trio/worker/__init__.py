"""The worker: functions that job servers can call, run as Trio tasks or in threads."""

from __future__ import annotations

from ..signature import Injected, Partition
from .abilities import Abilities
from .control import Fail, Retry, Shutdown
from .job import Job, ThreadJob
from .middleware import CallNext, Middleware, log_jobs
from .worker import Worker, WorkerStatistics, open_worker, run_worker

__all__ = [
    "Abilities",
    "CallNext",
    "Fail",
    "Injected",
    "Job",
    "Middleware",
    "Partition",
    "Retry",
    "Shutdown",
    "ThreadJob",
    "Worker",
    "WorkerStatistics",
    "log_jobs",
    "open_worker",
    "run_worker",
]
