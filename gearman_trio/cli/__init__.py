"""The commands ``gearman-trio`` and ``gearmand-trio``: options in, text and exit codes out; others do the work.

A name is imported when it is first used: a server that is started for a test, or on demand, should not wait for the
modules of all the other subcommands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .root import app, main

__all__ = ["app", "main"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import root  # noqa: PLC0415 - see above

    return getattr(root, name)
