"""Priorities of requests, and the states that they are in."""

from __future__ import annotations

from typing import Final

__all__ = [
    "DEFAULT_GEARMAN_PORT",
    "JOB_COMPLETE",
    "JOB_CREATED",
    "JOB_FAILED",
    "JOB_PENDING",
    "JOB_UNKNOWN",
    "PRIORITY_HIGH",
    "PRIORITY_LOW",
    "PRIORITY_NONE",
]

DEFAULT_GEARMAN_PORT: Final = 4730

PRIORITY_NONE: Final = None
PRIORITY_LOW: Final = "LOW"
PRIORITY_HIGH: Final = "HIGH"

#: Not submitted yet, or its connection was lost.
JOB_UNKNOWN: Final = "UNKNOWN"
#: On its way to the job server, which has not answered.
JOB_PENDING: Final = "PENDING"
#: The job server has given it a handle.
JOB_CREATED: Final = "CREATED"
#: Ended without a result.
JOB_FAILED: Final = "FAILED"
#: Ended with a result.
JOB_COMPLETE: Final = "COMPLETE"
