"""What workers report, and every way in which a job ends."""

from __future__ import annotations

import pytest

from gearman_trio.core import Policy

from .wire import J1, J2, Wire, WirePeer

NOT_FOUND = {
    "WORK_DATA": b"Job does not exist on server",
    "WORK_WARNING": b"Job does not exist on server",
    "WORK_STATUS": b"Job given in work result not found",
    "WORK_COMPLETE": b"Job given in work result not found",
    "WORK_FAIL": b"Job given in work result not found",
    "WORK_EXCEPTION": b"An exception was received for a job that does not exist",
}
REST: dict[str, tuple[bytes, ...]] = {
    "WORK_DATA": (b"d\0\n",),
    "WORK_WARNING": (b"w",),
    "WORK_STATUS": (b"1", b"2"),
    "WORK_COMPLETE": (b"r",),
    "WORK_FAIL": (),
    "WORK_EXCEPTION": (b"boom",),
}
TERMINAL = ["WORK_COMPLETE", "WORK_FAIL", "WORK_EXCEPTION"]


def running(wire: Wire, *, option: bool = False) -> tuple[WirePeer, WirePeer]:
    """A client, perhaps with the exceptions option, and the worker that runs its job J1."""
    client, worker = wire.peer(), wire.worker(b"f")
    if option:
        client.ask("OPTION_REQ", b"exceptions")
    client.ask("SUBMIT_JOB", b"f", b"", b"w")
    worker.ask("GRAB_JOB")
    return client, worker


# ---- carried to every client ----


@pytest.mark.parametrize("report", ["WORK_DATA", "WORK_WARNING", "WORK_STATUS", "WORK_COMPLETE", "WORK_FAIL"])
def test_a_report_is_carried_to_every_attached_client_as_it_is(report: str) -> None:
    wire = Wire()
    clients, worker = [wire.peer(), wire.peer(), wire.peer()], wire.worker(b"f")
    for client in clients:
        client.ask("SUBMIT_JOB", b"f", b"u", b"")
    worker.ask("GRAB_JOB")

    assert [] == worker.ask(report, J1, *REST[report])
    assert [[(report, J1, *REST[report])]] * 3 == [client.read() for client in clients]


def test_reports_come_in_their_order() -> None:
    client, worker = running(Wire())
    reports = ["WORK_STATUS", "WORK_DATA", "WORK_WARNING", "WORK_DATA", "WORK_COMPLETE"]
    for report in reports:
        worker.send(report, J1, *REST[report])

    assert [(report, J1, *REST[report]) for report in reports] == client.read()


@pytest.mark.parametrize(
    ("numbers", "asked"),
    [
        ((b"3", b"10"), (b"3", b"10")),
        ((b"half", b""), (b"0", b"0")),
        ((b"-1", b"1.5"), (b"0", b"0")),
        ((b"9876543210", b"007"), (b"9876543210", b"007")),
    ],
)
def test_status_is_forwarded_as_it_came_and_kept_where_it_is_a_number(
    numbers: tuple[bytes, bytes], asked: tuple[bytes, bytes]
) -> None:
    client, worker = running(Wire())
    worker.send("WORK_STATUS", J1, *numbers)

    assert [("WORK_STATUS", J1, *numbers)] == client.read()
    assert [("STATUS_RES", J1, b"1", b"1", *asked)] == client.ask("GET_STATUS", J1)


def test_an_empty_result_and_empty_data_are_results_and_data() -> None:
    client, worker = running(Wire())
    worker.send("WORK_DATA", J1, b"")
    worker.send("WORK_COMPLETE", J1, b"")

    assert [("WORK_DATA", J1, b""), ("WORK_COMPLETE", J1, b"")] == client.read()


# ---- exceptions ----


def test_an_exception_reaches_clients_with_the_option_and_ends_the_job() -> None:
    client, worker = running(Wire(), option=True)
    worker.send("WORK_EXCEPTION", J1, b"boom\0")

    assert [("WORK_EXCEPTION", J1, b"boom\0")] == client.read()
    assert [("STATUS_RES", J1, b"0", b"0", b"0", b"0")] == client.ask("GET_STATUS", J1)


