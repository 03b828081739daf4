"""The tables of gearmand, to be read, in SQLite, MySQL and PostgreSQL.

None has a column for the order. SQLite numbers its rows; the others give them in the order in which they are on disk,
which is that of their insertion but for gaps that later rows have filled.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ..core import BadRow, StoredJob
from ..errors import StorageError
from .drivers import driver
from .mysql import connect as connect_mysql
from .mysql import connect_arguments, shown_name
from .names import table_name
from .postgresql import connect, conninfo, without_password
from .registry import StoreURL
from .rows import read_gearmand_row
from .sql import one_line

__all__ = ["GearmandTable", "mysql_queue", "postgresql_queue", "sqlite_queue"]

#: The columns that every table of gearmand has, in the order that `read_gearmand_row` expects.
_COLUMNS: Final = "unique_key, function_name, priority, data, when_to_run"


class GearmandTable:
    """The queue of ``gearmand -q libsqlite3``, ``mysql`` or ``postgres``.

    Args:
        name: the URL of the database, without a password.
        connect: makes a connection of the DB-API.
        cursor: gives a cursor of it that does not fetch all rows at once.
        query: selects a number for each row, if it has one of its own, and then `_COLUMNS`.
        errors: what the driver raises.
    """

    def __init__(
        self,
        name: str,
        *,
        connect: Callable[[], Any],
        cursor: Callable[[Any], Any],
        query: str,
        errors: tuple[type[Exception], ...],
    ) -> None:
        self.name = f"the queue of gearmand in {name}"
        self._connect = connect
        self._cursor = cursor
        self._query = query
        self._errors = errors

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """Every row, in the order in which the database has them."""
        with self._reading() as db, closing(self._cursor(db)) as cursor:
            cursor.execute(self._query)
            for number, row in enumerate(cursor, 1):
                yield read_gearmand_row(number, row)

    @contextmanager
    def _reading(self) -> Generator[Any]:
        try:
            with closing(self._connect()) as db:
                yield db
        except self._errors as exc:
            raise StorageError(f"{self.name} cannot be read: {one_line(exc)}") from exc


def sqlite_queue(url: StoreURL) -> GearmandTable:
    """The queue of ``gearmand -q libsqlite3``.

    Raises:
        ConfigError: the URL cannot be used.
    """
    table = table_name(url.only(["table"]).get("table", "gearman_queue"))
    # Query parameters of SQLite's own URIs begin with a question mark, which a path may hold.
    uri = f"file:{quote(str(Path(url.rest).absolute()))}?mode=ro"

    def connect() -> sqlite3.Connection:
        db = sqlite3.connect(uri, uri=True)
        db.text_factory = bytes
        return db

    return GearmandTable(
        f"sqlite:{url.rest}",
        connect=connect,
        cursor=sqlite3.Connection.cursor,
        query=f"SELECT {_COLUMNS} FROM {table} ORDER BY rowid",
        errors=(sqlite3.Error,),
    )


def mysql_queue(url: StoreURL) -> GearmandTable:
    """The queue of ``gearmand -q mysql``.

    Raises:
        ConfigError: the URL cannot be used, or PyMySQL is not installed.
    """
    pymysql = driver("pymysql", "mysql", url.text)
    cursors = driver("pymysql.cursors", "mysql", url.text)
    arguments = connect_arguments(url)
    table = table_name(url.options.get("table", "gearman_queue"))
    return GearmandTable(
        shown_name(arguments),
        connect=lambda: connect_mysql(pymysql, **arguments),
        cursor=cursors.SSCursor,
        query=f"SELECT {_COLUMNS} FROM {table}",
        errors=(pymysql.err.Error, OSError),
    )


def postgresql_queue(url: StoreURL) -> GearmandTable:
    """The queue of ``gearmand -q postgres``.

    Raises:
        ConfigError: the URL cannot be used, or psycopg is not installed.
    """
    psycopg = driver("psycopg", "postgresql", url.text)
    table = table_name(url.options.get("table", "queue"))
    where = conninfo(url)
    return GearmandTable(
        without_password(where),
        connect=lambda: connect(psycopg, where),
        cursor=lambda db: db.cursor(name="gearmand"),
        query=f"SELECT {_COLUMNS} FROM {table}",
        errors=(psycopg.Error,),
    )
