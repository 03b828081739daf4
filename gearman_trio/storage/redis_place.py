"""What redis-py is to be told for the URL of a store."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlencode

from .places import existing_file, place_of, refuse
from .registry import StoreURL

__all__ = ["redis_url", "unknown_option"]

_FORM: Final = "redis://USER:PASSWORD@HOST:PORT/NUMBER"


def redis_url(url: StoreURL, options: dict[str, str]) -> str:
    """What redis-py is to be told for a URL with those of its options that are not ours.

    Raises:
        ConfigError: it names no server, or a file is not there.
    """
    place = place_of(url, _FORM)
    if not place.path.isdigit() and place.path:
        refuse(url, f"expected {_FORM}, with a number for the database, got {place.path!r}")
    for option in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        existing_file(url, option)
    options = dict(options)
    text = f"{url.scheme.replace('valkey', 'redis')}:{url.rest}"
    path = options.pop("unix_socket", None)
    if path is not None:
        login = url.rest.removeprefix("//").rpartition("@")[0]
        text = f"unix://{login + '@' if login else ''}{quote(path)}"
        options.setdefault("db", place.path or "0")
    return text + (f"?{urlencode(options, quote_via=quote)}" if options else "")


def unknown_option(error: Exception) -> str:
    """The text of redis-py's error; where it says which of its functions has no such parameter, what that means."""
    found = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    return f"option {found[1]!r} is not known to redis-py" if found else str(error)
