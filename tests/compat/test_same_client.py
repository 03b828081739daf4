"""What clients of pygearman and of the compatible interface do alike, with gearmand and with our job server."""

from __future__ import annotations

import json
import pickle
import threading
import time
from types import ModuleType
from typing import Any

import pytest

from ..patience import PATIENCE
from .conftest import Bench

# pygearman leaves sockets to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_submit_job_and_wait(bench: Bench, task: bytes) -> None:
    bench.start(task, lambda worker, job: job.data[::-1])
    request = bench.client().submit_job(task, b"hello", poll_timeout=PATIENCE)

    assert ("COMPLETE", b"olleh", True, False) == (request.state, request.result, request.complete, request.timed_out)
    assert (task, b"hello", 32) == (request.job.task, request.job.data, len(request.job.unique))
    assert request.job.handle.startswith(b"H:")
    assert request.job is request.gearman_job
    assert bench.server == "{}:{}".format(*request.job.connection.get_address())
    assert {"task": task, "job_handle": request.job.handle, "unique": request.job.unique, "data": b"hello"} == (
        request.job.to_dict()
    )
    assert (None, False, 1, 1) == (
        request.priority,
        request.background,
        request.connection_attempts,
        request.max_connection_attempts,
    )


def test_text_is_sent_as_utf_8(bench: Bench, task: bytes) -> None:
    bench.start(task, lambda worker, job: job.unique + b" " + job.data)
    request = bench.client().submit_job(task.decode(), "wörld", unique="händel", poll_timeout=PATIENCE)

    assert "händel wörld".encode() == request.result
    assert "wörld" == request.job.data
    assert "händel" == request.job.unique


def test_binary_data(bench: Bench, task: bytes) -> None:
    data = bytes(range(256)) * 300
    bench.start(task, lambda worker, job: job.data)

    assert data == bench.client().submit_job(task, data, poll_timeout=PATIENCE).result


def test_background(bench: Bench, task: bytes) -> None:
    client = bench.client()
    request = client.submit_job(task, b"", background=True, poll_timeout=PATIENCE)

    assert ("CREATED", None, True, False) == (request.state, request.result, request.complete, request.timed_out)
    assert {} == request.status
    assert request is client.get_job_status(request, poll_timeout=PATIENCE)
    assert not request.timed_out
    received = request.status.pop("time_received")
    assert abs(time.time() - received) < PATIENCE
    assert {"handle": request.job.handle, "known": True, "running": False, "numerator": 0, "denominator": 0} == (
        request.status
    )


def test_failure(bench: Bench, task: bytes) -> None:
    def fail(worker: Any, job: Any) -> bytes:
        raise ValueError

    bench.start(task, fail)
    request = bench.client().submit_job(task, b"", poll_timeout=PATIENCE)

    assert ("FAILED", None, True, False) == (request.state, request.result, request.complete, request.timed_out)


def test_time_is_over_and_then_more_of_it(bench: Bench, task: bytes) -> None:
    client = bench.client()
    request = client.submit_job(task, b"x", wait_until_complete=False, poll_timeout=PATIENCE)
    client.wait_until_jobs_completed([request], poll_timeout=0.05)

    assert ("CREATED", None, False, True) == (request.state, request.result, request.complete, request.timed_out)
    bench.start(task, lambda worker, job: b"late")
    (again,) = client.submit_multiple_requests([request], poll_timeout=PATIENCE)
    assert again is request
    assert ("COMPLETE", b"late", False, 1) == (
        request.state,
        request.result,
        request.timed_out,
        request.connection_attempts,
    )


def test_several_jobs_keep_their_order(bench: Bench, task: bytes) -> None:
    bench.start(task, lambda worker, job: job.data[::-1])
    jobs = [{"task": task, "data": b"%03d" % number, "priority": None} for number in range(50)]
    requests = bench.client().submit_multiple_jobs(jobs, poll_timeout=PATIENCE)

    assert [(b"%03d" % number)[::-1] for number in range(50)] == [request.result for request in requests]


def test_submit_now_and_wait_later(bench: Bench, task: bytes) -> None:
    client = bench.client()
    jobs = ({"task": task, "data": b"a", "unique": "one"}, {"task": task, "data": b"b", "unique": "two"})
    requests = client.submit_multiple_jobs(jobs, wait_until_complete=False, poll_timeout=PATIENCE)

    assert [("CREATED", False)] * 2 == [(request.state, request.timed_out) for request in requests]
    assert requests is client.wait_until_jobs_completed(requests, poll_timeout=0.01)
    assert [True, True] == [request.timed_out for request in requests]
    bench.start(task, lambda worker, job: job.data * 2)
    assert requests is client.wait_until_jobs_completed(requests, poll_timeout=PATIENCE)
    assert [b"aa", b"bb"] == [request.result for request in requests]
    assert ["one", "two"] == [request.job.unique for request in requests]


