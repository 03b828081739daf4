"""The doors of the broker: whole conversations, questions, bad input, connections that end."""

from __future__ import annotations

import pytest

from gearman_trio.core import Dispatcher, Policy
from gearman_trio.protocol import PACKETS, Sender

from .wire import J1, J2, Reply, Wire


def header(kind: int, size: int, magic: bytes = b"\0REQ") -> bytes:
    return magic + kind.to_bytes(4) + size.to_bytes(4)


def test_the_example_of_the_protocol_document() -> None:
    broker = Dispatcher(Policy(handle_prefix=b"H:lap"))
    worker, client = broker.connect("worker"), broker.connect("client")
    broker.receive(worker, bytes.fromhex("00524551 00000001 00000007 72657665727365"), 0.0)
    broker.receive(worker, bytes.fromhex("00524551 00000009 00000000"), 0.0)

    assert bytes.fromhex("00524553 0000000a 00000000") == b"".join(worker.take_outbox())

    broker.receive(worker, bytes.fromhex("00524551 00000004 00000000"), 0.0)
    broker.receive(client, bytes.fromhex("00524551 00000007 0000000d 72657665727365 00 00 74657374"), 0.0)

    assert bytes.fromhex("00524553 00000008 00000007 483a6c61703a31") == b"".join(client.take_outbox())
    assert bytes.fromhex("00524553 00000006 00000000") == b"".join(worker.take_outbox())

    broker.receive(worker, bytes.fromhex("00524551 00000009 00000000"), 0.0)

    assert bytes.fromhex("00524553 0000000b 00000014 483a6c61703a31 00 72657665727365 00 74657374") == b"".join(
        worker.take_outbox()
    )

    broker.receive(worker, bytes.fromhex("00524551 0000000d 0000000c 483a6c61703a31 00 74736574"), 0.0)

    assert bytes.fromhex("00524553 0000000d 0000000c 483a6c61703a31 00 74736574") == b"".join(client.take_outbox())


def test_the_same_calls_give_the_same_bytes_at_any_split() -> None:
    stream = header(1, 1) + b"f" + header(7, 4) + b"f\0\0w" + header(9, 0) + b"status\r\n" + header(13, 7) + J1 + b"\0r"
    answers = []
    for size in range(1, len(stream) + 1):
        wire = Wire()
        peer = wire.peer()
        for start in range(0, len(stream), size):
            peer.raw(stream[start : start + size])
        answers.append(b"".join(peer.end.take_outbox()))

    assert [answers[0]] * len(stream) == answers
    assert answers[0].endswith(header(13, 7, b"\0RES") + J1 + b"\0r")


# ---- echo, options, client ID ----


@pytest.mark.parametrize("body", [b"", b"\0\n\0", b"x" * 100_000])
def test_echo(body: bytes) -> None:
    assert [("ECHO_RES", body)] == Wire().peer().ask("ECHO_REQ", body)


@pytest.mark.parametrize("option", [b"exceptions", b"EXCEPTIONS", b"Exceptions"])
def test_option_exceptions(option: bytes) -> None:
    assert [("OPTION_RES", option)] == Wire().peer().ask("OPTION_REQ", option)


def test_a_nul_after_the_option_is_passed_over() -> None:
    assert [("OPTION_RES", b"exceptions")] == Wire().peer().body("OPTION_REQ", b"exceptions\0")


@pytest.mark.parametrize("option", [b"", b"other", b"exceptions ", b"x" * 1000])
def test_unknown_option(option: bytes) -> None:
    expected = [("ERROR", b"UNKNOWN_OPTION", b"Server does not recognize given option")]

    assert expected == Wire().peer().ask("OPTION_REQ", option)


def test_client_id_is_kept_up_to_its_limit() -> None:
    wire = Wire()
    peer = wire.peer()

    assert [] == peer.ask("SET_CLIENT_ID", b"x" * 254)
    assert [("ERROR", b"ARGUMENT_TOO_LARGE", b"client ID: at most 254 bytes")] == peer.ask("SET_CLIENT_ID", b"y" * 255)
    assert [b"x" * 254] == [statistics.client_id for statistics in wire.broker.peers()]


