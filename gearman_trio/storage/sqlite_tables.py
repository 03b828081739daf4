"""The tables in an SQLite file.

Why the workload is the last column: what stands behind a long one is found only by reading all of it.

THE TABLES ARE DESCRIBED in docs/reference/storage.md, for people who look into the file.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COLUMNS", "MIGRATIONS", "SCHEMA", "SPILLED_COLUMNS"]

#: The version of the tables; `MIGRATIONS` leads to it.
SCHEMA: Final = 1

#: One step each, from the version that is its index; ``{t}`` is the table name. Never change one that was released.
MIGRATIONS: Final[list[list[str]]] = [
    [
        """CREATE TABLE {t}_jobs (
            id INTEGER PRIMARY KEY, handle BLOB, function BLOB, unique_id BLOB, priority INTEGER, run_at REAL,
            reducer BLOB, attempts INTEGER, created REAL, background INTEGER, error TEXT, epoch INTEGER,
            workload BLOB)""",
        """CREATE TABLE {t}_quarantine (
            id INTEGER, handle, function, unique_id, priority, workload, run_at, reducer, attempts, created, background,
            error, epoch INTEGER, reason TEXT, since REAL)""",
        "CREATE TABLE {t}_servers (epoch INTEGER PRIMARY KEY, name TEXT, opened REAL)",
        "CREATE TABLE {t}_meta (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID",
    ],
]

COLUMNS: Final = (
    "id, handle, function, unique_id, priority, workload, run_at, reducer, attempts, created, background, error"
)

#: Of a replay that leaves long workloads in the file: the workload or NULL, and how long it is where it is left.
_LONG: Final = "typeof(workload) = 'blob' AND length(workload) > ?1 AND unique_id <> x'2d'"
SPILLED_COLUMNS: Final = (
    COLUMNS.replace("workload", f"CASE WHEN {_LONG} THEN NULL ELSE workload END")
    + f", CASE WHEN {_LONG} THEN length(workload) END"
)
