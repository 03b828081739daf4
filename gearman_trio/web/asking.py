"""What headers of a request ask for besides the thing itself: for how long to wait, and in which form to be told."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request

from ..errors import ConfigError

__all__ = ["wait_seconds"]

#: Preferences are separated by commas, and may have parameters, which mean nothing here (RFC 7240, section 2).
_WAIT: Final = re.compile(r'(?:^|,)\s*wait\s*=\s*"?([^",;]*)"?\s*(?=,|;|$)', re.IGNORECASE)


def wait_seconds(request: Request, most: float) -> float:
    """For how long a request wants to wait, at most as long as it may.

    Raises:
        ConfigError: it is no number of seconds.

    Source: RFC 7240, section 4.3.
    """
    found = _WAIT.search(",".join(request.headers.getlist("prefer")))
    if found is None:
        return most
    given = found[1].strip()
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise ConfigError(f"Prefer: expected wait with a whole number of seconds, got {given[:40]!r}")
    return min(float(given), most)