@pytest.mark.parametrize(
    ("packet", "name"),
    [
        ("SET_CLIENT_ID", b"client_id"),
        ("OPTION_REQ", b"option"),
        ("GET_STATUS", b"handle"),
        ("GET_STATUS_UNIQUE", b"unique"),
    ],
)
def test_a_field_too_many_is_an_error(packet: str, name: bytes) -> None:
    """Above all, nothing of it is sent back in a packet that would have a field too many itself."""
    text = packet.encode() + b" takes 1 fields (" + name + b"), got 2"

    assert [("ERROR", b"INVALID_PACKET", text)] == Wire().peer().body(packet, b"a\0b")


# ---- status ----


def test_status_of_an_unknown_handle() -> None:
    assert [("STATUS_RES", b"H:t:9", b"0", b"0", b"0", b"0")] == Wire().peer().ask("GET_STATUS", b"H:t:9")


def test_status_from_the_queue_to_the_end() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.ask("SUBMIT_JOB_BG", b"f", b"", b"")
    answers = [client.ask("GET_STATUS", J1)]
    worker.ask("GRAB_JOB")
    answers.append(client.ask("GET_STATUS", J1))
    worker.send("WORK_STATUS", J1, b"1", b"2")
    answers.append(client.ask("GET_STATUS", J1))
    worker.send("WORK_COMPLETE", J1, b"")
    answers.append(client.ask("GET_STATUS", J1))

    assert [
        [("STATUS_RES", J1, b"1", b"0", b"0", b"0")],
        [("STATUS_RES", J1, b"1", b"1", b"0", b"0")],
        [("STATUS_RES", J1, b"1", b"1", b"1", b"2")],
        [("STATUS_RES", J1, b"0", b"0", b"0", b"0")],
    ] == answers


def test_status_by_unique_counts_clients() -> None:
    wire = Wire()
    client, other, worker = wire.peer(), wire.peer(), wire.worker(b"f")
    answers = [client.ask("GET_STATUS_UNIQUE", b"u")]
    client.ask("SUBMIT_JOB", b"f", b"u", b"")
    other.ask("SUBMIT_JOB", b"f", b"u", b"")
    answers.append(client.ask("GET_STATUS_UNIQUE", b"u"))
    worker.ask("GRAB_JOB")
    worker.send("WORK_STATUS", J1, b"1", b"2")
    other.leave()
    client.read()
    answers.append(client.ask("GET_STATUS_UNIQUE", b"u"))

    assert [
        [("STATUS_RES_UNIQUE", b"u", b"0", b"0", b"0", b"0", b"0")],
        [("STATUS_RES_UNIQUE", b"u", b"1", b"0", b"0", b"0", b"2")],
        [("STATUS_RES_UNIQUE", b"u", b"1", b"1", b"1", b"2", b"1")],
    ] == answers


@pytest.mark.parametrize("unique", [b"", b"-"])
def test_status_by_a_unique_that_names_no_job(unique: bytes) -> None:
    client = Wire().peer()
    client.ask("SUBMIT_JOB", b"f", unique, b"w")

    assert [("STATUS_RES_UNIQUE", unique, b"0", b"0", b"0", b"0", b"0")] == client.ask("GET_STATUS_UNIQUE", unique)


@pytest.mark.parametrize(
    ("packet", "text"), [("GET_STATUS", b"handle: at most 64 bytes"), ("GET_STATUS_UNIQUE", b"Unique value too large")]
)
def test_status_of_an_over_long_name_is_an_error(packet: str, text: bytes) -> None:
    """Gearmand does not answer at all."""
    assert [("ERROR", b"ARGUMENT_TOO_LARGE", text)] == Wire().peer().ask(packet, b"x" * 65)
    assert 1 == len(Wire().peer().ask(packet, b"x" * 64))


# ---- bad input ----

SERVER_ONLY = [spec.type.name for spec in PACKETS.values() if spec.senders == Sender.SERVER]


