"""For tests: a Gearman in memory, calls without a server, checks of stores, a naive model of the broker."""

from __future__ import annotations

from .calling import Caller, CallReport, call
from .durable_model import DurableModelBroker
from .gearman import Gearman, open_gearman
from .line import Line
from .model import ModelBroker
from .records import ModelJob, ModelPeer
from .storage import STORE_CHECKS, check_store, check_store_fault
from .stores import MemoryStore
from .submissions import SubmittedJob
from .tap import ProtocolTap, TappedPacket
from .wire import Direction

__all__ = [
    "STORE_CHECKS",
    "CallReport",
    "Caller",
    "Direction",
    "DurableModelBroker",
    "Gearman",
    "Line",
    "MemoryStore",
    "ModelBroker",
    "ModelJob",
    "ModelPeer",
    "ProtocolTap",
    "SubmittedJob",
    "TappedPacket",
    "call",
    "check_store",
    "check_store_fault",
    "open_gearman",
]
