"""A Gearman client on Trio: jobs in the foreground and background, any number at once over one connection."""

from __future__ import annotations

from .client import Client, ClientStatistics, open_client
from .events import JobData, JobState, JobStatus, JobWarning
from .job import ForegroundJob
from .submission import Priority

__all__ = [
    "Client",
    "ClientStatistics",
    "ForegroundJob",
    "JobData",
    "JobState",
    "JobStatus",
    "JobWarning",
    "Priority",
    "open_client",
]
