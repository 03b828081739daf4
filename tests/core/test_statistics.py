"""What the broker tells about itself."""

from __future__ import annotations

from .wire import Wire


def test_functions_in_the_order_in_which_they_were_first_heard_of() -> None:
    wire = Wire()
    wire.sleeper(b"b")
    wire.background(b"a")

    assert [b"b", b"a"] == [function.name for function in wire.broker.functions()]


def test_a_function_is_counted_by_state_and_priority() -> None:
    wire = Wire()
    worker = wire.worker(b"f")
    for packet in ("SUBMIT_JOB_LOW_BG", "SUBMIT_JOB_LOW_BG", "SUBMIT_JOB_HIGH_BG", "SUBMIT_JOB_BG", "SUBMIT_JOB_BG"):
        wire.background(b"f", b"", packet)
    wire.peer().send("SUBMIT_JOB_EPOCH", b"f", b"", b"99", b"")
    worker.send("GRAB_JOB")
    (function,) = wire.broker.functions()

    assert (0, 2, 2, 4) == (function.high, function.normal, function.low, function.queued)
    assert (1, 1, 1, 0) == (function.running, function.scheduled, function.workers, function.sleeping)


def test_sleepers_are_counted() -> None:
    wire = Wire()
    wire.sleeper(b"f")
    wire.worker(b"f")
    (function,) = wire.broker.functions()

    assert (2, 1) == (function.workers, function.sleeping)


def test_a_connection_tells_what_it_does() -> None:
    wire = Wire()
    worker = wire.worker(b"f", b"g")
    worker.send("SET_CLIENT_ID", b"me")
    worker.send("SUBMIT_JOB", b"f", b"", b"")
    worker.send("SUBMIT_JOB", b"f", b"", b"")
    worker.send("GRAB_JOB")
    worker.read()
    worker.send("ECHO_REQ", b"12345678")
    (peer,) = wire.broker.peers()

    assert (1, "10.0.0.1", b"me", [b"f", b"g"]) == (peer.number, peer.address, peer.client_id, peer.abilities)
    assert (1, 2, False, 20) == (peer.running, peer.attached, peer.sleeping, peer.outbox_bytes)
