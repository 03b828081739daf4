"""Submit, grab and finish cost the same whatever the number of queued jobs, functions, workers and sleepers.

No clock: the instructions that Python executes in the broker are counted, in a small world and in a large one.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from gearman_trio.core import dispatcher

from .wire import Wire, WirePeer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not dispatcher.__file__.endswith(".py"), reason="compiled code cannot be counted"),
]

SMALL, LARGE = 10, 10_000

#: A dictionary that happens to grow, or a branch taken or not: what may differ between worlds.
SLACK = 25


class World:
    """A broker with `size` of everything.

    Function ``queued`` has as many queued jobs and workers, ``asleep`` as many sleepers, ``running`` as many jobs that
    one worker runs under a time limit, ``later`` as many jobs for later; and there are as many other functions.
    """

    def __init__(self, size: int) -> None:
        self.wire = wire = Wire()
        self.client = wire.peer()
        self.runner = wire.peer()
        self.runner.send("CAN_DO_TIMEOUT", b"running", b"100000")
        self.workers = [wire.worker(b"queued", b"own%d" % number) for number in range(size)]
        self.sleepers = [wire.sleeper(b"asleep") for _ in range(size)]
        for number in range(size):
            self.client.send("SUBMIT_JOB", b"running", b"r%d" % number, b"w")
            self.runner.send("GRAB_JOB")
            self.client.send("SUBMIT_JOB", b"queued", b"q%d" % number, b"w")
            self.client.send("SUBMIT_JOB_EPOCH", b"later", b"l%d" % number, b"99999999", b"w")
        handles = [fields[0] for name, *fields in self.client.read() if name == "JOB_CREATED"]
        self.running, self.queued = handles[::3], handles[1::3]
        self.runner.read()
        self.leaver = wire.peer()
        self.leaver.send("SUBMIT_JOB", b"queued", b"", b"w")


def instructions(operation: Callable[[], object]) -> int:
    """How many instructions of Python an operation takes, without those of a collection that falls into it."""
    executed = 0

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal executed
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        executed += event == "opcode"
        return trace

    before = sys.gettrace()
    gc.disable()
    sys.settrace(trace)
    try:
        operation()
    finally:
        sys.settrace(before)
        gc.enable()
    return executed


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    return [World(SMALL), World(LARGE)]


def join(world: World) -> None:
    world.client.send("SUBMIT_JOB", b"queued", b"q5", b"")


def end(packet: str, *rest: bytes) -> Callable[[World], None]:
    return lambda world: world.runner.send(packet, world.running.pop(3), *rest)


def sleep(world: World) -> None:
    WirePeer(world.wire).send("PRE_SLEEP")


OPERATIONS: dict[str, Callable[[World], object]] = {
    "submit behind queued jobs": lambda world: world.client.send("SUBMIT_JOB", b"queued", b"new", b"w"),
    "submit at another priority": lambda world: world.client.send("SUBMIT_JOB_HIGH", b"queued", b"", b"w"),
    "submit to sleepers": lambda world: world.client.send("SUBMIT_JOB_BG", b"asleep", b"", b"w"),
    "submit for later": lambda world: world.client.send("SUBMIT_JOB_EPOCH", b"later", b"", b"88888888", b"w"),
    "join a queued job": join,
    "grab": lambda world: world.workers[4].send("GRAB_JOB"),
    "grab in vain": lambda world: world.sleepers[5].send("GRAB_JOB"),
    "send data": lambda world: world.runner.send("WORK_DATA", world.running[4], b"d"),
    "send status": lambda world: world.runner.send("WORK_STATUS", world.running[4], b"1", b"2"),
    "complete": end("WORK_COMPLETE", b"r"),
    "fail": end("WORK_FAIL"),
    "raise": end("WORK_EXCEPTION", b"e"),
    "cancel a queued job": lambda world: world.client.line(b"cancel job " + world.queued[-3]),
    "cancel a running job": lambda world: world.client.line(b"cancel job " + world.running.pop()),
    "ask for a job's status": lambda world: world.client.send("GET_STATUS", world.running[2]),
    "ask for a unique ID's status": lambda world: world.client.send("GET_STATUS_UNIQUE", b"q3"),
    "give up an ability": lambda world: world.workers[6].send("CANT_DO", b"queued"),
    "learn an ability": lambda world: world.workers[6].send("CAN_DO", b"queued"),
    "sleep": sleep,
    "a sleeper leaves": lambda world: world.sleepers[7].leave(),
    "a client leaves its queued job": lambda world: world.leaver.leave(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_cost_does_not_grow(worlds: list[World], name: str) -> None:
    small, large = [instructions(lambda world=world: OPERATIONS[name](world)) for world in worlds]  # type: ignore[misc]

    assert 30 < small
    assert abs(large - small) <= SLACK, (small, large)


def test_cost_of_a_search_would_show() -> None:
    """The measure itself."""
    assert instructions(lambda: [number for number in range(1000) if number < 0]) > 1000
