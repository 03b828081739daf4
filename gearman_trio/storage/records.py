"""A job as one value, for stores that keep values by key: a line of JSON, which people can read, then the workload.

The text of the JSON is the bytes of a field as ISO 8859-1, so that any byte is one character of it.

THE FORMAT IS DESCRIBED in docs/reference/storage.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Any, Final

from ..core import BadRow, Batch, SpilledJob, StoredJob
from ..errors import ConfigError, StorageError
from .rows import describe_row, read_row

__all__ = [
    "changed_records",
    "describe_record",
    "key_prefix",
    "read_heads",
    "read_record",
    "read_records",
    "spilled",
    "write_record",
]

#: What every record has, in the order of `StoredJob` but for the row and the workload.
_FIELDS: Final = (
    "handle",
    "function",
    "unique_id",
    "priority",
    "run_at",
    "reducer",
    "attempts",
    "created",
    "background",
    "error",
)

_given: Final = itemgetter(*_FIELDS)

#: Their types in JSON.
_USUAL: Final = (str, str, str, int, float, str, int, float, bool, str)

#: Those that are bytes.
_BYTES: Final = frozenset({"handle", "function", "unique_id", "reducer"})

#: Where the workload is in a `StoredJob` without its row.
_WORKLOAD: Final = 4

#: memcached allows 250 bytes to a key.
_MAX_PREFIX: Final = 100

_SHOWN_BYTES: Final = 100


def write_record(job: StoredJob, epoch: int) -> bytes:
    """A job, but for its row, which is its key.

    Raises:
        StorageError: a field is not what it must be.
    """
    values: tuple[Any, ...] = job[1 : 1 + _WORKLOAD] + job[2 + _WORKLOAD :]
    try:
        head = {
            name: value.decode("latin-1") if name in _BYTES else value
            for name, value in zip(_FIELDS, values, strict=True)
        }
        return json.dumps({**head, "epoch": epoch}).encode("ascii") + b"\n" + job.workload
    except (TypeError, AttributeError) as exc:
        raise StorageError(f"job {job.handle!r} cannot be stored: {exc}") from exc


def read_record(row: int, record: bytes | None) -> StoredJob | BadRow:
    """The job of a record, or why it is none."""
    if record is None:
        return BadRow(row, "expected a record, got none")
    head, end, workload = record.partition(b"\n")
    try:
        fields = json.loads(head.decode("ascii"))
    except ValueError:
        fields = None
    if not end or not isinstance(fields, dict):
        return BadRow(row, f"expected a line of JSON and the workload, got {_shown(record)}")
    return read_row((row, *_values(fields, workload)))


def read_records(rows: Sequence[int], records: Sequence[bytes | None]) -> list[StoredJob | BadRow]:
    """The jobs of those rows that are still there."""
    return [read_record(row, record) for row, record in zip(rows, records, strict=True) if record is not None]


def read_heads(rows: Sequence[int], heads: Sequence[list[Any]]) -> list[StoredJob | SpilledJob | BadRow]:
    """The jobs of those rows that are still there.

    Args:
        rows: their rows.
        heads: of each its record or `None`, or the line of JSON and the length of the workload, which was left.
    """
    return [
        _read_head(row, *head) if len(head) == 2 else read_record(row, head[0])
        for row, head in zip(rows, heads, strict=True)
        if head and head[0] is not None
    ]


def spilled(jobs: Sequence[StoredJob | BadRow], spill_bytes: int) -> list[StoredJob | SpilledJob | BadRow]:
    """The same, without workloads that are longer; `Store.replay` says which stay nevertheless."""
    return [
        SpilledJob(job._replace(workload=b""), len(job.workload))
        if isinstance(job, StoredJob) and len(job.workload) > spill_bytes and job.unique != b"-"
        else job
        for job in jobs
    ]


def describe_record(record: bytes) -> str:
    """What a record holds, in one line, whatever it is."""
    head, _, workload = record.partition(b"\n")
    try:
        fields = json.loads(head)
    except ValueError:
        fields = None
    return describe_row(_values(fields, workload)) if isinstance(fields, dict) else _shown(record)


def changed_records(
    batch: Batch, epoch: int, load: Callable[[Sequence[int]], Sequence[bytes | None]]
) -> dict[int, bytes]:
    """The records that are to be written for the jobs that a batch adds or updates, and does not remove.

    Args:
        batch: what is to be stored.
        epoch: which opening of the store this is.
        load: gives the records of some rows, `None` for those that are not there.

    Raises:
        StorageError: a job cannot be stored.
    """
    jobs = {job.row: job for job in batch.adds}
    removed = set(batch.removes)
    updates = {update.row: update for update in batch.updates if update.row not in removed}
    stored = [row for row in updates if row not in jobs]
    if stored:
        for row, record in zip(stored, load(stored), strict=True):
            job = read_record(row, record)
            # One that is not there is not updated, and one that is bad stays as it is.
            if isinstance(job, StoredJob):
                jobs[row] = job
    for row, update in updates.items():
        if row in jobs:
            jobs[row] = jobs[row]._replace(attempts=update.attempts, error=update.error)
    return {row: write_record(job, epoch) for row, job in jobs.items() if row not in removed}


def key_prefix(prefix: str) -> str:
    """What the keys of a store begin with, if they can.

    Raises:
        ConfigError: they cannot.
    """
    if not prefix or len(prefix) > _MAX_PREFIX or not prefix.isascii() or not prefix.isprintable() or " " in prefix:
        raise ConfigError(
            f"store: prefix: expected 1 to {_MAX_PREFIX} printable ASCII characters without blanks, got {prefix!r}"
        )
    return prefix


def _read_head(row: int, head: bytes, size: int) -> SpilledJob | BadRow:
    job = read_record(row, head + b"\n")
    return SpilledJob(job, size) if isinstance(job, StoredJob) else job


def _values(fields: dict[str, Any], workload: bytes) -> list[Any]:
    """The values of a `StoredJob` without its row; what has the wrong type is left as it is."""
    values: list[Any] = []
    with suppress(KeyError, UnicodeEncodeError):
        # A million of them come back at a start, nearly all as they were written.
        given = _given(fields)
        if tuple(map(type, given)) == _USUAL:
            handle, function, unique, priority, run_at, reducer, attempts, created, background, error = given
            return [
                handle.encode("latin-1"),
                function.encode("latin-1"),
                unique.encode("latin-1"),
                priority,
                workload,
                run_at,
                reducer.encode("latin-1"),
                attempts,
                created,
                background,
                error,
            ]
    for name in _FIELDS:
        value = fields.get(name)
        if name in _BYTES and isinstance(value, str):
            with suppress(UnicodeEncodeError):
                value = value.encode("latin-1")
        elif isinstance(value, bool):
            value = int(value)
        values.append(value)
    values.insert(_WORKLOAD, workload)
    return values


def _shown(record: bytes) -> str:
    return repr(record) if len(record) <= _SHOWN_BYTES else f"{record[:_SHOWN_BYTES]!r}..."
