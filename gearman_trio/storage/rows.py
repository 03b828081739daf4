"""From a row of a database to a job, or to the reason why it is none: whoever wrote it may have been anybody."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, Final

from ..core import BadRow, SpilledJob, StoredJob

__all__ = ["describe_row", "is_usual", "read_gearmand_row", "read_row", "read_spilled", "rows_at_once"]

#: Of each field of `StoredJob`: its types, and what to call them.
_TYPES: Final[list[tuple[str, tuple[type, ...], str]]] = [
    ("row", (int,), "a whole number"),
    ("handle", (bytes,), "bytes"),
    ("function", (bytes,), "bytes"),
    ("unique ID", (bytes,), "bytes"),
    ("priority", (int,), "a whole number"),
    ("workload", (bytes,), "bytes"),
    ("run_at", (int, float), "a number"),
    ("reducer", (bytes,), "bytes"),
    ("attempts", (int,), "a whole number"),
    ("created", (int, float), "a number"),
    ("background", (int,), "0 or 1"),
    ("error", (str,), "text"),
]

#: The first type of each; SQLite and MySQL have no other truth than 0 and 1.
_USUAL: Final = [(int, bytes, bytes, bytes, int, bytes, float, bytes, int, float, truth, str) for truth in (int, bool)]

_WRITTEN: Final = _USUAL[1]

_SHOWN: Final = 60

#: How much a replay may read at once.
_AT_ONCE_BYTES: Final = 16 * 1024 * 1024


def is_usual(job: StoredJob) -> bool:
    """Whether each field has exactly its type, and no number is infinite: so it is with nearly every job."""
    return tuple(map(type, job)) == _WRITTEN and isfinite(job.run_at) and isfinite(job.created)


def read_row(row: Sequence[Any]) -> StoredJob | BadRow:
    """A row with the columns of `StoredJob`, in that order; its first is a whole number."""
    # A million of them come back at a start, nearly all with just these types.
    if tuple(map(type, row)) not in _USUAL:
        for value, (name, types, expected) in zip(row, _TYPES, strict=True):
            if not isinstance(value, types):
                return BadRow(row[0], f"{name}: expected {expected}, got {_shown(value)}")
    job = StoredJob._make((*row[:10], bool(row[10]), row[11]))
    if not 0 <= job.priority <= 2:
        return BadRow(job.row, f"priority: expected 0, 1 or 2, got {job.priority}")
    if job.attempts < 0:
        return BadRow(job.row, f"attempts: expected 0 or more, got {job.attempts}")
    if not isfinite(job.run_at):
        return BadRow(job.row, f"run_at: expected epoch seconds, got {job.run_at}")
    return job


def read_spilled(row: Sequence[Any]) -> StoredJob | SpilledJob | BadRow:
    """A row as for `read_row`, and behind it the length of the workload where that was left out, else ``None``."""
    size = row[-1]
    if size is None:
        return read_row(row[:-1])
    job = read_row((*row[:5], b"", *row[6:-1]))
    return SpilledJob(job, int(size)) if isinstance(job, StoredJob) else job


def rows_at_once(most: int, spill_bytes: int) -> int:
    """How many rows to read so that workloads of this length do not fill the memory."""
    return max(1, min(most, _AT_ONCE_BYTES // spill_bytes))


def read_gearmand_row(number: int, values: Iterable[Any]) -> StoredJob | BadRow:
    """A row of gearmand: unique ID, function, priority, workload, time to run at. ``number`` names it where it is bad.

    gearmand has no handles, and keeps an empty workload as NULL, at which it then fails to start itself.
    """
    # MySQL and PostgreSQL have it as text, in the encoding of the connection, which is UTF-8.
    unique, function, priority, workload, run_at = (
        value.encode() if isinstance(value, str) else value for value in values
    )
    if isinstance(run_at, int) and run_at < 0:
        # Its column for MySQL has 32 bits with a sign, and gearmand writes 32 bits without one.
        run_at += 2**32
    row = read_row(
        (
            number,
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
    # Its number is no name by which a person could find it.
    return (
        row if isinstance(row, StoredJob) else row._replace(reason=f"{row.reason}; {_gearmand_key(unique, function)}")
    )


def describe_row(values: Sequence[Any]) -> str:
    """What a row holds, but for its number, in one line."""
    return ", ".join(f"{name}={_shown(value)}" for value, (name, _, _) in zip(values, _TYPES[1:], strict=True))


def _gearmand_key(unique: object, function: object) -> str:
    """What a row of gearmand is found by."""
    return f"unique_key={_shown(unique)}, function_name={_shown(function)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
