"""The job server's runtime on Trio: connections, time, and the life of the whole, around the broker of `core`."""

from __future__ import annotations

from .journal import StoreStatistics
from .listening import Listen, ServerListener, open_listeners
from .operating import JobPage, Operator
from .options import ServerOptions, default_handle_prefix
from .server import Server, ServerStatistics
from .serving import open_server, serve

__all__ = [
    "JobPage",
    "Listen",
    "Operator",
    "Server",
    "ServerListener",
    "ServerOptions",
    "ServerStatistics",
    "StoreStatistics",
    "default_handle_prefix",
    "open_listeners",
    "open_server",
    "serve",
]
