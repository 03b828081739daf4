"""Workloads that are in the store alone, and who waits for them."""

from __future__ import annotations

import pytest

from gearman_trio.core import BadRow, SpilledJob, StoredJob
from gearman_trio.core.job import FETCHING, QUEUED, RUNNING

from .invariants import check_invariants
from .spilling import LONG, SpillingWire
from .wire import J1, J2, J3, J4, Reply

NO_JOB: Reply = ("NO_JOB",)


@pytest.fixture
def wire() -> SpillingWire:
    return SpillingWire()


def assigned(handle: bytes, workload: bytes = LONG) -> Reply:
    return ("JOB_ASSIGN", handle, b"f", workload)


def test_a_workload_over_the_threshold_comes_from_the_store(wire: SpillingWire) -> None:
    wire.submit()
    worker = wire.worker(b"f")

    assert (1, 101) == wire.broker.spilled()
    assert [] == worker.ask("GRAB_JOB")
    assert FETCHING == wire.state(J1)
    assert [1] == wire.fetch()
    assert [assigned(J1)] == worker.read()
    assert RUNNING == wire.state(J1)
    assert not wire.broker.has_wanted()
    # Nor is it kept while the worker has it.
    assert (1, 101) == wire.broker.spilled()


def test_a_workload_of_just_the_threshold_stays(wire: SpillingWire) -> None:
    wire.submit(b"x" * 100)

    assert (0, 0) == wire.broker.spilled()
    assert [assigned(J1, b"x" * 100)] == wire.worker(b"f").ask("GRAB_JOB")


def test_nothing_is_spilled_unless_it_is_wanted() -> None:
    wire = SpillingWire(spill_bytes=0)
    wire.submit(b"x" * 100_000)

    assert (0, 0) == wire.broker.spilled()


@pytest.mark.parametrize("packet", ["SUBMIT_JOB", "SUBMIT_JOB_BG"])
def test_what_is_not_stored_yet_is_not_spilled(wire: SpillingWire, packet: str) -> None:
    wire.peer().send(packet, b"f", b"", LONG)

    assert (0, 0) == wire.broker.spilled()


def test_a_workload_that_is_the_unique_id_stays(wire: SpillingWire) -> None:
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"-", LONG)
    wire.commit()

    assert (0, 0) == wire.broker.spilled()
    assert [("JOB_CREATED", J1)] * 2 == [*client.read(), *client.ask("SUBMIT_JOB_BG", b"f", b"-", LONG)]


@pytest.mark.parametrize(
    ("grab", "more"),
    [("GRAB_JOB", []), ("GRAB_JOB_UNIQ", [b"u"]), ("GRAB_JOB_ALL", [b"u", b"r"])],
)
@pytest.mark.parametrize("size", [101, 5000])
def test_each_grab_gets_its_answer(wire: SpillingWire, grab: str, more: list[bytes], size: int) -> None:
    wire.peer().send("SUBMIT_REDUCE_JOB_BACKGROUND", b"f", b"u", b"r", b"", b"y" * size)
    wire.commit()
    worker = wire.worker(b"f")
    worker.send(grab)
    wire.fetch()

    assert [(grab.replace("GRAB_JOB", "JOB_ASSIGN"), J1, b"f", *more, b"y" * size)] == worker.read()


def test_what_a_worker_is_sent_later_waits_behind_the_job(wire: SpillingWire) -> None:
    wire.submit()
    worker = wire.worker(b"f")
    for packet in (("GRAB_JOB",), ("ECHO_REQ", b"later"), ("GRAB_JOB",)):
        worker.send(*packet)

    assert [] == worker.read()
    wire.fetch()
    assert [assigned(J1), ("ECHO_RES", b"later"), NO_JOB] == worker.read()


def test_order_and_priorities_are_those_of_a_queue_in_memory(wire: SpillingWire) -> None:
    wire.submit()
    wire.submit(b"short")
    wire.submit(packet="SUBMIT_JOB_LOW_BG")
    wire.submit(packet="SUBMIT_JOB_HIGH_BG")
    worker = wire.worker(b"f")
    for _ in range(5):
        worker.send("GRAB_JOB")

    wire.fetch()
    assert [assigned(J4), assigned(J1), assigned(J2, b"short"), assigned(J3), NO_JOB] == worker.read()


