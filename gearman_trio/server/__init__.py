"""The job server's runtime on Trio: connections, time, and the life of the whole, around the broker of `core`."""

from __future__ import annotations

from .listening import Listen, ServerListener, open_listeners
from .options import ServerOptions, default_handle_prefix
from .server import Server, ServerStatistics, open_server, serve

__all__ = [
    "Listen",
    "Server",
    "ServerListener",
    "ServerOptions",
    "ServerStatistics",
    "default_handle_prefix",
    "open_listeners",
    "open_server",
    "serve",
]
