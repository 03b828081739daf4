"""The tables of this server alone that tell what happens."""

from __future__ import annotations

from .wire import J1, J2, Wire


def test_functions_tell_what_they_have_and_have_done() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    for packet in ("SUBMIT_JOB_HIGH_BG", "SUBMIT_JOB_BG", "SUBMIT_JOB_BG", "SUBMIT_JOB_LOW_BG"):
        client.send(packet, b"f", b"", b"")
    client.send("SUBMIT_JOB_EPOCH", b"f", b"", b"99", b"")
    wire.advance(0.02)
    worker.send("GRAB_JOB")
    wire.advance(0.2)
    worker.send("WORK_FAIL", J1)
    worker.send("GRAB_JOB")
    wire.advance(1.0)
    row = b"f\t0\t1\t1\t1\t0\t1\t1\t0\t0\t5\t2\t0\t0\t1\t1\t1220\t25.0\t235.0\t175.0\t242.5\n"

    assert row + b".\n" == client.line(b"show functions")[-len(row) - 2 :]


def test_function_without_jobs_has_no_times() -> None:
    wire = Wire()
    admin = wire.peer()
    admin.line(b"create function f")
    admin.line(b"pause function f")

    assert b"f" + b"\t0" * 8 + b"\t1" + b"\t0" * 6 + b"\t-" * 5 + b"\n.\n" == admin.line(b"show functions")


def test_running_jobs_tell_who_has_them_and_how_far_they_are() -> None:
    wire = Wire()
    client, worker, other = wire.peer(), wire.worker(b"f"), wire.worker(b"g g")
    worker.send("SET_CLIENT_ID", b"me too")
    client.send("SUBMIT_JOB_BG", b"f", b"a\tb", b"")
    client.send("SUBMIT_JOB_BG", b"g g", b"", b"")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"")
    worker.send("GRAB_JOB")
    other.send("GRAB_JOB")
    wire.advance(1.5)
    worker.send("WORK_STATUS", J1, b"1", b"2")
    admin = wire.peer()

    assert (
        b"H:t:1\tf\ta\\x09b\t2\tme too\t10.0.0.1\t1500\t1\t1\t2\nH:t:2\tg g\t\t3\t-\t10.0.0.1\t1500\t1\t0\t0\n.\n"
    ) == admin.line(b"show running")
    worker.send("WORK_COMPLETE", J1, b"")
    other.send("WORK_COMPLETE", J2, b"")
    assert b".\n" == admin.line(b"show running")


def test_job_that_ends_before_its_row_comes_is_left_out() -> None:
    """Rows are made a thousand at a time, and everybody else is served in between."""
    wire = Wire()
    worker, admin = wire.worker(b"f"), wire.peer()
    for _ in range(1001):
        wire.background(b"f")
        worker.send("GRAB_JOB")
    admin.raw(b"show running\n")
    worker.send("WORK_COMPLETE", b"H:t:1001", b"")
    admin.end.go_on()
    rows = b"".join(admin.end.take_outbox()).splitlines()

    assert 1001 == len(rows)
    assert (b".", b"H:t:1000") == (rows[-1], rows[-2].split(b"\t")[0])


def test_connections_tell_what_they_do() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.sleeper(b"f", b"g g")
    client.send("SUBMIT_JOB", b"h", b"", b"")
    wire.advance(2.0)
    admin = wire.peer()
    rows = admin.line(b"show connections").splitlines()

    assert b"1\t10.0.0.1\t-\t0\t1\t0\t2000\t2000\t15\t0\t" == rows[0]
    assert b"2\t10.0.0.1\t-\t0\t0\t1\t2000\t2000\t40\t0\tf g\\x20g" == rows[1]
    assert rows[2].endswith(b"\t0\t17\t0\t")
    assert b"." == rows[3]
    worker.leave()
