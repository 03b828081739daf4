"""For tests: a Gearman in memory, calls without a server, and a naive model of the broker that says what to expect."""

from __future__ import annotations

from .calling import Caller, CallReport, call
from .gearman import Gearman, open_gearman
from .line import Line
from .model import ModelBroker
from .records import ModelJob, ModelPeer
from .submissions import SubmittedJob
from .tap import ProtocolTap, TappedPacket
from .wire import Direction

__all__ = [
    "CallReport",
    "Caller",
    "Direction",
    "Gearman",
    "Line",
    "ModelBroker",
    "ModelJob",
    "ModelPeer",
    "ProtocolTap",
    "SubmittedJob",
    "TappedPacket",
    "call",
    "open_gearman",
]
