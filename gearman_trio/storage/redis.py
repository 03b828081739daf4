"""Jobs in Redis or Valkey, by redis-py. What a commit survives is a setting of that server, which `open` looks at.

There is one connection, which the lock names: while it lives nobody else may have the store, and a server that died
does not keep it.  Whatever fails closes the connection; the next call makes a new one and takes the lock again.  So the
connection is used as it is: redis-py's client would make a new one by itself.

THE KEYS ARE DESCRIBED in docs/reference/storage.md, for people who look into them.
"""

from __future__ import annotations

import logging
import secrets
import time
from array import array
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from ..core import BadRow, Batch, SpilledJob, StoredJob
from ..errors import ConfigError, StorageError
from .doubts import doubts
from .drivers import driver
from .places import shown_place
from .records import changed_records, describe_record, key_prefix, read_heads, read_record, read_records
from .redis_place import redis_url, unknown_option
from .registry import StoreURL
from .rows import rows_at_once
from .store import Durability, QuarantinedRow, StoreInfo, StoreState

__all__ = ["RedisStore", "from_url"]

logger = logging.getLogger(__name__)

#: The version of the keys.
_SCHEMA: Final = 1

#: How long a server that is not there is waited for, and one that does not answer, in seconds.
_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 60

#: Redis refuses values above 512 MiB (its setting proto-max-bulk-len); what is left is for the other fields.
_MAX_WORKLOAD_BYTES: Final = 500_000_000

#: Rows to a command that reads, and to one that removes.
_READ_ROWS: Final = 1000
_REMOVED_ROWS: Final = 10_000

#: Redis drops a client with more than 1 GiB in one command (its setting client-query-buffer-limit).
_COMMAND_BYTES: Final = 64_000_000


#: Each record of a hash, or of one whose workload is too long the line of JSON and how long the workload is.
_HEADS: Final = """
local found = {}
for index = 2, #ARGV do
  local record = redis.call('HGET', KEYS[1], ARGV[index])
  local head = record and #record > tonumber(ARGV[1]) and string.find(record, '\\n', 1, true)
  if head and #record - head > tonumber(ARGV[1]) and not string.find(record, '"unique_id": "-"', 1, true) then
    found[index - 1] = {string.sub(record, 1, head - 1), #record - head}
  else
    found[index - 1] = {record}
  end
end
return found
"""


