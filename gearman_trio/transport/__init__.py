"""Bytes over sockets and other Trio streams: addresses, back-off, and links that carry packets."""

from __future__ import annotations

from .address import DEFAULT_PORT, Address, parse_address
from .backoff import Backoff
from .link import PacketLink
from .pump import Pump, PumpedSocket, pump_available

__all__ = ["DEFAULT_PORT", "Address", "Backoff", "PacketLink", "Pump", "PumpedSocket", "parse_address", "pump_available"]
