"""The level of lines that an operator wants to see of a healthy server."""

from __future__ import annotations

import logging
from typing import Final

__all__ = ["NOTICE"]

#: Between INFO (a line for every connection) and WARNING, as gearmand has it.
NOTICE: Final = 25

# Unless the program around the server has a name of its own for it.
if logging.getLevelName(NOTICE) == f"Level {NOTICE}":
    logging.addLevelName(NOTICE, "NOTICE")
