"""Redis and memcached for the tests, as `databases.py` has others."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pymemcache
import redis

from ..peers import require
from .databases import Database

__all__ = ["Memcached", "Redis"]


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


class Memcached(Database):
    """Memcached that throws nothing away."""

    #: It refuses to run as root.
    account = "nobody"

    @property
    def url(self) -> str:
        return f"memcached://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Nothing is needed."""

    def command(self) -> list[str]:
        return [require("memcached"), "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "-M"]

    def ask(self) -> None:
        with self.client() as client:
            client.version()

    @contextmanager
    def client(self) -> Generator[pymemcache.Client]:
        """A client of the library that the store uses."""
        client = pymemcache.Client(("127.0.0.1", self.port), connect_timeout=2, timeout=10)
        try:
            yield client
        finally:
            client.close()
