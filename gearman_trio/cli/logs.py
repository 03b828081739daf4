"""The log lines of commands go where those of the job server's process go."""

from __future__ import annotations

from ..daemon import LEVELS, NOTICE, level_number, set_up_logging

__all__ = ["LEVELS", "NOTICE", "level_number", "set_up_logging"]