@pytest.mark.parametrize("packet", SERVER_ONLY)
def test_packets_that_only_servers_send(packet: str) -> None:
    assert [("ERROR", b"INVALID_COMMAND", b"Command not expected")] == Wire().peer().body(packet, b"x\0y")


def test_the_unused_type_is_answered_like_those_of_the_server() -> None:
    peer = Wire().peer()
    peer.raw(header(5, 0))

    assert [("ERROR", b"INVALID_COMMAND", b"Command not expected")] == peer.read()


@pytest.mark.parametrize("kind", [0, 43, 1000, 2**31, 2**32 - 1])
def test_unknown_types_are_answered_and_the_connection_goes_on(kind: int) -> None:
    """Gearmand closes the connection, or crashes. A packet of type 0 is no administrative line."""
    peer = Wire().peer()
    peer.raw(header(kind, 6) + b"status")

    assert [("ERROR", b"INVALID_COMMAND", b"Invalid command expected")] == peer.read()
    assert [("ECHO_RES", b"x")] == peer.ask("ECHO_REQ", b"x")


def test_the_magic_of_a_server_is_answered_and_the_connection_goes_on() -> None:
    peer = Wire().peer()
    peer.raw(header(9, 0, b"\0RES") + header(16, 1) + b"x")

    assert [("ERROR", b"INVALID_MAGIC", b"Request magic expected"), ("ECHO_RES", b"x")] == peer.read()
    assert "" == peer.end.failure


@pytest.mark.parametrize(
    ("stream", "failure"),
    [
        (b"\0GET / HTTP", "expected the magic b'\\x00REQ', got b'\\x00GET'"),
        (header(7, 101), "a packet of type 7 announced 101 bytes; at most 100 are taken"),
        (header(7, 2**32 - 1), "a packet of type 7 announced 4294967295 bytes; at most 100 are taken"),
        (b"x" * 8193, "a line of over 8192 bytes that begins with b'xxxxxxxxxxxxxxxxxxxx'"),
    ],
)
def test_a_stream_that_cannot_be_read_on_is_answered_once_and_to_be_closed(stream: bytes, failure: str) -> None:
    peer = Wire(Policy(max_packet_bytes=100)).peer()
    peer.raw(header(16, 2) + b"hi" + stream)
    peer.raw(stream)
    peer.raw(header(16, 2) + b"hi")

    assert failure == peer.end.failure
    assert [("ECHO_RES", b"hi"), ("ERROR", b"INVALID_PACKET", failure.encode())] == peer.read()
    assert 0 == peer.end.decoder.buffered


def test_text_that_looks_like_tls_or_http_is_answered_as_a_command() -> None:
    peer = Wire().peer()
    peer.raw(b"GET / HTTP/1.1\r\nHost: x\r\n")

    assert (
        b"ERR UNKNOWN_COMMAND Unknown+server+commandGET\r\nERR UNKNOWN_COMMAND Unknown+server+commandHost:\r\n"
    ) == b"".join(peer.end.take_outbox())


def test_half_a_packet_is_kept_and_goes_with_its_connection() -> None:
    wire = Wire()
    peer = wire.peer()
    peer.raw(header(7, 2**32 - 1) + b"f\0")

    assert [] == peer.read()
    assert 14 == peer.end.decoder.buffered

    peer.leave()

    assert [] == wire.broker.peers()


@pytest.mark.parametrize("cut", range(1, 17))
def test_a_client_may_vanish_between_any_two_bytes(cut: int) -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.raw((header(7, 4) + b"f\0\0w")[:cut])
    client.leave()

    assert [("NO_JOB",)] == worker.ask("GRAB_JOB")


# ---- connections ----


def test_nothing_is_written_to_a_gone_connection() -> None:
    wire = Wire()
    client, worker = wire.peer(), wire.worker(b"f")
    client.send("SUBMIT_JOB", b"f", b"", b"")
    worker.ask("GRAB_JOB")
    client.leave()
    worker.send("WORK_COMPLETE", J1, b"")

    assert [] == client.read()
    assert 0 == client.end.outbox_bytes