def test_wait_until_accepted_sends_requests_made_by_hand(bench: Bench, task: bytes) -> None:
    client = bench.client()
    job = client.job_class(connection=None, handle=None, task=task, unique="u", data=b"x")
    request = _request_class(bench.gm)(job, initial_priority=bench.gm.PRIORITY_HIGH, background=True, max_attempts=3)

    assert "UNKNOWN" == request.state
    assert [request] == client.wait_until_jobs_accepted([request], poll_timeout=PATIENCE)
    assert ("CREATED", 1, 3) == (request.state, request.connection_attempts, request.max_connection_attempts)
    request.reset()
    assert ("UNKNOWN", {}, None) == (request.state, request.status, request.result)


def _request_class(gm: ModuleType) -> Any:
    return gm.job.GearmanJobRequest


def test_priorities(bench: Bench, task: bytes) -> None:
    client, order, done = bench.client(), [], threading.Event()
    for data, priority in ((b"low", bench.gm.PRIORITY_LOW), (b"none", bench.gm.PRIORITY_NONE), (b"high", "HIGH")):
        client.submit_job(task, data, priority=priority, background=True, poll_timeout=PATIENCE)

    def note(worker: Any, job: Any) -> bytes:
        order.append(job.data)
        if len(order) == 3:
            done.set()
        return b""

    bench.start(task, note)

    assert done.wait(PATIENCE)
    assert [b"high", b"none", b"low"] == order


def test_updates(bench: Bench, task: bytes) -> None:
    def update(worker: Any, job: Any) -> bytes:
        worker.send_job_data(job, b"one")
        worker.send_job_warning(job, "careful")
        worker.send_job_data(job, b"two", poll_timeout=PATIENCE)
        worker.send_job_status(job, 1, 4)
        worker.send_job_status(job, 3, 4)
        return b"end"

    bench.start(task, update)
    request = bench.client().submit_job(task, b"", poll_timeout=PATIENCE)

    assert ([b"one", b"two"], [b"careful"], b"end") == (
        list(request.data_updates),
        list(request.warning_updates),
        request.result,
    )
    assert (3, 4, True, True) == tuple(request.status[key] for key in ("numerator", "denominator", "known", "running"))
    assert request.job.handle == request.status["handle"]
    assert b"one" == request.data_updates.popleft()


def test_asking_for_the_status_shows_what_came_meanwhile(bench: Bench, task: bytes) -> None:
    running, go_on = threading.Event(), threading.Event()

    def wait(worker: Any, job: Any) -> bytes:
        worker.send_job_status(job, 1, 2)
        running.set()
        go_on.wait(PATIENCE)
        return b"done"

    bench.start(task, wait)
    client = bench.client()
    request = client.submit_job(task, b"", wait_until_complete=False, poll_timeout=PATIENCE)
    assert running.wait(PATIENCE)
    (same,) = client.get_job_statuses([request], poll_timeout=PATIENCE)
    assert same is request
    # The worker's report is on another connection, which the server may read later.
    while request.status["known"] and not request.status["numerator"]:
        client.get_job_status(request, poll_timeout=PATIENCE)
    assert (True, True, 1, 2) == tuple(request.status[key] for key in ("known", "running", "numerator", "denominator"))
    go_on.set()
    while request.status["known"]:
        client.get_job_status(request, poll_timeout=PATIENCE)

    assert (False, 0, 0) == tuple(request.status[key] for key in ("running", "numerator", "denominator"))
    client.wait_until_jobs_completed([request], poll_timeout=PATIENCE)
    assert (b"done", True) == (request.result, request.complete)


def test_status_of_a_job_that_is_known_by_its_handle_alone(bench: Bench, task: bytes) -> None:
    """As programs do that submit in one process and ask in another."""
    handle = bench.client().submit_job(task, b"", background=True, poll_timeout=PATIENCE).job.handle
    client = bench.client()
    connection = client.establish_connection(client.connection_list[0])
    request = _request_class(bench.gm)(client.job_class(connection, handle, None, None, None))
    request.state = bench.gm.JOB_CREATED
    client.get_job_status(request, poll_timeout=PATIENCE)

    assert request.status["known"]
    assert connection.connected


def test_pickled_objects(bench: Bench, task: bytes) -> None:
    class PickleEncoder(bench.gm.DataEncoder):  # type: ignore[misc, name-defined] # of either library
        @classmethod
        def encode(cls, encodable_object: object) -> bytes:
            return pickle.dumps(encodable_object)

        @classmethod
        def decode(cls, decodable_string: bytes) -> object:
            return pickle.loads(decodable_string)

    class Client(bench.gm.GearmanClient):  # type: ignore[misc, name-defined] # of either library
        data_encoder = PickleEncoder

    class Worker(bench.gm.GearmanWorker):  # type: ignore[misc, name-defined] # of either library
        data_encoder = PickleEncoder

    def double(worker: Any, job: Any) -> list[int]:
        worker.send_job_data(job, {"seen": len(job.data)})
        return [2 * number for number in job.data]

    bench.start(task, double, Worker)
    request = bench.client(Client).submit_job(task, [1, 2, 3], poll_timeout=PATIENCE)

    assert ([2, 4, 6], [{"seen": 3}]) == (request.result, list(request.data_updates))


