"""Which job a grab gets, and what becomes of the jobs of workers that are lost or too slow."""

from __future__ import annotations

import pytest

from gearman_trio.core import Policy

from .wire import J1, J2, J3, J4, Wire, WirePeer

NO_JOB = [("NO_JOB",)]


def grab_all(worker: WirePeer) -> list[bytes]:
    """Grab until there is nothing; give the workloads."""
    workloads = []
    while (replies := worker.ask("GRAB_JOB")) != NO_JOB:
        workloads += [fields[-1] for _, *fields in replies]
    return workloads


# ---- order ----


def test_first_in_first_out_within_function_and_priority() -> None:
    wire = Wire()
    for number in range(5):
        wire.background(b"f", b"%d" % number)

    assert [b"0", b"1", b"2", b"3", b"4"] == grab_all(wire.worker(b"f"))


def test_foreground_and_background_share_a_queue() -> None:
    wire = Wire()
    client = wire.peer()
    client.send("SUBMIT_JOB", b"f", b"", b"1")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"2")
    client.send("SUBMIT_JOB", b"f", b"", b"3")

    assert [b"1", b"2", b"3"] == grab_all(wire.worker(b"f"))


def test_priorities_hold_over_all_functions() -> None:
    wire = Wire()
    for function in (b"f", b"g"):
        for packet in ("SUBMIT_JOB_LOW_BG", "SUBMIT_JOB_BG", "SUBMIT_JOB_HIGH_BG"):
            wire.background(function, function + packet[10:12].encode(), packet)

    assert [b"f_H", b"g_H", b"f_B", b"g_B", b"f_L", b"g_L"] == grab_all(wire.worker(b"f", b"g"))


def test_functions_take_turns_within_a_priority() -> None:
    wire = Wire()
    for workload in (b"1", b"2", b"3"):
        for function in (b"a", b"b", b"c"):
            wire.background(function, function + workload)

    assert [b"a1", b"b1", b"c1", b"a2", b"b2", b"c2", b"a3", b"b3", b"c3"] == grab_all(wire.worker(b"a", b"b", b"c"))


def test_a_turn_goes_on_after_an_ability_is_given_up() -> None:
    wire = Wire()
    worker = wire.worker(b"a", b"b", b"c")
    for workload in (b"1", b"2"):
        for function in (b"a", b"b", b"c"):
            wire.background(function, function + workload)
    worker.ask("GRAB_JOB")
    worker.send("CANT_DO", b"a")

    assert [b"b1", b"c1", b"b2", b"c2"] == grab_all(worker)


def test_a_turn_goes_on_after_the_last_ability_is_given_up() -> None:
    wire = Wire()
    worker = wire.worker(b"a", b"b", b"c")
    for function in (b"a", b"b", b"c", b"a", b"b"):
        wire.background(function, function)
    worker.ask("GRAB_JOB")
    worker.ask("GRAB_JOB")
    worker.send("CANT_DO", b"c")

    assert [b"a", b"b"] == grab_all(worker)


def test_switch_priority_within_each_function() -> None:
    """Gearmand 1.1 with --round-robin."""
    wire = Wire(Policy(global_priority=False))
    wire.background(b"a", b"low", "SUBMIT_JOB_LOW_BG")
    wire.background(b"a", b"normal")
    wire.background(b"b", b"high", "SUBMIT_JOB_HIGH_BG")

    assert [b"normal", b"high", b"low"] == grab_all(wire.worker(b"a", b"b"))


def test_switch_last_registered_first() -> None:
    """Gearmand 1.1 by default: a function is drained, its low jobs too, before another is looked at."""
    wire = Wire(Policy(round_robin=False, global_priority=False))
    wire.background(b"a", b"a high", "SUBMIT_JOB_HIGH_BG")
    wire.background(b"b", b"b normal")
    wire.background(b"b", b"b low", "SUBMIT_JOB_LOW_BG")

    assert [b"b normal", b"b low", b"a high"] == grab_all(wire.worker(b"a", b"b"))


