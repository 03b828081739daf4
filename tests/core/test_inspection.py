"""Looking at live jobs, page by page, while they come and go."""

from __future__ import annotations

import pytest

from gearman_trio.core import JobQuery, JobStatistics

from .wire import J1, J2, J3, J4, Wire


def page(wire: Wire, query: JobQuery, most: int = 100, steps: int = 1000) -> tuple[list[bytes], bytes]:
    """One page: its handles, and where the next one begins."""
    walk = wire.broker.inspection.walk(query)
    found = walk.take(most, steps)
    return [job.handle for job in found], walk.cursor


def pages(wire: Wire, state: str, most: int) -> list[list[bytes]]:
    """All pages."""
    found: list[list[bytes]] = []
    after = b""
    while not found or after:
        handles, after = page(wire, JobQuery(state, after=after), most)
        found.append(handles)
    return [handles for handles in found if handles]


def queue(wire: Wire, *functions: bytes, packet: str = "SUBMIT_JOB_BG") -> None:
    for function in functions:
        wire.background(function, packet=packet)


def only(wire: Wire, handle: bytes) -> JobStatistics:
    job = wire.broker.inspection.job(handle)
    assert job is not None
    return job


def test_job_tells_what_it_is() -> None:
    wire = Wire()
    worker, client = wire.peer(), wire.peer()
    worker.send("SET_CLIENT_ID", b"w1")
    worker.send("CAN_DO_TIMEOUT", b"f", b"60000")
    client.send("SUBMIT_JOB_HIGH", b"f", b"u", b"workload")

    queued = only(wire, J1)
    assert (b"f", b"u", "high", "queued", False) == (
        queued.function,
        queued.unique,
        queued.priority,
        queued.state,
        queued.background,
    )
    assert (8, 1, 0, 0, False) == (
        queued.workload_bytes,
        queued.clients,
        queued.attempts,
        queued.worker,
        queued.time_limit,
    )
    worker.send("GRAB_JOB")
    worker.send("WORK_STATUS", J1, b"1", b"3")
    running = only(wire, J1)
    assert ("running", 1, worker.end.number, b"w1", "10.0.0.1") == (
        running.state,
        running.attempts,
        running.worker,
        running.worker_id,
        running.worker_address,
    )
    assert (b"1", b"3", True) == (running.numerator, running.denominator, running.time_limit)
    worker.send("WORK_COMPLETE", J1, b"")
    assert wire.broker.inspection.job(J1) is None


def test_workload_is_shown_as_far_as_wanted() -> None:
    wire = Wire()
    wire.background(b"f", b"workload")

    assert b"work" == wire.broker.inspection.workload(J1, 4)
    assert b"workload" == wire.broker.inspection.workload(J1, 100)
    assert wire.broker.inspection.workload(J2, 100) is None


# ---- queued ----


def test_queued_jobs_come_as_workers_get_them() -> None:
    wire = Wire()
    queue(wire, b"f", b"g", b"f")
    queue(wire, b"f", packet="SUBMIT_JOB_HIGH_BG")

    assert [[J4, J1, J3, J2]] == pages(wire, "queued", 100)
    assert [[J4], [J1], [J3], [J2]] == pages(wire, "queued", 1)
    assert [[J4, J1, J3], [J2]] == pages(wire, "queued", 3)


def test_no_jobs() -> None:
    wire = Wire()

    assert [] == pages(wire, "queued", 10) + pages(wire, "running", 10) + pages(wire, "scheduled", 10)
    assert ([], b"") == page(wire, JobQuery("queued", function=b"unknown"))


