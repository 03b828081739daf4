"""Limits on what the broker keeps, each answered with an ERROR, and what a refusal leaves behind: nothing."""

from __future__ import annotations

import pytest

from gearman_trio.core import Policy

from .invariants import check_invariants
from .wire import J1, J2, J3, Reply, Wire


def queue_error(text: bytes) -> list[Reply]:
    return [("ERROR", b"QUEUE_ERROR", text)]


def test_jobs_in_total_are_limited() -> None:
    wire = Wire(Policy(max_jobs=2))
    client = wire.peer()
    client.ask("SUBMIT_JOB_BG", b"f", b"", b"")
    client.ask("SUBMIT_JOB_EPOCH", b"g", b"", b"99", b"")

    assert queue_error(b"the job server holds 2 jobs, and may hold 2") == client.ask("SUBMIT_JOB", b"h", b"", b"")
    assert b"f\t1\t0\t0\ng\t1\t0\t0\n.\n" == client.line(b"status")


def test_jobs_of_each_function_are_limited() -> None:
    wire = Wire(Policy(max_jobs_per_function=1))
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB_BG", b"f", b"", b"")
    # A running job counts, too: it may have to be queued again.
    worker.ask("GRAB_JOB")

    assert queue_error(b"the function has 1 jobs, and may have 1") == client.ask("SUBMIT_JOB", b"f", b"", b"")
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"g", b"", b"")


def test_workloads_in_total_are_limited() -> None:
    wire = Wire(Policy(max_held_bytes=10))
    client = wire.peer()
    client.ask("SUBMIT_JOB_BG", b"f", b"", bytes(6))
    too_many = b"a workload of 5 bytes is more than is left of 10 for all jobs"

    assert queue_error(too_many) == client.ask("SUBMIT_JOB", b"g", b"", bytes(5))
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"g", b"", bytes(4))


def test_workloads_of_each_function_are_limited() -> None:
    wire = Wire(Policy(max_held_bytes_per_function=10))
    client = wire.peer()
    client.ask("SUBMIT_JOB_BG", b"f", b"", bytes(6))
    too_many = b"a workload of %d bytes is more than is left of 10 for all jobs of the function"

    assert queue_error(too_many % 5) == client.ask("SUBMIT_JOB", b"f", b"", bytes(5))
    assert queue_error(too_many % 11) == client.ask("SUBMIT_JOB", b"new", b"", bytes(11))
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"g", b"", bytes(10))


@pytest.mark.parametrize(
    "policy",
    [
        Policy(max_jobs=1),
        Policy(max_jobs_per_function=1),
        Policy(max_held_bytes=4),
        Policy(max_held_bytes_per_function=4),
    ],
    ids=["jobs", "jobs per function", "bytes", "bytes per function"],
)
def test_room_comes_back_when_a_job_ends_and_who_joins_one_needs_none(policy: Policy) -> None:
    wire = Wire(policy)
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB", b"f", b"u", b"four")

    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB_BG", b"f", b"u", b"four")
    assert "ERROR" == client.ask("SUBMIT_JOB", b"f", b"", b"four")[0][0]

    worker.send("GRAB_JOB")
    worker.send("WORK_COMPLETE", J1, b"")
    client.read()

    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"f", b"", b"four")
    check_invariants(wire.broker)


@pytest.mark.parametrize(
    ("packet", "fields"),
    [
        ("SUBMIT_JOB", (b"new", b"u" * 65, b"")),
        ("SUBMIT_JOB_EPOCH", (b"new", b"", b"soon", b"")),
        ("SUBMIT_REDUCE_JOB", (b"new", b"", b"r" * 513, b"", b"")),
        ("SUBMIT_JOB", (b"new", b"", b"too long")),
    ],
    ids=["unique ID", "epoch", "reducer", "workload"],
)
def test_a_refused_submission_makes_no_function(packet: str, fields: tuple[bytes, ...]) -> None:
    client = Wire(Policy(max_held_bytes=7)).peer()

    assert "ERROR" == client.ask(packet, *fields)[0][0]
    assert b".\n" == client.line(b"status")


