"""Where background jobs are kept so that they outlive the job server: plain blocking code, one class a backend.

`make_store` finds the class of a URL; `Store` is what such a class must do.
"""

from __future__ import annotations

from ..core import BadRow, Batch, JobUpdate, SpilledJob, StoredJob
from .migration import Migration, migrate
from .registry import StoreURL, make_store, schemes
from .sqlite import SQLiteStore
from .store import Durability, QuarantinedRow, Store, StoreInfo, StoreState

__all__ = [
    "BadRow",
    "Batch",
    "Durability",
    "JobUpdate",
    "Migration",
    "QuarantinedRow",
    "SQLiteStore",
    "SpilledJob",
    "Store",
    "StoreInfo",
    "StoreState",
    "StoreURL",
    "StoredJob",
    "make_store",
    "migrate",
    "schemes",
]