def test_an_exception_is_a_failure_with_a_clean_handle_for_clients_without_the_option() -> None:
    """Gearmand ends the handle with a stray NUL."""
    wire = Wire()
    client, worker = running(wire)
    worker.send("WORK_EXCEPTION", J1, b"boom")

    assert [b"\0RES\0\0\0\x0e\0\0\0\x05H:t:1"] == client.end.take_outbox()


def test_each_client_hears_of_an_exception_in_its_own_way() -> None:
    wire = Wire()
    client, worker = running(wire)
    other = wire.peer()
    other.ask("OPTION_REQ", b"exceptions")
    client.ask("SUBMIT_JOB", b"f", b"u", b"")
    other.ask("SUBMIT_JOB", b"f", b"u", b"")
    worker.ask("GRAB_JOB")
    worker.send("WORK_EXCEPTION", J2, b"boom")

    assert [("WORK_FAIL", J2)] == client.read()
    assert [("WORK_EXCEPTION", J2, b"boom")] == other.read()


def test_the_option_may_be_set_after_the_submission() -> None:
    client, worker = running(Wire())
    client.ask("OPTION_REQ", b"exceptions")
    worker.send("WORK_EXCEPTION", J1, b"boom")

    assert [("WORK_EXCEPTION", J1, b"boom")] == client.read()


def test_switch_every_connection_starts_with_the_option() -> None:
    client, worker = running(Wire(Policy(exceptions=True)))
    worker.send("WORK_EXCEPTION", J1, b"boom")

    assert [("WORK_EXCEPTION", J1, b"boom")] == client.read()


def test_a_failure_behind_an_exception_is_part_of_it() -> None:
    """Many workers send both; gearmand answers the second with an error that they do not expect."""
    client, worker = running(Wire(), option=True)
    worker.send("WORK_EXCEPTION", J1, b"boom")

    assert [] == worker.ask("WORK_FAIL", J1)
    assert [("WORK_EXCEPTION", J1, b"boom")] == client.read()
    assert [("ERROR", b"JOB_NOT_FOUND", NOT_FOUND["WORK_FAIL"])] == worker.ask("WORK_FAIL", J1)


# ---- not this worker's job ----


@pytest.mark.parametrize("report", list(NOT_FOUND))
def test_a_report_of_no_job_is_an_error(report: str) -> None:
    worker = Wire().worker(b"f")

    assert [("ERROR", b"JOB_NOT_FOUND", NOT_FOUND[report])] == worker.ask(report, J1, *REST[report])


@pytest.mark.parametrize("report", list(NOT_FOUND))
def test_a_report_of_another_workers_job_is_an_error_and_nobody_hears_of_it(report: str) -> None:
    wire = Wire()
    client, worker = running(wire)
    liar = wire.worker(b"f")

    assert [("ERROR", b"JOB_NOT_FOUND", NOT_FOUND[report])] == liar.ask(report, J1, *REST[report])
    assert [] == client.read()
    assert [] == worker.ask("WORK_COMPLETE", J1, b"true")
    assert [("WORK_COMPLETE", J1, b"true")] == client.read()


@pytest.mark.parametrize("report", list(NOT_FOUND))
def test_a_report_of_a_queued_job_is_an_error(report: str) -> None:
    wire = Wire()
    wire.background(b"f")

    assert [("ERROR", b"JOB_NOT_FOUND", NOT_FOUND[report])] == wire.worker(b"f").ask(report, J1, *REST[report])


@pytest.mark.parametrize("report", list(NOT_FOUND))
def test_a_client_cannot_report(report: str) -> None:
    """Libgearman's cancel sends WORK_FAIL as a client."""
    client, _ = running(Wire())

    assert [("ERROR", b"JOB_NOT_FOUND", NOT_FOUND[report])] == client.ask(report, J1, *REST[report])


