"""Gearman for programs without an event loop: the client, worker and administrative client as plain, thread-safe calls.

Each object runs Trio in one background thread of its own; the methods are those of `gearman_trio.Client`,
`gearman_trio.Worker` and `gearman_trio.AdminClient`, with a ``timeout`` in seconds, because here no cancel scope can
be put around a call.
"""

from __future__ import annotations

from .admin import AdminClient
from .client import Client
from .job import ForegroundJob, TypedJob
from .pipeline import Pipeline
from .worker import Worker

__all__ = ["AdminClient", "Client", "ForegroundJob", "Pipeline", "TypedJob", "Worker"]
