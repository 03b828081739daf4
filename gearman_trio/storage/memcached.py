"""Jobs in memcached, by pymemcache: a cache, from which they are lost when it ends or throws them away.

It has no transactions, so a batch of which memcached takes one half, and then fails, is stored by half until it comes
again: first all that is added, so that nothing is missing at any moment.  It has no lists, and its dumps pass over keys
that are there, so what is there is written down, in one item on each server.  `segments.Segments` says how.

A segment of rows is on the server that its number modulo the number of servers says. So all of them are needed, and the
list of them is a part of the store.

THE KEYS ARE DESCRIBED in docs/reference/storage.md, for people who look into them.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from ..core import BadRow, Batch, SpilledJob, StoredJob
from ..errors import ConfigError, StorageError
from .drivers import driver
from .lease import Lease
from .memcached_server import Index, MemcachedServer, ServerFailed
from .names import shown_url
from .records import changed_records, describe_record, key_prefix, read_record, read_records, spilled
from .registry import StoreURL
from .segments import SEGMENT_ROWS
from .store import QuarantinedRow, StoreInfo, StoreState

__all__ = ["MemcachedStore", "from_url", "servers_of", "shown_address"]

logger = logging.getLogger(__name__)

_PORT: Final = 11211

#: How long a server that is not there is waited for, and one that does not answer, in seconds.
_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 20

#: Of an item, for its key, its header and the other fields of a job.
_ROOM_BYTES: Final = 16_384

#: What is in the record of a job beside the workload is at most this long.
_FIELDS_BYTES: Final = 16_000

#: Segments that a replay gives at once.
_REPLAY_SEGMENTS: Final = 8


class MemcachedStore:
    """A store in memcached servers; see `store.Store` for the methods.

    Args:
        servers: host and port of each, in any order.
        prefix: what the keys begin with.
    """

    def __init__(self, servers: Iterable[tuple[str, int]], *, prefix: str = "gearman") -> None:
        addresses = sorted(set(servers))
        self._addresses = [shown_address(each) for each in addresses]
        self.name = f"memcached://{','.join(self._addresses)}"
        self._driver = driver("pymemcache", "memcached", self.name)
        self._prefix = key_prefix(prefix)
        self._first = addresses[0]
        self._servers = [
            MemcachedServer(
                self._client(each),
                self._driver.MemcacheError,
                self._addresses[number],
                name=self.name,
                prefix=self._prefix,
                number=number,
                count=len(addresses),
            )
            for number, each in enumerate(addresses)
        ]
        self._lease: Lease | None = None
        self._epoch = 0
        self._last_handle = 0
        self._max_workload_bytes = 0
        # The segments that were there when it was opened.
        self._found: list[int] = []

    def open(self, owner: str) -> StoreState:
        """See `Store.open`. Logs that this is a cache, and what was lost. May wait some seconds for a server's lock."""
        if self._lease is not None:
            raise StorageError(f"{self.name} is open already")
        try:
            with self._errors("cannot be opened"):
                lease = Lease(self._client(self._first), f"{self._prefix}:lock", self.name, owner, self._raised)
                lease.take()
                self._lease = lease
                settings = [server.settings() for server in self._servers]
                self._take(owner, settings)
        except BaseException:
            self.close()
            raise
        self._max_workload_bytes = min(int(each[b"item_size_max"]) for each in settings) - _ROOM_BYTES
        self._found = self._segments("job")
        logger.warning("%s: a cache, not durable: jobs are lost when memcached ends", self.name)
        return StoreState(
            # A new segment, so that nothing that is found can be new.
            next_row=max(1, (1 + max([-1, *self._found, *self._segments("quarantine")])) * SEGMENT_ROWS),
            last_handle=self._last_handle,
            epoch=self._epoch,
            max_workload_bytes=self._max_workload_bytes,
        )

    def commit(self, batch: Batch) -> None:
        """See `Store.commit`; though what fails may be stored by half."""
        with self._session("could not be written"):
            records = changed_records(batch, self._epoch, self._read)
            self._check_sizes(records)
            last_handle = max(self._last_handle, batch.last_handle)
            added = {job.row: records.pop(job.row) for job in batch.adds if job.row in records}
            groups = [self._grouped(rows) for rows in (added, records, batch.removes)]
            nothing = not any(map(any, groups))
            for server, adds, updates, removes in zip(self._servers, *groups, strict=True):
                # An empty batch asks whether all of them are there.
                if nothing or adds or updates or removes:
                    server.prepare(adds, last_handle)
                    server.write({row: added[row] for row in adds})
                    for row in updates:
                        server.update(row, records[row])
            for server, removes in zip(self._servers, groups[2], strict=True):
                server.remove(removes)
            self._last_handle = last_handle

    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        """See `Store.replay`."""
        step = 1 if spill_bytes else _REPLAY_SEGMENTS
        for start in range(0, len(self._found), step):
            rows: list[StoredJob | SpilledJob | BadRow] = []
            with self._session("could not be read"):
                for segment in self._found[start : start + step]:
                    jobs = self._jobs(segment)
                    rows += spilled(jobs, spill_bytes) if spill_bytes else jobs
            if rows:
                yield rows

    def fetch(self, rows: Sequence[int]) -> dict[int, bytes]:
        """See `Store.fetch`."""
        with self._session("could not be read"):
            jobs = read_records(rows, self._read(rows))
        return {job.row: job.workload for job in jobs if isinstance(job, StoredJob)}

    def quarantine(self, rows: Sequence[BadRow]) -> None:
        """See `Store.quarantine`."""
        with self._session("could not be written"):
            records = self._read([bad.row for bad in rows])
            moved = {}
            for bad, record in zip(rows, records, strict=True):
                if record is not None:
                    reason = b"%d %s\n" % (time.time(), bad.reason.replace("\n", " ").encode())
                    moved[bad.row] = reason + record
            for server, some in zip(self._servers, self._grouped(moved), strict=True):
                if some:
                    server.prepare(some, self._last_handle, "quarantine")
                    server.write({row: moved[row] for row in some}, "quarantine")
                    server.remove(some)

    def info(self) -> StoreInfo:
        """See `Store.info`. Reads every job, since memcached does not count them."""
        with self._reading() as index:
            return StoreInfo(
                jobs=sum(len(self._read_segment(segment)) for segment in self._segments("job")),
                quarantined=sum(
                    len(self._read_segment(segment, "quarantine")) for segment in self._segments("quarantine")
                ),
                schema=index.schema,
                owner=index.owner,
                epoch=index.epoch,
            )

    def quarantined(self) -> Iterator[QuarantinedRow]:
        """See `Store.quarantined`."""
        with self._reading():
            for segment in self._segments("quarantine"):
                for row, content in self._read_segment(segment, "quarantine").items():
                    reason, _, record = content.partition(b"\n")
                    text = reason.partition(b" ")[2].decode(errors="replace")
                    yield QuarantinedRow(row=row, reason=text, content=describe_record(record))

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """See `Store.rows`."""
        with self._reading():
            for segment in self._segments("job"):
                yield from self._jobs(segment)

    def close(self) -> None:
        """See `Store.close`."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None
        self._disconnect()

    # Rows

    def _take(self, owner: str, settings: Sequence[dict[bytes, Any]]) -> None:
        """Go on from what is written down on the servers."""
        before = [server.read_index() for server in self._servers]
        known = [index for index in before if index is not None]
        for index in known:
            self._check_servers(index)
        self._epoch = 1 + max((index.epoch for index in known), default=0)
        self._last_handle = max((index.last_handle for index in known), default=0)
        token = secrets.token_hex(8)
        for server, old, setting in zip(self._servers, before, settings, strict=True):
            if known and old is None:
                logger.error("%s: %s has lost what was stored before", self.name, server.address)
            index = Index(
                servers=self._addresses,
                token=token,
                owner=owner,
                epoch=self._epoch,
                last_handle=self._last_handle,
                evictions=server.evictions() if old is None else old.evictions,
            )
            server.take(index, setting)

    def _check_servers(self, index: Index) -> None:
        if index.servers != self._addresses:
            raise StorageError(
                f"{self.name} was made with other servers, {','.join(index.servers)}, among which its jobs are spread; "
                "use those, or move its jobs to another prefix with gearman-trio migrate"
            )

    def _check_sizes(self, records: dict[int, bytes]) -> None:
        for row, record in records.items():
            if len(record) > self._max_workload_bytes + _FIELDS_BYTES:
                raise StorageError(
                    f"{self.name} could not be written: row {row} has {len(record)} bytes, "
                    f"expected at most {self._max_workload_bytes} in a workload"
                )

    def _grouped(self, rows: Iterable[int]) -> list[list[int]]:
        """The rows of each server."""
        groups: list[list[int]] = [[] for _ in self._servers]
        for row in rows:
            groups[row // SEGMENT_ROWS % len(groups)].append(row)
        return groups

    def _segments(self, kind: str) -> list[int]:
        """The segments that may have rows, in order."""
        return sorted(segment for server in self._servers for segment in server.segments(kind))

    def _read(self, rows: Sequence[int]) -> list[bytes | None]:
        records: dict[int, bytes | None] = {}
        for server, some in zip(self._servers, self._grouped(rows), strict=True):
            records.update(zip(some, server.read(some), strict=True))
        return [records[row] for row in rows]

    def _read_segment(self, segment: int, kind: str = "job") -> dict[int, bytes]:
        return self._servers[segment % len(self._servers)].read_segment(segment, kind)

    def _jobs(self, segment: int) -> list[StoredJob | BadRow]:
        return [read_record(row, record) for row, record in self._read_segment(segment).items()]

    # The connections

    def _client(self, server: tuple[str, int]) -> Any:
        return self._driver.Client(server, connect_timeout=_CONNECT_SECONDS, timeout=_ANSWER_SECONDS, no_delay=True)

    def _disconnect(self) -> None:
        for server in self._servers:
            server.disconnect()

    @property
    def _raised(self) -> tuple[type[Exception], ...]:
        # The last three: of a key that holds something else.
        return (ServerFailed, self._driver.MemcacheError, OSError, ValueError, TypeError, LookupError)

    @contextmanager
    def _session(self, failure: str) -> Generator[None]:
        """What only the server with the lock may do."""
        if self._lease is None:
            raise StorageError(f"{self.name} is not open")
        with self._errors(failure):
            try:
                self._lease.check()
                yield
            except BaseException:
                # memcached may have ended, and its locks with it; no connection is of use then.
                self._lease.doubt()
                self._disconnect()
                raise

    @contextmanager
    def _reading(self) -> Generator[Index]:
        """What anybody may do."""
        try:
            with self._errors("cannot be read"):
                yield self._look()
        finally:
            if self._lease is None:
                self._disconnect()

    def _look(self) -> Index:
        """The latest of what is written down; a store that is not open believes all of it."""
        found = [(server, index) for server in self._servers if (index := server.read_index()) is not None]
        if not found:
            raise StorageError(f"{self.name} holds no jobs of gearman_trio: it has no key {self._prefix}:index")
        for server, index in found:
            self._check_servers(index)
            if self._lease is None:
                server.know(index)
        return max((index for _, index in found), key=lambda index: index.epoch)

    @contextmanager
    def _errors(self, failure: str) -> Generator[None]:
        try:
            yield
        except StorageError:
            raise
        except Exception as exc:
            # Also what pymemcache does not say that it raises: the job server must go on.
            text = str(exc) if isinstance(exc, self._raised) and str(exc) else repr(exc)
            # The lock has a connection of its own.
            where = f"{self._addresses[0]}: " if isinstance(exc, OSError | self._driver.MemcacheError) else ""
            raise StorageError(f"{self.name} {failure}: {where}{text}") from exc


def from_url(url: StoreURL) -> MemcachedStore:
    """The store of ``memcached://host:port,host:port``, with the option ``prefix``.

    Raises:
        ConfigError: it names no server, or pymemcache is not installed.
    """
    options = url.only(["prefix"])
    return MemcachedStore(servers_of(url), prefix=options.get("prefix", "gearman"))


def servers_of(url: StoreURL) -> list[tuple[str, int]]:
    """Host and port of each server that a URL names.

    Raises:
        ConfigError: it names none.
    """
    servers = []
    for text in url.rest.removeprefix("//").removesuffix("/").split(","):
        try:
            parts = urlsplit(f"//{text}")
            host, port = parts.hostname, parts.port or _PORT
        except ValueError as exc:
            raise ConfigError(f"store {shown_url(url.text)!r}: {exc}") from exc
        if host is None or parts.path or "@" in text:
            raise ConfigError(
                f"store {shown_url(url.text)!r}: expected memcached://HOST:PORT,HOST:PORT, got server {text!r}"
            )
        servers.append((host, port))
    return servers


def shown_address(server: tuple[str, int]) -> str:
    """Host and port as they stand in a URL."""
    host, port = server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