class RedisStore:
    """A store in Redis or Valkey; see `store.Store` for the methods."""

    def __init__(self, url: str, *, prefix: str = "gearman", durability: Durability = Durability.FULL) -> None:
        self._driver = driver("redis", "redis", url)
        self.name = shown_place(url, "rediss" if url.startswith("rediss:") else "redis")
        self._prefix = key_prefix(prefix)
        self._durability = durability
        try:
            self._pool = self._driver.ConnectionPool.from_url(
                url,
                protocol=2,
                socket_connect_timeout=_CONNECT_SECONDS,
                socket_timeout=_ANSWER_SECONDS,
                retry=self._driver.retry.Retry(self._driver.backoff.NoBackoff(), 0),
                **({} if url.startswith("unix:") else {"socket_keepalive": True}),
            )
            self._pool.make_connection()
        except (TypeError, ValueError, self._driver.RedisError) as exc:
            raise ConfigError(f"store {self.name!r}: {unknown_option(exc)}") from exc
        self._connection: Any = None
        self._owner: str | None = None
        # Says that a lock is ours, whatever has become of the connection that took it.
        self._token = secrets.token_hex(8)
        self._epoch = 0
        self._last_handle = 0
        # The rows that were there when it was opened, in order.
        self._found: array[int] = array("q")

    def open(self, owner: str) -> StoreState:
        """See `Store.open`. Logs a warning for each setting by which the server keeps less than it should."""
        if self._owner is not None:
            raise StorageError(f"{self.name} is open already")
        self._owner = owner
        try:
            with self._session("cannot be opened") as connection:
                _, epoch, last_handle = self._meta(connection)
                self._epoch = epoch + 1
                self._last_handle = last_handle
                _ask(connection, ["HSET", self._key("meta"), *self._new_meta()])
                self._found = array("q", self._rows(connection, "jobs"))
                quarantined = self._rows(connection, "quarantine")
                for doubt in doubts(self._settings(connection), self._durability):
                    logger.warning("%s: %s", self.name, doubt)
        except BaseException:
            self.close()
            raise
        return StoreState(
            next_row=1 + max([0, *self._found[-1:], *quarantined[-1:]]),
            last_handle=self._last_handle,
            epoch=self._epoch,
            max_workload_bytes=_MAX_WORKLOAD_BYTES,
        )

    def commit(self, batch: Batch) -> None:
        """See `Store.commit`."""
        with self._session("could not be written") as connection:
            records = changed_records(batch, self._epoch, lambda rows: self._read(connection, rows))
            commands: list[list[Any]] = list(self._writes(records))
            for start in range(0, len(batch.removes), _REMOVED_ROWS):
                commands.append(["HDEL", self._key("jobs"), *batch.removes[start : start + _REMOVED_ROWS]])
            last_handle = max(self._last_handle, batch.last_handle)
            if last_handle > self._last_handle:
                commands.append(["HSET", self._key("meta"), "last_handle", last_handle])
            # One with nothing in it asks whether the server is there, and writes.
            self._write(connection, commands or [["HSET", self._key("meta"), "schema", _SCHEMA]])
            self._last_handle = last_handle

    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        """See `Store.replay`."""
        step = rows_at_once(_READ_ROWS, spill_bytes) if spill_bytes else _READ_ROWS
        for start in range(0, len(self._found), step):
            rows = self._found[start : start + step]
            with self._session("could not be read") as connection:
                if spill_bytes:
                    heads = _ask(connection, ["EVAL", _HEADS, 1, self._key("jobs"), spill_bytes, *rows])
                    yield read_heads(rows, heads)
                else:
                    yield [*read_records(rows, self._read(connection, rows))]

    def fetch(self, rows: Sequence[int]) -> dict[int, bytes]:
        """See `Store.fetch`."""
        with self._session("could not be read") as connection:
            records = self._read(connection, rows)
        jobs = [read_record(row, record) for row, record in zip(rows, records, strict=True)]
        return {job.row: job.workload for job in jobs if isinstance(job, StoredJob)}

    def quarantine(self, rows: Sequence[BadRow]) -> None:
        """See `Store.quarantine`."""
        with self._session("could not be written") as connection:
            commands: list[list[Any]] = []
            records = self._read(connection, [bad.row for bad in rows])
            for bad, record in zip(rows, records, strict=True):
                if record is not None:
                    reason = b"%d %s\n" % (time.time(), bad.reason.replace("\n", " ").encode())
                    commands.append(["HSET", self._key("quarantine"), bad.row, reason + record])
                    commands.append(["HDEL", self._key("jobs"), bad.row])
            if commands:
                self._transact(connection, commands)

    def info(self) -> StoreInfo:
        """See `Store.info`."""
        with self._reading() as connection:
            schema, epoch, _ = self._meta(connection)
            return StoreInfo(
                jobs=_ask(connection, ["HLEN", self._key("jobs")]),
                quarantined=_ask(connection, ["HLEN", self._key("quarantine")]),
                schema=schema,
                owner=(_ask(connection, ["HGET", self._key("meta"), "owner"]) or b"").decode(errors="replace"),
                epoch=epoch,
            )

    def quarantined(self) -> Iterator[QuarantinedRow]:
        """See `Store.quarantined`."""
        with self._reading() as connection:
            for row in self._rows(connection, "quarantine"):
                content = _ask(connection, ["HGET", self._key("quarantine"), row]) or b""
                reason, _, record = content.partition(b"\n")
                text = reason.partition(b" ")[2].decode(errors="replace")
                yield QuarantinedRow(row=row, reason=text, content=describe_record(record))

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """See `Store.rows`."""
        with self._reading() as connection:
            found = self._rows(connection, "jobs")
            for start in range(0, len(found), _READ_ROWS):
                rows = found[start : start + _READ_ROWS]
                yield from read_records(rows, self._read(connection, rows))

    def close(self) -> None:
        """See `Store.close`."""
        self._owner = None
        self._disconnect()

    # Keys

    def _key(self, kind: str) -> str:
        return f"{self._prefix}:{kind}"

    def _rows(self, connection: Any, kind: str) -> list[int]:
        """The rows of one kind in order. Fields that are no number are none that a job server wrote."""
        return sorted(int(field) for field in _ask(connection, ["HKEYS", self._key(kind)]) if field.isdigit())

    def _read(self, connection: Any, rows: Sequence[int]) -> list[bytes | None]:
        if not rows:
            return []
        records: list[bytes | None] = _ask(connection, ["HMGET", self._key("jobs"), *rows])
        return records

    def _writes(self, records: dict[int, bytes]) -> Iterator[list[Any]]:
        """The commands that write records: few, and none too large."""
        command: list[Any] = []
        size = 0
        for row, record in records.items():
            if command and size + len(record) > _COMMAND_BYTES:
                yield command
                command, size = [], 0
            if not command:
                command = ["HSET", self._key("jobs")]
            command += [row, record]
            size += len(record)
        if command:
            yield command

    def _meta(self, connection: Any) -> tuple[int, int, int]:
        """The schema, the epoch and the last handle; each 0 where there is none."""
        fields = _ask(connection, ["HMGET", self._key("meta"), "schema", "epoch", "last_handle"])
        schema, epoch, last_handle = (int(field or 0) for field in fields)
        if schema > _SCHEMA:
            raise StorageError(
                f"{self.name} was made by a newer version of gearman_trio: its keys have version {schema}, "
                f"expected at most {_SCHEMA}"
            )
        return schema, epoch, last_handle

    def _new_meta(self) -> list[Any]:
        assert self._owner is not None
        meta = {"schema": _SCHEMA, "epoch": self._epoch, "owner": self._owner, "last_handle": self._last_handle}
        return [each for pair in meta.items() for each in pair]

    # The connection

    @contextmanager
    def _session(self, failure: str) -> Generator[Any]:
        """The connection that holds the lock; made anew after a failure."""
        if self._owner is None:
            raise StorageError(f"{self.name} is not open")
        try:
            if self._connection is None:
                self._connection = self._connect()
                self._take_lock(self._connection)
                if self._epoch:
                    self._take_up(self._connection)
            yield self._connection
        except BaseException as exc:
            self._disconnect()
            if isinstance(exc, StorageError) or not isinstance(exc, Exception):
                raise
            # A driver raises other things than it says where a connection breaks half-way; the job server must go on.
            text = str(exc) if isinstance(exc, self._errors) else repr(exc)
            raise StorageError(f"{self.name} {failure}: {text}") from exc

    @contextmanager
    def _reading(self) -> Generator[Any]:
        """A connection of its own, without the lock."""
        try:
            connection = self._connect()
            try:
                if self._meta(connection)[0] == 0:
                    raise StorageError(f"{self.name} holds no jobs of gearman_trio: it has no key {self._key('meta')}")
                yield connection
            finally:
                connection.disconnect()
        except self._errors as exc:
            raise StorageError(f"{self.name} cannot be read: {exc}") from exc

    def _connect(self) -> Any:
        connection = self._pool.make_connection()
        connection.connect()
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.disconnect()
            self._connection = None

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        # ValueError: of numbers that are none.
        return (self._driver.RedisError, OSError, ValueError)

    def _write(self, connection: Any, commands: Sequence[Sequence[Any]]) -> None:
        """Do all commands or none, in one round trip."""
        if len(commands) == 1:
            # Redis does one command as a whole, and keeps it in half the time of a transaction.
            _ask(connection, commands[0])
        else:
            self._transact(connection, commands)

    def _transact(self, connection: Any, commands: Sequence[Sequence[Any]]) -> list[Any] | None:
        """As `_write`, but `None` where a key that is watched has changed."""
        connection.send_packed_command(connection.pack_commands([["MULTI"], *commands, ["EXEC"]]))
        refusal: Exception | None = None
        for _ in range(len(commands) + 1):
            try:
                connection.read_response()
            except self._driver.ResponseError as exc:
                # EXEC will do nothing, and says less about why.
                refusal = refusal or exc
        if refusal is not None:
            raise refusal
        answers: list[Any] | None = connection.read_response()
        for answer in answers or ():
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _settings(self, connection: Any) -> dict[str, str] | None:
        """The settings on which it depends what is kept; `None` where they are not shown, as by some services."""
        settings = {}
        for name in ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy"):
            try:
                answer = _ask(connection, ["CONFIG", "GET", name])
            except self._driver.ResponseError:
                return None
            # A server that is only like Redis may not have a setting.
            if len(answer) != 2:
                return None
            settings[name] = answer[1].decode()
        return settings

    def _take_lock(self, connection: Any) -> None:
        """Become the one writer, unless the connection of another one is there."""
        key = self._key("lock")
        server = _run_id(connection)
        _ask(connection, ["WATCH", key])
        holder = (_ask(connection, ["GET", key]) or b"").decode(errors="replace").split(" ", 3)
        # Connections are numbered, and no number comes again while the server runs.
        if len(holder) == 4 and holder[0] == server and _ask(connection, ["CLIENT", "LIST", "ID", holder[1]]):
            if holder[2] != self._token:
                raise StorageError(
                    f"{self.name} is in use by another job server, {holder[3]}; two servers cannot share one prefix"
                )
            # Our own, from before a failure. Nothing that is still on its way there may come later.
            _ask(connection, ["CLIENT", "KILL", "ID", holder[1]])
        mine = f"{server} {_ask(connection, ['CLIENT', 'ID'])} {self._token} {self._owner}"
        if self._transact(connection, [["SET", key, mine]]) is None:
            raise StorageError(f"{self.name} is in use by another job server, which opened it just now")

    def _take_up(self, connection: Any) -> None:
        """Go on after a failure, in which much may have happened."""
        epoch = self._meta(connection)[1]
        if epoch > self._epoch:
            raise StorageError(f"{self.name} has been used by another job server meanwhile")
        if epoch < self._epoch:
            logger.error("%s: it has lost what was stored before", self.name)
            _ask(connection, ["HSET", self._key("meta"), *self._new_meta()])


def from_url(url: StoreURL) -> RedisStore:
    """The store of ``redis://user:password@host:port/number``, ``rediss:`` with TLS, or ``valkey:``, the same.

    The options ``prefix`` and ``unix_socket`` are ours, all others are redis-py's.

    Raises:
        ConfigError: it cannot be used, or redis-py is not installed.
    """
    options = dict(url.options)
    prefix = options.pop("prefix", "gearman")
    return RedisStore(redis_url(url, options), prefix=prefix, durability=url.durability)


def _ask(connection: Any, command: Sequence[Any]) -> Any:
    """Send one command, and give what is answered."""
    connection.send_command(*command)
    return connection.read_response()


def _run_id(connection: Any) -> str:
    """What names one run of a Redis server."""
    lines: list[str] = _ask(connection, ["INFO", "server"]).decode().splitlines()
    return "".join(line.partition(":")[2] for line in lines if line.startswith("run_id:"))
