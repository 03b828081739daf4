"""Jobs in memcached, by pymemcache: a cache, from which they are lost when it ends or throws them away.

It has no transactions, so a batch of which memcached takes one half, and then fails, is stored by half until it comes
again.  It has no lists, so what is there is found in its own dump of the keys, which can be had since 1.4.31.  A row is
on the server that its number says, or where it was found: the list of servers may change between two runs.

THE KEYS ARE DESCRIBED in docs/reference/storage.md, for people who look into them.
"""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import attrs

from ..core import BadRow, Batch, StoredJob
from ..errors import ConfigError, StorageError
from .drivers import driver
from .lease import Lease
from .names import shown_url
from .records import changed_records, describe_record, key_prefix, read_record
from .registry import StoreURL
from .store import QuarantinedRow, StoreInfo, StoreState

__all__ = ["MemcachedStore", "from_url"]

logger = logging.getLogger(__name__)

#: The version of the keys.
_SCHEMA: Final = 1

_PORT: Final = 11211

#: How long a server that is not there is waited for, and one that does not answer, in seconds.
_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 20

#: How long memcached may be at a dump for itself, in seconds: it makes one at a time.
_BUSY_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.1

#: Of an item, for its key, its header and the other fields of a job.
_ROOM_BYTES: Final = 16_384

#: Values that are written at once: their answers, and the values themselves, must fit into buffers of both sides.
_WRITTEN_ROWS: Final = 500
_WRITTEN_BYTES: Final = 1_000_000

#: Rows that a replay reads at once, and to a command.
_REPLAY_ROWS: Final = 1000
_READ_ROWS: Final = 100


@attrs.frozen(kw_only=True)
class _Meta:
    schema: int = 0
    epoch: int = 0
    owner: str = ""
    last_handle: int = 0


