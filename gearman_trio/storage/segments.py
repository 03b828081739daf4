"""Which rows there may be in a memcached server, which cannot be asked what it has.

Rows are numbered in the order in which they are added, so what is there lies together but for jobs that wait long. 256
numbers are a *segment*; the segments with rows in them are written down as ranges.

Rule 1: what is written down may name segments that have no rows, and never misses one that has: it is written before
the first row of a segment is, and after the last one was removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

__all__ = ["SEGMENT_ROWS", "Segments"]

#: Few enough to read for a single row, and enough that a new segment is rare.
SEGMENT_ROWS: Final = 256

#: So many are at most 80 kB. If there are more, the smallest gaps between them are closed.
_MAX_RANGES: Final = 4096

#: A shorter list, of segments emptied meanwhile, is not worth the sorting.
_EMPTIED: Final = 64

_ALL: Final = 2**SEGMENT_ROWS - 1


class Segments:
    """The segments that have rows.

    Args:
        ranges: the first and the last of each range, in order, as `ranges` gives them.
    """

    def __init__(self, ranges: Iterable[Sequence[int]] = ()) -> None:
        # All mutable state: of each segment a bit for each row that may be there, and the ranges, in which segments
        # may be that have been emptied since.
        self._rows = dict.fromkeys(_expanded(ranges), _ALL)
        self._ranges = [(first, last) for first, last in ranges]
        self._emptied = 0

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._rows))

    @property
    def highest(self) -> int:
        """The highest segment, -1 for none."""
        return max((last for _, last in self._ranges[-1:]), default=-1)

    def ranges(self) -> list[tuple[int, int]]:
        """What is to be written down, by Rule 1."""
        if self._emptied >= _EMPTIED:
            self._sort()
        return self._ranges

    def add(self, segment: int, place: int) -> None:
        """A row is about to be added."""
        if segment not in self._rows:
            self._rows[segment] = 0
            highest = self.highest
            if segment == highest + 1 and self._ranges:
                self._ranges[-1] = (self._ranges[-1][0], segment)
            elif segment > highest:
                self._ranges.append((segment, segment))
            else:
                self._sort()
        self._rows[segment] |= 1 << place

    def remove(self, segment: int, place: int) -> None:
        """A row has been removed."""
        rows = self._rows.get(segment)
        if rows is not None:
            self._keep(segment, rows & ~(1 << place))

    def keep(self, segment: int, places: Iterable[int]) -> None:
        """Of a segment these rows are there, and no others."""
        found = 0
        for place in places:
            found |= 1 << place
        self._keep(segment, self._rows.get(segment, 0) & found)

    def _keep(self, segment: int, rows: int) -> None:
        if rows:
            self._rows[segment] = rows
        elif self._rows.pop(segment, None) is not None:
            self._emptied += 1

    def _sort(self) -> None:
        self._emptied = 0
        ranges: list[tuple[int, int]] = []
        for segment in self:
            if ranges and ranges[-1][1] == segment - 1:
                ranges[-1] = (ranges[-1][0], segment)
            else:
                ranges.append((segment, segment))
        self._ranges = _fewer(ranges, _MAX_RANGES)


def _expanded(ranges: Iterable[Sequence[int]]) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)


def _fewer(ranges: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Ranges with the smallest gaps between them closed, so that there are no more than that."""
    surplus = len(ranges) - most
    if surplus <= 0:
        return ranges
    by_gap = sorted(range(1, len(ranges)), key=lambda index: ranges[index][0] - ranges[index - 1][1])
    closed = set(by_gap[:surplus])
    fewer: list[tuple[int, int]] = []
    for index, (first, last) in enumerate(ranges):
        if index in closed:
            fewer[-1] = (fewer[-1][0], last)
        else:
            fewer.append((first, last))
    return fewer
