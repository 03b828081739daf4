"""Bytes over sockets and other Trio streams: addresses, back-off, and links that carry packets."""

from __future__ import annotations

from .address import DEFAULT_PORT, Address, parse_address
from .backoff import Backoff
from .dialing import UNREACHABLE, Connect, connect_tcp, dialer, why_unreachable
from .keepalive import KeepAlive, keep_alive
from .link import PacketLink
from .pump import Pump, PumpedSocket, pump_available

__all__ = [
    "DEFAULT_PORT",
    "UNREACHABLE",
    "Address",
    "Backoff",
    "Connect",
    "KeepAlive",
    "PacketLink",
    "Pump",
    "PumpedSocket",
    "connect_tcp",
    "dialer",
    "keep_alive",
    "parse_address",
    "pump_available",
    "why_unreachable",
]