def test_lengths_are_the_policy_s() -> None:
    client = Wire(Policy(max_function_bytes=3, max_unique_bytes=100, max_client_id_bytes=2)).peer()

    assert [("ERROR", b"ARGUMENT_TOO_LARGE", b"function name: at most 3 bytes")] == client.ask("CAN_DO", b"four")
    assert [("JOB_CREATED", J1)] == client.ask("SUBMIT_JOB", b"abc", b"u" * 100, b"")
    assert [("ERROR", b"ARGUMENT_TOO_LARGE", b"client ID: at most 2 bytes")] == client.ask("SET_CLIENT_ID", b"abc")


@pytest.mark.parametrize("numbers", [(b"1" * 65, b"1"), (b"1", b"1" * 65)])
def test_numbers_of_a_status_are_limited(numbers: tuple[bytes, bytes]) -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB", b"f", b"", b"")
    worker.ask("GRAB_JOB")
    too_large = ("ERROR", b"ARGUMENT_TOO_LARGE", b"numerator and denominator: at most 64 bytes")

    assert [too_large] == worker.ask("WORK_STATUS", J1, *numbers)
    assert [] == client.read()
    worker.send("WORK_STATUS", J1, b"1" * 64, b"2" * 64)
    assert [("WORK_STATUS", J1, b"1" * 64, b"2" * 64)] == client.read()


# ---- what CANT_DO does to running jobs ----


@pytest.mark.parametrize("packet", [("CANT_DO", b"f"), ("RESET_ABILITIES",)])
def test_worker_that_cannot_any_more_loses_its_jobs_where_the_policy_says_so(
    packet: tuple[str, *tuple[bytes, ...]],
) -> None:
    wire = Wire(Policy(requeue_on_cant_do=True))
    client, worker, other = wire.peer(), wire.worker(b"f"), wire.sleeper(b"f")
    client.ask("SUBMIT_JOB", b"f", b"", b"w")
    other.ask("GRAB_JOB")
    other.send("WORK_COMPLETE", J1, b"")
    client.read()
    client.ask("SUBMIT_JOB", b"f", b"", b"w")
    worker.ask("GRAB_JOB")
    other.send("PRE_SLEEP")

    worker.send(*packet)

    assert [("NOOP",), ("JOB_ASSIGN", J2, b"f", b"w")] == other.ask("GRAB_JOB")
    not_found = ("ERROR", b"JOB_NOT_FOUND", b"Job given in work result not found")
    assert [not_found] == worker.ask("WORK_COMPLETE", J2, b"late")
    assert [] == client.read()


def test_only_jobs_of_that_function_are_lost() -> None:
    wire = Wire(Policy(requeue_on_cant_do=True))
    client, worker = wire.peer(), wire.worker(b"f", b"g")
    client.ask("SUBMIT_JOB", b"f", b"", b"")
    client.ask("SUBMIT_JOB", b"g", b"", b"")
    worker.ask("GRAB_JOB")
    worker.ask("GRAB_JOB")
    worker.send("CANT_DO", b"f")

    assert b"f\t1\t0\t0\ng\t1\t1\t1\n.\n" == client.line(b"status")


# ---- a unique ID without its function ----


def test_status_by_unique_id_is_that_of_the_youngest_job() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"g")
    for function in (b"f", b"g", b"h"):
        client.ask("SUBMIT_JOB_BG", function, b"u", b"")
    client.line(b"cancel job " + J3)
    worker.ask("GRAB_JOB")

    assert [("STATUS_RES_UNIQUE", b"u", b"1", b"1", b"0", b"0", b"0")] == client.ask("GET_STATUS_UNIQUE", b"u")

    worker.send("WORK_COMPLETE", J2, b"")

    assert [("STATUS_RES_UNIQUE", b"u", b"1", b"0", b"0", b"0", b"0")] == client.ask("GET_STATUS_UNIQUE", b"u")
