"""The administrative text protocol, byte for byte (gearmand 2.0 text.cc), without its defects."""

from __future__ import annotations

import pytest

from gearman_trio.core import Policy

from .wire import J1, J2, J3, Wire

OK = b"OK\r\n"


def incomplete(command: bytes) -> bytes:
    return b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+" + command + b"\r\n"


def unknown(word: bytes) -> bytes:
    return b"ERR UNKNOWN_COMMAND Unknown+server+command" + word + b"\r\n"


def busy_wire() -> Wire:
    """f: two queued (high and low), one running, one scheduled, two workers; g: one worker. J1 runs."""
    wire = Wire()
    worker = wire.worker(b"f", b"g")
    wire.worker(b"f")
    client = wire.peer()
    client.send("SUBMIT_JOB_BG", b"f", b"one", b"")
    worker.send("GRAB_JOB")
    client.send("SUBMIT_JOB_HIGH_BG", b"f", b"two", b"")
    client.send("SUBMIT_JOB_LOW_BG", b"f", b"", b"")
    client.send("SUBMIT_JOB_EPOCH", b"f", b"-", b"99", b"w")
    return wire


# ---- tables ----


def test_status_of_nothing() -> None:
    assert b".\n" == Wire().peer().line(b"status")


def test_status() -> None:
    assert b"f\t4\t1\t2\ng\t0\t0\t1\n.\n" == busy_wire().peer().line(b"status")


def test_priority_status() -> None:
    assert b"f\t1\t0\t1\t2\ng\t0\t0\t0\t1\n.\n" == busy_wire().peer().line(b"prioritystatus")


def test_status_forgets_nothing_that_was_heard_of() -> None:
    wire = Wire()
    wire.worker(b"f").leave()

    assert b"f\t0\t0\t0\n.\n" == wire.peer().line(b"status")


def test_a_function_name_cannot_break_the_table() -> None:
    """Perl's prefixes hold a TAB."""
    wire = Wire()
    worker = wire.worker(b"a\tb\nc\x7fd e\xff")

    assert b"a\\x09b\\x0ac\\x7fd e\xff\t0\t0\t1\n.\n" == worker.line(b"status")


def test_workers_lists_every_connection() -> None:
    wire = busy_wire()
    named = wire.peer()
    named.send("SET_CLIENT_ID", b"me")

    assert (b"1 10.0.0.1 - : f g\n2 10.0.0.1 - : f\n3 10.0.0.1 - :\n4 10.0.0.1 me :\n.\n") == named.line(b"workers")


def test_a_client_id_cannot_break_the_table() -> None:
    wire = Wire()
    peer = wire.peer()
    peer.send("SET_CLIENT_ID", b"a b\n.\nc")

    assert b"1 10.0.0.1 a\\x20b\\x0a.\\x0ac :\n.\n" == peer.line(b"workers")


def test_show_jobs() -> None:
    assert b"H:t:1\t0\t0\t1\nH:t:2\t0\t0\t1\nH:t:3\t0\t0\t1\nH:t:4\t0\t0\t1\n.\n" == busy_wire().peer().line(
        b"show jobs"
    )


def test_show_jobs_counts_retries() -> None:
    wire = Wire()
    wire.background(b"f")
    admin = wire.peer()
    for _ in range(2):
        worker = wire.worker(b"f")
        worker.ask("GRAB_JOB")
        worker.leave()

    assert b"H:t:1\t2\t0\t1\n.\n" == admin.line(b"show jobs")

    wire.worker(b"f").ask("GRAB_JOB")

    assert b"H:t:1\t2\t0\t1\n.\n" == admin.line(b"show jobs")


def test_show_unique_jobs_is_blank_where_there_is_none() -> None:
    assert b"one\ntwo\n\n-\n.\n" == busy_wire().peer().line(b"show unique jobs")


def test_a_unique_id_cannot_break_the_table() -> None:
    client = Wire().peer()
    client.ask("SUBMIT_JOB", b"f", b"a\n.\n", b"")

    assert b"a\\x0a.\\x0a\n.\n" == client.line(b"show unique jobs")


def test_ended_jobs_are_not_shown() -> None:
    wire = busy_wire()
    admin = wire.peer()
    for handle in (J1, J2, J3, b"H:t:4"):
        admin.line(b"cancel job " + handle)

    assert b".\n" == admin.line(b"show jobs")
    assert b"f\t0\t0\t2\ng\t0\t0\t1\n.\n" == admin.line(b"status")


# ---- values ----


@pytest.mark.parametrize(
    ("command", "answer"), [(b"version", b"OK 1.2.3\n"), (b"getpid", b"OK 77\n"), (b"verbose", b"OK INFO\n")]
)
def test_values_end_in_lf(command: bytes, answer: bytes) -> None:
    assert answer == Wire(Policy(version="1.2.3", process_id=77, verbosity="INFO")).peer().line(command)


# ---- cancel ----


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"cancel job H:t:1", OK),
        (b"CANCEL JOB H:t:1", OK),
        (b"cancel job h:t:1", b"ERR UNKNOWN_JOB\r\n"),
        (b"cancel job H:t:9", b"ERR UNKNOWN_JOB\r\n"),
        (b"cancel foo bar", b"ERR UNKNOWN_ERROR\r\n"),
        (b"cancel", unknown(b"cancel")),
        (b"cancel job", unknown(b"cancel")),
        (b"Cancel job", unknown(b"Cancel")),
    ],
)
def test_cancel(command: bytes, answer: bytes) -> None:
    assert answer == busy_wire().peer().line(command)


