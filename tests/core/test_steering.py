"""Administrative commands that gearmand does not have: pause, resume and purge, what is kept, jobs one by one."""

from __future__ import annotations

import pytest

from gearman_trio.core import Policy

from .invariants import check_invariants
from .wire import J1, J2, J3, Wire, WirePeer

OK = b"OK\r\n"
NO_FUNCTION = b"ERR function not found\r\n"


def incomplete(command: bytes) -> bytes:
    return b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+" + command + b"\r\n"


def administrator(wire: Wire) -> WirePeer:
    peer = wire.peer()
    peer.end.admin = True
    return peer


# ---- the doors of operators, of which the commands are one ----


def test_running_job_is_requeued_at_the_tail() -> None:
    wire = Wire()
    client, worker, other = wire.peer(), wire.worker(b"f"), wire.sleeper(b"f")
    client.send("SUBMIT_JOB", b"f", b"", b"w")
    worker.ask("GRAB_JOB")
    other.ask("GRAB_JOB")
    other.ask("PRE_SLEEP")
    worker.send("WORK_STATUS", J1, b"1", b"2")

    assert "" == wire.broker.steering(1.0).requeue(J1)

    assert [("NOOP",)] == other.read()
    job = wire.broker.inspection.job(J1)
    assert job is not None
    assert ("queued", 1, b"0") == (job.state, job.attempts, job.numerator)
    check_invariants(wire.broker)


def test_what_the_worker_still_says_of_a_requeued_job_is_dropped() -> None:
    wire = Wire()
    client, worker, other = wire.peer(), wire.worker(b"f"), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"", b"w")
    worker.ask("GRAB_JOB")
    wire.broker.steering(1.0).requeue(J1)

    assert [] == worker.ask("WORK_COMPLETE", J1, b"late")
    assert [("JOB_ASSIGN", J1, b"f", b"w")] == other.ask("GRAB_JOB")
    other.send("WORK_COMPLETE", J1, b"in time")
    assert [("JOB_CREATED", J1), ("WORK_COMPLETE", J1, b"in time")] == client.read()


def test_worker_that_gets_its_requeued_job_again_is_heard_again() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"", b"w")
    worker.ask("GRAB_JOB")
    wire.broker.steering(1.0).requeue(J1)
    worker.ask("GRAB_JOB")
    check_invariants(wire.broker)

    worker.send("WORK_COMPLETE", J1, b"r")
    assert ("WORK_COMPLETE", J1, b"r") == client.read()[-1]
    assert set() == worker.end.released


def test_operator_is_above_the_limit_of_attempts() -> None:
    wire = Wire(Policy(max_attempts=1))
    worker = wire.worker(b"f")
    wire.background(b"f")
    worker.ask("GRAB_JOB")

    assert "" == wire.broker.steering(1.0).requeue(J1)
    assert [("JOB_ASSIGN", J1, b"f", b"")] == worker.ask("GRAB_JOB")


def test_job_that_cannot_be_requeued() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"", b"w")

    assert "the job is queued, not running" == wire.broker.steering(1.0).requeue(J1)
    worker.ask("GRAB_JOB")
    client.leave()
    assert "no client hears of the job any more, so it is not to run again" == wire.broker.steering(1.0).requeue(J1)
    assert "there is no such job" == wire.broker.steering(1.0).requeue(J2)


def test_names_that_no_function_can_have() -> None:
    wire = Wire(Policy(max_function_bytes=3))
    steering = wire.broker.steering(1.0)

    assert (False, False, False) == (steering.pause(b""), steering.pause(b"long"), steering.resume(b"f"))
    assert (False, False) == (steering.limit(b"long", (1, 1, 1)), steering.limit(b"f", (0, 0, 0)))
    assert (True, True) == (steering.limit(b"f", (1, 1, 1)), steering.limit(b"f", (0, 0, 0)))
    assert steering.purge_named(b"g") is None
    assert [b"f"] == [function.name for function in wire.broker.functions()]


# ---- pause, resume ----


def test_paused_function_keeps_its_jobs_until_it_is_resumed() -> None:
    wire = Wire()
    admin, worker = wire.peer(), wire.worker(b"f")
    wire.background(b"f", b"w")

    assert OK == admin.line(b"pause function f")
    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")
    assert [] == worker.ask("PRE_SLEEP")
    wire.background(b"f", b"another")
    assert [] == worker.read()
    assert b"f\t2\t0\t1\n.\n" == admin.line(b"status")
    assert b"f\n.\n" == admin.line(b"show paused")
    assert [True] == [function.paused for function in wire.broker.functions()]

    assert OK == admin.line(b"resume function f")
    assert [("NOOP",), ("JOB_ASSIGN", J1, b"f", b"w")] == worker.ask("GRAB_JOB")
    assert b".\n" == admin.line(b"show paused")
    check_invariants(wire.broker)


