"""What workers and administrative clients of both libraries do alike, with gearmand and with our job server."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

import pytest

from ..patience import PATIENCE
from .conftest import Bench

# pygearman leaves sockets to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_the_job_as_its_function_sees_it(bench: Bench, task: bytes) -> None:
    seen: list[Any] = []

    def look(worker: Any, job: Any) -> bytes:
        seen.extend([worker, job.task, job.unique, job.data, job.handle, threading.current_thread().name])
        return b""

    worker = bench.start(task, look)
    request = bench.client().submit_job(task, b"data", unique="u-1", poll_timeout=PATIENCE)

    assert [worker, task, b"u-1", b"data", request.job.handle] == seen[:5]
    # Where `work` was called, as programs expect that have a database connection for each thread.
    assert not seen[5].startswith("gearman_trio")


def test_hooks(bench: Bench, task: bytes) -> None:
    calls: list[Any] = []

    class Worker(bench.gm.GearmanWorker):  # type: ignore[misc, name-defined] # of either library
        def on_job_execute(self, current_job: Any) -> Any:
            calls.append(("execute", current_job.data))
            return super().on_job_execute(current_job)

        def on_job_exception(self, current_job: Any, exc_info: Any) -> Any:
            calls.append(("exception", exc_info[0], str(exc_info[1])))
            return super().on_job_exception(current_job, exc_info)

        def on_job_complete(self, current_job: Any, job_result: Any) -> Any:
            calls.append(("complete", job_result))
            return super().on_job_complete(current_job, job_result + b"!")

    def function(worker: Any, job: Any) -> bytes:
        if job.data == b"bad":
            raise ValueError("a bad one")
        return b"good"

    bench.start(task, function, Worker)
    jobs = [{"task": task, "data": b"ok"}, {"task": task, "data": b"bad"}]
    good, bad = bench.client().submit_multiple_jobs(jobs, poll_timeout=PATIENCE)

    assert [("COMPLETE", b"good!"), ("FAILED", None)] == [(good.state, good.result), (bad.state, bad.result)]
    assert [
        ("execute", b"ok"),
        ("complete", b"good"),
        ("execute", b"bad"),
        ("exception", ValueError, "a bad one"),
    ] == calls


def test_exception_that_is_sent(bench: Bench, task: bytes) -> None:
    class Worker(bench.gm.GearmanWorker):  # type: ignore[misc, name-defined] # of either library
        def on_job_exception(self, current_job: Any, exc_info: Any) -> bool:
            self.send_job_exception(current_job, b"no\0way")
            return True

    def fail(worker: Any, job: Any) -> bytes:
        raise ValueError

    bench.start(task, fail, Worker)
    # Not by pygearman's client: gearmand 1.1.20 sends it a handle that it does not find.
    client = bench.client() if bench.gm.__name__.startswith("gearman_trio") else None
    if client is not None:
        assert "FAILED" == client.submit_job(task, b"", poll_timeout=PATIENCE).state
    else:
        handle = bench.client().submit_job(task, b"", background=True, poll_timeout=PATIENCE).job.handle
        admin = bench.admin()
        while handle.decode() in [job["handle"] for job in admin.get_jobs()]:
            pass


def test_failure_that_is_sent(bench: Bench, task: bytes) -> None:
    class Worker(bench.gm.GearmanWorker):  # type: ignore[misc, name-defined] # of either library
        def on_job_execute(self, current_job: Any) -> None:
            self.send_job_failure(current_job)

    bench.start(task, lambda worker, job: b"", Worker)

    assert "FAILED" == bench.client().submit_job(task, b"", poll_timeout=PATIENCE).state


def test_after_job_ends_the_work(bench: Bench, task: bytes) -> None:
    """The result has arrived by then, and the next job was not touched."""

    class OneJobWorker(bench.gm.GearmanWorker):  # type: ignore[misc, name-defined] # of either library
        def after_job(self) -> bool:
            return False

    client, admin = bench.client(), bench.admin()
    jobs = [{"task": task, "data": data} for data in (b"1", b"2")]
    first, second = client.submit_multiple_jobs(jobs, wait_until_complete=False, poll_timeout=PATIENCE)
    bench.worker(task, lambda worker, job: job.data, OneJobWorker).work(poll_timeout=PATIENCE)
    client.wait_until_jobs_completed([first], poll_timeout=PATIENCE)

    assert b"1" == first.result
    client.get_job_status(second, poll_timeout=PATIENCE)
    assert (True, False) == (second.status["known"], second.status["running"])
    (row,) = [job for job in admin.get_jobs() if job["handle"] == second.job.handle.decode()]
    assert 0 == row["queued"]
    bench.start(task, lambda worker, job: job.data)
    client.wait_until_jobs_completed([second], poll_timeout=PATIENCE)
    assert b"2" == second.result


def test_after_poll_is_called_when_nothing_happens(bench: Bench, task: bytes) -> None:
    calls: list[bool] = []

    class ImpatientWorker(bench.gm.GearmanWorker):  # type: ignore[misc, name-defined] # of either library
        def after_poll(self, any_activity: bool) -> bool:
            calls.append(any_activity)
            return len(calls) < 5

    bench.worker(task, lambda worker, job: b"", ImpatientWorker).work(poll_timeout=0.01)

    assert 5 == len(calls)
    assert calls[0] is False


def test_work_can_be_called_again(bench: Bench, task: bytes) -> None:
    class OneJobWorker(bench.gm.GearmanWorker):  # type: ignore[misc, name-defined] # of either library
        def after_job(self) -> bool:
            return False

    worker = bench.worker(task, lambda worker, job: job.data, OneJobWorker)
    for connection in worker.connection_list:
        # In which pygearman does not connect again.
        connection.connect_cooldown_seconds = 0.0
    client = bench.client()
    for data in (b"1", b"2"):
        request = client.submit_job(task, data, wait_until_complete=False, poll_timeout=PATIENCE)
        worker.work(poll_timeout=PATIENCE)
        client.wait_until_jobs_completed([request], poll_timeout=PATIENCE)
        assert data == request.result


def test_client_id(bench: Bench, task: bytes) -> None:
    worker = bench.worker(task, lambda worker, job: b"")
    client_id = f"id-of-{task.decode()}"
    rows: list[dict[str, Any]] = []

    def look(worker: Any, job: Any) -> bytes:
        rows.extend(row for row in bench.admin().get_workers() if row["client_id"] == client_id)
        return b""

    assert client_id == worker.set_client_id(client_id)
    worker.register_task(task, look)
    worker.after_job = lambda: False
    bench.client().submit_job(task, b"", background=True, poll_timeout=PATIENCE)
    worker.work(poll_timeout=PATIENCE)

    (row,) = rows
    assert {"file_descriptor", "ip", "client_id", "tasks"} == set(row)
    assert ("127.0.0.1", (task.decode(),)) == (row["ip"], row["tasks"])
    assert row["file_descriptor"].isdigit()


def test_worker_without_a_server(gm: ModuleType, task: bytes) -> None:
    worker = gm.GearmanWorker(["127.0.0.1:1"])
    worker.register_task(task, lambda worker, job: b"")
    with pytest.raises(gm.errors.ServerUnavailable):
        worker.work(poll_timeout=PATIENCE)


def test_what_a_hook_raises_ends_the_work(bench: Bench, task: bytes) -> None:
    class Worker(bench.gm.GearmanWorker):  # type: ignore[misc, name-defined] # of either library
        def after_job(self) -> bool:
            raise ZeroDivisionError

    client = bench.client()
    request = client.submit_job(task, b"x", wait_until_complete=False, poll_timeout=PATIENCE)
    worker = bench.worker(task, lambda worker, job: job.data, Worker)
    with pytest.raises(ZeroDivisionError):
        worker.work(poll_timeout=PATIENCE)
    client.wait_until_jobs_completed([request], poll_timeout=PATIENCE)

    assert b"x" == request.result


# ---- administrative clients --------------------------------------------------------------------------------


def test_status_and_jobs(bench: Bench, task: bytes) -> None:
    request = bench.client().submit_job(task, b"", unique=f"u-{task!r}", background=True, poll_timeout=PATIENCE)
    admin = bench.admin()

    assert {"task": task.decode(), "queued": 1, "running": 0, "workers": 0} in admin.get_status()
    assert isinstance(admin.get_status(), tuple)
    (row,) = [row for row in admin.get_jobs() if row["handle"] == request.job.handle.decode()]
    assert {"handle", "queued", "canceled", "enabled"} == set(row)
    assert {"unique": [f"u-{task!r}"]} in admin.get_unique_jobs()


def test_version_and_process_id(bench: Bench) -> None:
    admin = bench.admin()

    assert admin.get_version().startswith("OK ")
    assert admin.get_pid().removeprefix("OK ").isdigit()


def test_cancel(bench: Bench, task: bytes) -> None:
    request = bench.client().submit_job(task, b"", background=True, poll_timeout=PATIENCE)
    admin = bench.admin()

    # pygearman leaves the end of the line in.
    assert "OK" == admin.cancel_job(request.job.handle.decode()).rstrip()
    assert admin.cancel_job("H:nowhere:1").startswith("ERR UNKNOWN_JOB")


def test_ping(bench: Bench) -> None:
    assert 0 < bench.admin().ping_server() < PATIENCE


def test_admin_of_nothing_and_of_two(gm: ModuleType) -> None:
    with pytest.raises(gm.errors.ServerUnavailable):
        gm.GearmanAdminClient(["127.0.0.1:1"]).get_version()
    with pytest.raises(gm.errors.GearmanError):
        gm.GearmanAdminClient(["one", "two"])