def test_filters() -> None:
    wire = Wire()
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"order-1", b"")
    client.send("SUBMIT_JOB_HIGH_BG", b"f", b"order-2", b"")
    client.send("SUBMIT_JOB_BG", b"g", b"order-2", b"")
    client.send("SUBMIT_JOB_BG", b"g", b"-", b"w")

    assert [J2, J1] == page(wire, JobQuery("queued", function=b"f"))[0]
    assert [J1, J3, J4] == page(wire, JobQuery("queued", priority="normal"))[0]
    assert [J2, J1, J3] == page(wire, JobQuery("queued", unique=b"order-", prefix=True))[0]
    assert [J2, J3] == page(wire, JobQuery("queued", unique=b"order-2"))[0]
    assert [J3] == page(wire, JobQuery("", unique=b"order-2", function=b"g"))[0]
    assert [J4] == page(wire, JobQuery("queued", unique=b"-"))[0]
    assert [] == page(wire, JobQuery("running", unique=b"order-2"))[0]


def test_jobs_that_have_waited_long() -> None:
    wire = Wire()
    for _ in range(3):
        wire.now += 10.0
        queue(wire, b"f", b"g")

    assert [J1, J3, J2, J4] == page(wire, JobQuery("queued", before=20.0))[0]
    assert [10.0, 20.0] == [only(wire, handle).since for handle in (J1, J4)]


def test_namesakes_come_in_pages() -> None:
    wire = Wire()
    client = wire.peer()
    for function in (b"f", b"g", b"h"):
        client.send("SUBMIT_JOB_BG", function, b"u", b"")

    first, after = page(wire, JobQuery("", unique=b"u"), most=2)

    assert [J1, J2] == first
    assert ([J3], b"") == page(wire, JobQuery("", unique=b"u", after=after))


def test_page_goes_on_when_its_last_job_has_been_grabbed() -> None:
    wire = Wire()
    queue(wire, b"f", b"f", b"f", b"f")
    worker = wire.worker(b"f")
    first, after = page(wire, JobQuery("queued"), most=2)
    for _ in range(3):
        worker.send("GRAB_JOB")

    assert [J1, J2] == first
    assert [J4] == page(wire, JobQuery("queued", after=after))[0]


def test_page_goes_on_when_its_last_job_was_cancelled() -> None:
    wire = Wire()
    queue(wire, b"f", b"f", b"f", b"f")
    _, after = page(wire, JobQuery("queued"), most=2)
    wire.broker.steering(wire.now).cancel(J2)

    assert [J3, J4] == page(wire, JobQuery("queued", after=after))[0]


def test_page_goes_on_when_its_last_job_stands_elsewhere_now() -> None:
    wire = Wire()
    queue(wire, b"f", b"f", b"f")
    _, after = page(wire, JobQuery("queued"), most=1)
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")
    wire.now = 1.0
    worker.leave()

    assert [J2, J3, J1] == page(wire, JobQuery("queued", after=after))[0]


def test_walk_goes_on_while_jobs_leave() -> None:
    """Between its parts anything may happen."""
    wire = Wire()
    for number in range(20):
        wire.now = float(number)
        queue(wire, b"f")
    worker = wire.worker(b"f")
    walk = wire.broker.inspection.walk(JobQuery("queued"))
    # One step finds that nothing is queued with high priority.
    seen = [job.handle for job in walk.take(100, 6)]
    for _ in range(4):
        worker.send("GRAB_JOB")
    wire.broker.steering(wire.now).cancel(b"H:t:5")
    wire.broker.steering(wire.now).cancel(b"H:t:7")
    while not walk.done:
        seen += [job.handle for job in walk.take(100, 1)]

    assert [b"H:t:%d" % number for number in (1, 2, 3, 4, 5, 6, *range(8, 21))] == seen


def test_page_ends_when_its_function_is_dropped() -> None:
    wire = Wire()
    queue(wire, b"f", b"f")
    _, after = page(wire, JobQuery("queued"), most=1)
    wire.broker.steering(wire.now).cancel(J1)
    wire.broker.steering(wire.now).cancel(J2)
    wire.peer().line(b"drop function f")

    assert ([], b"") == page(wire, JobQuery("queued", after=after))