class MemcachedStore:
    """A store in memcached servers; see `store.Store` for the methods.

    Args:
        servers: host and port of each. The first one has the lock.
        prefix: what the keys begin with.
    """

    def __init__(self, servers: Sequence[tuple[str, int]], *, prefix: str = "gearman") -> None:
        self.name = "memcached://" + ",".join(map(_address, servers))
        self._driver = driver("pymemcache", "memcached", self.name)
        self._prefix = key_prefix(prefix)
        self._servers = servers
        self._clients = [self._client(server) for server in servers]
        self._lease: Lease | None = None
        self._meta = _Meta()
        self._max_workload_bytes = 0
        # Server by row: those that were there when it was opened, in order.
        self._found: dict[int, int] = {}
        # And those that are where their number does not say.
        self._misplaced: dict[int, int] = {}

    def open(self, owner: str) -> StoreState:
        """See `Store.open`. Waits some seconds for the lock of a server that died. Logs that this is a cache."""
        if self._lease is not None:
            raise StorageError(f"{self.name} is open already")
        try:
            with self._errors("cannot be opened"):
                lease = Lease(self._client(self._servers[0]), self._key("lock"), self.name, owner, self._raised)
                lease.take()
                self._lease = lease
                before = self._read_meta()
                self._meta = attrs.evolve(before, schema=_SCHEMA, epoch=before.epoch + 1, owner=owner)
                self._write_meta(self._meta)
                self._found = self._list("job")
                quarantined = self._list("quarantine")
                settings = [client.stats("settings") for client in self._clients]
        except BaseException:
            self.close()
            raise
        self._misplaced = {row: server for row, server in self._found.items() if server != row % len(self._servers)}
        self._max_workload_bytes = min(int(each[b"item_size_max"]) for each in settings) - _ROOM_BYTES
        logger.warning(
            "%s: a cache, not durable: jobs are lost when memcached ends, and thrown away when its memory is full "
            "unless it runs with -M",
            self.name,
        )
        return StoreState(
            next_row=1 + max([0, *self._found, *quarantined]),
            last_handle=self._meta.last_handle,
            epoch=self._meta.epoch,
            max_workload_bytes=self._max_workload_bytes,
        )

    def commit(self, batch: Batch) -> None:
        """See `Store.commit`; though what fails may be stored by half."""
        with self._session("could not be written"):
            records = changed_records(batch, self._meta.epoch, self._read)
            for row, record in records.items():
                if len(record) > self._max_workload_bytes + _ROOM_BYTES // 2:
                    raise StorageError(
                        f"{self.name} could not be written: row {row} has {len(record)} bytes, "
                        f"expected at most {self._max_workload_bytes} in a workload"
                    )
            self._write("job", records)
            self._remove("job", batch.removes)
            meta = attrs.evolve(self._meta, last_handle=max(self._meta.last_handle, batch.last_handle))
            # Always: a server that was started anew has forgotten it.
            self._write_meta(meta)
            self._meta = meta

    def replay(self) -> Iterator[list[StoredJob | BadRow]]:
        """See `Store.replay`."""
        rows = list(self._found)
        for start in range(0, len(rows), _REPLAY_ROWS):
            some = rows[start : start + _REPLAY_ROWS]
            with self._session("could not be read"):
                records = self._read(some)
            yield _jobs(some, records)

    def quarantine(self, rows: Sequence[BadRow]) -> None:
        """See `Store.quarantine`."""
        with self._session("could not be written"):
            moved = {}
            records = self._read([bad.row for bad in rows])
            for bad, record in zip(rows, records, strict=True):
                if record is not None:
                    reason = b"%d %s\n" % (time.time(), bad.reason.replace("\n", " ").encode())
                    moved[bad.row] = reason + record
            self._write("quarantine", moved)
            self._remove("job", list(moved))

    def info(self) -> StoreInfo:
        """See `Store.info`."""
        with self._reading() as meta:
            return StoreInfo(
                jobs=len(self._list("job")),
                quarantined=len(self._list("quarantine")),
                schema=meta.schema,
                owner=meta.owner,
                epoch=meta.epoch,
            )

    def quarantined(self) -> Iterator[QuarantinedRow]:
        """See `Store.quarantined`."""
        with self._reading():
            for row, server in self._list("quarantine").items():
                content = self._clients[server].get(self._key(f"quarantine:{row}")) or b""
                reason, _, record = content.partition(b"\n")
                text = reason.partition(b" ")[2].decode(errors="replace")
                yield QuarantinedRow(row=row, reason=text, content=describe_record(record))

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """See `Store.rows`."""
        with self._reading():
            places = self._list("job")
            rows = list(places)
            for start in range(0, len(rows), _REPLAY_ROWS):
                some = rows[start : start + _REPLAY_ROWS]
                yield from _jobs(some, self._read(some, places))

    def close(self) -> None:
        """See `Store.close`."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None
        self._disconnect()

    # Keys

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    def _list(self, kind: str) -> dict[int, int]:
        """The server of each row of a kind, in the order of the rows."""
        prefix = self._key(f"{kind}:")
        found = {}
        for server, address in enumerate(self._servers):
            for key in _dump(address, self.name):
                number = key.removeprefix(prefix)
                # Keys that have no number there are none that a job server wrote.
                if key.startswith(prefix) and number.isascii() and number.isdigit():
                    found[int(number)] = server
        return dict(sorted(found.items()))

    def _read_meta(self) -> _Meta:
        text = self._clients[0].get(self._key("meta"))
        if text is None:
            return _Meta()
        meta = _Meta(**json.loads(text))
        if meta.schema > _SCHEMA:
            raise StorageError(
                f"{self.name} was made by a newer version of gearman_trio: its keys have version {meta.schema}, "
                f"expected at most {_SCHEMA}"
            )
        return meta

    def _write_meta(self, meta: _Meta) -> None:
        self._clients[0].set(self._key("meta"), json.dumps(attrs.asdict(meta)).encode("ascii"), noreply=False)

    def _by_server(self, rows: Iterable[int], places: dict[int, int]) -> list[list[int]]:
        """The rows of each server."""
        groups: list[list[int]] = [[] for _ in self._servers]
        for row in rows:
            groups[places.get(row, row % len(groups))].append(row)
        return groups

    def _read(self, rows: Sequence[int], places: dict[int, int] | None = None) -> list[bytes | None]:
        records: dict[int, bytes] = {}
        groups = self._by_server(rows, self._misplaced if places is None else places)
        for client, group in zip(self._clients, groups, strict=True):
            for start in range(0, len(group), _READ_ROWS):
                keys = {self._key(f"job:{row}"): row for row in group[start : start + _READ_ROWS]}
                records.update((keys[key], value) for key, value in client.get_many(list(keys)).items())
        return [records.get(row) for row in rows]

    def _write(self, kind: str, records: dict[int, bytes]) -> None:
        for client, group in zip(self._clients, self._by_server(records, self._misplaced), strict=True):
            some: dict[str, bytes] = {}
            size = 0
            for row in group:
                if some and (size + len(records[row]) > _WRITTEN_BYTES or len(some) == _WRITTEN_ROWS):
                    client.set_many(some, noreply=False)
                    some, size = {}, 0
                some[self._key(f"{kind}:{row}")] = records[row]
                size += len(records[row])
            if some:
                client.set_many(some, noreply=False)

    def _remove(self, kind: str, rows: Sequence[int]) -> None:
        for client, group in zip(self._clients, self._by_server(rows, self._misplaced), strict=True):
            if group:
                # Without an answer to each, and then one that comes when all have been done.
                client.delete_many([self._key(f"{kind}:{row}") for row in group], noreply=True)
                client.version()

    # The connections

    def _client(self, server: tuple[str, int]) -> Any:
        return self._driver.Client(server, connect_timeout=_CONNECT_SECONDS, timeout=_ANSWER_SECONDS, no_delay=True)

    def _disconnect(self) -> None:
        for client in self._clients:
            client.close()

    @property
    def _raised(self) -> tuple[type[Exception], ...]:
        # ValueError and TypeError: of a key that holds something else.
        return (self._driver.MemcacheError, OSError, ValueError, TypeError)

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
    def _reading(self) -> Generator[_Meta]:
        """What anybody may do."""
        try:
            with self._errors("cannot be read"):
                meta = self._read_meta()
                if meta.schema == 0:
                    raise StorageError(f"{self.name} holds no jobs of gearman_trio: it has no key {self._key('meta')}")
                yield meta
        finally:
            if self._lease is None:
                self.close()

    @contextmanager
    def _errors(self, failure: str) -> Generator[None]:
        try:
            yield
        except self._raised as exc:
            raise StorageError(f"{self.name} {failure}: {exc!r}") from exc


def from_url(url: StoreURL) -> MemcachedStore:
    """The store of ``memcached://host:port,host:port``, with the option ``prefix``.

    Raises:
        ConfigError: it names no server, or pymemcache is not installed.
    """
    options = url.only(["prefix"])
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
    return MemcachedStore(servers, prefix=options.get("prefix", "gearman"))


def _address(server: tuple[str, int]) -> str:
    host, port = server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _dump(server: tuple[str, int], name: str) -> Iterator[str]:
    """Every key of a memcached server.

    pymemcache 4.0.0 loses the beginning of an answer that it does not know.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        with (
            socket.create_connection(server, timeout=_ANSWER_SECONDS) as connection,
            connection.makefile("rb") as lines,
        ):
            connection.sendall(b"lru_crawler metadump all\r\n")
            line = lines.readline()
            if line.startswith(b"BUSY") and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
                continue
            while line.startswith(b"key="):
                yield unquote(line[4:].partition(b" ")[0].decode("ascii"))
                line = lines.readline()
            if line.strip() != b"END":
                raise StorageError(f"{name}: expected the keys of {_address(server)}, got {line[:80]!r}")
            return


def _jobs(rows: Sequence[int], records: Sequence[bytes | None]) -> list[StoredJob | BadRow]:
    """The jobs of those rows that are still there."""
    return [read_record(row, record) for row, record in zip(rows, records, strict=True) if record is not None]
