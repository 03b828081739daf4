"""Where a URL says that a database is, and as whom to log in there."""

from __future__ import annotations

import os
import re
from typing import Final, NoReturn
from urllib.parse import unquote, urlsplit

import attrs

from ..errors import ConfigError
from .names import shown_url
from .registry import StoreURL

__all__ = ["ESCAPES", "Place", "existing_file", "place_of", "refuse", "see_place", "shown_place"]

#: What people forget; the text itself is not repeated, since it may be a part of a password.
ESCAPES: Final = "in a name or a password, %, @, :, /, ? and # are written %25, %40, %3A, %2F, %3F and %23"

_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


@attrs.frozen(kw_only=True)
class Place:
    """The parts of ``//USER:PASSWORD@HOST:PORT/PATH``, decoded; ``""`` and ``None`` for what is not said."""

    user: str
    password: str
    host: str
    port: int | None
    path: str


def place_of(url: StoreURL, form: str) -> Place:
    """Take apart what is before the question mark.

    Args:
        url: the whole.
        form: what it should look like, for the message.

    Raises:
        ConfigError: it does not look like that.
    """
    see_place(url, form)
    try:
        parts = urlsplit(url.rest)
        port = parts.port
    except ValueError:
        refuse(url, f"expected {form}; {ESCAPES}")
    return Place(
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        host=unquote(parts.hostname or ""),
        port=port,
        path=unquote(parts.path.removeprefix("/")),
    )


def see_place(url: StoreURL, form: str, ends: str = "/#") -> None:
    """See that there is a place where one belongs, and that a password is written so that its end is known.

    Args:
        url: the whole.
        form: what it should look like, for the message.
        ends: what would end who logs in; it does not belong there.

    Raises:
        ConfigError: it is not so.
    """
    if not url.rest.startswith("//"):
        refuse(url, f"expected {form}")
    login, at, _ = url.rest.rpartition("@")
    if _BAD_ESCAPE.search(url.rest) or (at and any(mark in login.removeprefix("//") for mark in ends)):
        refuse(url, f"expected {form}; {ESCAPES}")


def refuse(url: StoreURL, problem: str) -> NoReturn:
    """Raise a `ConfigError` that says what is wrong with a URL."""
    raise ConfigError(f"store {shown_url(url.text)!r}: {problem}")


def existing_file(url: StoreURL, option: str) -> str | None:
    """The path of a file that an option names, if it does.

    Raises:
        ConfigError: it cannot be read.
    """
    path = url.options.get(option)
    if path is not None and not os.access(path, os.R_OK):
        refuse(url, f"{option}: expected a file that can be read, got {path!r}")
    return path


def shown_place(url: str, scheme: str) -> str:
    """A URL without who logs in, and without options."""
    return f"{scheme}://{url.partition('?')[0].partition('//')[2].rpartition('@')[2]}"
