"""Jobs in PostgreSQL, by psycopg 3. A batch is a few statements with arrays for parameters, whatever its size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from ..core import Batch, StoredJob
from .drivers import driver
from .registry import StoreURL
from .sql import COLUMNS, SQLStore
from .store import Durability

__all__ = ["PostgreSQLStore", "from_url"]

#: A row is held in memory by the server as a message of at most 1 GiB; hexadecimal it would take twice as much.
_MAX_WORKLOAD_BYTES: Final = 500_000_000

#: Rows to a statement: few enough for a reasonable size, enough that their number does not matter.
_ROWS: Final = 2000

#: What libpq is told where the URL does not say: not to wait for a server that is not there.
_PATIENCE: Final = {"connect_timeout": 5, "keepalives_idle": 10, "tcp_user_timeout": 15_000}

_TYPES: Final = "bigint, bytea, bytea, bytea, smallint, bytea, float8, bytea, integer, float8, boolean, text"


class PostgreSQLStore(SQLStore):
    """A store in PostgreSQL; see `store.Store` for the methods."""

    def __init__(self, conninfo: str, *, table: str = "gearman", durability: Durability = Durability.FULL) -> None:
        self._driver = driver("psycopg", "postgresql", conninfo)
        self._conninfo = conninfo
        self._durability = durability
        super().__init__(_without_password(conninfo), table)

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        # ValueError: what no parameter can hold.
        return (self._driver.Error, ValueError)

    def _connect(self) -> Any:
        info = self._driver.conninfo.conninfo_to_dict(self._conninfo)
        db = self._driver.connect(**{**_PATIENCE, "application_name": "gearman_trio", **info})
        if self._durability is not Durability.FULL:
            db.execute("SET synchronous_commit = off")
            db.commit()
        return db

    def _lock(self, cursor: Any) -> bool:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (f"gearman_trio {self._table}",))
        return bool(cursor.fetchone()[0])

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
    options = dict(url.options)
    table = options.pop("table", "gearman")
    conninfo = f"postgresql:{url.rest}" + (f"?{urlencode(options)}" if options else "")
    return PostgreSQLStore(conninfo, table=table, durability=url.durability)


def _without_password(conninfo: str) -> str:
    parts = urlsplit(conninfo)
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
