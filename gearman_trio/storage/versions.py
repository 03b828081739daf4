"""Versions of the tables that a store has: which a program can use."""

from __future__ import annotations

from ..errors import StorageError

__all__ = ["see_readable", "see_usable"]


def see_usable(name: str, version: int, known: int) -> None:
    """See that tables can be used, after a migration where they are older.

    Raises:
        StorageError: they are newer than what is known here.
    """
    if version > known:
        raise StorageError(
            f"{name} was made by a newer version of gearman_trio: its tables have version {version}, "
            f"expected at most {known}"
        )


def see_readable(name: str, version: int, known: int) -> None:
    """See that tables can be read as they are.

    Raises:
        StorageError: they are newer or older than what is known here.
    """
    see_usable(name, version, known)
    if version < known:
        raise StorageError(
            f"{name} has tables of an older version, {version}; a job server that opens it brings them to {known}"
        )