def test_several_grabs_share_one_fetch_with_the_jobs_that_are_next(wire: SpillingWire) -> None:
    for _ in range(4):
        wire.submit()
    workers = [wire.worker(b"f") for _ in range(3)]
    workers[0].send("GRAB_JOB")
    workers[1].send("GRAB_JOB")

    assert [1, 2, 3, 4] == wire.fetch()
    # What was fetched ahead is there at once, and counts as held until then.
    assert 202 == wire.broker._registry.loaded_bytes
    assert [assigned(J3)] == workers[2].ask("GRAB_JOB")
    assert [[assigned(J1)], [assigned(J2)]] == [worker.read() for worker in workers[:2]]
    assert not wire.broker.has_wanted()


def test_a_fetch_is_not_larger_than_sixteen_megabytes(wire: SpillingWire) -> None:
    for _ in range(5):
        wire.submit(b"x" * 6_000_000)
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")

    assert [1, 2] == wire.fetch()
    assert [("JOB_ASSIGN", J1, b"f", b"x" * 6_000_000)] == worker.read()
    assert wire.broker._registry.held_bytes <= 16 * 1024 * 1024


def test_a_single_workload_may_be_larger_than_that(wire: SpillingWire) -> None:
    wire.submit(b"x" * 20_000_000)
    wire.submit()
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")

    assert [1] == wire.fetch()
    assert [("JOB_ASSIGN", J1, b"f", b"x" * 20_000_000)] == worker.read()


def test_a_time_limit_begins_when_the_job_is_given(wire: SpillingWire) -> None:
    wire.submit()
    worker = wire.peer()
    worker.send("CAN_DO_TIMEOUT", b"f", b"1000")
    worker.send("GRAB_JOB")
    wire.advance(5.0)
    wire.fetch()

    assert [assigned(J1)] == worker.read()
    wire.advance(0.9)
    assert RUNNING == wire.state(J1)
    wire.advance(0.2)
    assert 1 == wire.broker.counters().timed_out


def test_a_job_whose_worker_was_lost_is_fetched_again(wire: SpillingWire) -> None:
    wire.submit()
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")
    wire.fetch()
    worker.leave()
    other = wire.worker(b"f")

    assert [] == other.ask("GRAB_JOB")
    assert [1] == wire.fetch()
    assert [assigned(J1)] == other.read()


def test_a_worker_that_leaves_meanwhile_gives_its_job_back_to_the_head(wire: SpillingWire) -> None:
    for _ in range(3):
        wire.submit()
    worker, sleeper = wire.worker(b"f"), wire.worker(b"f")
    worker.send("GRAB_JOB")
    worker.send("GRAB_JOB")
    sleeper.send("GRAB_JOB")
    sleeper.send("GRAB_JOB")
    sleeper.send("PRE_SLEEP")
    worker.leave()
    check_invariants(wire.broker)
    assert [FETCHING, QUEUED, QUEUED] == [wire.state(J3), wire.state(J1), wire.state(J2)]
    wire.fetch()

    assert [assigned(J3), NO_JOB, ("NOOP",)] == sleeper.read()
    assert [assigned(J1), assigned(J2)] == [*sleeper.ask("GRAB_JOB"), *sleeper.ask("GRAB_JOB")]
    # They were never started.
    assert [1, 1, 1] == [job.attempts for job in wire.broker._registry.jobs.values()]


def test_others_are_woken_for_a_job_given_back(wire: SpillingWire) -> None:
    wire.submit()
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")
    sleeper = wire.sleeper(b"f")
    worker.leave()

    assert [("NOOP",)] == sleeper.read()
    assert [] == sleeper.ask("GRAB_JOB")
    wire.fetch()
    assert [assigned(J1)] == sleeper.read()


@pytest.mark.parametrize("how", [b"cancel job H:t:1", b"purge function f"])
def test_a_job_that_is_cancelled_meanwhile_is_not_given(wire: SpillingWire, how: bytes) -> None:
    wire.submit()
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")

    assert wire.peer().line(how).startswith(b"OK")
    wire.commit()
    wire.fetch()
    assert [NO_JOB] == worker.read()
    assert {} == wire.stored


