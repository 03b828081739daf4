"""Jobs in PostgreSQL, by psycopg 3. A batch is a few statements with arrays for parameters, whatever its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from ..core import Batch, StoredJob
from .drivers import driver
from .registry import StoreURL
from .sql import COLUMNS, SQLStore
from .store import Durability

__all__ = ["PostgreSQLStore", "connect", "conninfo", "from_url", "without_password"]

#: A row is held in memory by the server as a message of at most 1 GiB; hexadecimal it would take twice as much.
_MAX_WORKLOAD_BYTES: Final = 500_000_000

#: Rows to a statement: few enough for a reasonable size, enough that their number does not matter.
_ROWS: Final = 2000

#: What libpq is told where the URL does not say: not to wait for a server that is not there.
_PATIENCE: Final = {"connect_timeout": 5, "keepalives_idle": 10, "tcp_user_timeout": 15_000}

#: What the server is told for the other direction, in seconds, but for the count. It has no effect on Unix sockets.
_MISSED: Final = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 4}

_TYPES: Final = "bigint, bytea, bytea, bytea, smallint, bytea, float8, bytea, integer, float8, boolean, text"


class PostgreSQLStore(SQLStore):
    """A store in PostgreSQL; see `store.Store` for the methods."""

    def __init__(self, conninfo: str, *, table: str = "gearman", durability: Durability = Durability.FULL) -> None:
        self._driver = driver("psycopg", "postgresql", conninfo)
        self._conninfo = conninfo
        self._durability = durability
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

    def _lock(self, cursor: Any) -> bool:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (f"gearman_trio {self._table}",))
        return bool(cursor.fetchone()[0])

    def _unlock(self, cursor: Any) -> None:
        cursor.execute("SELECT pg_advisory_unlock_all()")

    def _end_holder(self, cursor: Any) -> None:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0)",
            (f"gearman_trio {self._table}",),
        )

    def _has_tables(self, cursor: Any) -> bool:
        cursor.execute("SELECT to_regclass(%s)", (f"{self._table}_meta",))
        return cursor.fetchone()[0] is not None

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

    def _add(self, cursor: Any, jobs: Sequence[StoredJob]) -> None:
        names = COLUMNS.split(", ")
        arrays = ", ".join(f"%s::{kind}[]" for kind in _TYPES.split(", "))
        replaced = ", ".join(f"{name} = excluded.{name}" for name in [*names[1:], "epoch"])
        sql = self._sql(
            f"INSERT INTO {{t}}_jobs ({COLUMNS}, epoch) SELECT *, %s::bigint FROM unnest({arrays})"
            f" ON CONFLICT (id) DO UPDATE SET {replaced}"
        )
        for start in range(0, len(jobs), _ROWS):
            columns = [list(column) for column in zip(*jobs[start : start + _ROWS], strict=True)]
            cursor.execute(sql, (self._epoch, *columns), binary=False)

    def _update(self, cursor: Any, batch: Batch) -> None:
        cursor.executemany(
            self._sql("UPDATE {t}_jobs SET attempts = %s, error = %s WHERE id = %s"),
            [(update.attempts, update.error, update.row) for update in batch.updates],
        )

    def _remove(self, cursor: Any, rows: Sequence[int]) -> None:
        cursor.execute(self._sql("DELETE FROM {t}_jobs WHERE id = ANY(%s::bigint[])"), (list(rows),))

    def _set_meta(self, cursor: Any, name: str, value: int) -> None:
        cursor.execute(
            self._sql("INSERT INTO {t}_meta VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"),
            (name, value),
        )

    def _max_workload_bytes(self, cursor: Any) -> int:
        return _MAX_WORKLOAD_BYTES


def from_url(url: StoreURL) -> PostgreSQLStore:
    """The store of ``postgresql://...``; the option ``table`` is ours, all others are libpq's.

    Raises:
        ConfigError: psycopg is not installed.
    """
    table = url.options.get("table", "gearman")
    return PostgreSQLStore(conninfo(url), table=table, durability=url.durability)


def conninfo(url: StoreURL) -> str:
    """What libpq is to be told for a URL."""
    options = {name: value for name, value in url.options.items() if name != "table"}
    # libpq knows no other name of a blank than %20.
    return f"postgresql:{url.rest}" + (f"?{urlencode(options, quote_via=quote)}" if options else "")


def without_password(conninfo: str) -> str:
    """The URL of a database, without who logs in."""
    parts = urlsplit(conninfo)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


def connect(driver: Any, conninfo: str) -> Any:
    """A new connection of psycopg."""
    info = driver.conninfo.conninfo_to_dict(conninfo)
    return driver.connect(**{**_PATIENCE, "application_name": "gearman_trio", **info})
