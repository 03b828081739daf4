"""Names at the public edge: `str` or `bytes` is decided here once, lengths are checked, and inside names are bytes."""

from __future__ import annotations

from typing import NewType

from .errors import ConfigError

__all__ = [
    "MAX_CLIENT_ID_BYTES",
    "MAX_FUNCTION_NAME_BYTES",
    "MAX_UNIQUE_ID_BYTES",
    "ClientId",
    "FunctionName",
    "JobHandle",
    "UniqueId",
    "client_id",
    "function_name",
    "unique_id",
]

#: What is called: ``b"resize"``. Never empty, no NUL.
FunctionName = NewType("FunctionName", bytes)

#: Chosen by the client, no NUL. Empty means none; ``b"-"`` means that the workload itself names the job.
UniqueId = NewType("UniqueId", bytes)

#: Given by the job server: ``b"H:host:12"``.
JobHandle = NewType("JobHandle", bytes)

#: How a client or worker is called in the server's tables (SET_CLIENT_ID).
ClientId = NewType("ClientId", bytes)

#: libgearman's GEARMAN_FUNCTION_MAX_SIZE.
MAX_FUNCTION_NAME_BYTES = 512

#: gearmand's GEARMAN_MAX_UNIQUE_SIZE; a longer one gets ERROR ARGUMENT_TOO_LARGE.
MAX_UNIQUE_ID_BYTES = 64

#: libgearman refuses a longer identifier before it sends it.
MAX_CLIENT_ID_BYTES = 254


def _to_bytes(kind: str, value: str | bytes, most: int) -> bytes:
    if isinstance(value, str):
        value = value.encode("utf-8")
    if not isinstance(value, bytes):
        raise ConfigError(f"{kind}: expected str or bytes, got {value!r}")
    if b"\0" in value:
        raise ConfigError(f"{kind}: a NUL byte cannot be sent, got {value!r}")
    if len(value) > most:
        raise ConfigError(f"{kind}: at most {most} bytes, got {len(value)} ({value[:20]!r}...)")
    return value


def function_name(value: str | bytes) -> FunctionName:
    """The name of a function as it goes over the wire; ``str`` is encoded as UTF-8.

    Raises:
        ConfigError: it is empty, longer than `MAX_FUNCTION_NAME_BYTES`, or holds a NUL.
    """
    name = _to_bytes("function name", value, MAX_FUNCTION_NAME_BYTES)
    if not name:
        raise ConfigError("function name: must not be empty")
    return FunctionName(name)


def unique_id(value: str | bytes | None) -> UniqueId:
    """A unique ID as it goes over the wire; ``None`` is the empty one, with which jobs never coalesce.

    Raises:
        ConfigError: it is longer than `MAX_UNIQUE_ID_BYTES`, or holds a NUL.
    """
    return UniqueId(_to_bytes("unique ID", b"" if value is None else value, MAX_UNIQUE_ID_BYTES))


def client_id(value: str | bytes) -> ClientId:
    """A client ID as it goes over the wire: printable ASCII without blanks, as libgearman asks for.

    Raises:
        ConfigError: it is empty, longer than `MAX_CLIENT_ID_BYTES`, or holds a blank or control character.
    """
    name = _to_bytes("client ID", value, MAX_CLIENT_ID_BYTES)
    if not name or any(byte <= 32 or byte >= 127 for byte in name):
        raise ConfigError(f"client ID: expected printable ASCII without blanks, got {value!r}")
    return ClientId(name)
