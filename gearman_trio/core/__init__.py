"""The broker: a Gearman job server without input or output, clock, or chance.

`Dispatcher` is the only door; the other modules are its rooms.
"""

from __future__ import annotations

from .batch import BadRow, Batch, JobUpdate, StoredJob
from .dispatcher import Dispatcher
from .job import PRIORITIES
from .peer import Peer
from .policy import Policy
from .statistics import Counters, FunctionStatistics, PeerStatistics

__all__ = [
    "PRIORITIES",
    "BadRow",
    "Batch",
    "Counters",
    "Dispatcher",
    "FunctionStatistics",
    "JobUpdate",
    "Peer",
    "PeerStatistics",
    "Policy",
    "StoredJob",
]
