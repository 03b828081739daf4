"""A submission as its packet: names, priority, time and workload checked and put on the wire."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from ..errors import ConfigError, LocalProtocolError
from ..names import function_name, unique_id
from ..protocol import MAX_PACKET_BYTES, PacketType, encode_request
from ..protocol.codec import pack_size, request_prefix

__all__ = [
    "ForegroundTemplate",
    "Priority",
    "Workload",
    "check_priority",
    "encode_background",
    "encode_epoch",
    "encode_foreground",
    "encode_reduction",
    "workload_bytes",
]

#: What a workload may be given as.
Workload = bytes | bytearray | memoryview


class Priority(StrEnum):
    """Which jobs a worker gets first; each is equal to its name as a string."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


_FOREGROUND: Final[Mapping[str, int]] = {
    "high": int(PacketType.SUBMIT_JOB_HIGH),
    "normal": int(PacketType.SUBMIT_JOB),
    "low": int(PacketType.SUBMIT_JOB_LOW),
}

_BACKGROUND: Final[Mapping[str, int]] = {
    "high": int(PacketType.SUBMIT_JOB_HIGH_BG),
    "normal": int(PacketType.SUBMIT_JOB_BG),
    "low": int(PacketType.SUBMIT_JOB_LOW_BG),
}

#: gearmand reads the time of SUBMIT_JOB_EPOCH as an int64 and never answers a larger one.
_MAX_EPOCH_SECONDS: Final = 2**63 - 1


def encode_foreground(
    function: str | bytes, workload: Workload, priority: Priority | str, unique: str | bytes | None
) -> bytes:
    """The packet that submits a foreground job. Raises `ConfigError` and `TypeError` as `Client.run` says."""
    return encode_request(
        _kind(_FOREGROUND, priority), function_name(function), unique_id(unique), workload_bytes(workload)
    )


class ForegroundTemplate:
    """Foreground jobs that differ in their workloads alone: all else is checked once, here.

    Raises `ConfigError` as `encode_foreground` does.
    """

    __slots__ = ("_names", "_prefix")

    def __init__(self, function: str | bytes, priority: Priority | str, unique: str | bytes | None) -> None:
        self._prefix = request_prefix(_kind(_FOREGROUND, priority))
        self._names = b"%b\0%b\0" % (function_name(function), unique_id(unique))

    def packet(self, workload: Workload) -> bytes:
        """The packet that submits a job. Raises `LocalProtocolError` and `TypeError` as `encode_foreground` does."""
        names = self._names
        workload = workload_bytes(workload)
        size = len(names) + len(workload)
        if size > MAX_PACKET_BYTES:
            raise LocalProtocolError(f"a job of {size} bytes; the protocol carries {MAX_PACKET_BYTES}")
        return b"".join((self._prefix, pack_size(size), names, workload))


def encode_background(
    function: str | bytes, workload: Workload, priority: Priority | str, unique: str | bytes | None
) -> bytes:
    """The packet that submits a background job. Raises `ConfigError` and `TypeError` as `Client.submit` says."""
    return encode_request(
        _kind(_BACKGROUND, priority), function_name(function), unique_id(unique), workload_bytes(workload)
    )


def encode_epoch(
    function: str | bytes, workload: Workload, run_at: float | datetime.datetime, unique: str | bytes | None
) -> bytes:
    """The packet that submits a background job for a later time. Raises `ConfigError` and `TypeError`."""
    return encode_request(
        PacketType.SUBMIT_JOB_EPOCH,
        function_name(function),
        unique_id(unique),
        _epoch(run_at),
        workload_bytes(workload),
    )


def encode_reduction(
    function: str | bytes, reducer: str | bytes, workload: Workload, unique: str | bytes | None
) -> bytes:
    """The packet that submits a foreground job with a reducer. Raises `ConfigError` and `TypeError`.

    libgearman sends an empty field between reducer and workload that the protocol document does not have; gearmand
    expects it.
    """
    return encode_request(
        PacketType.SUBMIT_REDUCE_JOB,
        function_name(function),
        unique_id(unique),
        function_name(reducer),
        b"",
        workload_bytes(workload),
    )


def check_priority(priority: Priority | str) -> None:
    """Raise `ConfigError` where there is no such priority."""
    _kind(_FOREGROUND, priority)


def workload_bytes(workload: Workload) -> bytes:
    """A workload as bytes; a `str` has no one encoding and is refused.

    Raises:
        TypeError: it is not bytes-like.
    """
    if isinstance(workload, bytes):
        return workload
    if isinstance(workload, bytearray | memoryview):
        return bytes(workload)
    raise TypeError(f"workload: expected bytes, bytearray or memoryview, got {type(workload).__name__}")


def _kind(kinds: Mapping[str, int], priority: Priority | str) -> int:
    kind = kinds.get(priority)
    if kind is None:
        raise ConfigError(f"priority: expected 'high', 'normal' or 'low', got {priority!r}")
    return kind


def _epoch(run_at: float | datetime.datetime) -> bytes:
    """Seconds since 1970 in decimal: whole where they are whole, else with three decimals."""
    if isinstance(run_at, datetime.datetime):
        if run_at.tzinfo is None or run_at.utcoffset() is None:
            raise ConfigError(f"run_at: expected a datetime with a time zone, got {run_at!r}")
        run_at = run_at.timestamp()
    if isinstance(run_at, bool) or not isinstance(run_at, int | float):
        raise ConfigError(f"run_at: expected seconds since 1970 or a datetime, got {run_at!r}")
    if not (math.isfinite(run_at) and 0 <= run_at <= _MAX_EPOCH_SECONDS):
        raise ConfigError(f"run_at: expected seconds from 0 to {_MAX_EPOCH_SECONDS}, got {run_at!r}")
    if isinstance(run_at, int):
        return b"%d" % run_at
    # Seconds times a thousand is an integer in a float far beyond any calendar; above that there are no fractions.
    seconds, milliseconds = divmod(round(run_at * 1000), 1000)
    return b"%d.%03d" % (seconds, milliseconds) if milliseconds else b"%d" % seconds
