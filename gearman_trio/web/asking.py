"""What a request asks for besides the thing itself: by which name, for how long to wait, in which form to be told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..errors import ConfigError

__all__ = ["accepted_type", "path_bytes", "prefers", "wait_seconds"]

#: A preference, and its value if it has one; parameters after it mean nothing here (RFC 7240, section 2).
_PREFERENCE: Final = re.compile(r'\s*([A-Za-z0-9!#$%&\'*+.^_`|~-]+)\s*(?:=\s*"?([^",;]*)"?)?[^,]*(?:,|\Z)')


def path_bytes(request: Request) -> bytes:
    """The path of a request below where the application is mounted, byte for byte, percent-decoded."""
    scope = request.scope
    # Not every ASGI server tells it; the path is decoded, which loses bytes that are no UTF-8.
    raw = scope.get("raw_path")
    path: bytes = scope["path"].encode() if raw is None else unquote_to_bytes(raw)
    return path.removeprefix(scope.get("root_path", "").encode())


def wait_seconds(request: Request, most: float) -> float:
    """For how long a request wants to wait, at most as long as it may.

    Raises:
        ConfigError: it is no number of seconds.

    Source: RFC 7240, section 4.3.
    """
    given = _preferences(request).get("wait")
    if given is None:
        return most
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise ConfigError(f"Prefer: expected wait with a whole number of seconds, got {given[:40]!r}")
    return min(float(given), most)


def prefers(request: Request, preference: str) -> bool:
    """Whether a request has a preference that has no value."""
    return preference in _preferences(request)


def accepted_type(request: Request, offered: Sequence[str]) -> str:
    """The media type that a request likes best; the first of those that it likes as much.

    Raises:
        HTTPException: 406, it takes none of them.

    Source: RFC 9110, section 12.5.1.
    """
    liked: dict[str, float] = {}
    for part in ",".join(request.headers.getlist("accept")).split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name:
            liked[name] = _quality(parameters)
    if not liked:
        return offered[0]

    def like(media_type: str) -> float:
        family = media_type.partition("/")[0]
        return next((liked[name] for name in (media_type, f"{family}/*", "*/*") if name in liked), 0.0)

    best = max(offered, key=like)
    if not like(best):
        raise HTTPException(
            HTTPStatus.NOT_ACCEPTABLE, f"Accept: expected one of {', '.join(offered)}, got {', '.join(liked):.100}"
        )
    return best


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if re.fullmatch(r"\s*[01](\.\d{0,3})?\s*", value) else 0.0
    return 1.0


def _preferences(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _PREFERENCE.finditer(",".join(request.headers.getlist("prefer"))):
        # The first one counts.
        found.setdefault(match[1].lower(), (match[2] or "").strip())
    return found
