"""What of an outbox may wait for more, and what may not."""

from __future__ import annotations

import pytest

from .wire import Wire, WirePeer


def busy(jobs: int) -> tuple[WirePeer, WirePeer]:
    """A client that waits for so many jobs and has heard their handles, and the worker of them."""
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    for _ in range(jobs):
        client.send("SUBMIT_JOB", b"f", b"", b"w")
    client.read()
    return client, worker


def end_job(worker: WirePeer, report: str = "WORK_COMPLETE", *rest: bytes) -> None:
    """Grab a job and report on it."""
    worker.ask("GRAB_JOB")
    (job,) = worker.end.running
    worker.send(report, job.handle, *rest)


@pytest.mark.parametrize("packet", ["SUBMIT_JOB", "SUBMIT_JOB_HIGH", "SUBMIT_JOB_LOW"])
def test_handles_of_foreground_jobs_may_wait_for_results_where_there_are_eight(packet: str) -> None:
    client = Wire().peer()
    waits = []
    for _ in range(8):
        client.send(packet, b"f", b"", b"w")
        waits.append(client.end.may_wait)

    assert [*[False] * 7, True] == waits


@pytest.mark.parametrize("packet", ["SUBMIT_JOB_BG", "ECHO_REQ"])
def test_an_answer_that_nothing_follows_is_urgent(packet: str) -> None:
    client, _ = busy(100)
    client.send("SUBMIT_JOB", b"f", b"", b"w")
    client.send(packet, *([b"e"] if packet == "ECHO_REQ" else [b"f", b"", b"w"]))
    client.send("SUBMIT_JOB", b"f", b"", b"w")

    assert not client.end.may_wait


def test_results_may_wait_while_there_are_eight_more_jobs_for_each() -> None:
    client, worker = busy(20)
    waits = []
    for _ in range(4):
        end_job(worker, "WORK_COMPLETE", b"r")
        waits.append(client.end.may_wait)

    # 1 and 19, 2 and 18, 3 and 17.
    assert [True, True, False, False] == waits


def test_results_taken_count_no_more() -> None:
    client, worker = busy(20)
    for _ in range(3):
        end_job(worker, "WORK_COMPLETE", b"r")
    client.read()
    end_job(worker, "WORK_COMPLETE", b"r")

    assert client.end.may_wait


def test_the_only_result_is_urgent_also_behind_its_handle() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"", b"w")
    end_job(worker, "WORK_COMPLETE", b"r")

    assert not client.end.may_wait
    assert ["JOB_CREATED", "WORK_COMPLETE"] == [reply[0] for reply in client.read()]


@pytest.mark.parametrize(
    ("report", "rest"),
    [
        ("WORK_DATA", [b"d"]),
        ("WORK_WARNING", [b"w"]),
        ("WORK_STATUS", [b"1", b"2"]),
        ("WORK_FAIL", []),
        ("WORK_COMPLETE", [b"x" * 5000]),
    ],
)
def test_progress_failures_and_large_results_are_urgent(report: str, rest: list[bytes]) -> None:
    client, worker = busy(100)
    end_job(worker, report, *rest)

    assert not client.end.may_wait


def test_what_was_urgent_is_forgotten_when_it_is_taken() -> None:
    client, worker = busy(100)
    end_job(worker, "WORK_FAIL")
    client.read()
    end_job(worker, "WORK_COMPLETE", b"r")

    assert client.end.may_wait
