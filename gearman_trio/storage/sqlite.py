"""Jobs in an SQLite file: the write-ahead log, one writer, statements of many rows.

Why many rows to a statement: Python lets other threads run during each step of SQLite and must then wait for its turn
again, up to five milliseconds where the event loop is busy.  A step for up to 2048 rows makes that rare.  The numbers
of rows are powers of two, so that there are few statements to keep, and few for any number of jobs.

`sqlite_tables` has the tables.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from typing import Any, Final, TypeVar

from ..core import BadRow, Batch, SpilledJob, StoredJob
from ..errors import ConfigError, StorageError
from .names import table_name
from .registry import StoreURL
from .rows import describe_row, read_row, read_spilled
from .sqlite_tables import COLUMNS, MIGRATIONS, SCHEMA, SPILLED_COLUMNS
from .store import Durability, QuarantinedRow, StoreInfo, StoreState
from .versions import see_readable, see_usable

__all__ = ["SQLiteStore", "from_url"]

_Item = TypeVar("_Item")

#: The most rows to a statement, a power of two. SQLite takes 32,766 parameters, and a row has thirteen.
_ROWS: Final = 2048

#: Rows that a replay reads at once, and how long their workloads may be together, but for the last.
_REPLAY_ROWS: Final = 4096
_REPLAY_BYTES: Final = 16 * 1024 * 1024
_REPLAYED_AT_ONCE: Final = 64

#: Workloads shorter than this are copied to have another type; see `_values`.
_COPIED_BYTES: Final = 16_384

#: SQLite's own limit on a row is 10**9 bytes; what is left is for the other columns.
_MAX_WORKLOAD_BYTES: Final = 999_000_000

#: How long a commit waits for other programs that have locked the file, in seconds.
_BUSY_SECONDS: Final = 5.0

#: Pages of 4 KiB that the write-ahead log may grow to before they are carried into the file itself.
_CHECKPOINT_PAGES: Final = 4000

_SYNCHRONOUS: Final = {Durability.FULL: "FULL", Durability.NORMAL: "NORMAL", Durability.OFF: "OFF"}


class SQLiteStore:
    """A store in a file of its own, which only one job server may have open; see `store.Store` for the methods."""

    def __init__(self, path: str, *, table: str = "gearman", durability: Durability = Durability.FULL) -> None:
        if not path:
            raise ConfigError("store: expected the path of a file after 'sqlite:'")
        if path == ":memory:":
            raise ConfigError(
                "store: sqlite::memory: would keep nothing; expected the path of a file, or memory: alone"
            )
        self.name = f"sqlite:{path}"
        self._path = path
        self._table = table_name(table)
        self._durability = durability
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        # Which file it is that is open.
        self._file: tuple[int, int] | None = None
        self._epoch = 0
        self._statements: dict[tuple[str, int], str] = {}
        # The last row that was there when it was opened.
        self._replay_end = 0

    def open(self, owner: str) -> StoreState:
        """See `Store.open`."""
        self._take_lock()
        try:
            with self._errors("cannot be opened"):
                self._db = self._connect(f"file:{_quoted(self._path)}?mode=rwc")
                self._file = self._present_file()
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[self._durability]}")
                self._db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
                with self._transaction() as db:
                    self._migrate(db)
                    self._epoch = 1 + (self._scalar(db, "SELECT max(epoch) FROM {t}_servers") or 0)
                    db.execute(self._sql("INSERT INTO {t}_servers VALUES (?, ?, ?)"), (self._epoch, owner, time.time()))
                self._replay_end = self._highest("jobs")
                return StoreState(
                    next_row=1 + max(self._replay_end, self._highest("quarantine")),
                    last_handle=self._scalar(self._db, "SELECT value FROM {t}_meta WHERE name = 'last_handle'") or 0,
                    epoch=self._epoch,
                    max_workload_bytes=_MAX_WORKLOAD_BYTES,
                )
        except BaseException:
            self.close()
            raise

    def commit(self, batch: Batch) -> None:
        """See `Store.commit`."""
        if self._db is not None and self._present_file() != self._file:
            # SQLite would go on with what nobody can open any more.
            raise StorageError(
                f"{self.name} could not be written: its file was removed or replaced; put it back, or start the server "
                "anew when its jobs are done"
            )
        with self._errors("could not be written"), self._transaction() as db:
            self._add(db, batch.adds)
            if batch.updates:
                db.executemany(
                    self._sql("UPDATE {t}_jobs SET attempts = ?, error = ? WHERE id = ?"),
                    [(update.attempts, update.error, update.row) for update in batch.updates],
                )
            for rows in _powers_of_two(batch.removes):
                db.execute(self._of_rows("DELETE FROM {t}_jobs WHERE id IN ({rows})", "?", len(rows)), rows)
            if batch.last_handle:
                db.execute(
                    self._sql(
                        "INSERT INTO {t}_meta VALUES ('last_handle', ?1)"
                        " ON CONFLICT (name) DO UPDATE SET value = max(value, ?1)"
                    ),
                    (batch.last_handle,),
                )

    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        """See `Store.replay`."""
        columns = SPILLED_COLUMNS if spill_bytes else f"{COLUMNS}, NULL"
        sql = self._sql(f"SELECT {columns} FROM {{t}}_jobs WHERE id > ?2 AND id <= ?3 ORDER BY id LIMIT ?4")
        last = 0
        while last < self._replay_end:
            with self._errors("could not be read"):
                rows = self._some(sql, (spill_bytes, last, self._replay_end, _REPLAY_ROWS))
            if not rows:
                return
            last = rows[-1][0]
            yield [read_spilled(row) for row in rows]

    def fetch(self, rows: Sequence[int]) -> dict[int, bytes]:
        """See `Store.fetch`."""
        found: dict[int, Any] = {}
        with self._errors("could not be read"):
            for some in _powers_of_two(rows):
                sql = self._of_rows("SELECT id, workload FROM {t}_jobs WHERE id IN ({rows})", "?", len(some))
                found.update(self._open_db.execute(sql, some).fetchall())
        return {row: workload for row, workload in found.items() if isinstance(workload, bytes)}

    def quarantine(self, rows: Sequence[BadRow]) -> None:
        """See `Store.quarantine`."""
        with self._errors("could not be written"), self._transaction() as db:
            for bad in rows:
                db.execute(
                    self._sql(
                        f"INSERT INTO {{t}}_quarantine SELECT {COLUMNS}, epoch, ?, ? FROM {{t}}_jobs WHERE id = ?"
                    ),
                    (bad.reason, time.time(), bad.row),
                )
                db.execute(self._sql("DELETE FROM {t}_jobs WHERE id = ?"), (bad.row,))

    def info(self) -> StoreInfo:
        """See `Store.info`."""
        with self._reading() as db:
            server = db.execute(self._sql("SELECT name, epoch FROM {t}_servers ORDER BY epoch DESC LIMIT 1")).fetchone()
            return StoreInfo(
                jobs=self._scalar(db, "SELECT count(*) FROM {t}_jobs") or 0,
                quarantined=self._scalar(db, "SELECT count(*) FROM {t}_quarantine") or 0,
                schema=self._version(db),
                owner="" if server is None else server[0],
                epoch=0 if server is None else server[1],
            )

    def quarantined(self) -> Iterator[QuarantinedRow]:
        """See `Store.quarantined`."""
        with self._reading() as db:
            for row in db.execute(self._sql(f"SELECT {COLUMNS}, reason FROM {{t}}_quarantine ORDER BY id")):
                yield QuarantinedRow(row=row[0], reason=row[-1], content=describe_row(row[1:-1]))

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """See `Store.rows`."""
        with self._reading() as db:
            for row in db.execute(self._sql(f"SELECT {COLUMNS} FROM {{t}}_jobs ORDER BY id")):
                yield read_row(row)

    def close(self) -> None:
        """See `Store.close`."""
        if self._db is not None:
            # What the last close of a full disk cannot do, the next open does.
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # Opening

    def _take_lock(self) -> None:
        """Become the one writer. SQLite's own locks are let go between two commits; this one is kept."""
        if os.path.isdir(self._path):
            raise StorageError(f"{self.name} cannot be opened: it is a folder; expected the path of a file")
        path = f"{self._path}-lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            raise StorageError(f"{self.name} cannot be opened: {path!r}: {exc.strerror}") from exc
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.read(lock, 20).decode("ascii", "replace").strip()
            os.close(lock)
            raise StorageError(
                f"{self.name} is in use by another job server{f', process {holder}' if holder else ''}; "
                "two servers cannot share one file"
            ) from exc
        os.ftruncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
        self._lock = lock

    def _present_file(self) -> tuple[int, int] | None:
        """Which file the path leads to now, `None` for none."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _migrate(self, db: sqlite3.Connection) -> None:
        version = self._version(db)
        see_usable(self.name, version, SCHEMA)
        if version == SCHEMA:
            return
        for steps in MIGRATIONS[version:]:
            for step in steps:
                db.execute(self._sql(step))
        db.execute(self._sql("INSERT OR REPLACE INTO {t}_meta VALUES ('schema', ?)"), (SCHEMA,))

    def _version(self, db: sqlite3.Connection) -> int:
        """The version of the tables that there are, 0 for none."""
        if self._scalar(db, "SELECT count(*) FROM sqlite_master WHERE name = '{t}_meta' COLLATE NOCASE") == 0:
            return 0
        return self._scalar(db, "SELECT value FROM {t}_meta WHERE name = 'schema'") or 0

    def _connect(self, uri: str) -> sqlite3.Connection:
        # Each call comes from whichever thread is free, never two at a time. Transactions are begun and ended here.
        return sqlite3.connect(
            uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64
        )

    # Reading and writing

    @property
    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise StorageError(f"{self.name} is not open")
        return self._db

    def _some(self, sql: str, parameters: Sequence[int]) -> list[tuple[Any, ...]]:
        """Rows up to a number of bytes: nobody knows how long the workloads are."""
        rows: list[tuple[Any, ...]] = []
        size = 0
        with closing(self._open_db.execute(sql, parameters)) as cursor:
            while size < _REPLAY_BYTES and (some := cursor.fetchmany(_REPLAYED_AT_ONCE)):
                rows += some
                size += sum([len(row[5]) for row in some if isinstance(row[5], bytes | str)])
        return rows

    def _add(self, db: sqlite3.Connection, jobs: Sequence[StoredJob]) -> None:
        one = f"({'?, ' * (len(StoredJob._fields))}?)"
        insert = f"INSERT OR REPLACE INTO {{t}}_jobs ({COLUMNS}, epoch) VALUES {{rows}}"
        for some in _powers_of_two(jobs):
            values = chain.from_iterable([_values(job, self._epoch) for job in some])
            db.execute(self._of_rows(insert, one, len(some)), list(values))

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        db = self._open_db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after some errors.
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        """A connection of its own, that changes nothing."""
        # Not read-only: a write-ahead log without a server may have to be carried over first.
        uri = f"file:{_quoted(self._path)}?mode=rw"
        with self._errors("cannot be read"), closing(self._connect(uri)) as db:
            db.execute("PRAGMA query_only = ON")
            version = self._version(db)
            if version == 0:
                raise StorageError(f"{self.name} holds no jobs of gearman_trio: it has no table {self._table}_meta")
            see_readable(self.name, version, SCHEMA)
            yield db

    @contextmanager
    def _errors(self, what: str) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError, TypeError) as exc:
            raise StorageError(f"{self.name} {what}: {exc}{self._hint(exc)}") from exc

    def _hint(self, error: Exception) -> str:
        """What SQLite does not say of an error, and a person must know."""
        if "unable to open" in str(error):
            if not os.path.exists(self._path):
                return "; there is no such file"
            return "; whoever opens it must be allowed to write to the file and to its folder"
        if "malformed" in str(error):
            return "; take a copy of it, and see what `sqlite3 FILE .recover` can save"
        return ""

    def _highest(self, kind: str) -> int:
        return self._scalar(self._open_db, f"SELECT max(id) FROM {{t}}_{kind}") or 0

    def _scalar(self, db: sqlite3.Connection, sql: str) -> int | None:
        row: tuple[Any, ...] | None = db.execute(self._sql(sql)).fetchone()
        return None if row is None else row[0]

    def _of_rows(self, sql: str, row: str, count: int) -> str:
        """A statement with the marks of so many rows. It is kept, since it may be long."""
        key = (sql, count)
        if key not in self._statements:
            self._statements[key] = self._sql(sql).replace("{rows}", ", ".join([row] * count))
        return self._statements[key]

    def _sql(self, sql: str) -> str:
        return sql.replace("{t}", self._table)


def from_url(url: StoreURL) -> SQLiteStore:
    """The store of ``sqlite:PATH``, with the option ``table``.

    Raises:
        ConfigError: there is no path, or an option is not known.
    """
    options = url.only(["table"])
    if url.rest.startswith("//") and not url.rest.startswith("///"):
        # What other programs take for a host, or for a path that begins here.
        path = url.rest.removeprefix("//")
        raise ConfigError(f"store {url.text!r}: expected sqlite:PATH, that is sqlite:{path} or sqlite:/{path}")
    return SQLiteStore(url.rest, table=options.get("table", "gearman"), durability=url.durability)


def _powers_of_two(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Parts of a sequence, in order, as few as there can be whose lengths are powers of two up to `_ROWS`."""
    start = 0
    while start < len(items):
        size = min(_ROWS, 1 << ((len(items) - start).bit_length() - 1))
        yield items[start : start + size]
        start += size


def _values(job: StoredJob, epoch: int) -> tuple[Any, ...]:
    """What is stored of a job, with `bytearray` for bytes.

    Python's module takes that as it is; of each `bytes` it asks whether it can be adapted to something else, which
    takes twice as long as everything else together.
    """
    row, handle, function, unique, priority, workload, run_at, reducer, attempts, created, background, error = job
    return (
        row,
        bytearray(handle),
        bytearray(function),
        bytearray(unique),
        priority,
        bytearray(workload) if len(workload) < _COPIED_BYTES else workload,
        run_at,
        bytearray(reducer),
        attempts,
        created,
        background,
        error,
        epoch,
    )


def _quoted(path: str) -> str:
    """A path as it stands in a URI."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