def test_part_takes_no_more_steps_than_it_may() -> None:
    wire = Wire()
    queue(wire, *[b"f"] * 50)

    walk = wire.broker.inspection.walk(JobQuery("queued", unique=b"x", prefix=True))

    # The first found that nothing is queued with high priority.
    assert ([], 9, False) == (walk.take(100, 10), walk.looked_at, walk.done)


# ---- running ----


def test_running_jobs_come_by_worker() -> None:
    wire = Wire()
    queue(wire, b"f", b"f", b"f")
    one, other = wire.worker(b"f"), wire.worker(b"f")
    other.send("GRAB_JOB")
    one.send("GRAB_JOB")
    other.send("GRAB_JOB")

    assert [[J2, J1, J3]] == pages(wire, "running", 10)
    assert [[J2, J1], [J3]] == pages(wire, "running", 2)


def test_running_page_goes_on_when_its_last_worker_has_gone() -> None:
    wire = Wire()
    queue(wire, b"f", b"f")
    one, other = wire.worker(b"f"), wire.worker(b"f")
    one.send("GRAB_JOB")
    other.send("GRAB_JOB")
    _, after = page(wire, JobQuery("running"), most=1)
    one.leave()

    assert [J2] == page(wire, JobQuery("running", after=after))[0]


def test_running_job_that_ended_meanwhile_is_left_out() -> None:
    wire = Wire()
    queue(wire, b"f", b"f", b"f")
    worker = wire.worker(b"f")
    for _ in range(3):
        worker.send("GRAB_JOB")
    walk = wire.broker.inspection.walk(JobQuery("running"))
    first = [job.handle for job in walk.take(1, 10)]
    worker.send("WORK_COMPLETE", J2, b"")

    assert [J1, J3] == first + [job.handle for job in walk.take(10, 10)]


# ---- scheduled ----


def schedule(wire: Wire, *times: int) -> None:
    client = wire.peer()
    for time in times:
        client.send("SUBMIT_JOB_EPOCH", b"f", b"", b"%d" % time, b"")


def test_scheduled_jobs_come_by_their_times() -> None:
    wire = Wire()
    schedule(wire, 30, 10, 20, 10)

    assert [[J2, J4, J3, J1]] == pages(wire, "scheduled", 10)
    assert [[J2], [J4], [J3], [J1]] == pages(wire, "scheduled", 1)


def test_scheduled_walk_of_several_parts_passes_nothing_over() -> None:
    wire = Wire()
    schedule(wire, *range(100, 0, -1))
    walk = wire.broker.inspection.walk(JobQuery("scheduled"))
    seen: list[float] = []
    cancelled = {10, 50, 90}
    while not walk.done:
        seen += [job.run_at for job in walk.take(100, 7)]
        for time in cancelled:
            wire.broker.steering(wire.now).cancel(b"H:t:%d" % (101 - time))

    assert [float(time) for time in range(1, 101) if time not in cancelled] == seen


# ---- questions that cannot be answered ----


@pytest.mark.parametrize("state", ["", "finished"])
def test_unknown_state(state: str) -> None:
    with pytest.raises(ValueError, match="state: expected queued, running or scheduled"):
        Wire().broker.inspection.walk(JobQuery(state))


@pytest.mark.parametrize("state", ["queued", "running", "scheduled"])
@pytest.mark.parametrize(
    "after", [b"x", b"9 0 0 0 h f", b"0 nan 0 0 h f", b"1", b"x y", b"\0\xff", b"9" * 5000 + b" 1"]
)
def test_cursor_that_was_not_given_here(state: str, after: bytes) -> None:
    """It is refused, or leads to some place; it never does harm."""
    wire = Wire()
    queue(wire, b"f")
    schedule(wire, 10)
    try:
        walk = wire.broker.inspection.walk(JobQuery(state, after=after))
    except ValueError:
        return
    walk.take(10, 100)

    assert walk.done
