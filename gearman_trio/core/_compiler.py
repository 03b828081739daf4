"""What mypyc is told about a class. It is told when it compiles; here is what stands in its place at any other time."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_attributes: bool):
        """Leave the class as it is."""
        return lambda cls: cls
