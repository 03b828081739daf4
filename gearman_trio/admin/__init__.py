"""The administrative text protocol from the operator's side: typed questions to any Gearman server."""

from __future__ import annotations

from .activity import ConnectionActivityRow, FunctionActivityRow, RunningJobRow
from .client import AdminClient, open_admin
from .rows import ConnectionRow, FunctionJobRow, FunctionRow, JobRow, LimitRow, PriorityRow

__all__ = [
    "AdminClient",
    "ConnectionActivityRow",
    "ConnectionRow",
    "FunctionActivityRow",
    "FunctionJobRow",
    "FunctionRow",
    "JobRow",
    "LimitRow",
    "PriorityRow",
    "RunningJobRow",
    "open_admin",
]