def test_switch_last_registered_first_with_global_priority() -> None:
    wire = Wire(Policy(round_robin=False))
    wire.background(b"a", b"a high", "SUBMIT_JOB_HIGH_BG")
    wire.background(b"a", b"a normal")
    wire.background(b"b", b"b normal")
    wire.background(b"b", b"b low", "SUBMIT_JOB_LOW_BG")

    assert [b"a high", b"b normal", b"a normal", b"b low"] == grab_all(wire.worker(b"a", b"b"))


# ---- the three grabs ----


def test_each_grab_tells_more() -> None:
    wire = Wire()
    worker = wire.worker(b"f")
    for _ in range(3):
        wire.peer().send("SUBMIT_REDUCE_JOB_BACKGROUND", b"f", b"", b"r", b"", b"w")

    assert [("JOB_ASSIGN", J1, b"f", b"w")] == worker.ask("GRAB_JOB")
    assert [("JOB_ASSIGN_UNIQ", J2, b"f", b"", b"w")] == worker.ask("GRAB_JOB_UNIQ")
    assert [("JOB_ASSIGN_ALL", J3, b"f", b"", b"r", b"w")] == worker.ask("GRAB_JOB_ALL")


def test_grab_all_of_a_job_without_reducer_names_an_empty_one() -> None:
    """As the protocol document says; gearmand answers JOB_ASSIGN_UNIQ."""
    wire = Wire()
    wire.background(b"f", b"w")

    assert [("JOB_ASSIGN_ALL", J1, b"f", b"", b"", b"w")] == wire.worker(b"f").ask("GRAB_JOB_ALL")


@pytest.mark.parametrize("grab", ["GRAB_JOB", "GRAB_JOB_UNIQ", "GRAB_JOB_ALL"])
def test_without_a_job_or_an_ability_there_is_no_job(grab: str) -> None:
    wire = Wire()
    wire.background(b"f")

    assert NO_JOB == wire.peer().ask(grab)
    assert NO_JOB == wire.worker(b"g").ask(grab)
    assert NO_JOB == wire.worker(b"g", b"h").ask(grab)


def test_a_worker_may_hold_many_jobs() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    for _ in range(3):
        client.send("SUBMIT_JOB", b"f", b"", b"")
    client.read()
    grab_all(worker)
    worker.send("WORK_COMPLETE", J2, b"two")
    worker.send("WORK_COMPLETE", J1, b"one")

    assert [("WORK_COMPLETE", J2, b"two"), ("WORK_COMPLETE", J1, b"one")] == client.read()


# ---- abilities ----


def test_saying_an_ability_twice_counts_once() -> None:
    """Gearmand counts the worker twice."""
    wire = Wire()
    worker = wire.worker(b"f", b"f")

    assert b"f\t0\t0\t1\n.\n" == worker.line(b"status")

    worker.send("CANT_DO", b"f")

    assert b"f\t0\t0\t0\n.\n" == worker.line(b"status")


