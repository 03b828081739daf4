"""Jobs and answers that wait for the store."""

from __future__ import annotations

from typing import Any

import pytest

from gearman_trio.core import Batch, JobUpdate, Policy, StoredJob
from gearman_trio.core.job import COMMITTING, RUNNING

from .invariants import check_invariants
from .wire import J1, J2, J3, Reply, Wire

WHY = "the disk is full"
REFUSED = ("ERROR", b"QUEUE_ERROR", WHY.encode())


class DurableWire(Wire):
    """A broker that stores background jobs; the test is its store."""

    def __init__(self, **policy: Any) -> None:
        super().__init__(Policy(durable=True, **policy))
        self.broker.set_clock(1_000_000.0)

    def take(self) -> Batch:
        batch = self.broker.take_batch()
        assert batch is not None
        return batch

    def commit(self) -> Batch:
        batch = self.take()
        self.broker.committed(batch.number, self.now)
        check_invariants(self.broker)
        return batch

    def refuse(self) -> None:
        self.broker.refuse(WHY)
        check_invariants(self.broker)

    def state(self, handle: bytes) -> int:
        return self.broker._registry.jobs[handle].state


@pytest.fixture
def wire() -> DurableWire:
    return DurableWire()


def created(handle: bytes) -> Reply:
    return ("JOB_CREATED", handle)


@pytest.mark.parametrize(
    ("packet", "more", "priority"),
    [
        ("SUBMIT_JOB_BG", [], 1),
        ("SUBMIT_JOB_HIGH_BG", [], 0),
        ("SUBMIT_JOB_LOW_BG", [], 2),
        ("SUBMIT_REDUCE_JOB_BACKGROUND", [b"r", b""], 1),
    ],
)
def test_a_background_job_is_acknowledged_when_it_is_stored(
    wire: DurableWire, packet: str, more: list[bytes], priority: int
) -> None:
    client, worker = wire.peer(), wire.worker(b"f")

    assert [] == client.ask(packet, b"f", b"u", *more, b"w\0\xff")
    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")
    assert COMMITTING == wire.state(J1)
    batch = wire.commit()

    reducer = b"r" if more else b""
    assert [StoredJob(1, J1, b"f", b"u", priority, b"w\0\xff", 0.0, reducer, 0, 1_000_000.0, True, "")] == batch.adds
    assert ([], [], 1, 1) == (batch.updates, batch.removes, batch.number, batch.last_handle)
    assert [created(J1)] == client.read()
    assert [("JOB_ASSIGN", J1, b"f", b"w\0\xff")] == worker.ask("GRAB_JOB")


def test_sleepers_are_woken_when_the_job_is_stored(wire: DurableWire) -> None:
    worker = wire.sleeper(b"f")
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"", b"w")

    assert [] == worker.read()
    wire.commit()
    assert [("NOOP",)] == worker.read()


def test_a_job_for_later_is_scheduled_when_it_is_stored(wire: DurableWire) -> None:
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB_EPOCH", b"f", b"", b"1000005", b"w")
    (stored,) = wire.commit().adds

    assert 1_000_005.0 == stored.run_at
    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")
    wire.advance(5.0)
    assert [("JOB_ASSIGN", J1, b"f", b"w")] == worker.ask("GRAB_JOB")


def test_a_job_whose_time_comes_while_it_is_stored_is_queued_at_once(wire: DurableWire) -> None:
    wire.peer().send("SUBMIT_JOB_EPOCH", b"f", b"", b"1000005", b"w")
    wire.advance(6.0)
    wire.commit()

    assert [("JOB_ASSIGN", J1, b"f", b"w")] == wire.worker(b"f").ask("GRAB_JOB")


