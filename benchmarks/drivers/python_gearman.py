"""The package ``gearman`` of pygearman or gearman3, whichever this environment has, in working order."""

from __future__ import annotations

import array
from types import SimpleNamespace
from typing import Any

import gearman
import gearman.connection

__all__ = ["gearman"]


class _Array(array.array):  # type: ignore[type-arg]  # not generic when it runs
    """An array with the method that Python 3.9 took away and gearman3 still calls."""

    def fromstring(self, data: bytes) -> None:
        self.frombytes(data)

    def __getitem__(self, index: Any) -> Any:
        # What is left of the buffer must be such an array, too.
        found = super().__getitem__(index)
        return _Array("b", found) if isinstance(index, slice) else found


if not hasattr(array.array, "fromstring"):
    _module: Any = gearman.connection
    _module.array = SimpleNamespace(array=_Array)
