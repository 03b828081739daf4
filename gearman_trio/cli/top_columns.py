"""The columns of the tables of ``gearman-trio top``: what they show, how they sort, and which there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import attrs

from .top_look import FunctionLine, JobLine, WorkerLine

__all__ = ["TABLES", "Column", "duration", "fitting", "printable"]

#: What the first column has at least.
_NAME_WIDTH: Final = 20


@attrs.frozen(kw_only=True)
class Column:
    """One column.

    Attributes:
        title: its heading.
        width: how many characters it takes; 0 for what the others leave.
        value: what it sorts by; ``None`` comes last.
        text: what it shows.
        rank: columns with a higher one are left out first where there is no room.
        words: whether it shows words, which begin at the left, and not numbers.
    """

    title: str
    width: int
    value: Callable[[Any], Any]
    text: Callable[[Any], str]
    rank: int = 0
    words: bool = False


def duration(seconds: float | None) -> str:
    """A time in five characters or so: ``0.3ms``, ``12ms``, ``3.2s``, ``45s``, ``12m``, ``3h``, ``9d``."""
    if seconds is None:
        return "-"
    if seconds < 0.0095:
        return f"{seconds * 1000:.1f}ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    for size, unit, most in ((1, "s", 100), (60, "m", 100), (3600, "h", 48)):
        if seconds / size < most:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds / 86400:.0f}d"


def printable(text: str) -> str:
    """A name on one line: it is a stranger's, and must not move the cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _number(number: int | None) -> str:
    if number is None:
        return "-"
    if number < 1_000_000:
        return str(number)
    return f"{number / 1e6:.1f}M" if number < 1e9 else f"{number / 1e9:.1f}G"


def _rate(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate:.1f}" if rate < 99.95 else _number(round(rate))


def _count(name: str, title: str, width: int, rank: int = 0) -> Column:
    get = _getter(name)
    return Column(title=title, width=width, value=get, text=lambda line: _number(get(line)), rank=rank)


def _time(name: str, title: str, width: int, rank: int = 0) -> Column:
    get = _getter(name)
    return Column(title=title, width=width, value=get, text=lambda line: duration(get(line)), rank=rank)


def _speed(name: str, title: str, width: int, rank: int = 0) -> Column:
    get = _getter(name)
    return Column(title=title, width=width, value=get, text=lambda line: _rate(get(line)), rank=rank)


def _text(name: str, title: str, width: int, rank: int = 0) -> Column:
    get = _getter(name)
    return Column(
        title=title, width=width, value=get, text=lambda line: printable(get(line) or "-"), rank=rank, words=True
    )


def _getter(name: str) -> Callable[[Any], Any]:
    return lambda line: getattr(line, name)


def _name(line: FunctionLine) -> str:
    return printable(line.function) + (" (paused)" if line.paused else "")


def _percent(line: JobLine) -> str:
    return "-" if line.progress is None else f"{line.progress:.0%}"


def _asleep(line: WorkerLine) -> str:
    return "-" if line.sleeping is None else "yes" if line.sleeping else "no"


#: The tables by their names, each with its columns from left to right.
TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "functions": (
        Column(title="FUNCTION", width=0, value=_getter("function"), text=_name, words=True),
        _count("waiting", "WAITING", 8),
        _count("running", "RUNNING", 8),
        _count("workers", "WORKERS", 8),
        _count("sleeping", "ASLEEP", 7, 3),
        _speed("in_per_second", "IN/s", 7, 1),
        _speed("out_per_second", "OUT/s", 7, 1),
        _count("failed", "FAILED", 7, 1),
        _time("oldest_seconds", "OLDEST", 7, 1),
        _time("run_p50_seconds", "P50", 7, 4),
        _time("run_p95_seconds", "P95", 7, 2),
        _count("retried", "RETRIED", 8, 5),
        _count("scheduled", "SCHED", 7, 5),
        _count("high", "HIGH", 7, 6),
        _count("normal", "NORMAL", 7, 6),
        _count("low", "LOW", 7, 6),
    ),
    "jobs": (
        _text("handle", "HANDLE", 0),
        _text("function", "FUNCTION", 18),
        _text("worker", "WORKER", 18, 1),
        _text("address", "ADDRESS", 16, 3),
        _time("seconds", "RUNNING", 8),
        _count("attempts", "TRIES", 6, 2),
        Column(title="DONE", width=5, value=_getter("progress"), text=_percent, rank=1),
    ),
    "workers": (
        _text("client_id", "WORKER", 0),
        _count("number", "CONN", 6, 2),
        _text("address", "ADDRESS", 16),
        _count("running", "RUNNING", 8),
        Column(title="ASLEEP", width=7, value=_getter("sleeping"), text=_asleep, rank=1),
        _time("silent_seconds", "SILENT", 7, 1),
        Column(
            title="ABILITIES",
            width=30,
            value=_getter("functions"),
            text=lambda line: printable(" ".join(line.functions)),
            rank=1,
            words=True,
        ),
    ),
}


def fitting(columns: Sequence[Column], width: int) -> tuple[list[Column], int]:
    """The columns that there is room for, and the width of the first, which takes what the others leave."""
    kept = [column for column in columns if column.width]
    for column in sorted(kept, key=lambda column: column.rank, reverse=True):
        if column.rank and sum(each.width for each in kept) + _NAME_WIDTH > width:
            kept.remove(column)
    first = max(width - sum(column.width for column in kept), _NAME_WIDTH)
    return [columns[0], *kept], first