def test_bytes_that_come_after_the_end_do_nothing() -> None:
    """The runtime may have read them before it saw the end."""
    wire = Wire()
    peer, admin = wire.peer(), wire.peer()
    peer.leave()
    peer.send("CAN_DO", b"f")
    peer.send("SUBMIT_JOB_BG", b"f", b"", b"")

    assert b".\n" == admin.line(b"status")


def test_a_connection_ends_once() -> None:
    wire = Wire()
    wire.background(b"f")
    worker = wire.worker(b"f")
    worker.ask("GRAB_JOB")
    worker.leave()
    worker.leave()

    assert b"f\t1\t0\t0\n.\n" == wire.peer().line(b"status")


def test_connections_are_numbered_and_counted() -> None:
    wire = Wire()
    wire.peer().leave()
    wire.peer()

    assert [2] == [statistics.number for statistics in wire.broker.peers()]
    assert 2 == wire.broker.counters().connections


def test_peers_that_were_written_to_are_named_once() -> None:
    wire = Wire()
    client, worker, idle = wire.peer(), wire.sleeper(b"f"), wire.peer()
    wire.broker.take_touched()
    client.send("SUBMIT_JOB", b"f", b"", b"")
    client.send("ECHO_REQ", b"x" * 5000)

    assert [client.end, worker.end] == wire.broker.take_touched()
    assert [] == wire.broker.take_touched()
    assert [] == idle.end.outbox


def test_outbox_bytes_are_counted() -> None:
    peer = Wire().peer()
    peer.send("ECHO_REQ", b"x" * 5000)

    assert 5012 == peer.end.outbox_bytes
    assert 5012 == sum(map(len, peer.end.take_outbox()))
    assert 0 == peer.end.outbox_bytes


# ---- questions ----


def test_nothing_is_due_at_first() -> None:
    broker = Wire().broker

    assert float("inf") == broker.next_deadline()

    broker.expire(float("inf"))


def test_the_next_deadline_is_the_sooner_of_both_clocks() -> None:
    wire = Wire()
    wire.broker.set_clock(1000.0)
    client, worker = wire.peer(), wire.peer()
    client.send("SUBMIT_JOB_EPOCH", b"f", b"", b"1020", b"")

    assert (20.0, True) == (wire.broker.next_deadline(), wire.broker.has_schedule())

    worker.send("CAN_DO_TIMEOUT", b"g", b"5000")
    client.send("SUBMIT_JOB_BG", b"g", b"", b"")
    worker.send("GRAB_JOB")

    assert 5.0 == wire.broker.next_deadline()

    wire.advance(5)

    assert 20.0 == wire.broker.next_deadline()

    wire.advance(15)

    assert (float("inf"), False) == (wire.broker.next_deadline(), wire.broker.has_schedule())


def test_work_is_what_runs_or_could_run() -> None:
    wire = Wire()
    worker = wire.worker(b"f")
    answers = [wire.broker.has_work()]
    wire.background(b"g")
    answers.append(wire.broker.has_work())
    wire.background(b"f")
    answers.append(wire.broker.has_work())
    worker.ask("GRAB_JOB")
    answers.append(wire.broker.has_work())
    worker.send("WORK_COMPLETE", J2, b"")
    answers.append(wire.broker.has_work())

    assert [False, False, True, True, False] == answers


def test_pipelined_packets_are_answered_in_their_order() -> None:
    wire = Wire()
    peer = wire.peer()
    peer.raw(header(16, 1) + b"1" + header(10, 0) + header(7, 2) + b"f\0" + header(16, 1) + b"2")
    expected: list[Reply] = [
        ("ECHO_RES", b"1"),
        ("ERROR", b"INVALID_COMMAND", b"Command not expected"),
        ("ERROR", b"INVALID_PACKET", b"SUBMIT_JOB takes 3 fields (function, unique, workload), got 2"),
        ("ECHO_RES", b"2"),
    ]

    assert expected == peer.read()