@pytest.mark.parametrize(
    ("packet", "body", "code", "text"),
    [
        ("CAN_DO", b"", b"INVALID_FUNCTION_NAME", b"function name: must not be empty"),
        ("CAN_DO", b"\0", b"INVALID_FUNCTION_NAME", b"function name: must not be empty"),
        ("CAN_DO", b"f" * 513, b"ARGUMENT_TOO_LARGE", b"function name: at most 512 bytes"),
        ("CAN_DO", b"f\x0060", b"INVALID_PACKET", b"CAN_DO takes 1 fields (function), got 2"),
        ("CAN_DO_TIMEOUT", b"f", b"INVALID_PACKET", b"CAN_DO_TIMEOUT takes 2 fields (function, timeout), got 1"),
        ("CAN_DO_TIMEOUT", b"\x005", b"INVALID_FUNCTION_NAME", b"function name: must not be empty"),
        ("CAN_DO_TIMEOUT", b"f\0", b"INVALID_ARGUMENT", b"timeout: expected whole milliseconds, got ''"),
        ("CAN_DO_TIMEOUT", b"f\0-5", b"INVALID_ARGUMENT", b"timeout: expected whole milliseconds, got '-5'"),
        ("CAN_DO_TIMEOUT", b"f\x001.5", b"INVALID_ARGUMENT", b"timeout: expected whole milliseconds, got '1.5'"),
        (
            "CAN_DO_TIMEOUT",
            b"f\0" + b"9" * 13,
            b"INVALID_ARGUMENT",
            b"timeout: expected whole milliseconds, got '9999999999999'",
        ),
        # npm's gearman sends the number as four raw bytes.
        ("CAN_DO_TIMEOUT", b"f\0\0\0\0\x05", b"INVALID_PACKET", None),
        ("CANT_DO", b"f\0g", b"INVALID_PACKET", b"CANT_DO takes 1 fields (function), got 2"),
        ("RESET_ABILITIES", b"x", b"INVALID_PACKET", b"RESET_ABILITIES takes 0 fields, got 1"),
        ("PRE_SLEEP", b"x", b"INVALID_PACKET", b"PRE_SLEEP takes 0 fields, got 1"),
        ("GRAB_JOB", b"x", b"INVALID_PACKET", b"GRAB_JOB takes 0 fields, got 1"),
        ("GRAB_JOB_UNIQ", b"x", b"INVALID_PACKET", b"GRAB_JOB_UNIQ takes 0 fields, got 1"),
        ("GRAB_JOB_ALL", b"x", b"INVALID_PACKET", b"GRAB_JOB_ALL takes 0 fields, got 1"),
        ("ALL_YOURS", b"x", b"INVALID_PACKET", b"ALL_YOURS takes 0 fields, got 1"),
    ],
)
def test_a_malformed_packet_of_a_worker_is_answered_and_changes_nothing(
    packet: str, body: bytes, code: bytes, text: bytes | None
) -> None:
    wire = Wire()
    worker = wire.worker(b"h")
    wire.background(b"h")
    ((name, *fields),) = worker.body(packet, body)

    assert ("ERROR", code, text or fields[1]) == (name, *fields)
    assert [b"h"] == [function.name for function in wire.broker.functions() if function.workers]
    assert [("JOB_ASSIGN", J1, b"h", b"")] == worker.ask("GRAB_JOB")


def test_a_nul_after_the_name_is_passed_over() -> None:
    wire = Wire()
    worker = wire.peer()
    worker.body("CAN_DO", b"f\0")

    assert b"f\t0\t0\t1\n.\n" == worker.line(b"status")

    worker.body("CANT_DO", b"f\0")

    assert b"f\t0\t0\t0\n.\n" == worker.line(b"status")


def test_giving_up_an_unknown_ability_is_nothing() -> None:
    worker = Wire().worker(b"f")

    assert [] == worker.ask("CANT_DO", b"g")
    assert [] == worker.ask("CANT_DO", b"f")
    assert [] == worker.ask("CANT_DO", b"f")


def test_all_yours_is_taken_without_an_answer() -> None:
    assert [] == Wire().worker(b"f").ask("ALL_YOURS")


@pytest.mark.parametrize("packet", ["CANT_DO", "RESET_ABILITIES"])
def test_running_jobs_go_on_after_an_ability_is_given_up(packet: str) -> None:
    """Gearmand queues them again, and they run twice."""
    wire = Wire()
    client, worker, other = wire.peer(), wire.worker(b"f"), wire.worker(b"f")
    client.ask("SUBMIT_JOB", b"f", b"", b"")
    worker.ask("GRAB_JOB")
    worker.send(packet, *([b"f"] if packet == "CANT_DO" else []))

    assert NO_JOB == other.ask("GRAB_JOB")

    worker.send("WORK_COMPLETE", J1, b"r")

    assert [("WORK_COMPLETE", J1, b"r")] == client.read()


