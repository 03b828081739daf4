"""A job server for all tests of a module, and the proof that no test leaves a thread behind."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from itertools import count

import pytest

from gearman_trio import Abilities, ThreadJob
from gearman_trio.blocking import Client, Worker

from ..patience import PATIENCE
from .background import server_in_thread, threads_of_ours

_names = count(1)


class Gate:
    """Jobs that tests let go on: each has started, then waits."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.open = threading.Event()

    def enter(self) -> None:
        self.started.release()
        assert self.open.wait(PATIENCE)

    def wait_started(self) -> None:
        assert self.started.acquire(timeout=PATIENCE)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    if threads_of_ours():
        # What is forgotten ends by itself, but not in no time.
        gc.collect()
    assert [] == threads_of_ours(patience=PATIENCE)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with server_in_thread() as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    with Client(server) as client:
        yield client


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def unserved() -> str:
    """The name of a function that no worker has."""
    return f"unserved-{next(_names)}"


@pytest.fixture
def abilities(gate: Gate) -> Abilities:
    abilities = Abilities()

    @abilities.function
    def reverse(workload: bytes) -> bytes:
        return workload[::-1]

    @abilities.function(name="raise")
    def raise_(workload: bytes) -> bytes:
        raise ValueError("boom")

    @abilities.function
    def parts(workload: bytes, job: ThreadJob) -> bytes:
        job.data(b"one")
        job.warning(b"careful")
        job.status(1, 2)
        return b"end"

    @abilities.function
    def hold(workload: bytes, job: ThreadJob) -> bytes:
        job.data(b"begun")
        gate.enter()
        return workload

    return abilities


@pytest.fixture
def worker(server: str, abilities: Abilities, gate: Gate) -> Iterator[Worker]:
    worker = Worker(abilities, server, concurrency=4)
    worker.start()
    worker.wait_ready(timeout=PATIENCE)
    yield worker
    gate.open.set()
    worker.stop(timeout=PATIENCE)
