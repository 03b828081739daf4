"""From a row of a database to a job, or to the reason why it is none: whoever wrote it may have been anybody."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

from ..core import BadRow, SpilledJob, StoredJob

__all__ = ["describe_row", "read_row", "read_spilled", "rows_at_once"]

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

_SHOWN: Final = 60

#: How much a replay may read at once.
_AT_ONCE_BYTES: Final = 16 * 1024 * 1024


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


def describe_row(values: Sequence[Any]) -> str:
    """What a row holds, but for its number, in one line."""
    return ", ".join(f"{name}={_shown(value)}" for value, (name, _, _) in zip(values, _TYPES[1:], strict=True))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