@pytest.mark.parametrize("packet", ["CANT_DO", "RESET_ABILITIES"])
def test_an_ability_given_up_gets_no_jobs(packet: str) -> None:
    wire = Wire()
    worker = wire.worker(b"f")
    worker.send(packet, *([b"f"] if packet == "CANT_DO" else []))
    wire.background(b"f")

    assert NO_JOB == worker.ask("GRAB_JOB")


# ---- time limits ----


def test_a_job_that_outlives_its_time_limit_fails_and_its_clients_are_told() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.peer()
    worker.send("CAN_DO_TIMEOUT", b"f", b"1500")
    client.ask("SUBMIT_JOB", b"f", b"", b"")
    worker.ask("GRAB_JOB")

    assert 1.5 == wire.broker.next_deadline()

    wire.advance(1.499)

    assert [] == client.read()

    wire.advance(0.001)

    assert [("WORK_FAIL", J1)] == client.read()
    assert [("ERROR", b"JOB_NOT_FOUND", b"Job given in work result not found")] == worker.ask(
        "WORK_COMPLETE", J1, b"late"
    )
    assert (1, 0) == (wire.broker.counters().timed_out, wire.broker.counters().failed)


def test_switch_a_job_that_outlives_its_time_limit_is_queued_again() -> None:
    wire = Wire(Policy(requeue_on_timeout=True))
    client, slow, other = wire.peer(), wire.peer(), wire.sleeper(b"f")
    slow.send("CAN_DO_TIMEOUT", b"f", b"1500")
    client.ask("SUBMIT_JOB", b"f", b"", b"w")
    slow.ask("GRAB_JOB")
    other.read()
    other.ask("GRAB_JOB")
    other.send("PRE_SLEEP")
    wire.advance(1.5)

    assert [("NOOP",)] == other.read()
    assert [("JOB_ASSIGN", J1, b"f", b"w")] == other.ask("GRAB_JOB")
    assert [("ERROR", b"JOB_NOT_FOUND", b"Job given in work result not found")] == slow.ask("WORK_COMPLETE", J1, b"")

    other.send("WORK_COMPLETE", J1, b"r")

    assert [("WORK_COMPLETE", J1, b"r")] == client.read()


def test_attempts_limit_ends_requeueing_after_timeouts() -> None:
    wire = Wire(Policy(requeue_on_timeout=True, max_attempts=2))
    client, worker = wire.peer(), wire.peer()
    worker.send("CAN_DO_TIMEOUT", b"f", b"1000")
    client.ask("SUBMIT_JOB", b"f", b"", b"")
    worker.ask("GRAB_JOB")
    wire.advance(1)

    assert [("JOB_ASSIGN", J1, b"f", b"")] == worker.ask("GRAB_JOB")

    wire.advance(1)

    assert [("WORK_FAIL", J1)] == client.read()
    assert NO_JOB == worker.ask("GRAB_JOB")


def test_each_job_of_a_worker_has_its_own_time_limit() -> None:
    """Gearmand has one timer a connection."""
    wire = Wire()
    client, worker = wire.peer(), wire.peer()
    worker.send("CAN_DO_TIMEOUT", b"f", b"1000")
    worker.send("CAN_DO_TIMEOUT", b"g", b"3000")
    worker.send("CAN_DO", b"h")
    for function in (b"f", b"g", b"h"):
        client.send("SUBMIT_JOB", function, b"", b"")
        worker.ask("GRAB_JOB")
    client.read()
    wire.advance(1)

    assert [("WORK_FAIL", J1)] == client.read()

    wire.advance(2)

    assert [("WORK_FAIL", J2)] == client.read()

    wire.advance(1e6)

    assert [] == client.read()


@pytest.mark.parametrize("report", ["WORK_COMPLETE", "WORK_EXCEPTION"])
def test_an_ended_job_leaves_no_timer(report: str) -> None:
    wire = Wire()
    worker = wire.peer()
    worker.send("CAN_DO_TIMEOUT", b"f", b"1000")
    wire.background(b"f")
    worker.ask("GRAB_JOB")
    worker.send(report, J1, b"")

    assert float("inf") == wire.broker.next_deadline()


