"""Consistent hashing of unique IDs to servers, as libgearman does it.

The algorithm and its constants are those of libgearman/server_selection.cc in gearmand's repository (its issue 64, the
client option that hashes the unique ID), read there; Debian's libgearman 1.1.20 has none of it, so this was not run
against a real one, only its hash, libhashkit_md5, against Debian's libhashkit.  The ring of libmemcached is another:
100 or 160 points a server, and no default port in its keys.

* four keys for each server, ``host:port-0`` to ``host:port-3``, with the host as it was written;
* four points of each key: its MD5 as little-endian numbers of 32 bits;
* a unique ID belongs to the first point that is not below the first such number of its own MD5, around the ring.

A server that was added or is gone changes the place of its own share of the unique IDs only.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Sequence
from hashlib import md5
from typing import Final

from ..transport import Address

__all__ = ["Ring"]

#: KETAMA_REPLICAS_PER_SERVER of libgearman/server_selection.cc; four points come of each.
_REPLICAS: Final = 4


class Ring:
    """The points of some servers on a circle of 2**32 places; never changes."""

    def __init__(self, servers: Sequence[Address]) -> None:
        points = sorted(
            (point, index)
            for index, server in enumerate(servers)
            for replica in range(_REPLICAS)
            for point in _numbers(f"{server.path or f'{server.host}:{server.port}'}-{replica}".encode())
        )
        self._points = [point for point, _ in points]
        self._owners = [index for _, index in points]
        self._orders = [self._order_from(first) for first in range(len(servers))]

    def order(self, unique: bytes) -> Sequence[int]:
        """The indexes of all servers, beginning with the owner of a unique ID; the others stand in for it in turn."""
        place = bisect_left(self._points, _numbers(unique)[0])
        return self._orders[self._owners[place % len(self._owners)]]

    def _order_from(self, first: int) -> list[int]:
        # libgearman goes on behind the first point of the server that failed, not behind the place of the unique ID.
        # It only leaves out that one server, so that of three, two that are down may keep it going to and fro.
        order = [first]
        servers = set(self._owners)
        while len(order) < len(servers):
            start = self._owners.index(order[-1]) + 1
            around = self._owners[start:] + self._owners[:start]
            order.append(next(owner for owner in around if owner not in order))
        return order


def _numbers(key: bytes) -> tuple[int, ...]:
    return struct.unpack("<4I", md5(key, usedforsecurity=False).digest())
