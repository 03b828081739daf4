"""When a job of SUBMIT_JOB_SCHED is to run: the next time that matches minute, hour, day of month, month and weekday.

The protocol document gives each field a number; this server also takes what cron users write: nothing or ``*`` for any,
lists (``1,15``), ranges (``1-5``) and steps (``*/10``).  Weekdays count from 0 for Monday, as the document says, not
from Sunday as cron does.  Unlike cron, every given field must match: a day of month and a weekday together mean both.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Final

__all__ = ["SCHEDULE_FIELDS", "next_time", "parse_field"]

#: (name, lowest, highest) of the fields in the packet's order.
SCHEDULE_FIELDS: Final = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 6),
)

#: The 29th of February on a given weekday comes once in 28 years, and in 40 across a century without a leap day.
_MAX_YEARS: Final = 41

#: A list of all sixty minutes has 169 characters.
_MAX_FIELD_CHARACTERS: Final = 256


def parse_field(text: str, name: str, low: int, high: int) -> frozenset[int]:
    """The numbers that a field allows.

    Raises:
        ValueError: it is neither a number of the range, a list, a range, nor a step; the message says what is allowed.
    """
    if len(text) > _MAX_FIELD_CHARACTERS:
        raise ValueError(_expected(text, name, low, high))
    allowed: set[int] = set()
    for part in (text or "*").split(","):
        span, slash, step_text = part.partition("/")
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = low, high
        elif _is_number(first_text) and (not dash or _is_number(last_text)):
            first = int(first_text)
            last = int(last_text) if dash else (high if slash else first)
        else:
            raise ValueError(_expected(text, name, low, high))
        step = int(step_text) if slash and _is_number(step_text) else (0 if slash else 1)
        if not (low <= first <= last <= high and step > 0):
            raise ValueError(_expected(text, name, low, high))
        allowed.update(range(first, last + 1, step))
    return frozenset(allowed)


def next_time(fields: list[frozenset[int]], epoch: float, zone: tzinfo | None) -> float | None:
    """The first whole minute after `epoch` that matches, as epoch seconds; `None` for none (31st of February).

    Args:
        fields: minute, hour, day of month, month, weekday, as `parse_field` gives them.
        epoch: epoch seconds.
        zone: in which the fields are read; ``None`` for the local zone of the process.
    """
    minutes, hours, days, months, weekdays = fields
    start = datetime.fromtimestamp(epoch, zone)
    day = start.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None, fold=0)
    last_year = day.year + _MAX_YEARS
    while day.year <= last_year:
        if day.month not in months:
            # The first of the next month: no month has 32 days.
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            continue
        if day.day in days and day.weekday() in weekdays:
            for hour in sorted(hours):
                moments = [_moment(day.replace(hour=hour, minute=minute), zone, epoch) for minute in minutes]
                to_come = [moment for moment in moments if moment > epoch]
                if to_come:
                    return min(to_come)
        day += timedelta(days=1)
    return None


def _moment(wall: datetime, zone: tzinfo | None, epoch: float) -> float:
    """When a clock on the wall shows this: the first time that is after `epoch`, else the last that is not.

    A time that is skipped by the beginning of summer time comes as much later; one that is repeated at its end, twice.
    """
    first = wall.replace(tzinfo=zone).timestamp()
    if first > epoch:
        return first
    return max(first, wall.replace(tzinfo=zone, fold=1).timestamp())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _expected(text: str, name: str, low: int, high: int) -> str:
    allowed = f"a number from {low} to {high}, a list, a range, a step, or nothing for any"
    return f"{name}: expected {allowed}; got {text[:40]!r}"
