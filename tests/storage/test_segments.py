"""Which rows there may be: what is written down never misses one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gearman_trio.storage.segments import Segments, _fewer


def segments_of(ranges: list[tuple[int, int]]) -> set[int]:
    return {segment for first, last in ranges for segment in range(first, last + 1)}


def test_rows_are_added_to_the_last_range_or_a_new_one() -> None:
    segments = Segments()
    for segment in (0, 0, 1, 2, 5, 6):
        segments.add(segment, 7)

    assert [(0, 2), (5, 6)] == segments.ranges()
    assert ([0, 1, 2, 5, 6], 6) == (list(segments), segments.highest)


def test_a_segment_without_rows_is_no_longer_one() -> None:
    segments = Segments([(3, 3)])
    segments.add(4, 0)
    segments.add(4, 255)
    segments.keep(3, [8, 9])

    segments.remove(3, 8)
    segments.remove(3, 100)
    segments.remove(4, 0)
    segments.remove(77, 0)
    assert [3, 4] == list(segments)
    segments.remove(3, 9)
    segments.keep(4, [])

    assert [] == list(segments)
    # Not worth the writing yet.
    assert [(3, 4)] == segments.ranges()


def test_many_emptied_segments_are_worth_writing() -> None:
    segments = Segments([(0, 99)])
    for segment in range(10, 80):
        segments.keep(segment, [])

    assert [(0, 9), (80, 99)] == segments.ranges()


def test_the_smallest_gaps_are_closed() -> None:
    assert [(1, 1), (10, 15), (100, 100)] == _fewer([(1, 1), (10, 12), (14, 15), (100, 100)], 3)
    assert [(1, 100)] == _fewer([(1, 1), (10, 12), (14, 15), (100, 100)], 1)


steps = st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.integers(0, 3)), max_size=300)


@given(steps)
def test_what_is_written_down_never_misses_a_row(steps: list[tuple[bool, int, int]]) -> None:
    segments = Segments()
    rows = set()
    for adding, segment, place in steps:
        if adding:
            segments.add(segment, place)
            rows.add((segment, place))
        else:
            segments.remove(segment, place)
            rows.discard((segment, place))

        there = {segment for segment, _ in rows}
        assert there <= segments_of(segments.ranges())
        assert sorted(there) == list(segments)
        assert there <= set(Segments(segments.ranges()))
