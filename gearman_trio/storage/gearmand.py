"""The queues of gearmand, to be read: jobs that a gearmand kept can be done by gearman_trio.

gearmand keeps the unique ID, the function, the priority, the workload and the time to run at, and nothing else (its
queue plugins); an empty workload is NULL there, at which gearmand itself fails to start.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from ..core import BadRow, StoredJob
from ..errors import ConfigError, StorageError
from .names import shown_url, table_name
from .registry import parse_url
from .rows import read_row

__all__ = ["SQLiteQueue", "gearmand_queue", "queue_row"]

_PREFIX: Final = "gearmand+"

#: The columns that every table of gearmand has, in the order that `queue_row` expects.
COLUMNS: Final = "unique_key, function_name, priority, data, when_to_run"


class SQLiteQueue:
    """The queue of ``gearmand -q libsqlite3``."""

    def __init__(self, path: str, table: str) -> None:
        self.name = f"the queue of gearmand in sqlite:{path}"
        self._path = path
        self._table = table_name(table)

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """Every row, in the order in which they were stored."""
        # Query parameters of SQLite's own URIs begin with a question mark, which a path may hold.
        uri = f"file:{quote(str(Path(self._path).absolute()))}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True)) as db:
                db.text_factory = bytes
                for row in db.execute(f"SELECT rowid, {COLUMNS} FROM {self._table} ORDER BY rowid"):
                    yield queue_row(row[0], row[1:])
        except sqlite3.Error as exc:
            raise StorageError(f"{self.name} cannot be read: {exc}") from exc


def gearmand_queue(url: str) -> SQLiteQueue | None:
    """The queue of a URL such as ``gearmand+sqlite:PATH?table=gearman_queue``; `None` where it is no such URL.

    Raises:
        ConfigError: it cannot be used.
    """
    if not url.startswith(_PREFIX):
        return None
    parsed = parse_url(url.removeprefix(_PREFIX))
    if parsed.scheme != "sqlite":
        raise ConfigError(f"store {shown_url(url)!r}: expected a URL that begins with {_PREFIX}sqlite:")
    return SQLiteQueue(parsed.rest, parsed.only(["table"]).get("table", "gearman_queue"))


def queue_row(number: int, values: Iterable[Any]) -> StoredJob | BadRow:
    """A row of gearmand, with the columns of `COLUMNS`; ``number`` names it where it is bad."""
    unique, function, priority, workload, run_at = values
    return read_row(
        (
            number,
            # There is no handle.
            b"",
            function,
            unique if unique is not None else b"",
            priority,
            workload if workload is not None else b"",
            run_at if run_at is not None else 0,
            b"",
            0,
            time.time(),
            1,
            "",
        )
    )
