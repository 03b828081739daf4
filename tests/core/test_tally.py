"""What is counted of each function, and which failures are remembered."""

from __future__ import annotations

import pytest

from gearman_trio.core import BOUNDS, OUTCOMES, FunctionStatistics, Histogram, Policy

from .invariants import check_invariants, check_tallies
from .wire import J1, J2, Wire


def only_function(wire: Wire) -> FunctionStatistics:
    check_invariants(wire.broker)
    check_tallies(wire.broker)
    (function,) = wire.broker.functions()
    return function


def outcomes(function: FunctionStatistics) -> dict[str, int]:
    return {name: count for name, count in zip(OUTCOMES, function.ended, strict=True) if count}


# ---- histograms ----


def test_a_duration_counts_up_to_and_with_its_bound() -> None:
    histogram = Histogram()
    for seconds in (0.0, 0.0005, 0.00051, 0.05, 3600.0, 3600.1, 1e9):
        histogram.add(seconds)

    counts = dict(zip([*BOUNDS, "more"], histogram.counts, strict=True))
    assert {0.0005: 2, 0.001: 1, 0.05: 1, 3600.0: 1, "more": 2} == {key: n for key, n in counts.items() if n}
    assert 7 == histogram.count
    assert pytest.approx(1_000_007_200.15101) == histogram.seconds


def test_an_empty_histogram_has_no_quantile() -> None:
    assert (None, 0, 0.0, []) == (
        Histogram().quantile(0.5),
        Histogram().count,
        Histogram().seconds,
        Histogram().counts,
    )


@pytest.mark.parametrize(
    ("durations", "share", "expected"),
    [
        ([0.02] * 10, 0.5, 0.0175),
        ([0.02] * 10, 1.0, 0.025),
        ([0.02] * 10, 0.0, 0.01),
        ([0.02] * 10 + [0.2] * 10, 0.5, 0.025),
        ([0.02] * 10 + [0.2] * 10, 0.75, 0.175),
        ([0.02] * 19 + [0.2], 0.95, 0.025),
        ([0.0], 0.5, 0.00025),
        ([1e6], 0.5, 3600.0),
    ],
)
def test_quantiles_lie_within_their_range(durations: list[float], share: float, expected: float) -> None:
    histogram = Histogram()
    for seconds in durations:
        histogram.add(seconds)

    assert pytest.approx(expected) == histogram.quantile(share)


def test_a_copy_tells_what_came_after_it() -> None:
    histogram = Histogram()
    before = histogram.copy()
    histogram.add(0.02)
    between = histogram.copy()
    histogram.add(0.2)

    assert (2, 1, 0) == (
        histogram.since(before).count,
        histogram.since(between).count,
        histogram.since(histogram.copy()).count,
    )
    assert pytest.approx(0.2) == histogram.since(between).seconds
    assert pytest.approx(0.175) == histogram.since(between).quantile(0.5)


# ---- functions ----


def test_a_job_tells_how_long_it_waited_and_ran() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"", b"")
    wire.advance(2.0)
    worker.send("GRAB_JOB")
    wire.advance(0.2)
    worker.send("WORK_COMPLETE", J1, b"")
    function = only_function(wire)

    assert (1, 1, {"complete": 1}) == (function.submitted, function.started, outcomes(function))
    assert (1, 2.0) == (function.waited.count, function.waited.seconds)
    assert 1 == function.ran.count
    assert pytest.approx(0.2) == function.ran.seconds


def test_a_job_waits_anew_after_its_worker_was_lost() -> None:
    wire = Wire()
    wire.background(b"f")
    for _ in range(2):
        wire.advance(1.0)
        worker = wire.worker(b"f")
        worker.send("GRAB_JOB")
        wire.advance(10.0)
        worker.leave()
    function = only_function(wire)

    assert (1, 2, 2, {}) == (function.submitted, function.started, function.requeued, outcomes(function))
    assert (2, 2.0, 0) == (function.waited.count, function.waited.seconds, function.ran.count)


def test_a_scheduled_job_waits_from_when_its_time_has_come() -> None:
    wire = Wire()
    wire.peer().send("SUBMIT_JOB_EPOCH", b"f", b"", b"50", b"")
    wire.advance(30.0)
    (before,) = wire.broker.functions()
    wire.advance(30.0)
    (after,) = wire.broker.functions()
    wire.advance(5.0)
    wire.worker(b"f").send("GRAB_JOB")
    function = only_function(wire)

    assert (None, 60.0) == (before.waiting_since, after.waiting_since)
    assert (1, 5.0) == (function.waited.count, function.waited.seconds)


def test_the_job_that_waits_longest_is_told() -> None:
    wire = Wire()
    worker = wire.worker(b"f")
    for packet in ("SUBMIT_JOB_BG", "SUBMIT_JOB_LOW_BG", "SUBMIT_JOB_HIGH_BG"):
        wire.advance(1.0)
        wire.background(b"f", b"", packet)
    since = [only_function(wire).waiting_since]
    for _ in range(3):
        worker.send("GRAB_JOB")
        since.append(only_function(wire).waiting_since)

    # The one of high priority goes first, though it came last.
    assert [1.0, 1.0, 2.0, None] == since


