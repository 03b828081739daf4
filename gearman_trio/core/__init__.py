"""The broker: a Gearman job server without input or output, clock, or chance.

`Dispatcher` is the only door; the other modules are its rooms.
"""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from typing import Final

from . import dispatcher
from .batch import BadRow, Batch, JobUpdate, SpilledJob, StoredJob
from .detail import JobStatistics
from .dispatcher import Dispatcher
from .inspection import Inspection
from .job import PRIORITIES
from .peer import Peer
from .policy import Policy
from .statistics import Counters, FunctionStatistics, PeerStatistics, Totals
from .steering import Steering
from .tally import BOUNDS, OUTCOMES, Failure, Histogram
from .walks import JobQuery, JobWalk

__all__ = [
    "BOUNDS",
    "COMPILED",
    "OUTCOMES",
    "PRIORITIES",
    "BadRow",
    "Batch",
    "Counters",
    "Dispatcher",
    "Failure",
    "FunctionStatistics",
    "Histogram",
    "Inspection",
    "JobQuery",
    "JobStatistics",
    "JobUpdate",
    "JobWalk",
    "Peer",
    "PeerStatistics",
    "Policy",
    "SpilledJob",
    "Steering",
    "StoredJob",
    "Totals",
]

#: Whether this package, `protocol` and the pump of `transport` run as compiled by mypyc; if not, as plain Python.
COMPILED: Final = dispatcher.__file__.endswith(tuple(EXTENSION_SUFFIXES))