def test_pausing_leaves_other_functions_and_running_jobs_alone() -> None:
    wire = Wire()
    admin, worker, client = wire.peer(), wire.worker(b"f", b"g"), wire.peer()
    client.send("SUBMIT_JOB", b"f", b"", b"")
    worker.ask("GRAB_JOB")
    admin.line(b"pause function f")
    client.send("SUBMIT_JOB_HIGH", b"f", b"", b"")
    client.send("SUBMIT_JOB_LOW", b"g", b"", b"")

    assert [("JOB_ASSIGN", J3, b"g", b"")] == worker.ask("GRAB_JOB")
    worker.send("WORK_COMPLETE", J1, b"r")
    assert ("WORK_COMPLETE", J1, b"r") == client.read()[-1]


def test_worker_that_was_woken_before_the_pause_finds_nothing_and_nobody_else_is_woken() -> None:
    wire = Wire()
    admin, woken, other = wire.peer(), wire.sleeper(b"f"), wire.sleeper(b"f")
    wire.background(b"f")
    admin.line(b"pause function f")
    wire.advance(10)

    assert [("NOOP",), ("NO_JOB",)] == woken.ask("GRAB_JOB")
    assert [] == other.read()
    check_invariants(wire.broker)


def test_job_of_a_lost_worker_stays_when_its_function_is_paused() -> None:
    wire = Wire()
    admin, worker, other = wire.peer(), wire.worker(b"f"), wire.sleeper(b"f")
    other.ask("GRAB_JOB")
    other.send("PRE_SLEEP")
    wire.background(b"f")
    worker.send("GRAB_JOB")
    other.read()
    admin.line(b"pause function f")
    worker.leave()

    assert [] == [reply for reply in other.read() if reply != ("NOOP",)]
    assert [("NO_JOB",)] == other.ask("GRAB_JOB")
    check_invariants(wire.broker)


def test_function_can_be_paused_before_it_is_used() -> None:
    wire = Wire()
    admin, worker = wire.peer(), wire.worker(b"g")
    admin.line(b"pause function f")
    worker.send("CAN_DO", b"f")
    wire.background(b"f")

    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")


def test_paused_function_does_not_hold_up_the_end_of_the_server() -> None:
    wire = Wire()
    wire.worker(b"f")
    wire.background(b"f")

    assert wire.broker.has_work()
    wire.peer().line(b"pause function f")
    assert not wire.broker.has_work()


@pytest.mark.parametrize("command", [b"pause", b"resume", b"purge"])
@pytest.mark.parametrize("rest", [b"", b" f", b" function", b" function f g"])
def test_incomplete_commands(command: bytes, rest: bytes) -> None:
    assert incomplete(command) == Wire().peer().line(command + rest)


@pytest.mark.parametrize(
    "line", [b"resume function f", b"purge function f", b"pause function " + b"f" * 513, b"list jobs f"]
)
def test_unknown_function(line: bytes) -> None:
    admin = Wire().peer()

    assert NO_FUNCTION == admin.line(line)
    assert b".\n" == admin.line(b"status")


# ---- purge ----


def test_purge_ends_what_waits_and_tells_its_clients() -> None:
    wire = Wire()
    admin, worker, client = wire.peer(), wire.worker(b"f"), wire.peer()
    client.send("SUBMIT_JOB", b"f", b"", b"")
    worker.send("GRAB_JOB")
    client.send("SUBMIT_JOB", b"f", b"", b"")
    client.send("SUBMIT_JOB_EPOCH", b"f", b"", b"99", b"")
    client.send("SUBMIT_JOB_BG", b"g", b"", b"")
    client.read()

    assert b"OK 2\n" == admin.line(b"purge function f")
    assert [("WORK_FAIL", J2)] == client.read()
    assert b"f\t1\t1\t1\ng\t1\t0\t0\n.\n" == admin.line(b"status")
    assert b"OK 0\n" == admin.line(b"purge function f")
    assert 2 == wire.broker.counters().cancelled
    check_invariants(wire.broker)


# ---- show maxqueue ----


def test_limits_can_be_read() -> None:
    admin = Wire().peer()
    admin.line(b"maxqueue f 5")
    admin.line(b"maxqueue g 1 2 3")
    admin.line(b"create function h")

    assert b"f\t5\t5\t5\ng\t1\t2\t3\n.\n" == admin.line(b"show maxqueue")
    assert b"g\t1\t2\t3\n.\n" == admin.line(b"show maxqueue g")
    assert b"h\t0\t0\t0\n.\n" == admin.line(b"show maxqueue h")
    assert NO_FUNCTION == admin.line(b"show maxqueue i")
    assert b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n" == admin.line(b"show maxqueue f g")