def test_what_is_sent_later_waits_behind_the_answer(wire: DurableWire) -> None:
    client = wire.peer()
    client.send("ECHO_REQ", b"before")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    client.send("ECHO_REQ", b"between")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    client.send("GET_STATUS", J1)

    assert [("ECHO_RES", b"before")] == client.read()
    wire.commit()

    status = ("STATUS_RES", J1, b"1", b"0", b"0", b"0")
    assert [created(J1), ("ECHO_RES", b"between"), created(J2), status] == client.read()
    assert [("ECHO_RES", b"after")] == client.ask("ECHO_REQ", b"after")


def test_answers_are_released_batch_by_batch(wire: DurableWire) -> None:
    client, other = wire.peer(), wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"1")
    first = wire.take()
    other.send("SUBMIT_JOB_BG", b"f", b"", b"2")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"3")
    client.send("ECHO_REQ", b"last")
    second = wire.take()

    wire.broker.committed(first.number, wire.now)
    assert ([created(J1)], []) == (client.read(), other.read())
    wire.broker.committed(second.number, wire.now)
    assert ([created(J3), ("ECHO_RES", b"last")], [created(J2)]) == (client.read(), other.read())


def test_one_commit_may_answer_for_several_batches(wire: DurableWire) -> None:
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"1")
    wire.take()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"2")
    wire.commit()

    assert [created(J1), created(J2)] == client.read()


def test_foreground_jobs_are_not_stored(wire: DurableWire) -> None:
    assert [created(J1)] == wire.peer().ask("SUBMIT_JOB", b"f", b"", b"w")
    assert not wire.broker.has_unstored()


def test_foreground_jobs_are_stored_where_that_is_asked_for() -> None:
    wire = DurableWire(store_foreground=True)
    client = wire.peer()

    assert [] == client.ask("SUBMIT_JOB", b"f", b"", b"w")
    (stored,) = wire.commit().adds
    assert not stored.background
    assert [created(J1)] == client.read()
    client.leave()
    assert [1] == wire.commit().removes


def test_who_joins_a_job_waits_for_the_same_commit(wire: DurableWire) -> None:
    first, second, third = wire.peer(), wire.peer(), wire.peer()
    first.send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    wire.take()
    second.send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    third.send("SUBMIT_JOB", b"f", b"u", b"w")

    assert [] == second.read() == third.read()
    assert not wire.broker.has_unstored()
    wire.broker.committed(1, wire.now)
    assert [created(J1)] == first.read() == second.read() == third.read()


def test_who_joins_a_stored_job_is_answered_at_once(wire: DurableWire) -> None:
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    wire.commit()

    assert [created(J1)] == wire.peer().ask("SUBMIT_JOB_BG", b"f", b"u", b"w")
    assert not wire.broker.has_unstored()


def test_a_foreground_job_that_becomes_a_background_job_is_stored_and_goes_on(wire: DurableWire) -> None:
    client, other, worker = wire.peer(), wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"u", b"w")
    worker.ask("GRAB_JOB")
    other.send("SUBMIT_JOB_BG", b"f", b"u", b"w")

    assert ([created(J1)], []) == (client.read(), other.read())
    worker.send("WORK_COMPLETE", J1, b"r")
    assert [("WORK_COMPLETE", J1, b"r")] == client.read()
    # It has come and gone in one batch, which has nothing to say any more.
    assert wire.commit().empty
    assert [created(J1)] == other.read()


def test_the_end_of_a_job_is_stored(wire: DurableWire) -> None:
    worker = wire.worker(b"f")
    for workload in (b"1", b"2", b"3", b"4"):
        wire.peer().send("SUBMIT_JOB_BG", b"f", b"", workload)
    wire.commit()
    for packet, handle in (("WORK_COMPLETE", J1), ("WORK_EXCEPTION", J2)):
        worker.ask("GRAB_JOB")
        worker.send(packet, handle, b"")
    worker.ask("GRAB_JOB")
    worker.send("WORK_FAIL", J3)
    wire.peer().line(b"cancel job H:t:4")

    assert [1, 2, 3, 4] == wire.commit().removes


