"""Names of tables, which SQL has no parameter for."""

from __future__ import annotations

import re
from typing import Final

from ..errors import ConfigError

__all__ = ["table_name"]

#: Short enough for every database, with what we put behind it; and nothing that would have to be quoted.
_TABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,40}\Z")


def table_name(name: str) -> str:
    """The name, if it can be put into SQL as it is.

    Raises:
        ConfigError: it cannot.
    """
    if not _TABLE_NAME.match(name):
        raise ConfigError(f"store: table: expected up to 41 letters, digits and underscores, got {name!r}")
    return name
