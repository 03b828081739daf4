"""The interface of python-gearman, gearman3 and pygearman: ``from gearman_trio.compat import gearman``.

The words here are theirs: a task is a function, data is a workload, a request is a job as its client sees it.
 Nothing of their code is here, and none of their known mistakes; the page "Switch from python-gearman" lists what
differs.
"""

from __future__ import annotations

from . import admin_client, client, connection, connection_manager, constants, errors, job, worker
from .admin_client import GearmanAdminClient
from .client import GearmanClient
from .connection_manager import DataEncoder
from .constants import (
    JOB_COMPLETE,
    JOB_CREATED,
    JOB_FAILED,
    JOB_PENDING,
    JOB_UNKNOWN,
    PRIORITY_HIGH,
    PRIORITY_LOW,
    PRIORITY_NONE,
)
from .worker import GearmanWorker

__all__ = [
    "JOB_COMPLETE",
    "JOB_CREATED",
    "JOB_FAILED",
    "JOB_PENDING",
    "JOB_UNKNOWN",
    "PRIORITY_HIGH",
    "PRIORITY_LOW",
    "PRIORITY_NONE",
    "DataEncoder",
    "GearmanAdminClient",
    "GearmanClient",
    "GearmanWorker",
    "admin_client",
    "client",
    "connection",
    "connection_manager",
    "constants",
    "errors",
    "job",
    "worker",
]
