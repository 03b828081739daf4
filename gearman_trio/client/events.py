"""What a client learns of a job, as values."""

from __future__ import annotations

import math
from typing import Final, Generic, TypeVar

import attrs

from ..errors import RemoteProtocolError

__all__ = [
    "ItemEvent",
    "JobData",
    "JobEvent",
    "JobItem",
    "JobState",
    "JobStatus",
    "JobWarning",
    "parse_state",
    "parse_status",
]

_T = TypeVar("_T")

#: Job servers keep the numbers of a status as int64 at most, and a fraction of larger ones may not fit into a float.
_TOO_LARGE: Final = 2**63


@attrs.frozen
class JobData:
    """A part of the result that came before the job's end (WORK_DATA).

    Attributes:
        data: opaque bytes.
    """

    data: bytes


@attrs.frozen
class JobItem(Generic[_T]):
    """What a decorated function yielded, an async generator, read by its serializer (WORK_DATA).

    Attributes:
        value: the item.
    """

    value: _T


@attrs.frozen
class JobWarning:
    """A warning of the worker (WORK_WARNING); the job goes on.

    Attributes:
        data: opaque bytes.
    """

    data: bytes


@attrs.frozen
class JobStatus:
    """How far the worker says that it has come (WORK_STATUS).

    Attributes:
        numerator: how much is done, in the worker's own measure.
        denominator: how much there is to do, in the same measure; 0 where the worker does not know.
    """

    numerator: int
    denominator: int

    @property
    def fraction(self) -> float:
        """Numerator by denominator; 0.0 where the denominator is not above 0."""
        return _fraction(self.numerator, self.denominator)


#: What is told of a job while it runs.
JobEvent = JobData | JobWarning | JobStatus

#: What is told of a job that yields items, while it runs.
ItemEvent = JobItem[_T] | JobWarning | JobStatus


@attrs.frozen(kw_only=True)
class JobState:
    """What the job server knows of a job (STATUS_RES, STATUS_RES_UNIQUE).

    Attributes:
        known: whether the job is queued, scheduled or running; a finished job is unknown, like one that never was.
        running: whether a worker has it now.
        numerator: how much is done, as the worker said last.
        denominator: how much there is to do, as the worker said last.
        clients: how many clients wait for the job; ``None`` where it was asked for by handle.
    """

    known: bool
    running: bool
    numerator: int
    denominator: int
    clients: int | None = None

    @property
    def fraction(self) -> float:
        """Numerator by denominator; 0.0 where the denominator is not above 0."""
        return _fraction(self.numerator, self.denominator)


def parse_status(payload: bytes) -> JobStatus | None:
    """Read what follows the handle of a WORK_STATUS; ``None`` where it is not two numbers.

    The worker wrote the numbers and the job server may have passed them on as they were: nonsense there is one job's
    affair, not a broken connection.  Decimals are taken too, since some workers send them.
    """
    numerator, _, denominator = payload.partition(b"\0")
    try:
        return JobStatus(_number(numerator), _number(denominator.rstrip(b"\0")))
    except ValueError:
        return None


def parse_state(fields: list[bytes]) -> JobState:
    """Read the fields of a STATUS_RES or STATUS_RES_UNIQUE.

    Raises:
        RemoteProtocolError: a field is not the number that belongs there.
    """
    try:
        known, running, *numbers = (_number(field) for field in fields[1:])
    except ValueError:
        raise RemoteProtocolError(f"the answer about a job's status: expected numbers, got {fields[1:]!r}") from None
    clients = numbers[2] if len(numbers) > 2 else None
    return JobState(
        known=bool(known), running=bool(running), numerator=numbers[0], denominator=numbers[1], clients=clients
    )


def _number(field: bytes) -> int:
    """Read a number, whole or not; raise `ValueError` where it is none or too large for anything that is counted."""
    try:
        number = int(field)
    except ValueError:
        decimal = float(field)
        number = int(decimal) if math.isfinite(decimal) else _TOO_LARGE
    if abs(number) >= _TOO_LARGE:
        raise ValueError(f"expected a number below 2**63, got {field[:40]!r}")
    return number


def _fraction(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator > 0 else 0.0