def test_json_objects(bench: Bench, task: bytes) -> None:
    class JsonEncoder(bench.gm.DataEncoder):  # type: ignore[misc, name-defined] # of either library
        encode = staticmethod(json.dumps)
        decode = staticmethod(json.loads)

    class Client(bench.gm.GearmanClient):  # type: ignore[misc, name-defined] # of either library
        data_encoder = JsonEncoder

    class Worker(bench.gm.GearmanWorker):  # type: ignore[misc, name-defined] # of either library
        data_encoder = JsonEncoder

    bench.start(task, lambda worker, job: {"sum": sum(job.data)}, Worker)

    assert {"sum": 6} == bench.client(Client).submit_job(task, [1, 2, 3], poll_timeout=PATIENCE).result


def test_objects_without_an_encoder(bench: Bench, task: bytes) -> None:
    with pytest.raises(TypeError):
        bench.client().submit_job(task, [1, 2, 3], poll_timeout=PATIENCE)


def test_encoder_that_gives_no_bytes(bench: Bench, task: bytes) -> None:
    class Identity(bench.gm.DataEncoder):  # type: ignore[misc, name-defined] # of either library
        @classmethod
        def encode(cls, encodable_object: object) -> object:
            return encodable_object

    class Client(bench.gm.GearmanClient):  # type: ignore[misc, name-defined] # of either library
        data_encoder = Identity

    with pytest.raises(bench.gm.errors.ProtocolError):
        bench.client(Client).submit_job(task, [1, 2, 3], poll_timeout=PATIENCE)


def test_unreachable_servers(gm: ModuleType, task: bytes) -> None:
    client = gm.GearmanClient(["127.0.0.1:1", ("127.0.0.1", 2)])
    with pytest.raises(gm.errors.ServerUnavailable):
        client.submit_job(task, b"", poll_timeout=PATIENCE)
    with pytest.raises(gm.errors.ConnectionError):
        client.establish_connection(client.connection_list[0])
    assert not client.connection_list[0].connected
    client.shutdown()


def test_a_server_that_is_down_is_passed_over(bench: Bench, task: bytes) -> None:
    client = bench.client(servers=["127.0.0.1:1", bench.server])
    for _ in range(8):
        request = client.submit_job(task, b"", background=True, poll_timeout=PATIENCE)

        assert "CREATED" == request.state
        assert 1 == request.connection_attempts


def test_lists_of_servers(gm: ModuleType) -> None:
    client = gm.GearmanClient(["one", "two:2", ("three", 3)])
    client.add_connection("four:4")
    tls = {"host": "five", "port": 5, "keyfile": "k", "certfile": "c", "ca_certs": "a"}
    worker = gm.GearmanWorker([tls])

    assert [("one", 4730), ("two", 2), ("three", 3), ("four", 4)] == [
        connection.get_address() for connection in client.connection_list
    ]
    assert ("five", 5, True) == (*worker.connection_list[0].get_address(), worker.connection_list[0].use_ssl)
    assert "four" in repr(client)
    for wrong in ([4730], [{"host": "five"}]):
        with pytest.raises(gm.errors.GearmanError):
            gm.GearmanClient(wrong)


def test_a_client_goes_on_after_shutdown(bench: Bench, task: bytes) -> None:
    bench.start(task, lambda worker, job: b"done")
    client = bench.client()
    for _ in range(2):
        assert b"done" == client.submit_job(task, b"", poll_timeout=PATIENCE).result
        client.shutdown()


def test_names(gm: ModuleType) -> None:
    names = {"PRIORITY_NONE": None, "PRIORITY_LOW": "LOW", "PRIORITY_HIGH": "HIGH", "JOB_PENDING": "PENDING"}
    names |= {f"JOB_{state}": state for state in ("CREATED", "FAILED", "COMPLETE", "UNKNOWN")}

    assert names == {key: getattr(gm, key) for key in names}
    assert names == {key: getattr(gm.constants, key) for key in names}
    assert 4730 == gm.constants.DEFAULT_GEARMAN_PORT
    for error in ("ConnectionError", "ServerUnavailable", "ProtocolError", "UnknownCommandError"):
        assert issubclass(getattr(gm.errors, error), gm.errors.GearmanError)
    for error in ("ExceededConnectionAttempts", "InvalidClientState", "InvalidWorkerState", "InvalidAdminClientState"):
        assert issubclass(getattr(gm.errors, error), gm.errors.GearmanError)
