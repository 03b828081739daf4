"""What stores in an SQL server have in common; a subclass knows its driver and its dialect.

There is one connection, on which a lock is held that ends with it: two servers cannot have the store, and one that died
does not keep it.  Whatever fails closes the connection; the next call makes a new one and takes the lock again.

Meanwhile anything may have happened.  The database may not have missed the old connection yet, which then has the lock
still: it is ended.  Or another server may have had the store, and may have it now: its rows in the table of servers say
so, and nothing is written any more, since its jobs are not known here and its numbers may be ours.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from ..core import BadRow, Batch, SpilledJob, StoredJob
from ..errors import StorageError
from .names import table_name
from .rows import describe_row, read_row, read_spilled, rows_at_once
from .store import QuarantinedRow, StoreInfo, StoreState
from .versions import see_readable, see_usable

__all__ = ["COLUMNS", "SQLStore", "one_line"]

#: The version of the tables; `SQLStore._steps` leads to it.
_SCHEMA: Final = 1

COLUMNS: Final = (
    "id, handle, function, unique_id, priority, workload, run_at, reducer, attempts, created, background, error"
)

#: How long a connection that is to end may keep the lock, in seconds: that of a server that was killed just now, and
#: our own; and how often that is looked at.
_KILLED_SECONDS: Final = 1.0
_ENDED_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.05

#: Rows that are read at once, so that a server does not have to hold its result.
_READ_ROWS: Final = 4096

#: Rows whose workloads are fetched with one statement.
_FETCH_ROWS: Final = 256


class SQLStore(ABC):
    """A store in an SQL server, with the DB-API and ``%s`` for parameters; see `store.Store` for the methods."""

    def __init__(self, name: str, table: str) -> None:
        self.name = name
        self._table = table_name(table)
        self._db: Any = None
        self._owner: str | None = None
        self._epoch = 0
        # As it is stored, while the connection is there.
        self._last_handle: int | None = None
        # The last row that was there when it was opened.
        self._replay_end = 0

    # What a subclass knows

    @abstractmethod
    def _connect(self) -> Any:
        """A new connection, not in a transaction."""

    @abstractmethod
    def _lock(self, cursor: Any) -> bool:
        """Take the lock of this table name, which ends with the connection; say whether nobody else has it."""

    @abstractmethod
    def _unlock(self, cursor: Any) -> None:
        """Let go of the lock."""

    @abstractmethod
    def _end_holder(self, cursor: Any) -> None:
        """End the connection that has the lock."""

    @abstractmethod
    def _create(self) -> list[str]:
        """The statements that make the tables of version 1 where they are not there."""

    def _steps(self) -> list[list[str]]:
        """The statements that lead to each version, from 1 on. Never change those of one that was released.

        They may come again, where the server was killed between them and a database does not roll them back.
        """
        return [self._create()]

    @abstractmethod
    def _has_tables(self, cursor: Any) -> bool:
        """Whether the tables are there."""

    @abstractmethod
    def _walk(self, cursor: Any) -> None:
        """Have the transaction read what it reads in the order of its keys."""

    @abstractmethod
    def _add(self, cursor: Any, jobs: Sequence[StoredJob]) -> None:
        """Insert jobs, or replace those that are there."""

    @abstractmethod
    def _update(self, cursor: Any, batch: Batch) -> None:
        """Do the updates of a batch, in order."""

    @abstractmethod
    def _remove(self, cursor: Any, rows: Sequence[int]) -> None:
        """Delete rows."""

    @abstractmethod
    def _set_meta(self, cursor: Any, name: str, value: int) -> None:
        """Keep a number."""

    @abstractmethod
    def _max_workload_bytes(self, cursor: Any) -> int:
        """The largest workload that there is room for."""

    def _write(self, cursor: Any, batch: Batch, last_handle: int | None) -> None:
        """Store a batch, and a last handle if there is one, and commit."""
        if batch.adds:
            self._add(cursor, batch.adds)
        if batch.updates:
            self._update(cursor, batch)
        if batch.removes:
            self._remove(cursor, batch.removes)
        if last_handle is not None:
            self._set_meta(cursor, "last_handle", last_handle)
        self._db.commit()

    @abstractmethod
    def _begin(self, db: Any) -> None:
        """Begin a transaction, unless the driver does by itself."""

    @property
    @abstractmethod
    def _errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises."""

    # The methods of a store

    def open(self, owner: str) -> StoreState:
        """See `Store.open`."""
        if self._owner is not None:
            raise StorageError(f"{self.name} is open already")
        self._owner = owner
        try:
            with self._transaction("cannot be opened") as cursor:
                version = self._version(cursor) if self._has_tables(cursor) else 0
                see_usable(self.name, version, _SCHEMA)
                for statements in self._steps()[version:]:
                    for statement in statements:
                        cursor.execute(self._sql(statement))
                self._set_meta(cursor, "schema", _SCHEMA)
                self._epoch = 1 + self._latest_epoch(cursor)
                row = (self._epoch, owner, time.time())
                cursor.execute(self._sql("INSERT INTO {t}_servers (epoch, name, opened) VALUES (%s, %s, %s)"), row)
                self._replay_end = self._number(cursor, "SELECT max(id) FROM {t}_jobs")
                return StoreState(
                    next_row=1 + max(self._replay_end, self._number(cursor, "SELECT max(id) FROM {t}_quarantine")),
                    last_handle=self._number(cursor, "SELECT value FROM {t}_meta WHERE name = 'last_handle'"),
                    epoch=self._epoch,
                    max_workload_bytes=self._max_workload_bytes(cursor),
                )
        except BaseException:
            self.close()
            raise

    def commit(self, batch: Batch) -> None:
        """See `Store.commit`."""
        with self._session("could not be written") as cursor:
            if self._last_handle is None:
                self._last_handle = self._number(cursor, "SELECT value FROM {t}_meta WHERE name = 'last_handle'")
            last_handle = max(batch.last_handle, self._last_handle)
            # An empty batch asks whether the server is there.
            changed = last_handle > self._last_handle or batch.empty
            self._write(cursor, batch, last_handle if changed else None)
        self._last_handle = last_handle

    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        """See `Store.replay`."""
        last = 0
        while last < self._replay_end:
            with self._transaction("could not be read") as cursor:
                if spill_bytes:
                    rows = self._some_spilled(cursor, last, spill_bytes)
                else:
                    rows = self._some(cursor, last, self._replay_end)
            if not rows:
                return
            last = rows[-1][0]
            yield [read_spilled(row) for row in rows] if spill_bytes else [read_row(row) for row in rows]

    def fetch(self, rows: Sequence[int]) -> dict[int, bytes]:
        """See `Store.fetch`."""
        found: dict[int, bytes | None] = {}
        with self._transaction("could not be read") as cursor:
            for start in range(0, len(rows), _FETCH_ROWS):
                some = tuple(rows[start : start + _FETCH_ROWS])
                marks = ", ".join(["%s"] * len(some))
                cursor.execute(self._sql(f"SELECT id, workload FROM {{t}}_jobs WHERE id IN ({marks})"), some)
                found.update(cursor.fetchall())
        return {row: workload for row, workload in found.items() if workload is not None}

    def quarantine(self, rows: Sequence[BadRow]) -> None:
        """See `Store.quarantine`."""
        with self._transaction("could not be written") as cursor:
            for bad in rows:
                cursor.execute(
                    self._sql(
                        f"INSERT INTO {{t}}_quarantine ({COLUMNS}, epoch, reason, since)"
                        f" SELECT {COLUMNS}, epoch, %s, %s FROM {{t}}_jobs WHERE id = %s"
                    ),
                    (bad.reason, time.time(), bad.row),
                )
                cursor.execute(self._sql("DELETE FROM {t}_jobs WHERE id = %s"), (bad.row,))

    def info(self) -> StoreInfo:
        """See `Store.info`."""
        with self._reading() as cursor:
            cursor.execute(self._sql("SELECT name, epoch FROM {t}_servers ORDER BY epoch DESC LIMIT 1"))
            name, epoch = cursor.fetchone() or ("", 0)
            return StoreInfo(
                jobs=self._number(cursor, "SELECT count(*) FROM {t}_jobs"),
                quarantined=self._number(cursor, "SELECT count(*) FROM {t}_quarantine"),
                schema=self._number(cursor, "SELECT value FROM {t}_meta WHERE name = 'schema'"),
                owner=name,
                epoch=epoch,
            )

    def quarantined(self) -> Iterator[QuarantinedRow]:
        """See `Store.quarantined`."""
        with self._reading() as cursor:
            cursor.execute(self._sql(f"SELECT {COLUMNS}, reason FROM {{t}}_quarantine ORDER BY id"))
            for row in cursor.fetchall():
                yield QuarantinedRow(row=row[0], reason=row[-1], content=describe_row(row[1:-1]))

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """See `Store.rows`."""
        with self._reading() as cursor:
            rows = self._some(cursor, 0, None)
            while rows:
                yield from map(read_row, rows)
                rows = self._some(cursor, rows[-1][0], None)

    def close(self) -> None:
        """See `Store.close`."""
        self._owner = None
        self._epoch = 0
        self._let_go()

    # Within a connection

    def _sql(self, sql: str) -> str:
        return sql.replace("{t}", self._table)

    def _number(self, cursor: Any, sql: str) -> int:
        """What a question for one number is answered with; 0 for NULL and for no row."""
        cursor.execute(self._sql(sql))
        row = cursor.fetchone()
        return 0 if row is None or row[0] is None else int(row[0])

    def _some(self, cursor: Any, after: int, last: int | None) -> list[tuple[Any, ...]]:
        end = "" if last is None else " AND id <= %s"
        parameters = (after,) if last is None else (after, last)
        sql = f"SELECT {COLUMNS} FROM {{t}}_jobs WHERE id > %s{end} ORDER BY id LIMIT {_READ_ROWS}"
        self._walk(cursor)
        cursor.execute(self._sql(sql), parameters)
        return [tuple(row) for row in cursor.fetchall()]

    def _some_spilled(self, cursor: Any, after: int, spill_bytes: int) -> list[tuple[Any, ...]]:
        """As for `read_spilled`."""
        long = "length(workload) > %s AND unique_id <> %s"
        columns = COLUMNS.replace("workload", f"CASE WHEN {long} THEN NULL ELSE workload END")
        self._walk(cursor)
        cursor.execute(
            self._sql(
                f"SELECT {columns}, CASE WHEN {long} THEN length(workload) END"
                f" FROM {{t}}_jobs WHERE id > %s AND id <= %s ORDER BY id LIMIT {rows_at_once(_READ_ROWS, spill_bytes)}"
            ),
            (spill_bytes, b"-") * 2 + (after, self._replay_end),
        )
        return [tuple(row) for row in cursor.fetchall()]

    def _version(self, cursor: Any) -> int:
        """The version of the tables that there are."""
        return self._number(cursor, "SELECT value FROM {t}_meta WHERE name = 'schema'")

    def _latest_epoch(self, cursor: Any) -> int:
        return self._number(cursor, "SELECT max(epoch) FROM {t}_servers")

    def _take_lock(self, cursor: Any) -> None:
        """Become the one writer, for the first time or again."""
        if self._epoch == 0:
            if not self._wait_lock(cursor, _KILLED_SECONDS):
                raise StorageError(f"{self.name} is in use by another job server")
            return
        if not self._lock(cursor):
            if self._latest_epoch(cursor) != self._epoch:
                raise StorageError(f"{self.name} is in use by another job server")
            # Nobody else has opened it, so our own connection has it, which is lost and not missed; or somebody who is
            # about to open it, and will be told that we have it.
            self._end_holder(cursor)
            if not self._wait_lock(cursor, _ENDED_SECONDS):
                raise StorageError(f"{self.name} is in use by another connection, which does not end")
        if self._latest_epoch(cursor) != self._epoch:
            raise StorageError(f"{self.name} has been used by another job server meanwhile")

    def _wait_lock(self, cursor: Any, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self._lock(cursor):
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    @contextmanager
    def _transaction(self, failure: str) -> Generator[Any]:
        with self._session(failure) as cursor:
            self._begin(self._db)
            yield cursor
            self._db.commit()

    @contextmanager
    def _session(self, failure: str) -> Generator[Any]:
        """The connection that holds the lock; made anew after a failure."""
        if self._owner is None:
            raise StorageError(f"{self.name} is not open")
        try:
            if self._db is None:
                self._db = self._connect()
                with self._db.cursor() as cursor:
                    self._take_lock(cursor)
                self._db.commit()
            with self._db.cursor() as cursor:
                yield cursor
        except StorageError:
            self._let_go()
            raise
        except Exception as exc:
            # A driver raises other things than it says where a connection breaks half-way; the job server must go on.
            self._disconnect()
            text = one_line(exc) if isinstance(exc, self._errors) else repr(exc)
            raise StorageError(f"{self.name} {failure}: {text}") from exc
        except BaseException:
            self._let_go()
            raise

    @contextmanager
    def _reading(self) -> Generator[Any]:
        """A connection of its own, without the lock."""
        try:
            db = self._connect()
            try:
                self._begin(db)
                with db.cursor() as cursor:
                    if not self._has_tables(cursor):
                        raise StorageError(
                            f"{self.name} holds no jobs of gearman_trio: it has no table {self._table}_meta"
                        )
                    see_readable(self.name, self._version(cursor), _SCHEMA)
                    yield cursor
            finally:
                db.close()
        except self._errors as exc:
            raise StorageError(f"{self.name} cannot be read: {one_line(exc)}") from exc

    def _let_go(self) -> None:
        """End a connection that works; the database may take a moment to see its end, which the lock need not wait."""
        if self._db is not None:
            with suppress(*self._errors):
                self._db.rollback()
                with self._db.cursor() as cursor:
                    self._unlock(cursor)
        self._disconnect()

    def _disconnect(self) -> None:
        self._last_handle = None
        if self._db is not None:
            # It may be broken; an open transaction is rolled back by the server.
            with suppress(Exception):
                self._db.close()
            self._db = None


def one_line(error: Exception) -> str:
    """The text of an error, each line of it once; PostgreSQL has hints below, and says twice that it is not there."""
    # PyMySQL gives a number and a text.
    text = f"{error.args[1]} ({error.args[0]})" if len(error.args) == 2 else str(error)
    lines = (line.strip() for line in text.splitlines())
    return "; ".join(dict.fromkeys(line for line in lines if line))
