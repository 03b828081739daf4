"""Opaque bytes as members of JSON objects: text where they are UTF-8, else base64 under a name that says so."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

__all__ = ["content_member", "read_content"]


def content_member(name: str, data: bytes) -> dict[str, str]:
    """The one member ``name``, or ``name_base64`` where the bytes are no UTF-8."""
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(data).decode("ascii")}


def read_content(content: dict[str, Any], name: str) -> bytes:
    """Take the one member or the other out of an object; neither means no bytes at all.

    Raises:
        ValueError: both are there, one is no text, or not what its name says.
    """
    plain, encoded = content.pop(name, None), content.pop(f"{name}_base64", None)
    if plain is not None and encoded is not None:
        raise ValueError(f"{name}: expected it once, as it is or in base64, got both")
    if plain is not None:
        if not isinstance(plain, str):
            raise ValueError(f"{name}: expected a string, got {type(plain).__name__}")
        try:
            return plain.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{name}: expected text, got half a surrogate pair; give other bytes in base64") from None
    if encoded is None:
        return b""
    if not isinstance(encoded, str):
        raise ValueError(f"{name}_base64: expected a string, got {type(encoded).__name__}")
    try:
        return b64decode(encoded, validate=True)
    except ValueError:
        raise ValueError(f"{name}_base64: expected base64 (RFC 4648, section 4), got {encoded[:40]!r}") from None
