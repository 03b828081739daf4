"""The administrative text protocol from the operator's side: typed questions to any Gearman server."""

from __future__ import annotations

from .client import AdminClient, open_admin
from .rows import ConnectionRow, FunctionJobRow, FunctionRow, JobRow, LimitRow, PriorityRow

__all__ = [
    "AdminClient",
    "ConnectionRow",
    "FunctionJobRow",
    "FunctionRow",
    "JobRow",
    "LimitRow",
    "PriorityRow",
    "open_admin",
]