@pytest.mark.parametrize("first", ["WORK_COMPLETE", "WORK_FAIL"])
@pytest.mark.parametrize("second", TERMINAL)
def test_a_worker_completes_once(first: str, second: str) -> None:
    client, worker = running(Wire())
    worker.send(first, J1, *REST[first])
    expected = [(first, J1, *REST[first])]

    assert [("ERROR", b"JOB_NOT_FOUND", NOT_FOUND[second])] == worker.ask(second, J1, *REST[second])
    assert expected == client.read()


@pytest.mark.parametrize("report", list(NOT_FOUND))
def test_an_over_long_handle_is_an_error(report: str) -> None:
    worker = Wire().worker(b"f")

    assert [("ERROR", b"ARGUMENT_TOO_LARGE", b"handle: at most 64 bytes")] == worker.ask(
        report, b"H" * 65, *REST[report]
    )


@pytest.mark.parametrize(
    ("report", "body", "text"),
    [
        ("WORK_DATA", b"H:t:9", b"WORK_DATA takes 2 fields (handle, data), got 1"),
        ("WORK_WARNING", b"", b"WORK_WARNING takes 2 fields (handle, warning), got 1"),
        ("WORK_STATUS", J1 + b"\x001", b"WORK_STATUS takes 3 fields (handle, numerator, denominator), got 2"),
        (
            "WORK_STATUS",
            J1 + b"\x001\x002\x003",
            b"WORK_STATUS takes 3 fields (handle, numerator, denominator), got 4",
        ),
        ("WORK_COMPLETE", b"H:t:9", b"WORK_COMPLETE takes 2 fields (handle, result), got 1"),
        ("WORK_EXCEPTION", b"H:t:9", b"WORK_EXCEPTION takes 2 fields (handle, exception), got 1"),
        ("WORK_FAIL", J1 + b"\0why", b"WORK_FAIL takes 1 fields (handle), got 2"),
    ],
)
def test_a_malformed_report_is_an_error_and_the_job_goes_on(report: str, body: bytes, text: bytes) -> None:
    client, worker = running(Wire())

    assert [("ERROR", b"INVALID_PACKET", text)] == worker.body(report, body)
    assert [] == worker.ask("WORK_COMPLETE", J1, b"r")
    assert [("WORK_COMPLETE", J1, b"r")] == client.read()


@pytest.mark.parametrize("report", ["WORK_DATA", "WORK_WARNING", "WORK_COMPLETE", "WORK_EXCEPTION"])
def test_a_report_of_the_handle_alone_has_empty_data(report: str) -> None:
    """Perl's Gearman::Worker leaves out the NUL where there is nothing behind it; clients get the whole packet."""
    client, worker = running(Wire(), option=True)

    assert [] == worker.body(report, J1)
    assert [(report, J1, b"")] == client.read()


@pytest.mark.parametrize(
    ("report", "rest", "heard"), [("WORK_FAIL", b"", ()), ("WORK_STATUS", b"\x001\x002", (b"1", b"2"))]
)
def test_a_nul_after_the_last_argument_is_passed_over_and_not_on(
    report: str, rest: bytes, heard: tuple[bytes, ...]
) -> None:
    client, worker = running(Wire())

    assert [] == worker.body(report, J1 + rest + b"\0")
    assert b"\0".join((J1, *heard)) == b"".join(client.end.take_outbox())[12:]


# ---- progress ----


def test_progress_is_kept_for_whoever_asks() -> None:
    wire = Wire()
    _, worker = running(wire)
    asking = [("STATUS_RES", J1, b"1", b"1", b"0", b"0")]

    assert asking == wire.peer().ask("GET_STATUS", J1)

    worker.send("WORK_STATUS", J1, b"3", b"10")

    assert [("STATUS_RES", J1, b"1", b"1", b"3", b"10")] == wire.peer().ask("GET_STATUS", J1)


