"""Jobs in PostgreSQL, by psycopg 3.

A batch is one statement, with arrays for parameters, which is prepared once: so the server is waited for once, and a
client that waits for each job is answered soon.  It is given to libpq as it is, by what psycopg has for that, since a
cursor takes as long as the server does.  What is too large for that is copied, in a transaction of several statements.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from ..core import Batch, StoredJob
from ..errors import StorageError
from .drivers import driver
from .parameters import TYPES, Parameters, add_columns, add_number, add_numbers, add_row
from .places import ESCAPES, refuse, see_place, shown_place
from .registry import StoreURL
from .sql import COLUMNS, SQLStore, one_line
from .store import Durability

__all__ = ["PostgreSQLStore", "connect", "conninfo", "from_url", "without_password"]

#: A row is held in memory by the server as a message of at most 1 GiB; hexadecimal it would take twice as much.
_MAX_WORKLOAD_BYTES: Final = 500_000_000

#: What goes into one statement; the server has it in memory twice.
_MOST_ROWS: Final = 20_000
_MOST_BYTES: Final = 4_000_000

_FORM: Final = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"

#: libpq takes several, with commas between.
_HOST: Final = re.compile(r"(?:[^\[\]:]*|\[[^\]]*\])(?::\d*)?\Z")

#: What libpq is told where the URL does not say: not to wait for a server that is not there.
_PATIENCE: Final = {"connect_timeout": 5, "keepalives_idle": 10, "tcp_user_timeout": 15_000}

#: What the server is told for the other direction, in seconds, but for the count. It has no effect on Unix sockets.
_MISSED: Final = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 4}

#: The number of the lock: one for each table name of a schema. Names are not quoted, so their case means nothing.
_LOCK: Final = "hashtextextended('gearman_trio ' || coalesce(current_schema(), '') || '.' || lower(%s), 0)"

_DELETE: Final = "DELETE FROM {t}_jobs WHERE id = ANY(%s::bigint[])"

#: One worker does jobs in order, and the server walks along a range in half the time.
_DELETE_RANGE: Final = "DELETE FROM {t}_jobs WHERE id BETWEEN %s::bigint AND %s::bigint"

_KEEP: Final = (
    "INSERT INTO {t}_meta VALUES (%s::text, %s::bigint) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)

_INSERT_ONE: Final = (
    f"INSERT INTO {{t}}_jobs (epoch, {COLUMNS}) VALUES (%s::bigint, {', '.join(f'%s::{kind}' for kind in TYPES)})"
)
_INSERT: Final = (
    f"INSERT INTO {{t}}_jobs (epoch, {COLUMNS})"
    f" SELECT %s::bigint, * FROM unnest({', '.join(f'%s::{kind}[]' for kind in TYPES)})"
)

#: Not where many are inserted: it takes a quarter longer, and the rows are hardly ever there.
_REPLACING: Final = " ON CONFLICT (id) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in [*COLUMNS.split(", ")[1:], "epoch"]
)


#: What leaves nothing but to walk along the key.
_IN_ORDER: Final = "; ".join(f"SET LOCAL enable_{way} = off" for way in ("seqscan", "bitmapscan", "sort"))


class PostgreSQLStore(SQLStore):
    """A store in PostgreSQL; see `store.Store` for the methods."""

    def __init__(self, conninfo: str, *, table: str = "gearman", durability: Durability = Durability.FULL) -> None:
        self._driver = driver("psycopg", "postgresql", conninfo)
        self._conninfo = conninfo
        self._durability = durability
        # The names of the statements that a connection has prepared, by their parts, and which connection that is.
        self._prepared: dict[tuple[str, ...], bytes] = {}
        self._prepared_by: Any = None
        super().__init__(without_password(conninfo), table)

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        # ValueError: what no parameter can hold.
        return (self._driver.Error, ValueError)

    def _connect(self) -> Any:
        db = connect(self._driver, self._conninfo)
        # So that it misses a machine that has gone in half a minute, and others may have the store.
        for setting, value in _MISSED.items():
            db.execute(f"SET {setting} = {value}")
        if self._durability is not Durability.FULL:
            db.execute("SET synchronous_commit = off")
        db.commit()
        return db

    def _begin(self, db: Any) -> None:
        # psycopg does, with the first statement.
        pass

    def _lock(self, cursor: Any) -> bool:
        cursor.execute(f"SELECT pg_try_advisory_lock({_LOCK})", (self._table,))
        return bool(cursor.fetchone()[0])

    def _unlock(self, cursor: Any) -> None:
        cursor.execute("SELECT pg_advisory_unlock_all()")

    def _end_holder(self, cursor: Any) -> None:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            f" AND (classid::bigint << 32) | objid::bigint = {_LOCK}",
            (self._table,),
        )

    def _has_tables(self, cursor: Any) -> bool:
        cursor.execute("SELECT to_regclass(%s)", (f"{self._table}_meta",))
        return cursor.fetchone()[0] is not None

    def _walk(self, cursor: Any) -> None:
        # Until it has counted the rows, some time after they came, it takes them for few, and would sort all of them
        # again and again.
        cursor.execute(_IN_ORDER)

    def _create(self) -> list[str]:
        columns = """handle bytea, function bytea, unique_id bytea, priority smallint, workload bytea, run_at float8,
            reducer bytea, attempts integer, created float8, background boolean, error text, epoch bigint"""
        return [
            f"CREATE TABLE IF NOT EXISTS {{t}}_jobs (id bigint PRIMARY KEY, {columns})",
            # A blob that does not compress is not worth trying to; most workloads are small anyway.
            "ALTER TABLE {t}_jobs ALTER COLUMN workload SET STORAGE EXTERNAL",
            f"CREATE TABLE IF NOT EXISTS {{t}}_quarantine (id bigint, {columns}, reason text, since float8)",
            "CREATE TABLE IF NOT EXISTS {t}_servers (epoch bigint PRIMARY KEY, name text, opened float8)",
            "CREATE TABLE IF NOT EXISTS {t}_meta (name text PRIMARY KEY, value bigint)",
        ]

    def _write(self, cursor: Any, batch: Batch, last_handle: int | None) -> None:
        for job in batch.adds:
            if not isinstance(job.workload, bytes):
                raise StorageError(f"{self.name} could not be written: workload: expected bytes, got {job.workload!r}")
        if self._fits_one(batch):
            # An earlier read may have begun a transaction.
            self._db.commit()
            try:
                self._write_at_once(batch, last_handle, replacing=len(batch.adds) == 1)
            except self._driver.errors.UniqueViolation:
                # An earlier commit, which was thought to have failed, has stored some of it.
                self._write_at_once(batch, last_handle, replacing=True)
            return
        try:
            super()._write(cursor, batch, last_handle)
        except self._driver.errors.UniqueViolation:
            # As above.
            self._db.rollback()
            self._remove(cursor, [job.row for job in batch.adds])
            super()._write(cursor, batch, last_handle)

    def _fits_one(self, batch: Batch) -> bool:
        """Whether a batch can be stored by one statement, no part of which sees what another one does."""
        adds = batch.adds
        if batch.updates or len(adds) > _MOST_ROWS or sum([len(job.workload) for job in adds]) > _MOST_BYTES:
            return False
        return not adds or not batch.removes or {job.row for job in adds}.isdisjoint(batch.removes)

    def _write_at_once(self, batch: Batch, last_handle: int | None, *, replacing: bool) -> None:
        """Store a batch without updates by one statement, the text of which depends on what kinds there are."""
        parts: list[str] = []
        parameters = Parameters()
        if batch.removes:
            rows = sorted(set(batch.removes))
            if rows[-1] - rows[0] == len(rows) - 1:
                parts.append(_DELETE_RANGE)
                add_number(parameters, rows[0])
                add_number(parameters, rows[-1])
            else:
                parts.append(_DELETE)
                add_numbers(parameters, rows)
        if last_handle is not None:
            parts.append(_KEEP)
            parameters.add(b"last_handle")
            add_number(parameters, last_handle)
        if batch.adds:
            add_number(parameters, self._epoch)
            encoding = self._db.info.encoding
            if len(batch.adds) == 1:
                insert = _INSERT_ONE
                add_row(parameters, batch.adds[0], encoding)
            else:
                insert = _INSERT
                add_columns(parameters, batch.adds, encoding)
            parts.append(insert + _REPLACING if replacing else insert)
        self._execute(tuple(parts), parameters)

    def _execute(self, parts: tuple[str, ...], parameters: Parameters) -> None:
        """Execute a statement of parts, each of which is one by itself."""
        libpq = self._db.pgconn
        if self._prepared_by is not libpq:
            self._prepared = {}
            self._prepared_by = libpq
        name = self._prepared.get(parts)
        if name is None:
            name = b"gearman_%d" % len(self._prepared)
            self._check(libpq.prepare(name, self._one_statement(parts).encode("ascii")))
            self._prepared[parts] = name
        self._check(libpq.exec_prepared(name, parameters.values, parameters.formats))

    def _one_statement(self, parts: Sequence[str]) -> str:
        *others, last = parts
        named = ", ".join(f"part{number} AS ({part})" for number, part in enumerate(others))
        pieces = self._sql(f"WITH {named} {last}" if others else last).split("%s")
        numbers = count(1)
        return pieces[0] + "".join([f"${next(numbers)}{piece}" for piece in pieces[1:]])

    def _check(self, result: Any) -> None:
        """Raise what a result says went wrong."""
        if result.status == self._driver.pq.ExecStatus.COMMAND_OK:
            return
        errors = self._driver.errors
        unique = (
            result.error_field(self._driver.pq.DiagnosticField.SQLSTATE) == errors.UniqueViolation.sqlstate.encode()
        )
        kind = errors.UniqueViolation if unique else self._driver.OperationalError
        raise kind(self._driver.pq.error_message(result))

    def _add(self, cursor: Any, jobs: Sequence[StoredJob]) -> None:
        with cursor.copy(self._sql(f"COPY {{t}}_jobs ({COLUMNS}, epoch) FROM STDIN (FORMAT BINARY)")) as copy:
            copy.set_types([*TYPES, "bigint"])
            for job in jobs:
                copy.write_row((*job, self._epoch))

    def _update(self, cursor: Any, batch: Batch) -> None:
        cursor.executemany(
            self._sql("UPDATE {t}_jobs SET attempts = %s, error = %s WHERE id = %s"),
            [(update.attempts, update.error, update.row) for update in batch.updates],
        )

    def _remove(self, cursor: Any, rows: Sequence[int]) -> None:
        cursor.execute(self._sql(_DELETE), ([*rows],))

    def _set_meta(self, cursor: Any, name: str, value: int) -> None:
        cursor.execute(self._sql(_KEEP), (name, value))

    def _max_workload_bytes(self, cursor: Any) -> int:
        return _MAX_WORKLOAD_BYTES


def from_url(url: StoreURL) -> PostgreSQLStore:
    """The store of ``postgresql://...``; the option ``table`` is ours, all others are libpq's.

    Raises:
        ConfigError: it cannot be used, or psycopg is not installed.
    """
    table = url.options.get("table", "gearman")
    return PostgreSQLStore(conninfo(url), table=table, durability=url.durability)


def conninfo(url: StoreURL) -> str:
    """What libpq is to be told for a URL.

    Raises:
        ConfigError: libpq would not take it, or psycopg is not installed.
    """
    see_place(url, _FORM, "/@")
    hosts = url.rest.removeprefix("//").rpartition("@")[2].partition("/")[0].split(",")
    if not all(map(_HOST.match, hosts)):
        refuse(url, f"expected {_FORM}; {ESCAPES}")
    options = {name: value for name, value in url.options.items() if name != "table"}
    # libpq knows no other name of a blank than %20.
    text = f"postgresql:{url.rest}" + (f"?{urlencode(options, quote_via=quote)}" if options else "")
    psycopg = driver("psycopg", "postgresql", url.text)
    try:
        psycopg.conninfo.conninfo_to_dict(text)
    except psycopg.Error as exc:
        refuse(url, one_line(exc))
    return text


def without_password(conninfo: str) -> str:
    """The URL of a database, without who logs in, and of its options with those alone that say where it is."""
    options = parse_qsl(conninfo.partition("?")[2])
    where = [(name, value) for name, value in options if name in {"host", "hostaddr", "port", "dbname"}]
    return shown_place(conninfo, "postgresql") + (f"?{urlencode(where, safe='/')}" if where else "")


def connect(driver: Any, conninfo: str) -> Any:
    """A new connection of psycopg."""
    info = driver.conninfo.conninfo_to_dict(conninfo)
    return driver.connect(**{**_PATIENCE, "application_name": "gearman_trio", **info})