# ---- create, drop ----


@pytest.mark.parametrize("end", [b"", b"\r"])
def test_create_function_keeps_every_letter_of_the_name(end: bytes) -> None:
    """Gearmand cuts the last one where the line ends in LF alone."""
    admin = Wire().peer()

    assert OK == admin.line(b"create function bar" + end)
    assert b"bar\t0\t0\t0\n.\n" == admin.line(b"status")


def test_create_function_that_there_is() -> None:
    admin = busy_wire().peer()

    assert OK == admin.line(b"create function f")
    assert b"f\t4\t1\t2\ng\t0\t0\t1\n.\n" == admin.line(b"status")


def test_create_function_with_a_name_that_no_client_may_use() -> None:
    name = b"f" * 513

    assert b"ERR CREATE_FUNCTION " + name + b"\r\n" == Wire().peer().line(b"create function " + name)


@pytest.mark.parametrize("command", [b"create", b"drop"])
@pytest.mark.parametrize("rest", [b"", b" function", b" f", b" foo bar", b" function a b"])
def test_create_and_drop_of_anything_else(command: bytes, rest: bytes) -> None:
    assert incomplete(command) == Wire().peer().line(command + rest)


def test_drop_function() -> None:
    admin = Wire().peer()
    admin.line(b"create function f")

    assert OK == admin.line(b"drop function f")
    assert b".\n" == admin.line(b"status")
    assert b"ERR function not found\r\n" == admin.line(b"drop function f")


@pytest.mark.parametrize("name", [b"f", b"g"])
def test_drop_function_that_has_jobs_or_workers(name: bytes) -> None:
    """Gearmand drops it with its jobs still queued, and uses their memory after."""
    answer = b"ERR there are still connected workers or executing clients\r\n"

    assert answer == busy_wire().peer().line(b"drop function " + name)


def test_drop_function_with_queued_jobs_only() -> None:
    wire = Wire()
    wire.background(b"f")

    assert b"ERR there are still connected workers or executing clients\r\n" == wire.peer().line(b"drop function f")


def test_a_dropped_function_can_be_used_again() -> None:
    wire = Wire()
    admin = wire.peer()
    admin.line(b"create function f")
    admin.line(b"drop function f")
    sleeper = wire.sleeper(b"f")
    wire.background(b"f")

    assert [("NOOP",), ("JOB_ASSIGN", J1, b"f", b"")] == sleeper.ask("GRAB_JOB")


# ---- maxqueue ----


@pytest.mark.parametrize("rest", [b"f", b"f 5", b"f 1 2 3", b"f 1 2 3 4", b"f x", b"f -1", b"f 99999999999999999999"])
def test_maxqueue_is_ok(rest: bytes) -> None:
    assert OK == busy_wire().peer().line(b"maxqueue " + rest)


def test_maxqueue_alone() -> None:
    assert incomplete(b"maxqueue") == Wire().peer().line(b"maxqueue")


def test_maxqueue_without_a_limit_makes_no_function() -> None:
    admin = Wire().peer()

    assert OK == admin.line(b"maxqueue f 0")
    assert b".\n" == admin.line(b"status")


def test_maxqueue_before_the_function_is_used() -> None:
    """Gearmand answers OK and forgets it."""
    client = Wire().peer()
    client.line(b"maxqueue f 1")
    client.ask("SUBMIT_JOB", b"f", b"", b"")

    assert [("ERROR", b"QUEUE_ERROR", b"Job queue is full")] == client.ask("SUBMIT_JOB", b"f", b"", b"")


def test_maxqueue_of_a_name_that_no_client_may_use_keeps_nothing() -> None:
    admin = Wire().peer()

    assert OK == admin.line(b"maxqueue " + b"f" * 513 + b" 1")
    assert b".\n" == admin.line(b"status")


# ---- anything else ----


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (b"show", unknown(b"show")),
        (b"show x", b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n"),
        (b"show jobs now", b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n"),
        (b"show unique", b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n"),
        (b"shutdown", unknown(b"shutdown")),
        (b"shutdown graceful", unknown(b"shutdown")),
        (b"nonsense with words", unknown(b"nonsense")),
        (b"", unknown(b"")),
        (b"   ", unknown(b"")),
        (b"\r", unknown(b"")),
        (b"GET / HTTP/1.1\r", unknown(b"GET")),
        (b"one two three four five six seven", unknown(b"one")),
    ],
)
def test_unknown_commands(command: bytes, answer: bytes) -> None:
    assert answer == Wire().peer().line(command)


@pytest.mark.parametrize("line", [b"STATUS", b"Status", b"  status  ", b"\tstatus\r", b"status please"])
def test_commands_in_any_case_and_with_any_blanks(line: bytes) -> None:
    assert b".\n" == Wire().peer().line(line)


def test_lines_and_packets_mix_on_one_connection() -> None:
    wire = Wire()
    peer = wire.peer()
    peer.raw(b"version\r\n\0REQ\0\0\0\x10\0\0\0\x02hi" + b"status\n")

    assert b"OK 0\n" + b"\0RES\0\0\0\x11\0\0\0\x02hi" + b".\n" == b"".join(peer.end.take_outbox())


def test_a_peer_that_asks_for_ever_more_is_cut_off() -> None:
    asking = Wire().peer()
    asking.end.send(bytes(64 * 1024 * 1024))
    asking.raw(b"version\nversion\nversion\n")

    assert [b"OK 0\n"] == asking.end.take_outbox()[1:]
    assert asking.end.failure.startswith("asked for more while 671")