def test_the_time_limit_is_that_of_the_last_can_do() -> None:
    wire = Wire()
    worker = wire.peer()
    worker.send("CAN_DO_TIMEOUT", b"f", b"1000")
    worker.send("CAN_DO", b"f")
    wire.background(b"f")
    worker.ask("GRAB_JOB")

    assert float("inf") == wire.broker.next_deadline()


def test_a_time_limit_goes_with_its_ability() -> None:
    wire = Wire()
    worker = wire.peer()
    worker.send("CAN_DO_TIMEOUT", b"f", b"1000")
    worker.send("CANT_DO", b"f")
    worker.send("CAN_DO", b"f")
    wire.background(b"f")
    worker.ask("GRAB_JOB")

    assert float("inf") == wire.broker.next_deadline()


def test_a_time_limit_of_zero_is_none() -> None:
    wire = Wire()
    worker = wire.peer()
    worker.send("CAN_DO_TIMEOUT", b"f", b"0")
    wire.background(b"f")
    worker.ask("GRAB_JOB")

    assert float("inf") == wire.broker.next_deadline()


# ---- lost workers ----


def test_a_lost_workers_job_goes_to_the_tail_of_its_priority() -> None:
    wire = Wire()
    lost, other = wire.worker(b"f"), wire.worker(b"f")
    for workload in (b"1", b"2"):
        wire.background(b"f", workload)
    wire.background(b"f", b"low", "SUBMIT_JOB_LOW_BG")
    lost.ask("GRAB_JOB")
    lost.leave()

    assert [b"2", b"1", b"low"] == grab_all(other)


def test_a_lost_workers_jobs_keep_their_order() -> None:
    wire = Wire()
    lost, other = wire.worker(b"f"), wire.worker(b"f")
    for workload in (b"1", b"2", b"3"):
        wire.background(b"f", workload)
    grab_all(lost)
    lost.leave()

    assert [b"1", b"2", b"3"] == grab_all(other)


def test_a_lost_workers_job_forgets_its_progress_and_its_client_hears_the_next_workers() -> None:
    wire = Wire()
    client, lost, other = wire.peer(), wire.worker(b"f"), wire.worker(b"f")
    client.ask("SUBMIT_JOB", b"f", b"", b"w")
    lost.ask("GRAB_JOB")
    lost.send("WORK_STATUS", J1, b"1", b"2")
    lost.leave()

    assert [("WORK_STATUS", J1, b"1", b"2"), ("STATUS_RES", J1, b"1", b"0", b"0", b"0")] == client.ask("GET_STATUS", J1)
    assert [("JOB_ASSIGN", J1, b"f", b"w")] == other.ask("GRAB_JOB")

    other.send("WORK_COMPLETE", J1, b"r")

    assert [("WORK_COMPLETE", J1, b"r")] == client.read()


def test_a_lost_workers_job_wakes_a_sleeper() -> None:
    wire = Wire()
    wire.background(b"f", b"w")
    lost = wire.worker(b"f")
    lost.ask("GRAB_JOB")
    sleeper = wire.sleeper(b"f")
    lost.leave()

    assert [("NOOP",)] == sleeper.read()
    assert [("JOB_ASSIGN", J1, b"f", b"w")] == sleeper.ask("GRAB_JOB")


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_job_fails_after_the_last_attempt(limit: int) -> None:
    wire = Wire(Policy(max_attempts=limit))
    client = wire.peer()
    client.ask("SUBMIT_JOB", b"f", b"", b"")
    for _ in range(limit):
        assert [] == client.read()
        worker = wire.worker(b"f")
        assert [("JOB_ASSIGN", J1, b"f", b"")] == worker.ask("GRAB_JOB")
        worker.leave()

    assert [("WORK_FAIL", J1)] == client.read()
    assert NO_JOB == wire.worker(b"f").ask("GRAB_JOB")
    assert (1, limit - 1) == (wire.broker.counters().lost, wire.broker.counters().requeued)


