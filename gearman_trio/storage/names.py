"""Names of tables, which SQL has no parameter for, and of stores, in messages."""

from __future__ import annotations

import re
from typing import Final

from ..errors import ConfigError

__all__ = ["shown_url", "table_name"]

#: Short enough for every database, with what we put behind it; and nothing that would have to be quoted.
_TABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,40}\Z")

#: A password between the user's name and the host, which may hold what should have been escaped; and one among the
#: options, of whichever library.
_PASSWORD: Final = re.compile(r"(://[^:@/?#]*:).*(?=@)|([?&]\w*(?:password|passwd)=)[^&#]*")


def shown_url(url: str) -> str:
    """The URL of a store as messages show it: without its password."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", url)


def table_name(name: str) -> str:
    """The name, if it can be put into SQL as it is.

    Raises:
        ConfigError: it cannot.
    """
    if not _TABLE_NAME.match(name):
        raise ConfigError(f"store: table: expected up to 41 letters, digits and underscores, got {name!r}")
    return name