def test_a_stored_foreground_job_ends_when_its_client_leaves_meanwhile() -> None:
    wire = SpillingWire(store_foreground=True)
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"", LONG)
    wire.commit()
    worker.send("GRAB_JOB")
    client.leave()
    wire.fetch()

    assert [NO_JOB] == worker.read()
    assert 1 == wire.broker.counters().abandoned


def test_a_job_whose_workload_is_gone_fails(wire: SpillingWire) -> None:
    wire.submit()
    wire.submit()
    client, worker = wire.peer(), wire.worker(b"f")
    worker.send("GRAB_JOB")
    worker.send("GRAB_JOB")
    del wire.stored[1]
    wire.stored[2] = wire.stored[2]._replace(workload=b"another one")
    wire.fetch()

    assert [J1, J2] == wire.lost
    assert [NO_JOB, NO_JOB] == worker.read()
    assert 2 == wire.broker.counters().lost
    assert [("STATUS_RES", J1, b"0", b"0", b"0", b"0")] == client.ask("GET_STATUS", J1)


def test_a_job_whose_workload_is_gone_is_among_the_failed_with_the_reason(wire: SpillingWire) -> None:
    wire.submit()
    wire.submit()
    wire.worker(b"f").send("GRAB_JOB")
    wire.advance(2.0)
    wire.stored.clear()
    wire.fetch()

    # The second one was only to be fetched ahead.
    gone = ("lost", b"its workload is not in the store any more", None, 101, True, 0, None)
    assert [(J1, *gone), (J2, *gone)] == [
        (
            each.handle,
            each.outcome,
            each.reason,
            each.workload,
            each.workload_bytes,
            each.spilled,
            each.attempts,
            each.ran,
        )
        for each in wire.broker.failures()
    ]


def test_a_failed_job_tells_that_its_workload_was_in_the_store_alone(wire: SpillingWire) -> None:
    wire.submit()
    wire.submit(b"short")
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")
    wire.fetch()
    worker.send("GRAB_JOB")
    for handle in (J1, J2):
        worker.send("WORK_FAIL", handle)

    assert [(None, True), (b"short", False)] == [(each.workload, each.spilled) for each in wire.broker.failures()]


def test_the_status_of_a_job_that_is_fetched_is_that_of_a_queued_one(wire: SpillingWire) -> None:
    wire.submit()
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")

    assert [("STATUS_RES", J1, b"1", b"0", b"0", b"0")] == wire.peer().ask("GET_STATUS", J1)
    assert b"f\t1\t0\t1\n.\n" == wire.peer().line(b"status")
    assert b"H:t:1\t\tnormal\tfetching\t0\t1\t0\t101\t0\t0\n.\n" == wire.peer().line(b"list jobs f state=fetching")
    assert wire.broker.has_work()


def test_a_job_that_is_fetched_counts_as_queued(wire: SpillingWire) -> None:
    wire.submit(packet="SUBMIT_JOB_HIGH_BG")
    wire.advance(1.0)
    wire.submit(b"short")
    wire.worker(b"f").send("GRAB_JOB")
    wire.advance(2.0)
    check_invariants(wire.broker)
    (function,), totals, admin = wire.broker.functions(), wire.broker.totals(), wire.peer()

    assert (1, 1, 0, 2, 1) == (function.high, function.normal, function.low, function.queued, function.fetching)
    assert (2, 1) == (totals.queued, totals.fetching)
    assert wire.now - 3.0 == function.waiting_since
    assert b"f\t1\t1\t0\t1\n.\n" == admin.line(b"prioritystatus")
    assert [b"f", b"1", b"1", b"0"] == admin.line(b"show functions").split(b"\t")[:4]
    assert b"3000" == admin.line(b"show functions").split(b"\t")[16]


def test_workers_get_what_is_in_memory_while_the_store_does_not_answer(wire: SpillingWire) -> None:
    wire.submit()
    wire.submit(b"short")
    wire.submit(packet="SUBMIT_JOB_HIGH_BG")
    wire.submit(b"short too", "SUBMIT_JOB_LOW_BG")
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")

    assert [3] == wire.fail()
    assert [NO_JOB] == worker.read()
    assert [assigned(J2, b"short")] == worker.ask("GRAB_JOB")
    assert [assigned(J4, b"short too")] == worker.ask("GRAB_JOB")
    assert [NO_JOB] == worker.ask("GRAB_JOB")
    assert [QUEUED, QUEUED] == [wire.state(J1), wire.state(J3)]


