"""Parameters of PostgreSQL's statements, as libpq takes them: columns of rows as arrays, or one row as it is.

What holds bytes or text goes in PostgreSQL's binary form: written as text it would be twice as long, both sides would
have to convert it, and libpq ends a text at its first NUL.  Numbers go as text, which Python writes faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final

from ..core import StoredJob

__all__ = ["TYPES", "Parameters", "add_columns", "add_numbers", "add_row"]

#: Of the columns of `StoredJob`.
TYPES: Final = (
    *("bigint", "bytea", "bytea", "bytea", "smallint", "bytea"),
    *("float8", "bytea", "integer", "float8", "boolean", "text"),
)

#: The numbers of the types that go in binary form, which are those of every PostgreSQL server.
_BINARY: Final = {"bytea": 17, "text": 25}

#: libpq's names for the two forms.
_TEXT_FORM: Final = 0
_BINARY_FORM: Final = 1

_length = Struct(">i").pack

#: Of an array in binary form: dimensions, whether there are NULLs, the type, how many there are, the first index.
_head = Struct(">iiIii").pack


class Parameters:
    """What goes with a statement.

    Attributes:
        values: the parameters.
        formats: of each whether it is in binary form.
    """

    __slots__ = ("formats", "values")

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.formats: list[int] = []

    def add(self, value: bytes, form: int = _TEXT_FORM) -> None:
        """One more."""
        self.values.append(value)
        self.formats.append(form)


def add_numbers(parameters: Parameters, numbers: Iterable[int]) -> None:
    """An array of whole numbers."""
    parameters.add(_numbers(numbers))


def add_columns(parameters: Parameters, jobs: Sequence[StoredJob], encoding: str) -> None:
    """Each column of some jobs as an array.

    Args:
        parameters: what they are added to.
        jobs: at least one.
        encoding: of text, as Python calls it.

    Raises:
        ValueError: a field is not what it must be.
    """
    for kind, column in zip(TYPES, zip(*jobs, strict=True), strict=True):
        if kind not in _BINARY:
            parameters.add(_numbers(column))
            continue
        try:
            values = [value.encode(encoding) for value in column] if kind == "text" else column
            parameters.add(_blobs(values, _BINARY[kind]), _BINARY_FORM)
        except (TypeError, AttributeError) as exc:
            raise ValueError(f"expected {kind}: {exc}") from exc


def add_row(parameters: Parameters, job: StoredJob, encoding: str) -> None:
    """Each field of a job; the arguments and what is raised as for `add_columns`."""
    for kind, value in zip(TYPES, job, strict=True):
        if kind == "bytea" and isinstance(value, bytes):
            parameters.add(value, _BINARY_FORM)
        elif kind == "text" and isinstance(value, str):
            parameters.add(value.encode(encoding), _BINARY_FORM)
        elif kind in _BINARY:
            raise ValueError(f"expected {kind}, got {value!r:.100}")
        else:
            parameters.add(str(value).encode("ascii"))


def _numbers(values: Iterable[object]) -> bytes:
    return f"{{{','.join(map(str, values))}}}".encode("ascii")


def _blobs(values: Sequence[bytes], kind: int) -> bytes:
    pieces = [_head(1, 0, kind, len(values), 1)]
    for value in values:
        pieces.append(_length(len(value)))
        pieces.append(value)
    return b"".join(pieces)