def test_a_requeue_is_stored_with_its_reason(wire: DurableWire) -> None:
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"", b"w")
    wire.commit()
    worker = wire.worker(b"f")
    worker.ask("GRAB_JOB")
    worker.leave()

    assert [JobUpdate(1, 1, "its worker was lost")] == wire.commit().updates


def test_a_requeue_for_time_tells_so() -> None:
    wire = DurableWire(requeue_on_timeout=True)
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"", b"w")
    wire.commit()
    worker = wire.peer()
    worker.send("CAN_DO_TIMEOUT", b"f", b"1000")
    worker.ask("GRAB_JOB")
    wire.advance(2.0)

    assert [JobUpdate(1, 1, "its time ran out")] == wire.commit().updates


# Refusals


def test_a_refused_submission_never_ran(wire: DurableWire) -> None:
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    client.send("ECHO_REQ", b"behind")
    wire.refuse()

    assert [REFUSED, ("ECHO_RES", b"behind")] == client.read()
    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")
    assert (1, 1, 1) == (
        wire.broker.counters().submitted,
        wire.broker.counters().refused,
        wire.broker.counters().rejected,
    )
    # The store had not heard of it.
    assert wire.take().empty


def test_a_refused_job_that_may_have_reached_the_store_is_removed_from_it(wire: DurableWire) -> None:
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"", b"w")
    wire.take()
    wire.refuse()

    assert [1] == wire.take().removes


def test_everybody_who_waits_is_refused(wire: DurableWire) -> None:
    first, second, third = wire.peer(), wire.peer(), wire.peer()
    first.send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    wire.take()
    second.send("SUBMIT_JOB", b"f", b"u", b"w")
    third.send("SUBMIT_JOB_BG", b"g", b"", b"w")
    wire.refuse()

    assert [REFUSED] == first.read() == second.read() == third.read()
    assert {} == wire.broker._registry.jobs


def test_who_comes_later_is_refused_until_a_commit(wire: DurableWire) -> None:
    wire.refuse()
    client = wire.peer()

    assert [REFUSED] == client.ask("SUBMIT_JOB_BG", b"f", b"", b"w")
    assert [created(J1)] == client.ask("SUBMIT_JOB", b"f", b"", b"w")
    wire.broker.committed(0, wire.now)
    assert [] == client.ask("SUBMIT_JOB_BG", b"f", b"", b"w")


def test_stored_jobs_may_be_joined_while_nothing_is_stored(wire: DurableWire) -> None:
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    wire.commit()
    wire.refuse()

    assert [created(J1)] == wire.peer().ask("SUBMIT_JOB_BG", b"f", b"u", b"w")


def test_a_foreground_job_stays_one_where_it_cannot_be_stored(wire: DurableWire) -> None:
    client, other, worker = wire.peer(), wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"u", b"w")
    other.send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    wire.refuse()

    assert [REFUSED] == other.read()
    client.leave()
    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")


def test_a_foreground_job_without_a_client_goes_where_it_cannot_be_stored(wire: DurableWire) -> None:
    client, other = wire.peer(), wire.peer()
    client.send("SUBMIT_JOB", b"f", b"u", b"w")
    other.send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    client.leave()
    assert [J1] == list(wire.broker._registry.jobs)
    wire.refuse()

    assert {} == wire.broker._registry.jobs


def test_a_running_foreground_job_that_cannot_be_stored_runs_on(wire: DurableWire) -> None:
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"u", b"w")
    worker.ask("GRAB_JOB")
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    wire.refuse()

    assert RUNNING == wire.state(J1)
    worker.send("WORK_COMPLETE", J1, b"r")
    assert [created(J1), ("WORK_COMPLETE", J1, b"r")] == client.read()


def test_a_job_that_is_over_is_acknowledged_though_nothing_is_stored(wire: DurableWire) -> None:
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    wire.take()
    wire.peer().line(b"cancel job H:t:1")
    wire.refuse()

    assert [created(J1)] == client.read()


