"""Parameters of PostgreSQL's statements, as libpq takes them: columns of rows as arrays, or one row as it is.

They are in PostgreSQL's binary form: bytes written as text would be twice as long, a float takes longest of all to be
written, and libpq ends a text at its first NUL.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error, pack
from typing import Any, Final

from ..core import StoredJob

__all__ = ["TYPES", "Parameters", "add_columns", "add_number", "add_numbers", "add_row"]

#: Of the columns of `StoredJob`.
TYPES: Final = (
    *("bigint", "bytea", "bytea", "bytea", "smallint", "bytea"),
    *("float8", "bytea", "integer", "float8", "boolean", "text"),
)

#: The numbers by which every PostgreSQL server knows the types.
_OIDS: Final = {"bigint": 20, "smallint": 21, "integer": 23, "float8": 701, "boolean": 16, "bytea": 17, "text": 25}

#: Of a number what `struct` calls it, and how many bytes it has.
_NUMBERS: Final = {
    "bigint": ("q", 8),
    "smallint": ("h", 2),
    "integer": ("i", 4),
    "float8": ("d", 8),
    "boolean": ("?", 1),
}

_length = Struct(">i").pack

#: Of an array: dimensions, whether there are NULLs, the type, how many there are, the first index.
_head = Struct(">iiIii").pack


class Parameters:
    """What goes with a statement.

    Attributes:
        values: the parameters.
        formats: of each that it is in binary form, as libpq has it.
    """

    __slots__ = ("formats", "values")

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.formats: list[int] = []

    def add(self, value: bytes) -> None:
        """One more."""
        self.values.append(value)
        self.formats.append(1)


def add_number(parameters: Parameters, number: int) -> None:
    """A whole number, of type bigint."""
    parameters.add(pack(">q", number))


def add_numbers(parameters: Parameters, numbers: Sequence[int]) -> None:
    """An array of whole numbers, of type bigint."""
    parameters.add(_array_of_numbers("bigint", numbers))


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
        try:
            if kind in _NUMBERS:
                parameters.add(_array_of_numbers(kind, column))
            elif kind == "text":
                parameters.add(_array(kind, [value.encode(encoding) for value in column]))
            else:
                parameters.add(_array(kind, column))
        except (TypeError, AttributeError, error) as exc:
            raise ValueError(f"expected {kind}: {exc}") from exc


def add_row(parameters: Parameters, job: StoredJob, encoding: str) -> None:
    """Each field of a job; the arguments and what is raised as for `add_columns`."""
    value: Any
    for kind, value in zip(TYPES, job, strict=True):
        try:
            if kind in _NUMBERS:
                parameters.add(pack(f">{_NUMBERS[kind][0]}", value))
            elif kind == "text":
                parameters.add(value.encode(encoding))
            else:
                # That it is made of bytes.
                parameters.add(b"".join((value,)))
        except (TypeError, AttributeError, error) as exc:
            raise ValueError(f"expected {kind}: {exc}") from exc


def _array_of_numbers(kind: str, values: Sequence[Any]) -> bytes:
    code, size = _NUMBERS[kind]
    # Before each its length.
    pieces = [size] * (2 * len(values))
    pieces[1::2] = values
    return _head(1, 0, _OIDS[kind], len(values), 1) + pack(f">{f'i{code}' * len(values)}", *pieces)


def _array(kind: str, values: Sequence[bytes]) -> bytes:
    pieces = [_head(1, 0, _OIDS[kind], len(values), 1)]
    for value in values:
        pieces.append(_length(len(value)))
        pieces.append(value)
    return b"".join(pieces)
