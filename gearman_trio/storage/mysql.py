"""Jobs in MySQL or MariaDB, by PyMySQL. What a commit survives is a setting of that server, not of this store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from ..core import Batch, StoredJob
from ..errors import ConfigError, StorageError
from .drivers import driver
from .names import shown_url
from .registry import StoreURL
from .sql import COLUMNS, SQLStore

__all__ = ["MySQLStore", "connect_arguments", "from_url", "shown_name"]

#: How long a server that is not there is waited for, and one that does not answer, in seconds.
_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 60

#: The name of the lock, which is one for the whole server, so that of the database belongs into it.
_LOCK: Final = "CONCAT('gearman ', MD5(CONCAT(DATABASE(), '.', %s)))"

#: Rows to a statement that deletes.
_ROWS: Final = 1000

#: So much goes to the server as one text of several statements.
_FEW_ROWS: Final = 32
_FEW_BYTES: Final = 65_536

#: Of a packet, for the other columns and the statement.
_ROOM_BYTES: Final = 65_536


class MySQLStore(SQLStore):
    """A store in MySQL or MariaDB; see `store.Store` for the methods."""

    def __init__(self, name: str, *, table: str = "gearman", **arguments: Any) -> None:
        self._driver = driver("pymysql", "mysql", name)
        self._arguments = arguments
        super().__init__(name, table)

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        # The others: what it cannot write into SQL, and what a connection raises that was lost half-way.
        return (self._driver.err.Error, TypeError, AttributeError, OSError)

    def _connect(self) -> Any:
        flag = self._driver.constants.CLIENT.MULTI_STATEMENTS
        return self._driver.connect(client_flag=flag, **self._arguments)

    def _lock(self, cursor: Any) -> bool:
        cursor.execute(f"SELECT GET_LOCK({_LOCK}, 0)", (self._table,))
        return bool(cursor.fetchone()[0] == 1)

    def _unlock(self, cursor: Any) -> None:
        cursor.execute(f"SELECT RELEASE_LOCK({_LOCK})", (self._table,))

    def _end_holder(self, cursor: Any) -> None:
        cursor.execute(f"SELECT IS_USED_LOCK({_LOCK})", (self._table,))
        (holder,) = cursor.fetchone()
        if holder is not None:
            try:
                cursor.execute("KILL %s", (holder,))
            except self._driver.err.OperationalError:
                # It has ended by itself; and if it was not that, it keeps the lock.
                cursor.execute("SELECT 1")

    def _has_tables(self, cursor: Any) -> bool:
        cursor.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
            (f"{self._table}_meta",),
        )
        return bool(cursor.fetchone()[0])

    def _create(self) -> list[str]:
        columns = """handle BLOB, `function` BLOB, unique_id BLOB, priority INT, workload LONGBLOB, run_at DOUBLE,
            reducer BLOB, attempts INT, created DOUBLE, background TINYINT, error TEXT, epoch BIGINT"""
        end = "ENGINE = InnoDB CHARACTER SET utf8mb4"
        return [
            f"CREATE TABLE IF NOT EXISTS {{t}}_jobs (id BIGINT PRIMARY KEY, {columns}) {end}",
            f"CREATE TABLE IF NOT EXISTS {{t}}_quarantine (id BIGINT, {columns}, reason TEXT, since DOUBLE) {end}",
            f"CREATE TABLE IF NOT EXISTS {{t}}_servers (epoch BIGINT PRIMARY KEY, name TEXT, opened DOUBLE) {end}",
            f"CREATE TABLE IF NOT EXISTS {{t}}_meta (name VARCHAR(40) PRIMARY KEY, value BIGINT) {end}",
        ]

    def _write(self, cursor: Any, batch: Batch, last_handle: int | None) -> None:
        if batch.updates or len(batch.adds) + len(batch.removes) > _FEW_ROWS:
            super()._write(cursor, batch, last_handle)
            return
        if sum([len(job.workload) for job in batch.adds]) > _FEW_BYTES:
            super()._write(cursor, batch, last_handle)
            return
        # Statements and commit go to the server as one, and it is waited for once: that is how soon a client that
        # waits for each job is answered.
        together = _Statements(cursor)
        if batch.adds:
            self._add(together, batch.adds)
        if batch.removes:
            self._remove(together, batch.removes)
        if last_handle is not None:
            self._set_meta(together, "last_handle", last_handle)
        cursor.execute("; ".join([*together.texts, "COMMIT"]))
        while cursor.nextset():
            pass

    def _add(self, cursor: Any, jobs: Sequence[StoredJob]) -> None:
        for job in jobs:
            # PyMySQL would write the text of any object.
            if not isinstance(job.workload, bytes):
                raise StorageError(f"{self.name} could not be written: workload: expected bytes, got {job.workload!r}")
        # One statement for many rows, up to a megabyte or one row: so does `executemany` with VALUES at the end.
        marks = ", ".join(["%s"] * (len(StoredJob._fields) + 1))
        cursor.executemany(
            self._sql(f"REPLACE INTO {{t}}_jobs ({COLUMNS}, epoch) VALUES ({marks})"),
            [(*job, self._epoch) for job in jobs],
        )

    def _update(self, cursor: Any, batch: Batch) -> None:
        cursor.executemany(
            self._sql("UPDATE {t}_jobs SET attempts = %s, error = %s WHERE id = %s"),
            [(update.attempts, update.error, update.row) for update in batch.updates],
        )

    def _remove(self, cursor: Any, rows: Sequence[int]) -> None:
        for start in range(0, len(rows), _ROWS):
            some = tuple(rows[start : start + _ROWS])
            cursor.execute(self._sql(f"DELETE FROM {{t}}_jobs WHERE id IN ({', '.join(['%s'] * len(some))})"), some)

    def _set_meta(self, cursor: Any, name: str, value: int) -> None:
        cursor.execute(self._sql("REPLACE INTO {t}_meta VALUES (%s, %s)"), (name, value))

    def _max_workload_bytes(self, cursor: Any) -> int:
        # A byte may take two in a statement.
        cursor.execute("SELECT @@max_allowed_packet")
        return (int(cursor.fetchone()[0]) - _ROOM_BYTES) // 2


class _Statements:
    """In the place of a cursor: keeps the texts of statements that are to be executed together."""

    def __init__(self, cursor: Any) -> None:
        self.texts: list[str] = []
        self._cursor = cursor

    def execute(self, sql: str, parameters: Sequence[Any]) -> None:
        """As that of a cursor."""
        self.texts.append(self._cursor.mogrify(sql, parameters))

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]]) -> None:
        """As that of a cursor."""
        for row in parameters:
            self.execute(sql, row)


def from_url(url: StoreURL) -> MySQLStore:
    """The store of ``mysql://user:password@host:port/database``, with the options ``table`` and ``unix_socket``.

    Raises:
        ConfigError: it names no database, or PyMySQL is not installed.
    """
    arguments = connect_arguments(url)
    return MySQLStore(shown_name(arguments), table=url.options.get("table", "gearman"), **arguments)


def connect_arguments(url: StoreURL) -> dict[str, Any]:
    """What PyMySQL is to be called with for a URL.

    Raises:
        ConfigError: it names no database, or has an option that is not known.
    """
    options = url.only(["table", "unix_socket"])
    try:
        parts = urlsplit(f"mysql:{url.rest}")
        port = parts.port or 3306
    except ValueError as exc:
        raise ConfigError(f"store {shown_url(url.text)!r}: {exc}") from exc
    database = unquote(parts.path.removeprefix("/"))
    if not database:
        raise ConfigError(
            f"store: expected mysql://USER:PASSWORD@HOST/DATABASE, got no database for {parts.hostname!r}"
        )
    arguments: dict[str, Any] = {
        "host": parts.hostname or "127.0.0.1",
        "port": port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": database,
        "charset": "utf8mb4",
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _ANSWER_SECONDS,
        "write_timeout": _ANSWER_SECONDS,
    }
    if "unix_socket" in options:
        arguments["unix_socket"] = options["unix_socket"]
    return arguments


def shown_name(arguments: dict[str, Any]) -> str:
    """The URL of a database, without who logs in."""
    return f"mysql://{arguments['host']}:{arguments['port']}/{arguments['database']}"