# While they wait


def test_a_job_stays_when_its_client_leaves_before_the_commit(wire: DurableWire) -> None:
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    client.leave()
    check_invariants(wire.broker)
    wire.commit()

    assert [] == client.end.take_outbox()
    assert [("JOB_ASSIGN", J1, b"f", b"w")] == wire.worker(b"f").ask("GRAB_JOB")


def test_a_job_that_is_cancelled_before_the_commit_is_not_stored(wire: DurableWire) -> None:
    client, other = wire.peer(), wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    other.send("SUBMIT_JOB", b"f", b"u", b"w")
    assert b"OK\r\n" == wire.peer().line(b"cancel job H:t:1")

    assert wire.commit().empty
    assert [created(J1)] == client.read()
    assert [created(J1), ("WORK_FAIL", J1)] == other.read()


def test_jobs_that_wait_count_for_the_limit_of_their_function(wire: DurableWire) -> None:
    client = wire.peer()
    client.line(b"maxqueue f 1")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    wire.commit()

    assert [created(J1), ("ERROR", b"QUEUE_ERROR", b"Job queue is full")] == client.read()


def test_a_broker_with_jobs_that_wait_has_work(wire: DurableWire) -> None:
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"", b"w")
    assert wire.broker.has_work()
    wire.commit()
    assert not wire.broker.has_work()


def test_a_workload_that_the_store_does_not_take_is_refused() -> None:
    wire = DurableWire(max_stored_bytes=3)
    client = wire.peer()

    text = b"workload: the store takes at most 3 bytes, got 4"
    assert [("ERROR", b"QUEUE_ERROR", text)] == client.ask("SUBMIT_JOB_BG", b"f", b"", b"1234")
    assert [created(J1)] == client.ask("SUBMIT_JOB", b"f", b"", b"1234")


def test_what_waits_is_counted_in_bytes(wire: DurableWire) -> None:
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"x" * 1000)
    client.send("ECHO_REQ", b"y" * 1000)
    (peer,) = wire.broker.peers()

    assert 2000 < peer.outbox_bytes < 2300
    wire.commit()
    assert (0, False) == (client.end.held_bytes, client.end.held)


# Answers of many rows, and functions that are steered, while jobs wait to be stored


def go_on(wire: DurableWire) -> None:
    """Make long answers to their end."""
    while wire.broker.answering:
        for peer in list(wire.broker.answering):
            wire.broker.go_on(peer)
        check_invariants(wire.broker)


def many_jobs(wire: DurableWire) -> bytes:
    """More foreground jobs than a piece of a table has rows; give the end of the table of them all."""
    crowd = wire.peer()
    for number in range(2500):
        crowd.send("SUBMIT_JOB", b"g", b"", b"%d" % number)
    return b"H:t:2500\t0\t0\t0\n"


def test_a_long_table_waits_behind_an_answer_that_waits_for_the_store(wire: DurableWire) -> None:
    last = many_jobs(wire)
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    client.raw(b"show jobs\n")
    client.send("ECHO_REQ", b"behind it")
    check_invariants(wire.broker)

    assert ({}, []) == (wire.broker.answering, client.end.outbox)
    wire.commit()
    assert [client.end] == list(wire.broker.answering)
    go_on(wire)
    sent = b"".join(client.end.take_outbox())
    created_at, table_at, echo_at = sent.index(b"H:t:2501"), sent.index(last), sent.index(b"behind it")
    assert created_at < table_at < echo_at
    assert sent[table_at:echo_at].count(b"\n.\n") == 1
    assert (0, False) == (client.end.held_bytes, client.end.held)