def test_without_a_limit_a_job_is_tried_for_ever() -> None:
    wire = Wire()
    wire.background(b"f")
    for _ in range(100):
        worker = wire.worker(b"f")
        worker.ask("GRAB_JOB")
        worker.leave()

    assert [("JOB_ASSIGN", J1, b"f", b"")] == wire.worker(b"f").ask("GRAB_JOB")


def test_a_worker_and_the_only_client_lost_leave_nothing_to_do() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB", b"f", b"", b"")
    worker.ask("GRAB_JOB")
    client.leave()
    worker.leave()

    assert NO_JOB == wire.worker(b"f").ask("GRAB_JOB")
    assert 1 == wire.broker.counters().abandoned


def test_a_connection_that_works_on_its_own_job_takes_it_along() -> None:
    wire = Wire()
    both = wire.worker(b"f")
    both.send("SUBMIT_JOB", b"f", b"", b"")
    both.send("GRAB_JOB")
    both.leave()

    assert NO_JOB == wire.worker(b"f").ask("GRAB_JOB")


# ---- lost clients ----


def test_a_lost_clients_queued_jobs_go_at_once_and_the_others_keep_their_order() -> None:
    wire = Wire()
    lost, client = wire.peer(), wire.peer()
    client.ask("SUBMIT_JOB", b"f", b"", b"1")
    lost.ask("SUBMIT_JOB", b"f", b"", b"gone")
    client.ask("SUBMIT_JOB", b"f", b"", b"2")
    lost.ask("SUBMIT_JOB_HIGH", b"g", b"", b"gone")
    lost.leave()

    assert b"f\t2\t0\t0\ng\t0\t0\t0\n.\n" == client.line(b"status")
    assert [b"1", b"2"] == grab_all(wire.worker(b"f", b"g"))
    assert 2 == wire.broker.counters().abandoned


def test_a_lost_clients_job_stays_for_other_clients() -> None:
    wire = Wire()
    lost, client, worker = wire.peer(), wire.peer(), wire.worker(b"f")
    lost.ask("SUBMIT_JOB", b"f", b"u", b"w")
    lost.ask("SUBMIT_JOB", b"f", b"u", b"w")
    client.ask("SUBMIT_JOB", b"f", b"u", b"")
    lost.leave()

    assert [("JOB_ASSIGN", J1, b"f", b"w")] == worker.ask("GRAB_JOB")

    worker.send("WORK_COMPLETE", J1, b"r")

    assert [("WORK_COMPLETE", J1, b"r")] == client.read()


def test_a_lost_clients_running_job_goes_on_unheard() -> None:
    wire = Wire()
    lost, worker = wire.peer(), wire.worker(b"f")
    lost.ask("SUBMIT_JOB", b"f", b"u", b"")
    worker.ask("GRAB_JOB")
    lost.leave()

    assert [] == worker.ask("WORK_DATA", J1, b"")

    late = wire.peer()

    assert [("JOB_CREATED", J1)] == late.ask("SUBMIT_JOB", b"f", b"u", b"")
    assert [] == worker.ask("WORK_COMPLETE", J1, b"r")
    assert [("WORK_COMPLETE", J1, b"r")] == late.read()


def test_a_lost_clients_fourth_job_is_the_only_one_that_others_get() -> None:
    wire = Wire()
    lost, worker = wire.peer(), wire.worker(b"f")
    lost.send("SUBMIT_JOB", b"f", b"", b"1")
    lost.send("SUBMIT_JOB_LOW", b"f", b"", b"2")
    lost.send("SUBMIT_JOB_HIGH", b"f", b"", b"3")
    lost.send("SUBMIT_JOB_LOW_BG", b"f", b"", b"4")
    lost.leave()

    assert [("JOB_ASSIGN", J4, b"f", b"4")] == worker.ask("GRAB_JOB")
