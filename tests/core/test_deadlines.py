"""The heap of timers."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from gearman_trio.core.deadlines import Deadlines, Timer
from gearman_trio.core.function import Function
from gearman_trio.core.job import NORMAL, Job


def test_timers_come_out_in_the_order_of_their_times() -> None:
    deadlines, early, late = Deadlines(), Timer(None, None), Timer(None, None)
    deadlines.add(2.0, late)
    deadlines.add(1.0, early)

    assert [None, early, None, late, None] == [deadlines.pop_due(now) for now in (0.9, 1.0, 1.0, 3.0, 3.0)]


def test_equal_times_keep_the_order_in_which_they_were_added() -> None:
    deadlines, timers = Deadlines(), [Timer(None, None) for _ in range(5)]
    for timer in timers:
        deadlines.add(1.0, timer)

    assert timers == [deadlines.pop_due(1.0) for _ in range(5)]


def test_a_cancelled_timer_never_comes_out() -> None:
    deadlines, cancelled, live = Deadlines(), Timer(None, None), Timer(None, None)
    deadlines.add(1.0, cancelled)
    deadlines.add(2.0, live)
    deadlines.cancel(cancelled)

    assert (2.0, 1) == (deadlines.next_time(), len(deadlines))
    assert [live, None] == [deadlines.pop_due(9.0), deadlines.pop_due(9.0)]


def test_nothing_is_due_where_there_is_nothing() -> None:
    assert (inf, None, 0) == (Deadlines().next_time(), Deadlines().pop_due(inf), len(Deadlines()))


def test_memory_follows_the_live_timers() -> None:
    """Cancelled timers far in the future, of jobs that have ended, do not pile up."""
    deadlines = Deadlines()
    for _ in range(10_000):
        timer = Timer(None, None)
        deadlines.add(1e9, timer)
        deadlines.cancel(timer)

    assert 0 == len(deadlines)
    assert len(deadlines._heap) < 600


def test_a_cancelled_timer_lets_go_of_its_job() -> None:
    """The job's workload may be large, and the timer may stay in the heap for long."""
    timer = Timer(Job(b"", Function(b"f"), b"", b"", NORMAL), None)
    deadlines = Deadlines()
    deadlines.add(1e9, timer)
    deadlines.cancel(timer)

    assert (None, None) == (timer.job, timer.peer)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=400))
def test_any_use_is_that_of_a_sorted_list(steps: list[tuple[int, bool]]) -> None:
    deadlines = Deadlines()
    live: list[tuple[int, int]] = []
    timers: list[Timer] = []
    for number, (when, cancelled) in enumerate(steps):
        timers.append(Timer(None, None))
        deadlines.add(when, timers[number])
        if cancelled:
            deadlines.cancel(timers[number])
        else:
            live.append((when, number))

    assert len(live) == len(deadlines)
    assert [timers[number] for _, number in sorted(live)] == [deadlines.pop_due(20) for _ in live]
    assert deadlines.pop_due(inf) is None