@pytest.mark.parametrize("commits_first", [False, True], ids=["table first", "commit first"])
def test_an_answer_that_waits_for_the_store_waits_behind_a_long_table(
    wire: DurableWire, *, commits_first: bool
) -> None:
    last = many_jobs(wire)
    client = wire.peer()
    client.raw(b"show jobs\n")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    client.send("ECHO_REQ", b"behind it")
    check_invariants(wire.broker)

    if commits_first:
        wire.commit()
        check_invariants(wire.broker)
        go_on(wire)
    else:
        go_on(wire)
        assert not b"".join(client.end.outbox).count(b"behind it")
        wire.commit()
    sent = b"".join(client.end.take_outbox())
    assert sent.index(last) < sent.index(b"\n.\n") < sent.rindex(b"H:t:2501") < sent.index(b"behind it")
    assert (0, False) == (client.end.held_bytes, client.end.held)


def test_a_refusal_keeps_its_place_behind_a_long_table(wire: DurableWire) -> None:
    many_jobs(wire)
    client = wire.peer()
    client.raw(b"show jobs\n")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    wire.broker.refuse("the disk is full")
    check_invariants(wire.broker)
    # A later batch, which has nothing to do with it.
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"", b"w")
    wire.commit()
    go_on(wire)

    sent = b"".join(client.end.take_outbox())
    assert sent.index(b"\n.\n") < sent.index(b"QUEUE_ERROR\0the disk is full")
    assert not sent.count(b"H:t:2501\n")


def test_a_peer_that_leaves_leaves_nothing_in_line(wire: DurableWire) -> None:
    many_jobs(wire)
    client = wire.peer()
    client.raw(b"show jobs\n")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    client.raw(b"show jobs\n")
    wire.broker.disconnect(client.end, wire.now)
    wire.commit()

    assert ({}, 0, []) == (wire.broker.answering, client.end.held_bytes, client.end.outbox)


def test_a_peer_behind_whose_answer_too_much_waits_is_to_be_disconnected(wire: DurableWire) -> None:
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    for _ in range(70):
        client.send("ECHO_REQ", b"x" * 1_000_000)

    assert client.end.failure.endswith("bytes wait behind an answer that waits for the store")
    # There the runtime looks for it, for it may be others who send so much.
    assert [client.end] == list(wire.broker.answering)


def test_a_single_large_packet_may_wait(wire: DurableWire) -> None:
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    client.send("ECHO_REQ", b"x" * 70_000_000)

    assert not client.end.failure
    wire.commit()
    assert client.end.outbox_bytes > 70_000_000


def test_a_packet_that_ends_the_connection_is_answered_in_its_turn() -> None:
    wire = DurableWire(max_packet_bytes=100)
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    client.send("ECHO_REQ", b"x" * 101)
    assert client.end.failure
    wire.commit()

    assert [created(J1), "ERROR"] == [reply if reply[0] != "ERROR" else "ERROR" for reply in client.read()]


def test_purge_ends_jobs_that_wait_to_be_stored(wire: DurableWire) -> None:
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")

    assert b"OK 1\n" == wire.peer().line(b"purge function f")
    assert 1 == wire.broker.counters().cancelled
    batch = wire.commit()
    assert ([], []) == (batch.adds, batch.removes)
    # As for a job that was purged a moment after it was acknowledged.
    assert [created(J1)] == client.read()
    assert not wire.broker._registry.jobs


def test_a_job_of_a_paused_function_is_stored_and_kept_from_workers(wire: DurableWire) -> None:
    wire.peer().line(b"pause function f")
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"w")
    wire.commit()

    assert [created(J1)] == client.read()
    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")
    wire.peer().line(b"resume function f")
    assert "JOB_ASSIGN" == worker.ask("GRAB_JOB")[0][0]


def test_jobs_that_wait_to_be_stored_are_listed_as_such(wire: DurableWire) -> None:
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"u", b"work")

    row = b"H:t:1\tu\tnormal\tcommitting\t0\t1\t0\t4\t0\t0\n.\n"
    assert row == wire.peer().line(b"list jobs f state=committing")