def test_every_outcome_has_its_count() -> None:
    wire = Wire(Policy(max_attempts=1))
    client, worker, lost = wire.peer(), wire.worker(b"f"), wire.worker(b"f")
    for _ in range(7):
        client.send("SUBMIT_JOB_BG", b"f", b"", b"")
    for _ in range(4):
        worker.send("GRAB_JOB")
    worker.send("WORK_COMPLETE", b"H:t:1", b"")
    worker.send("WORK_FAIL", b"H:t:2")
    worker.send("WORK_EXCEPTION", b"H:t:3", b"why")
    client.line(b"cancel job H:t:4")
    lost.send("GRAB_JOB")
    lost.leave()
    worker.send("CAN_DO_TIMEOUT", b"f", b"1000")
    worker.send("GRAB_JOB")
    wire.advance(1.0)
    leaver = wire.peer()
    leaver.send("SUBMIT_JOB", b"f", b"", b"")
    leaver.leave()
    function = only_function(wire)

    every = dict.fromkeys(("complete", "fail", "exception", "timed_out", "lost", "cancelled", "abandoned"), 1)
    assert every == outcomes(function)
    assert (4, 1, 6) == (function.failed, function.queued, function.ran.count)


def test_submissions_that_join_a_job_are_counted_with_its_function() -> None:
    wire = Wire()
    client = wire.peer()
    for _ in range(3):
        client.send("SUBMIT_JOB", b"f", b"u", b"")

    assert (1, 2) == (only_function(wire).submitted, only_function(wire).coalesced)


def test_what_was_told_stays_as_it_was() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    told = only_function(wire)
    client.send("SUBMIT_JOB", b"f", b"", b"")
    worker.send("GRAB_JOB")
    worker.send("WORK_COMPLETE", J1, b"")

    assert (0, {}, 0, 0) == (told.started, outcomes(told), told.ran.count, told.waited.count)


# ---- failures ----


def test_failures_are_remembered_with_their_reasons() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    worker.send("SET_CLIENT_ID", b"builder")
    client.send("SUBMIT_JOB", b"f", b"u", b"work")
    client.send("SUBMIT_JOB_HIGH_BG", b"f", b"", b"x" * 10_000)
    client.send("SUBMIT_JOB", b"f", b"", b"")
    wire.advance(3.0)
    for _ in range(3):
        worker.send("GRAB_JOB")
    wire.advance(1.5)
    worker.send("WORK_EXCEPTION", J1, b"no such file" + b"!" * 300)
    worker.send("WORK_FAIL", J2)
    worker.send("WORK_COMPLETE", b"H:t:3", b"")
    raised, failed = wire.broker.failures()

    assert (J1, b"f", b"u", "exception") == (raised.handle, raised.function, raised.unique, raised.outcome)
    assert (b"no such file" + b"!" * 188, b"builder", "10.0.0.1") == (raised.reason, raised.worker, raised.address)
    assert (4.5, 1.5, 1, b"work", 4) == (
        raised.ended_at,
        raised.ran,
        raised.attempts,
        raised.workload,
        raised.workload_bytes,
    )
    assert (1, False) == (raised.priority, raised.background)
    assert (J2, "fail", b"") == (failed.handle, failed.outcome, failed.reason)
    assert (0, True, None, 10_000) == (failed.priority, failed.background, failed.workload, failed.workload_bytes)


def test_the_last_failures_are_remembered() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    for number in range(1, 502):
        client.send("SUBMIT_JOB_BG", b"f", b"", b"")
        worker.send("GRAB_JOB")
        worker.send("WORK_FAIL", b"H:t:%d" % number)
    failures = wire.broker.failures()

    assert (500, J2, b"H:t:501") == (len(failures), failures[0].handle, failures[-1].handle)


@pytest.mark.parametrize("requeue", [False, True])
def test_a_job_that_goes_on_has_not_failed(*, requeue: bool) -> None:
    wire = Wire(Policy(requeue_on_timeout=requeue))
    wire.background(b"f")
    worker = wire.peer()
    worker.send("CAN_DO_TIMEOUT", b"f", b"1000")
    worker.send("GRAB_JOB")
    wire.advance(1.0)

    assert ([] if requeue else ["timed_out"]) == [failure.outcome for failure in wire.broker.failures()]
    assert (1, 0 if requeue else 1) == (wire.broker.counters().timed_out, wire.broker.counters().expired)
    check_tallies(wire.broker)


# ---- connections ----


def test_bytes_are_counted_by_connection_and_in_all() -> None:
    wire = Wire()
    one, two = wire.peer(), wire.peer()
    one.ask("ECHO_REQ", b"12345")
    two.ask("ECHO_REQ", b"")
    two.leave()
    (left,) = wire.broker.peers()
    counters = wire.broker.counters()

    assert (17, 17) == (left.received_bytes, left.sent_bytes)
    assert (29, 29) == (counters.received_bytes, counters.sent_bytes)


def test_what_a_connection_that_left_was_to_be_sent_does_not_count() -> None:
    wire = Wire()
    peer = wire.peer()
    peer.send("ECHO_REQ", b"12345")
    peer.leave()

    assert (17, 0) == (wire.broker.counters().received_bytes, wire.broker.counters().sent_bytes)


def test_a_connection_tells_when_it_came_and_was_last_heard() -> None:
    wire = Wire()
    wire.now = 7.0
    end = wire.broker.connect("10.0.0.1", now=wire.now)
    (before,) = wire.broker.peers()
    wire.broker.receive(end, b"version\n", 9.0)
    (after,) = wire.broker.peers()

    assert (7.0, 7.0, 7.0, 9.0) == (before.connected_at, before.heard_at, after.connected_at, after.heard_at)