def test_sleepers_are_woken_when_the_store_answers_again(wire: SpillingWire) -> None:
    wire.submit()
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")
    wire.fail()
    worker.send("PRE_SLEEP")

    # Nothing to be had: it is not woken in vain, nor by a further job that is in the store alone.
    assert [NO_JOB] == worker.read()
    wire.submit()
    wire.submit(function=b"new")
    assert [] == worker.read()
    assert [NO_JOB] == wire.worker(b"new").ask("GRAB_JOB")
    assert [1] == wire.fail()
    assert [] == worker.read()
    assert wire.broker.has_wanted()
    assert [1] == wire.fetch()
    assert [("NOOP",)] == worker.read()
    assert [assigned(J1)] == worker.ask("GRAB_JOB")


def test_jobs_go_back_in_their_order_when_the_store_fails(wire: SpillingWire) -> None:
    for _ in range(3):
        wire.submit()
    workers = [wire.worker(b"f") for _ in range(3)]
    for worker in workers:
        worker.send("GRAB_JOB")
    wire.fail()
    wire.fetch()

    for worker, handle in zip(workers, [J1, J2, J3], strict=True):
        assert [NO_JOB, assigned(handle)] == worker.ask("GRAB_JOB")


def test_an_answer_that_comes_late_is_welcome(wire: SpillingWire) -> None:
    wire.submit()
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")
    (row,) = wire.broker.take_wanted()
    wire.broker.not_fetched()
    worker.send("PRE_SLEEP")
    wire.broker.fetched({row: LONG}, wire.now)
    check_invariants(wire.broker)

    assert [NO_JOB, ("NOOP",), assigned(J1)] == worker.ask("GRAB_JOB")


def test_where_nothing_is_wanted_any_more_the_store_is_asked_all_the_same(wire: SpillingWire) -> None:
    wire.submit()
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")
    wire.fail()
    wire.peer().line(b"cancel job H:t:1")
    wire.submit()
    worker.send("PRE_SLEEP")
    worker.read()

    assert wire.broker.has_wanted()
    assert [] == wire.fetch()
    assert [("NOOP",)] == worker.read()


def test_a_job_that_waits_for_its_time_is_spilled_too(wire: SpillingWire) -> None:
    wire.peer().send("SUBMIT_JOB_EPOCH", b"f", b"", b"5", LONG)
    wire.commit()
    assert (1, 101) == wire.broker.spilled()
    worker = wire.sleeper(b"f")
    wire.advance(6.0)
    worker.send("GRAB_JOB")
    wire.fetch()

    assert [("NOOP",), assigned(J1)] == worker.read()


def test_jobs_come_back_without_their_workloads(wire: SpillingWire) -> None:
    jobs = [StoredJob(row, b"H:old:%d" % row, b"f", b"", 1, b"", 0.0, b"", 2, 1.0, True, "") for row in (1, 2, 3)]
    bad = SpilledJob(jobs[2]._replace(function=b""), 200)
    refused = wire.broker.restore([SpilledJob(jobs[0], 200), SpilledJob(jobs[1], 300), bad], wire.now)
    check_invariants(wire.broker)
    wire.stored = {1: jobs[0]._replace(workload=b"a" * 200), 2: jobs[1]._replace(workload=b"b" * 300)}
    worker = wire.worker(b"f")
    worker.send("GRAB_JOB")
    worker.send("GRAB_JOB")

    assert [BadRow(3, "function name: must not be empty")] == refused
    assert (2, 500) == wire.broker.spilled()
    assert [1, 2] == wire.fetch()
    assert [assigned(b"H:old:1", b"a" * 200), assigned(b"H:old:2", b"b" * 300)] == worker.read()


def test_held_bytes_are_those_in_memory() -> None:
    wire = SpillingWire(max_held_bytes=150)
    wire.submit()
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", LONG)
    wire.commit()

    assert [("JOB_CREATED", J2)] == client.read()
    assert 0 == wire.broker._registry.held_bytes


def test_what_is_in_the_store_alone_is_not_shown(wire: SpillingWire) -> None:
    wire.submit()
    inspection = wire.broker.inspection
    job = inspection.job(J1)

    assert inspection.workload(J1, 10) is None
    assert job is not None
    assert 101 == job.workload_bytes