def test_an_empty_number_is_carried_as_it_is_but_told_as_zero() -> None:
    """STATUS_RES is read by programs that expect numbers."""
    client, worker = running(Wire())
    worker.send("WORK_STATUS", J1, b"", b"")

    assert [("WORK_STATUS", J1, b"", b"")] == client.read()
    assert [("STATUS_RES", J1, b"1", b"1", b"0", b"0")] == client.ask("GET_STATUS", J1)


# ---- cancel ----


def test_a_cancelled_queued_job_is_gone_at_once() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB", b"f", b"u", b"")

    assert b"OK\r\n" == wire.peer().line(b"cancel job " + J1)
    assert [("WORK_FAIL", J1)] == client.read()
    assert b"f\t0\t0\t1\n.\n" == worker.line(b"status")
    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")
    assert [("JOB_CREATED", J2)] == client.ask("SUBMIT_JOB", b"f", b"u", b"")


@pytest.mark.parametrize("report", TERMINAL)
def test_a_cancelled_running_job_fails_once_and_its_late_result_is_dropped(report: str) -> None:
    """In gearmand the client hears WORK_FAIL and then WORK_COMPLETE."""
    wire = Wire()
    client, worker = running(wire, option=True)

    assert b"OK\r\n" == wire.peer().line(b"cancel job " + J1)
    assert [("WORK_FAIL", J1)] == client.read()
    assert [] == worker.ask("WORK_DATA", J1, b"d")
    assert [] == worker.ask("WORK_STATUS", J1, b"1", b"2")
    assert [] == worker.ask(report, J1, *REST[report])
    assert [] == client.read()


def test_a_second_late_result_of_a_cancelled_job_is_an_error() -> None:
    wire = Wire()
    _, worker = running(wire)
    wire.peer().line(b"cancel job " + J1)
    worker.ask("WORK_COMPLETE", J1, b"")

    assert [("ERROR", b"JOB_NOT_FOUND", NOT_FOUND["WORK_COMPLETE"])] == worker.ask("WORK_COMPLETE", J1, b"")


def test_a_late_exception_of_a_cancelled_job_and_the_failure_behind_it_are_dropped() -> None:
    wire = Wire()
    _, worker = running(wire)
    wire.peer().line(b"cancel job " + J1)

    assert [] == worker.ask("WORK_EXCEPTION", J1, b"boom")
    assert [] == worker.ask("WORK_FAIL", J1)
    assert [("ERROR", b"JOB_NOT_FOUND", NOT_FOUND["WORK_FAIL"])] == worker.ask("WORK_FAIL", J1)


def test_a_cancelled_running_job_does_not_come_back_when_its_worker_is_lost() -> None:
    wire = Wire()
    client, worker = running(wire)
    wire.peer().line(b"cancel job " + J1)
    worker.leave()

    assert [("NO_JOB",)] == wire.worker(b"f").ask("GRAB_JOB")
    assert [("WORK_FAIL", J1)] == client.read()


def test_no_job_is_cancelled_twice() -> None:
    wire = Wire()
    client, _ = running(wire)
    client.line(b"cancel job " + J1)

    assert b"ERR UNKNOWN_JOB\r\n" == client.line(b"cancel job " + J1)
    assert 1 == wire.broker.counters().cancelled


# ---- counters ----


def test_each_end_is_counted_once() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    for _ in range(3):
        client.send("SUBMIT_JOB", b"f", b"", b"")
        worker.send("GRAB_JOB")
    worker.send("WORK_COMPLETE", b"H:t:1", b"")
    worker.send("WORK_FAIL", b"H:t:2")
    worker.send("WORK_EXCEPTION", b"H:t:3", b"")
    worker.send("WORK_FAIL", b"H:t:3")
    counters = wire.broker.counters()

    assert (3, 3, 1, 1, 1) == (
        counters.submitted,
        counters.assigned,
        counters.completed,
        counters.failed,
        counters.raised,
    )
