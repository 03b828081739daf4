"""A Gearman client on Trio: jobs in the foreground and background, any number at once over one connection."""

from __future__ import annotations

from .client import Client, ClientStatistics, open_client
from .events import ItemEvent, JobData, JobEvent, JobItem, JobState, JobStatus, JobWarning
from .health import ServerHealth
from .job import ForegroundJob, TypedJob
from .pipeline import Pipeline, PipelineEntry, PipelineError
from .routing import Routing
from .submission import Priority

__all__ = [
    "Client",
    "ClientStatistics",
    "ForegroundJob",
    "ItemEvent",
    "JobData",
    "JobEvent",
    "JobItem",
    "JobState",
    "JobStatus",
    "JobWarning",
    "Pipeline",
    "PipelineEntry",
    "PipelineError",
    "Priority",
    "Routing",
    "ServerHealth",
    "TypedJob",
    "open_client",
]