# ---- list jobs ----


def busy_wire() -> Wire:
    wire = Wire()
    worker, client = wire.worker(b"f"), wire.peer()
    client.send("SUBMIT_JOB_HIGH", b"f", b"one", b"four")
    worker.send("GRAB_JOB")
    client.send("SUBMIT_JOB_BG", b"g", b"two", b"")
    client.send("SUBMIT_JOB_LOW_BG", b"f", b"two words", b"")
    client.send("SUBMIT_JOB_EPOCH", b"f", b"", b"99.5", b"")
    return wire


RUNNING = b"H:t:1\tone\thigh\trunning\t1\t0\t1\t4\t0\t0\n"
QUEUED = b"H:t:3\ttwo words\tlow\tqueued\t0\t1\t0\t0\t0\t0\n"
SCHEDULED = b"H:t:4\t\tnormal\tscheduled\t0\t1\t0\t0\t99\t0\n"


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        (b"", RUNNING + QUEUED + SCHEDULED),
        (b"state=queued", QUEUED),
        (b"state=running", RUNNING),
        (b"state=scheduled priority=high", b""),
        (b"priority=normal", SCHEDULED),
        (b"unique=one", RUNNING),
        (b"unique=", SCHEDULED),
        (b"limit=2", RUNNING + QUEUED),
        (b"limit=1 state=queued", QUEUED),
        (b"limit=0", b""),
        (b"older=0", RUNNING + QUEUED + SCHEDULED),
        (b"older=1", b""),
        (b"younger=1 state=queued", QUEUED),
        (b"younger=0", b""),
    ],
)
def test_jobs_of_a_function_are_listed_as_asked(filters: bytes, rows: bytes) -> None:
    assert rows + b".\n" == busy_wire().peer().line(b"list jobs f " + filters)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (b"", [(b"H:t:1", 5500), (b"H:t:2", 1500), (b"H:t:3", 0)]),
        (b"older=1500", [(b"H:t:1", 5500), (b"H:t:2", 1500)]),
        (b"older=1501", [(b"H:t:1", 5500)]),
        (b"younger=5500", [(b"H:t:2", 1500), (b"H:t:3", 0)]),
        (b"older=1000 younger=2000", [(b"H:t:2", 1500)]),
        (b"older=999999999999999999", []),
    ],
)
def test_jobs_are_listed_by_their_age(filters: bytes, expected: list[tuple[bytes, int]]) -> None:
    """A millisecond counts when it is over."""
    wire = Wire()
    for seconds in (4.0, 1.5005, 0.0):
        wire.background(b"f")
        wire.now += seconds

    *rows, end = wire.peer().line(b"list jobs f " + filters).split(b"\n")[:-1]

    assert b"." == end
    assert expected == [(cells[0], int(cells[-1])) for cells in (row.split(b"\t") for row in rows)]


@pytest.mark.parametrize(
    "wrong",
    [b"state=new", b"priority=0", b"limit=x", b"limit=-1", b"newest", b"older=-1", b"younger=1.5", b"age=5", b"\x01=2"],
)
def test_wrong_filter_is_named(wrong: bytes) -> None:
    answer = busy_wire().peer().line(b"list jobs f " + wrong)

    assert answer.startswith(b"ERR INVALID_ARGUMENTS expected+state=committing|fetching|queued|running|scheduled,+")
    assert answer.endswith(b"got+" + wrong.replace(b"\x01", b"\\x01") + b"\r\n")


@pytest.mark.parametrize("line", [b"list", b"list jobs", b"list functions f"])
def test_list_of_anything_else(line: bytes) -> None:
    assert incomplete(b"list") == busy_wire().peer().line(line)


# ---- both forms of show unique jobs ----


def test_unique_jobs_with_handles() -> None:
    wire = Wire(Policy(unique_jobs_with_handles=True))
    client = wire.peer()
    client.ask("SUBMIT_JOB", b"f", b"u", b"")
    client.ask("SUBMIT_JOB", b"f", b"", b"")

    assert b"H:t:1\tu\nH:t:2\t\n.\n" == client.line(b"show unique jobs")


# ---- Perl's, for administrators alone ----


def test_jobs_and_clients_of_perl() -> None:
    wire = busy_wire()

    assert b"f\tone\t10.0.0.1\t1\ng\ttwo\t-\t0\nf\ttwo words\t-\t0\nf\t\t-\t0\n.\n" == administrator(wire).line(b"jobs")
    assert b"10.0.0.1\n10.0.0.1\n\tf\tone\t10.0.0.1\n10.0.0.1\n10.0.0.1\n.\n" == administrator(wire).line(b"clients")


