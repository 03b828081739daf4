"""The worker: functions that job servers can call, run as Trio tasks or in threads."""

from __future__ import annotations

from .abilities import Abilities
from .job import Job, ThreadJob
from .worker import Worker, WorkerStatistics, open_worker, run_worker

__all__ = ["Abilities", "Job", "ThreadJob", "Worker", "WorkerStatistics", "open_worker", "run_worker"]
