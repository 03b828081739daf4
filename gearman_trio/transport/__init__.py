"""Bytes over sockets and other Trio streams: addresses, back-off, and links that carry packets."""

from __future__ import annotations

from .address import DEFAULT_PORT, IN_PROCESS, Address, parse_address
from .backoff import Backoff
from .dialing import UNREACHABLE, Connect, connect_socket, connect_tcp, dialer, why_unreachable
from .keepalive import KeepAlive, keep_alive
from .link import PacketLink
from .pump import Pump, PumpedSocket, pump_available
from .tls import Tls, TlsOptions, client_context, server_context

__all__ = [
    "DEFAULT_PORT",
    "IN_PROCESS",
    "UNREACHABLE",
    "Address",
    "Backoff",
    "Connect",
    "KeepAlive",
    "PacketLink",
    "Pump",
    "PumpedSocket",
    "Tls",
    "TlsOptions",
    "client_context",
    "connect_socket",
    "connect_tcp",
    "dialer",
    "keep_alive",
    "parse_address",
    "pump_available",
    "server_context",
    "why_unreachable",
]