@pytest.mark.parametrize("line", [b"jobs", b"clients", b"shutdown", b"Shutdown graceful"])
def test_for_everybody_else_they_do_not_exist(line: bytes) -> None:
    wire = Wire()

    assert b"ERR UNKNOWN_COMMAND Unknown+server+command" + line.split()[0] + b"\r\n" == wire.peer().line(line)
    assert "" == wire.broker.shutdown


@pytest.mark.parametrize(
    ("lines", "how"),
    [
        ([b"shutdown"], "now"),
        ([b"shutdown graceful"], "graceful"),
        ([b"shutdown graceful", b"SHUTDOWN"], "now"),
        ([b"shutdown", b"shutdown Graceful"], "now"),
    ],
)
def test_shutdown(lines: list[bytes], how: str) -> None:
    wire = Wire()

    assert [OK] * len(lines) == [administrator(wire).line(line) for line in lines]
    assert how == wire.broker.shutdown


def test_shutdown_in_another_way() -> None:
    wire = Wire()

    assert incomplete(b"shutdown") == administrator(wire).line(b"shutdown slowly")
    assert "" == wire.broker.shutdown


# ---- long answers ----


def many(count: int) -> tuple[Wire, WirePeer]:
    wire = Wire()
    client = wire.peer()
    for _ in range(count):
        client.send("SUBMIT_JOB_BG", b"f", b"", b"")
    client.end.take_outbox()
    return wire, client


def go_on(wire: Wire) -> None:
    for peer in list(wire.broker.answering):
        wire.broker.go_on(peer)


def test_long_answer_comes_in_pieces_and_nothing_comes_between_them() -> None:
    wire, _ = many(2500)
    admin = wire.peer()
    first = admin.line(b"show jobs")
    assert admin.line(b"version") == b""
    admin.send("ECHO_REQ", b"behind")
    admin.raw(b"status\n")
    go_on(wire)
    second = b"".join(admin.end.take_outbox())
    go_on(wire)
    third = b"".join(admin.end.take_outbox())

    assert [1000, 1000] == [first.count(b"\n"), second.count(b"\n")]
    rows, _, rest = third.partition(b".\n")
    assert [b"H:t:%d" % number for number in range(1, 2501)] == [
        row.split(b"\t")[0] for row in (first + second + rows).splitlines()
    ]
    assert b"OK 0\n\0RES\0\0\0\x11\0\0\0\x06behind" == rest
    go_on(wire)
    assert b"f\t2500\t0\t0\n.\n" == b"".join(admin.end.take_outbox())
    assert {} == wire.broker.answering
    assert 0 == admin.end.behind_bytes


def test_jobs_that_end_meanwhile_are_left_out_and_new_ones_are_not_added() -> None:
    wire, client = many(1500)
    admin = wire.peer()
    admin.raw(b"show jobs\n")
    assert OK == client.line(b"cancel job H:t:1200")
    client.send("SUBMIT_JOB_BG", b"f", b"", b"")
    go_on(wire)
    answer = b"".join(admin.end.take_outbox())

    assert 1499 + 1 == answer.count(b"\n")
    assert b"H:t:1200\t" not in answer


def test_purge_of_many_jobs_comes_in_pieces_too() -> None:
    wire, _ = many(1500)
    admin = wire.peer()

    assert b"" == admin.line(b"purge function f")
    assert b"f\t500\t0\t0\n.\n" == wire.peer().line(b"status")
    go_on(wire)
    assert [b"OK 1500\n"] == admin.end.take_outbox()
    check_invariants(wire.broker)


def test_exactly_as_many_rows_as_fit_into_one_piece() -> None:
    wire, _ = many(999)

    assert wire.peer().line(b"show jobs").endswith(b"\n.\n")


def test_peer_that_leaves_in_the_middle_leaves_nothing_behind() -> None:
    wire, _ = many(1500)
    admin = wire.peer()
    admin.raw(b"show jobs\nshow jobs\nversion\n")
    admin.leave()

    assert {} == wire.broker.answering
    assert (None, 0) == (admin.end.rows, admin.end.behind_bytes)
    check_invariants(wire.broker)


def test_peer_that_lets_too_much_wait_behind_an_answer_is_cut_off() -> None:
    wire, _ = many(1500)
    admin = wire.peer()
    admin.raw(b"show jobs\n")
    for _ in range(70):
        admin.send("ECHO_REQ", bytes(1_000_000))

    assert admin.end.failure.endswith("bytes wait behind an answer that is not read")
    assert admin.end.behind_bytes < 70_000_000
