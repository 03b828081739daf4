"""A job as one value, for stores that keep values by key: a line of JSON, which people can read, then the workload.

The text of the JSON is the bytes of a field as ISO 8859-1, so that any byte is one character of it.

THE FORMAT IS DESCRIBED in docs/reference/storage.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Final

from ..core import BadRow, Batch, SpilledJob, StoredJob
from ..errors import ConfigError, StorageError
from .rows import describe_row, is_usual, read_row

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

#: Where those are that are bytes, and the one that is true or false.
_BYTES: Final = [_FIELDS.index(name) for name in ("handle", "function", "unique_id", "reducer")]
_BACKGROUND: Final = _FIELDS.index("background")

#: As JSON has it.
_TRUTH: Final = {False: "false", True: "true"}

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
    if is_usual(job):
        # As below, in half the time.
        handle, function, unique, reducer = [
            _quoted(field.decode("latin-1")) for field in (job.handle, job.function, job.unique, job.reducer)
        ]
        head = (
            f'{{"handle": {handle}, "function": {function}, "unique_id": {unique}, "priority": {job.priority}, '
            f'"run_at": {job.run_at!r}, "reducer": {reducer}, "attempts": {job.attempts}, "created": {job.created!r}, '
            f'"background": {_TRUTH[job.background]}, "error": {_quoted(job.error)}, "epoch": {epoch:d}}}\n'
        )
        return head.encode("ascii") + job.workload
    try:
        # In the order of `_FIELDS`, and written out: a million of them are stored in a minute.
        fields = {
            "handle": job.handle.decode("latin-1"),
            "function": job.function.decode("latin-1"),
            "unique_id": job.unique.decode("latin-1"),
            "priority": job.priority,
            "run_at": job.run_at,
            "reducer": job.reducer.decode("latin-1"),
            "attempts": job.attempts,
            "created": job.created,
            "background": job.background,
            "error": job.error,
            "epoch": epoch,
        }
        return json.dumps(fields).encode("ascii") + b"\n" + job.workload
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
    values: list[Any] = list(map(fields.get, _FIELDS))
    for place in _BYTES:
        # Not `suppress`, which would take longer than all the rest, for each of a million jobs at a start.
        try:  # noqa: SIM105
            values[place] = values[place].encode("latin-1")
        except (AttributeError, UnicodeEncodeError):
            pass
    if values[_BACKGROUND] is True or values[_BACKGROUND] is False:
        values[_BACKGROUND] = int(values[_BACKGROUND])
    values.insert(_WORKLOAD, workload)
    return values


def _shown(record: bytes) -> str:
    return repr(record) if len(record) <= _SHOWN_BYTES else f"{record[:_SHOWN_BYTES]!r}..."