def test_a_closed_broker_holds_no_job(wire: DurableWire) -> None:
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"u", b"w")
    wire.broker.disconnect(client.end, wire.now)
    wire.broker.close()

    assert not wire.broker._registry.jobs
    assert wire.broker.take_batch() is not None


# Jobs of an earlier run


def stored(row: int, **changes: Any) -> StoredJob:
    job = StoredJob(row, b"H:old:%d" % row, b"f", b"", 1, b"w", 0.0, b"", 0, 5.0, True, "")
    return job._replace(**changes)


def test_stored_jobs_come_back_in_their_order_with_their_handles(wire: DurableWire) -> None:
    jobs = [stored(1, workload=b"1"), stored(2, workload=b"2", priority=0), stored(4, workload=b"4")]
    worker = wire.sleeper(b"f")

    assert [] == wire.broker.restore(jobs, wire.now)
    check_invariants(wire.broker)

    assert [("NOOP",)] == worker.read()
    client = wire.peer()
    assert [("STATUS_RES", b"H:old:4", b"1", b"0", b"0", b"0")] == client.ask("GET_STATUS", b"H:old:4")
    assert [b"2", b"1", b"4"] == [worker.ask("GRAB_JOB")[0][-1] for _ in jobs]
    worker.send("WORK_COMPLETE", b"H:old:2", b"")
    assert [2] == wire.take().removes
    assert 3 == wire.broker.counters().restored


def test_attempts_reducer_and_time_come_back() -> None:
    wire = DurableWire(max_attempts=2)
    wire.broker.restore([stored(1, attempts=1, reducer=b"r", run_at=1_000_005.0)], wire.now)
    worker = wire.worker(b"f")

    assert [("NO_JOB",)] == worker.ask("GRAB_JOB_ALL")
    wire.advance(5.0)
    assert [("JOB_ASSIGN_ALL", b"H:old:1", b"f", b"", b"r", b"w")] == worker.ask("GRAB_JOB_ALL")
    worker.leave()
    assert 1 == wire.broker.counters().lost


def test_a_unique_id_that_is_live_already_does_not_lose_the_old_job(wire: DurableWire) -> None:
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"u", b"new")
    wire.commit()
    wire.broker.restore([stored(9, unique=b"u", workload=b"old")], wire.now)
    worker = wire.worker(b"f")

    assert [b"new", b"old"] == [worker.ask("GRAB_JOB")[0][-1] for _ in range(2)]
    worker.send("WORK_COMPLETE", J1, b"")
    assert [created(b"H:old:9")] == wire.peer().ask("SUBMIT_JOB_BG", b"f", b"u", b"new")
    worker.send("WORK_COMPLETE", b"H:old:9", b"")
    check_invariants(wire.broker)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"function": b""}, "function name: must not be empty"),
        ({"function": b"f" * 513}, "function name: expected at most 512 bytes, got 513"),
        ({"function": b"f\0g"}, "function, unique ID and reducer: must not hold a NUL"),
        ({"unique": b"\0"}, "function, unique ID and reducer: must not hold a NUL"),
        ({"handle": b""}, "handle: expected 1 to 64 bytes without NUL, got b''"),
        ({"handle": b"H:old:1"}, "handle b'H:old:1': another job has it"),
        ({"priority": 3}, "priority: expected 0, 1 or 2, got 3"),
    ],
)
def test_what_cannot_be_a_job_is_given_back_with_the_reason(
    wire: DurableWire, changes: dict[str, Any], reason: str
) -> None:
    bad = wire.broker.restore([stored(1), stored(2, **changes), stored(3)], wire.now)

    assert [(2, reason)] == bad
    assert [b"H:old:1", b"H:old:3"] == list(wire.broker._registry.jobs)


def test_rows_go_on_where_the_earlier_run_ended() -> None:
    wire = DurableWire(first_row=100)
    wire.peer().send("SUBMIT_JOB_BG", b"f", b"", b"w")

    assert [100] == [job.row for job in wire.take().adds]
