"""Submissions: new jobs, joined jobs, refused ones, and jobs for later."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gearman_trio.core import Policy
from gearman_trio.protocol import PacketType, encode_request

from .wire import J1, J2, J3, Wire

EVERY_PLAIN_SUBMISSION = [
    "SUBMIT_JOB",
    "SUBMIT_JOB_HIGH",
    "SUBMIT_JOB_LOW",
    "SUBMIT_JOB_BG",
    "SUBMIT_JOB_HIGH_BG",
    "SUBMIT_JOB_LOW_BG",
]


# ---- new jobs ----


@pytest.mark.parametrize("packet", EVERY_PLAIN_SUBMISSION)
def test_a_job_gets_a_handle_and_reaches_a_worker_whole(packet: str) -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")

    assert [("JOB_CREATED", J1)] == client.ask(packet, b"f", b"u", b"\0\nw\xff")
    assert [("JOB_ASSIGN_UNIQ", J1, b"f", b"u", b"\0\nw\xff")] == worker.ask("GRAB_JOB_UNIQ")


def test_handles_count_from_the_first_with_the_prefix() -> None:
    wire = Wire(Policy(first_handle=41))
    client = wire.peer()

    assert [("JOB_CREATED", b"H:t:41")] == client.ask("SUBMIT_JOB", b"f", b"", b"")
    assert [("JOB_CREATED", b"H:t:42")] == client.ask("SUBMIT_JOB", b"f", b"", b"")


@pytest.mark.parametrize("packet", ["SUBMIT_JOB_BG", "SUBMIT_JOB_HIGH_BG", "SUBMIT_JOB_LOW_BG"])
def test_a_background_job_outlives_its_client_and_tells_it_nothing(packet: str) -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask(packet, b"f", b"", b"w")
    worker.ask("GRAB_JOB")
    worker.send("WORK_COMPLETE", J1, b"r")

    assert [] == client.read()

    client.ask(packet, b"f", b"", b"w")
    client.leave()

    assert [("JOB_ASSIGN", J2, b"f", b"w")] == worker.ask("GRAB_JOB")


def test_large_workloads_and_results_come_unchanged() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    workload = bytes(range(256)) * 20_000
    client.ask("SUBMIT_JOB", b"f", b"", workload)

    assert [("JOB_ASSIGN", J1, b"f", workload)] == worker.ask("GRAB_JOB")

    worker.send("WORK_COMPLETE", J1, workload[::-1])

    assert [("WORK_COMPLETE", J1, workload[::-1])] == client.read()


LARGE = b"w" + bytes(range(256)) * 2000


@pytest.mark.parametrize(
    ("packet", "arguments"),
    [
        *[(packet, b"f\0u\0") for packet in EVERY_PLAIN_SUBMISSION],
        ("SUBMIT_JOB_EPOCH", b"f\0u\0" + b"100\0"),
        ("SUBMIT_JOB_SCHED", b"f\0u\0*\0*\0*\0*\0*\0"),
        ("SUBMIT_REDUCE_JOB", b"f\0u\0\0"),
        ("SUBMIT_REDUCE_JOB", b"f\0u\0\0\0"),
        ("SUBMIT_REDUCE_JOB_BACKGROUND", b"f\0u\0\0\0"),
    ],
)
def test_large_workload_that_comes_in_pieces_is_kept_and_sent_as_it_is(packet: str, arguments: bytes) -> None:
    """Also after its first worker was lost."""
    wire = Wire()
    client, first, second = wire.peer(), wire.worker(b"f"), wire.worker(b"f")
    stream = b"\0REQ" + PacketType[packet].to_bytes(4) + len(arguments + LARGE).to_bytes(4) + arguments + LARGE
    for start in range(0, len(stream), 100_000):
        client.raw(stream[start : start + 100_000])
    wire.advance(120.0)

    assert [("JOB_CREATED", J1)] == client.read()

    first.send("GRAB_JOB_UNIQ")
    sent = first.end.take_outbox()[-1]

    assert LARGE == sent

    first.leave()
    second.send("GRAB_JOB_UNIQ")

    assert sent is second.end.take_outbox()[-1]


def test_large_workload_that_is_refused_is_not_taken_for_that_of_the_next_submission() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    body = b"\0\0" + LARGE
    stream = b"\0REQ" + PacketType.SUBMIT_JOB.to_bytes(4) + len(body).to_bytes(4) + body
    stream += encode_request(PacketType.SUBMIT_JOB, b"f", b"", b"")
    client.raw(stream[:20_000])
    client.raw(stream[20_000:])

    assert ["ERROR", "JOB_CREATED"] == [reply[0] for reply in client.read()]
    assert [("JOB_ASSIGN", J1, b"f", b"")] == worker.ask("GRAB_JOB")


def test_large_result_is_sent_to_every_client_from_the_same_memory() -> None:
    wire = Wire()
    clients = [wire.peer() for _ in range(3)]
    worker = wire.worker(b"f")
    for client in clients:
        client.ask("SUBMIT_JOB", b"f", b"u", b"")
    worker.ask("GRAB_JOB")
    worker.send("WORK_COMPLETE", J1, LARGE)
    results = [client.end.take_outbox()[-1] for client in clients]

    assert J1 + b"\0" + LARGE == results[0]
    assert results[0] is results[1]
    assert results[0] is results[2]


# ---- coalescing ----


def test_second_submission_with_same_unique_shares_the_job() -> None:
    wire = Wire()
    first, second, worker = wire.peer(), wire.peer(), wire.worker(b"f")

    assert [("JOB_CREATED", J1)] == first.ask("SUBMIT_JOB", b"f", b"u", b"one")
    assert [("JOB_CREATED", J1)] == second.ask("SUBMIT_JOB_HIGH", b"f", b"u", b"two")
    assert [("JOB_ASSIGN", J1, b"f", b"one")] == worker.ask("GRAB_JOB")

    worker.send("WORK_COMPLETE", J1, b"r")

    assert [("WORK_COMPLETE", J1, b"r")] == first.read()
    assert [("WORK_COMPLETE", J1, b"r")] == second.read()
    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")
    assert (1, 1) == (wire.broker.counters().submitted, wire.broker.counters().coalesced)


def test_a_running_job_is_joined_and_only_what_follows_is_heard() -> None:
    wire = Wire()
    first, second, worker = wire.peer(), wire.peer(), wire.worker(b"f")
    first.ask("SUBMIT_JOB", b"f", b"u", b"")
    worker.ask("GRAB_JOB")
    worker.send("WORK_DATA", J1, b"a")
    second.send("SUBMIT_JOB", b"f", b"u", b"")
    worker.send("WORK_DATA", J1, b"b")

    assert [("WORK_DATA", J1, b"a"), ("WORK_DATA", J1, b"b")] == first.read()
    assert [("JOB_CREATED", J1), ("WORK_DATA", J1, b"b")] == second.read()


def test_an_ended_job_is_not_joined() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB", b"f", b"u", b"")
    worker.ask("GRAB_JOB")
    worker.send("WORK_COMPLETE", J1, b"")
    client.read()

    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"f", b"u", b"")


def test_the_same_unique_of_another_function_is_another_job() -> None:
    client = Wire().peer()

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"u", b"")
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"g", b"u", b"")


def test_an_empty_unique_never_coalesces() -> None:
    client = Wire().peer()

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"", b"same")
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"f", b"", b"same")


def test_a_dash_coalesces_by_workload() -> None:
    client = Wire().peer()

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"-", b"same")
    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"-", b"same")
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"f", b"-", b"other")
    assert [("JOB_CREATED", J3)] == client.ask("SUBMIT_JOB", b"f", b"same", b"")


def test_a_dash_with_an_empty_workload_never_coalesces() -> None:
    client = Wire().peer()

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"-", b"")
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"f", b"-", b"")


def test_a_client_attached_twice_hears_everything_twice() -> None:
    """As with gearmand."""
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"u", b"")
    client.send("SUBMIT_JOB", b"f", b"u", b"")
    client.read()
    worker.ask("GRAB_JOB")
    worker.send("WORK_COMPLETE", J1, b"r")

    assert [("WORK_COMPLETE", J1, b"r")] * 2 == client.read()


def test_a_background_client_joining_makes_the_job_stay() -> None:
    """Unlike in gearmand, where the last foreground client takes the job with it."""
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB", b"f", b"u", b"w")
    wire.peer().ask("SUBMIT_JOB_BG", b"f", b"u", b"w")
    client.leave()

    assert [("JOB_ASSIGN", J1, b"f", b"w")] == worker.ask("GRAB_JOB")


def test_a_foreground_client_joining_a_background_job_does_not_take_it_away() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    wire.peer().ask("SUBMIT_JOB_BG", b"f", b"u", b"w")
    client.ask("SUBMIT_JOB", b"f", b"u", b"w")
    client.leave()

    assert [("JOB_ASSIGN", J1, b"f", b"w")] == worker.ask("GRAB_JOB")


def test_a_unique_of_64_bytes_coalesces_with_itself() -> None:
    """In gearmand it is cut to 63 bytes and does not."""
    client = Wire().peer()

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"u" * 64, b"")
    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"u" * 64, b"")


# ---- refused ----

TOO_FEW = "SUBMIT_JOB takes 3 fields (function, unique, workload), got "


@pytest.mark.parametrize(
    ("packet", "body", "code", "text"),
    [
        ("SUBMIT_JOB", b"", b"INVALID_PACKET", TOO_FEW + "1"),
        ("SUBMIT_JOB", b"f\0u", b"INVALID_PACKET", TOO_FEW + "2"),
        ("SUBMIT_JOB", b"\0u\0w", b"INVALID_FUNCTION_NAME", "function name: must not be empty"),
        ("SUBMIT_JOB", b"f" * 513 + b"\0\0", b"ARGUMENT_TOO_LARGE", "function name: at most 512 bytes"),
        ("SUBMIT_JOB", b"f\0" + b"u" * 65 + b"\0", b"ARGUMENT_TOO_LARGE", "Unique value too large"),
        (
            "SUBMIT_JOB_EPOCH",
            b"f\0u\x009",
            b"INVALID_PACKET",
            "SUBMIT_JOB_EPOCH takes 4 fields (function, unique, epoch, workload), got 3",
        ),
        ("SUBMIT_JOB_EPOCH", b"\0u\x009\0w", b"INVALID_FUNCTION_NAME", "function name: must not be empty"),
        (
            "SUBMIT_JOB_SCHED",
            b"f\0u\0\0\0\0\0",
            b"INVALID_PACKET",
            "SUBMIT_JOB_SCHED takes 8 fields (function, unique, minute, hour, day_of_month, month, day_of_week, "
            "workload), got 7",
        ),
        (
            "SUBMIT_JOB_SCHED",
            b"f\0u\x0061\0\0\0\0\0w",
            b"INVALID_ARGUMENT",
            "minute: expected a number from 0 to 59, a list, a range, a step, or nothing for any; got '61'",
        ),
        (
            "SUBMIT_JOB_SCHED",
            b"f\0u\0\0\0\0\0\xff\0w",
            b"INVALID_ARGUMENT",
            "day of week: expected a number from 0 to 6, a list, a range, a step, or nothing for any; got '\\\\xff'",
        ),
        (
            "SUBMIT_JOB_SCHED",
            b"f\0u\0\0\x0031\x002\0\0w",
            b"INVALID_ARGUMENT",
            "schedule: no day matches day of month, month and day of week",
        ),
        (
            "SUBMIT_REDUCE_JOB",
            b"f\0u\0r",
            b"INVALID_PACKET",
            "SUBMIT_REDUCE_JOB takes 5 fields (function, unique, reducer, aggregate, workload), got 3",
        ),
        ("SUBMIT_REDUCE_JOB", b"f\0u\0" + b"r" * 513 + b"\0\0w", b"ARGUMENT_TOO_LARGE", "reducer: at most 512 bytes"),
        (
            "SUBMIT_REDUCE_JOB_BACKGROUND",
            b"f\0" + b"u" * 65 + b"\0r\0\0w",
            b"ARGUMENT_TOO_LARGE",
            "Unique value too large",
        ),
    ],
)
def test_a_submission_is_refused_with_the_reason(packet: str, body: bytes, code: bytes, text: str) -> None:
    wire = Wire()

    assert [("ERROR", code, text.encode())] == wire.peer().body(packet, body)
    assert (1, 0) == (wire.broker.counters().rejected, wire.broker.counters().submitted)


@pytest.mark.parametrize(
    "epoch", [b"", b"abc", b"-1", b"+5", b" 5", b"1e9", b"1.", b".5", b"5\n", b"9" * 16, b"1.1234567891", b"0x10"]
)
def test_an_epoch_that_is_no_decimal_number_is_refused(epoch: bytes) -> None:
    """In gearmand it means 0, and the job runs at once."""
    text = b"epoch: expected decimal seconds, got " + repr(epoch.decode()).encode()

    assert [("ERROR", b"INVALID_ARGUMENT", text)] == Wire().peer().ask("SUBMIT_JOB_EPOCH", b"f", b"", epoch, b"")


def test_a_refused_submission_leaves_the_connection_usable() -> None:
    client = Wire().peer()
    client.body("SUBMIT_JOB", b"")

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"", b"")


def test_names_and_uniques_of_the_longest_are_taken() -> None:
    wire = Wire()
    worker = wire.worker(b"f" * 512)

    assert [("JOB_CREATED", J1)] == wire.peer().ask("SUBMIT_REDUCE_JOB", b"f" * 512, b"u" * 64, b"r" * 512, b"", b"w")
    assert [("JOB_ASSIGN_ALL", J1, b"f" * 512, b"u" * 64, b"r" * 512, b"w")] == worker.ask("GRAB_JOB_ALL")


# ---- maxqueue ----

FULL = ("ERROR", b"QUEUE_ERROR", b"Job queue is full")


def test_a_full_queue_refuses_every_priority() -> None:
    wire = Wire()
    client = wire.peer()
    client.line(b"maxqueue f 1")

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"", b"")
    assert [[FULL]] * 6 == [client.ask(packet, b"f", b"", b"") for packet in EVERY_PLAIN_SUBMISSION]
    assert [FULL] == client.ask("SUBMIT_JOB_EPOCH", b"f", b"", b"99", b"")
    assert [FULL] == client.ask("SUBMIT_REDUCE_JOB", b"f", b"", b"r", b"", b"")
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"g", b"", b"")


def test_running_and_scheduled_jobs_count_for_the_limit() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.line(b"maxqueue f 2")
    client.ask("SUBMIT_JOB_EPOCH", b"f", b"", b"99", b"")
    client.ask("SUBMIT_JOB", b"f", b"", b"")
    worker.ask("GRAB_JOB")

    assert [FULL] == client.ask("SUBMIT_JOB", b"f", b"", b"")

    worker.send("WORK_COMPLETE", J2, b"")

    assert [("WORK_COMPLETE", J2, b""), ("JOB_CREATED", J3)] == client.ask("SUBMIT_JOB", b"f", b"", b"")


def test_three_sizes_limit_the_whole_queue_by_the_new_jobs_priority() -> None:
    client = Wire().peer()
    client.line(b"maxqueue f 3 2 1")

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB_LOW", b"f", b"", b"")
    assert [FULL] == client.ask("SUBMIT_JOB_LOW", b"f", b"", b"")
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"f", b"", b"")
    assert [FULL] == client.ask("SUBMIT_JOB", b"f", b"", b"")
    assert [("JOB_CREATED", J3)] == client.ask("SUBMIT_JOB_HIGH", b"f", b"", b"")
    assert [FULL] == client.ask("SUBMIT_JOB_HIGH", b"f", b"", b"")


def test_two_sizes_leave_low_unlimited() -> None:
    client = Wire().peer()
    client.line(b"maxqueue f 1 1")
    client.ask("SUBMIT_JOB", b"f", b"", b"")

    assert [FULL] == client.ask("SUBMIT_JOB_HIGH", b"f", b"", b"")
    assert [FULL] == client.ask("SUBMIT_JOB", b"f", b"", b"")
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB_LOW", b"f", b"", b"")


@pytest.mark.parametrize("lift", [b"maxqueue f", b"maxqueue f 0", b"maxqueue f -1", b"maxqueue f x"])
def test_a_limit_is_lifted(lift: bytes) -> None:
    client = Wire().peer()
    client.line(b"maxqueue f 1")
    client.ask("SUBMIT_JOB", b"f", b"", b"")

    assert b"OK\r\n" == client.line(lift)
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"f", b"", b"")


def test_joining_a_job_is_not_held_to_the_limit() -> None:
    client = Wire().peer()
    client.line(b"maxqueue f 1")

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"u", b"")
    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"u", b"")


# ---- later ----


def test_a_job_for_later_is_not_given_before_its_time() -> None:
    wire = Wire()
    wire.broker.set_clock(1_700_000_000.0)
    client, worker = wire.peer(), wire.worker(b"f")

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB_EPOCH", b"f", b"u", b"1700000010", b"w")
    assert 10.0 == wire.broker.next_deadline()
    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")
    assert [("STATUS_RES", J1, b"1", b"0", b"0", b"0")] == client.ask("GET_STATUS", J1)

    wire.advance(9.999)

    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")

    wire.advance(0.001)

    assert [("JOB_ASSIGN", J1, b"f", b"w")] == worker.ask("GRAB_JOB")


def test_a_job_for_later_wakes_a_sleeper_when_due_and_not_before() -> None:
    wire = Wire()
    sleeper = wire.sleeper(b"f")
    wire.peer().ask("SUBMIT_JOB_EPOCH", b"f", b"", b"10", b"w")

    assert [] == sleeper.read()

    wire.advance(10)

    assert [("NOOP",)] == sleeper.read()
    assert [("JOB_ASSIGN", J1, b"f", b"w")] == sleeper.ask("GRAB_JOB")


def test_the_epoch_may_have_a_fraction() -> None:
    wire = Wire()
    worker = wire.worker(b"f")
    wire.peer().ask("SUBMIT_JOB_EPOCH", b"f", b"", b"0.250", b"")
    wire.advance(0.249)

    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")

    wire.advance(0.001)

    assert [("JOB_ASSIGN", J1, b"f", b"")] == worker.ask("GRAB_JOB")


@pytest.mark.parametrize("epoch", [b"0", b"4", b"5"])
def test_an_epoch_that_has_come_runs_at_once_and_in_the_background(epoch: bytes) -> None:
    wire = Wire()
    wire.advance(5)
    client, sleeper = wire.peer(), wire.sleeper(b"f")
    client.ask("SUBMIT_JOB_EPOCH", b"f", b"", epoch, b"w")
    client.leave()

    assert [("NOOP",)] == sleeper.read()
    assert [("JOB_ASSIGN", J1, b"f", b"w")] == sleeper.ask("GRAB_JOB")


def test_jobs_for_later_come_in_the_order_of_their_times() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB_EPOCH", b"f", b"", b"20", b"late")
    client.ask("SUBMIT_JOB_EPOCH", b"f", b"", b"10", b"early")
    wire.advance(30)

    assert [("JOB_ASSIGN", J2, b"f", b"early")] == worker.ask("GRAB_JOB")
    assert [("JOB_ASSIGN", J1, b"f", b"late")] == worker.ask("GRAB_JOB")


def test_a_job_for_later_moves_with_the_wall_clock() -> None:
    wire = Wire()
    worker = wire.worker(b"f")
    wire.peer().ask("SUBMIT_JOB_EPOCH", b"f", b"", b"1000", b"")
    wire.broker.set_clock(990.0)

    assert 10.0 == wire.broker.next_deadline()

    wire.advance(10)

    assert [("JOB_ASSIGN", J1, b"f", b"")] == worker.ask("GRAB_JOB")


def test_a_job_for_later_is_joined() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB_EPOCH", b"f", b"u", b"10", b"w")

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"u", b"")

    wire.advance(10)
    worker.ask("GRAB_JOB")
    worker.send("WORK_COMPLETE", J1, b"r")

    assert [("WORK_COMPLETE", J1, b"r")] == client.read()


def test_a_cancelled_job_for_later_never_comes() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB_EPOCH", b"f", b"", b"10", b"")

    assert b"OK\r\n" == client.line(b"cancel job " + J1)
    assert float("inf") == wire.broker.next_deadline()

    wire.advance(10)

    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")


def test_a_scheduled_job_runs_once_at_the_next_time_that_matches() -> None:
    wire = Wire(Policy(time_zone=UTC))
    wire.broker.set_clock(datetime(2024, 5, 1, 12, 29, 30, tzinfo=UTC).timestamp())
    client, worker = wire.peer(), wire.worker(b"f")

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB_SCHED", b"f", b"u", b"30", b"12", b"", b"", b"", b"w")
    assert 30.0 == wire.broker.next_deadline()
    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")

    wire.advance(30)

    assert [("JOB_ASSIGN_UNIQ", J1, b"f", b"u", b"w")] == worker.ask("GRAB_JOB_UNIQ")

    worker.send("WORK_COMPLETE", J1, b"")
    wire.advance(86_400 * 3)

    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")


# ---- reduce ----


@pytest.mark.parametrize(
    ("body", "workload"),
    [
        (b"f\0u\0r\0\0w", b"w"),
        (b"f\0u\0r\0\0a\0b", b"a\0b"),
        (b"f\0u\0r\0\0", b""),
        (b"f\0u\0r\0w", b"w"),
        (b"f\0u\0r\0a\0b", b"a\0b"),
        (b"f\0u\0r\0", b""),
    ],
)
def test_reduce_with_libgearmans_aggregate_and_without(body: bytes, workload: bytes) -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")

    assert [("JOB_CREATED", J1)] == client.body("SUBMIT_REDUCE_JOB", body)
    assert [("JOB_ASSIGN_ALL", J1, b"f", b"u", b"r", workload)] == worker.ask("GRAB_JOB_ALL")

    worker.send("WORK_COMPLETE", J1, b"done")

    assert [("WORK_COMPLETE", J1, b"done")] == client.read()


def test_reduce_in_the_background() -> None:
    wire = Wire()
    client, sleeper = wire.peer(), wire.sleeper(b"f")

    assert [("JOB_CREATED", J1)] == client.body("SUBMIT_REDUCE_JOB_BACKGROUND", b"f\0u\0r\0\0w")

    client.leave()

    assert [("NOOP",), ("JOB_ASSIGN_ALL", J1, b"f", b"u", b"r", b"w")] == sleeper.ask("GRAB_JOB_ALL")


# ---- drain ----

SHUTDOWN = ("ERROR", b"SHUTDOWN", b"the job server is shutting down and takes no new jobs")


def test_a_draining_server_takes_no_new_jobs_but_finishes_and_lets_join() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB", b"f", b"u", b"w")
    wire.broker.drain()

    assert [SHUTDOWN] == client.ask("SUBMIT_JOB", b"f", b"", b"")
    assert [SHUTDOWN] == client.ask("SUBMIT_JOB_BG", b"new", b"", b"")
    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"f", b"u", b"")
    assert [("JOB_ASSIGN", J1, b"f", b"w")] == worker.ask("GRAB_JOB")
