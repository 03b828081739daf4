"""The worker for programs without an event loop."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gearman_trio import Abilities, ConfigError, ServersUnavailable
from gearman_trio.blocking import Client, Worker
from gearman_trio.blocking.loop import Loop
from gearman_trio.blocking.portal import Portal

from ..patience import PATIENCE
from .background import server_in_thread
from .conftest import Gate


def test_with_block_starts_and_stops(server: str, abilities: Abilities, client: Client) -> None:
    with Worker(abilities, server) as worker:
        worker.wait_ready(timeout=PATIENCE)
        assert (True, True) == (worker.running, worker.ready)
        assert b"olleh" == client.run("reverse", b"hello")
        assert 1 == worker.statistics().done

    assert (False, False) == (worker.running, worker.ready)


def test_stop_waits_for_running_jobs(worker: Worker, client: Client, gate: Gate) -> None:
    with client.stream("hold", b"x") as job:
        gate.wait_started()
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        gate.open.set()
        stopping.join(PATIENCE)

        assert b"x" == job.result(timeout=PATIENCE)
    assert not worker.running


def test_stop_gives_up_jobs_that_take_too_long(worker: Worker, client: Client, gate: Gate) -> None:
    with client.stream("hold", b"x") as job:
        gate.wait_started()
        worker.stop(timeout=0.01)

        assert not worker.running
        assert client.status(job.handle).known
        assert not client.status(job.handle).running
        gate.open.set()
        worker.start()

        assert b"x" == job.result(timeout=PATIENCE)


def test_run_ends_by_a_job(server: str, client: Client) -> None:
    abilities = Abilities()

    @abilities.function
    def finish(workload: bytes) -> bytes:
        worker.request_stop()
        return b"the last"

    worker = Worker(abilities, server)
    running = threading.Thread(target=worker.run)
    running.start()

    assert b"the last" == client.run("finish", timeout=PATIENCE)
    running.join(PATIENCE)
    assert not running.is_alive()


def test_run_ends_by_stop_from_another_thread(server: str, abilities: Abilities) -> None:
    worker = Worker(abilities, server)
    running = threading.Thread(target=worker.run)
    running.start()
    while not worker.running:
        pass
    worker.stop(timeout=PATIENCE)
    running.join(PATIENCE)

    assert not running.is_alive()


def test_run_ends_by_a_stop_that_comes_while_it_starts(
    server: str, abilities: Abilities, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(abilities, server)
    stopping = threading.Thread(target=worker.stop)
    begin = Portal._begin

    def begin_and_be_stopped(portal: Portal[object]) -> Loop[object]:
        loop = begin(portal)
        stopping.start()
        # It has the time to come in between, where it can.
        stopping.join(0.2)
        return loop

    monkeypatch.setattr(Portal, "_begin", begin_and_be_stopped)
    worker.run()
    stopping.join(PATIENCE)

    assert (False, False) == (stopping.is_alive(), worker.running)


def test_run_ends_without_an_error_when_it_is_stopped_at_once(server: str, abilities: Abilities) -> None:
    """Another thread may do so before the one that runs has its next turn."""

    class StoppedAtOnce(Worker):
        def _start(self) -> Any:
            started = super()._start()
            self.stop(timeout=PATIENCE)
            return started

    worker = StoppedAtOnce(abilities, server)
    worker.run()

    assert not worker.running


def test_arguments_are_checked_at_the_start(server: str, abilities: Abilities) -> None:
    with pytest.raises(ConfigError, match="abilities"):
        Worker(Abilities(), server).start()
    with pytest.raises(ConfigError, match="concurrency"):
        Worker(abilities, server, concurrency=0).run()
    with pytest.raises(ConfigError, match="address"):
        Worker(abilities, "host:port").start()


def test_started_twice(worker: Worker) -> None:
    with pytest.raises(RuntimeError, match="runs already"):
        worker.start()
    with pytest.raises(RuntimeError, match="runs already"):
        worker.run()


def test_not_started(server: str, abilities: Abilities) -> None:
    worker = Worker(abilities, server)
    worker.stop()
    worker.request_stop()

    assert (False, False) == (worker.running, worker.ready)
    with pytest.raises(RuntimeError, match="does not run"):
        worker.wait_ready()
    with pytest.raises(RuntimeError, match="does not run"):
        worker.statistics()


def test_a_worker_without_a_server_goes_on_trying(abilities: Abilities) -> None:
    with server_in_thread() as port:
        pass
    worker = Worker(abilities, f"127.0.0.1:{port}")
    worker.start()
    with pytest.raises(TimeoutError):
        worker.wait_ready(timeout=0.01)
    assert () == worker.statistics().connected
    assert [False] == [worker.ready]

    with server_in_thread(port=port):
        worker.wait_ready(timeout=PATIENCE)
        assert [True] == [worker.ready]
        worker.stop()


def test_stopping_ends_those_who_wait_until_it_is_ready(abilities: Abilities) -> None:
    worker = Worker(abilities, "127.0.0.1:1")
    worker.start()
    seen: list[str] = []

    def wait() -> None:
        try:
            worker.wait_ready()
        except (ServersUnavailable, RuntimeError) as exc:
            seen.append(str(exc))

    thread = threading.Thread(target=wait)
    thread.start()
    worker.stop(timeout=PATIENCE)
    thread.join(PATIENCE)

    assert 1 == len(seen)
