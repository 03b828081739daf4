"""The keys of gearmand, to be read, in memcached: ``PREFIXFUNCTION-UNIQUE``, with the priority as the item's flags."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from ..core import BadRow, StoredJob
from ..errors import StorageError
from .drivers import driver
from .gearmand_keys import functions_of, read_key, split_key
from .memcached import servers_of, shown_address
from .registry import StoreURL

__all__ = ["GearmandMemcached", "memcached_queue"]

logger = logging.getLogger(__name__)

#: How long a server that does not answer is waited for, in seconds.
_ANSWER_SECONDS: Final = 20

#: Keys that are read at once.
_READ_KEYS: Final = 100

#: What is shown of a key: its name as in a URL, and a number that grows with every item that is stored.
_SHOWN: Final = re.compile(rb"key=(\S+) .*\bcas=(\d+)")

#: The first goes through all keys. Where a server does not know it, the other passes over those that are moved just
#: then, which are others each time.
_DUMPS: Final = ((b"hash", 1), (b"all", 3))


class GearmandMemcached:
    """The queue of ``gearmand -q libmemcached``, of each server in the order in which its jobs were stored."""

    def __init__(self, servers: Sequence[tuple[str, int]], prefix: bytes, functions: Sequence[bytes]) -> None:
        addresses = ",".join(map(shown_address, servers))
        self.name = f"the queue of gearmand in memcached://{addresses}"
        self._driver = driver("pymemcache", "memcached", "memcached:")
        self._servers = servers
        self._prefix = prefix
        self._functions = functions

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """Every job. Logs a warning where memcached has more items than it shows."""
        number = 0
        try:
            for server in self._servers:
                with closing(self._client(server)) as client:
                    for key, value in self._items(client, server):
                        number += 1
                        names = split_key(key.removeprefix(self._prefix), self._functions)
                        yield read_key(number, key, names, value)
        except (self._driver.MemcacheError, OSError, ValueError) as exc:
            raise StorageError(f"{self.name} cannot be read: {exc}") from exc

    def _client(self, server: tuple[str, int]) -> Any:
        return self._driver.Client(
            server, connect_timeout=_ANSWER_SECONDS, timeout=_ANSWER_SECONDS, serde=_Flags(), allow_unicode_keys=False
        )

    def _items(self, client: Any, server: tuple[str, int]) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
        """The keys of a server with their priority and workload."""
        found = _keys(server)
        there = int(client.stats()[b"curr_items"])
        if there > len(found):
            logger.warning(
                "%s: %d items are there, and %d were shown: some may be missing", self.name, there, len(found)
            )
        keys = sorted((key for key in found if key.startswith(self._prefix)), key=found.__getitem__)
        for start in range(0, len(keys), _READ_KEYS):
            some = keys[start : start + _READ_KEYS]
            values = client.get_many(some)
            yield from ((key, values[key]) for key in some if key in values)


class _Flags:
    """Has the flags of an item read together with it; nothing is written."""

    def deserialize(self, key: bytes, value: bytes, flags: int) -> tuple[int, bytes]:
        return flags, value


def memcached_queue(url: StoreURL) -> GearmandMemcached:
    """The queue of ``gearmand -q libmemcached``, with the options ``prefix`` and ``functions``.

    Raises:
        ConfigError: the URL cannot be used, or pymemcache is not installed.
    """
    options = url.only(["prefix", "functions"])
    prefix = options.get("prefix", "gear_").encode()
    return GearmandMemcached(servers_of(url), prefix, functions_of(options.get("functions", "")))


def _keys(server: tuple[str, int]) -> dict[bytes, int]:
    """Every key of a server, with a number that says which was stored first."""
    for what, times in _DUMPS:
        found: dict[bytes, int] = {}
        for _ in range(times):
            shown = _dump(server, what)
            if shown is None:
                break
            found |= shown
        else:
            return found
    raise StorageError(f"{shown_address(server)} does not show its keys; expected memcached from 1.4.31 on")


def _dump(server: tuple[str, int], what: bytes) -> dict[bytes, int] | None:
    """The keys that a server shows; `None` where it does not know how."""
    with (
        socket.create_connection(server, timeout=_ANSWER_SECONDS) as connection,
        connection.makefile("rb") as lines,
    ):
        connection.sendall(b"lru_crawler metadump %b\r\n" % what)
        found: dict[bytes, int] = {}
        for line in lines:
            if line.startswith(b"END"):
                return found
            shown = _SHOWN.match(line)
            if shown is None:
                return None
            found[unquote_to_bytes(shown[1])] = int(shown[2])
        raise ConnectionError(f"{shown_address(server)} closed the connection")
