"""Redis for the tests, as `databases.py` has others."""

from __future__ import annotations

import redis

from ..peers import require
from .databases import Database

__all__ = ["Redis"]


class Redis(Database):
    """Redis with durable settings."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Nothing is needed."""

    def command(self) -> list[str]:
        settings = {"bind": "127.0.0.1", "port": str(self.port), "dir": str(self.folder), "save": ""}
        settings |= {"appendonly": "yes", "appendfsync": "always"}
        return [require("redis-server"), *(word for name, value in settings.items() for word in (f"--{name}", value))]

    def ask(self) -> None:
        with self.client() as client:
            client.ping()

    def client(self) -> redis.Redis:
        """A client of its own library."""
        return redis.Redis(port=self.port, socket_timeout=10)
