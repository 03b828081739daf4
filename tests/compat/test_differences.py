"""What the compatible interface does and pygearman 0.2.6 does not: see docs/how-to/switch-from-python-gearman.md."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import trio
import trustme

import gearman_trio
from gearman_trio.server import open_server

from ..blocking.background import in_thread, server_in_thread
from ..patience import PATIENCE
from .conftest import Bench


@pytest.fixture
def bench(ours: ModuleType, server: str) -> Iterator[Bench]:
    bench = Bench(ours, server)
    yield bench
    bench.close()


@contextmanager
def bench_of(ours: ModuleType, port: int) -> Iterator[Bench]:
    bench = Bench(ours, f"127.0.0.1:{port}")
    try:
        yield bench
    finally:
        bench.close()


# ---- clients -----------------------------------------------------------------------------------------------


def test_without_a_timeout_the_end_is_waited_for(bench: Bench, task: bytes) -> None:
    bench.start(task, lambda worker, job: b"done")
    request = bench.client().submit_job(task, b"")

    assert ("COMPLETE", b"done") == (request.state, request.result)


def test_requests_that_share_a_job_all_complete(bench: Bench, task: bytes) -> None:
    client = bench.client()
    jobs = [{"task": task, "data": b"x", "unique": "the same"}] * 3
    requests = client.submit_multiple_jobs(jobs, wait_until_complete=False)
    bench.start(task, lambda worker, job: b"done")
    client.wait_until_jobs_completed(requests, poll_timeout=PATIENCE)

    assert 1 == len({request.job.handle for request in requests})
    assert [b"done"] * 3 == [request.result for request in requests]


def test_exception_of_the_worker_is_shown(bench: Bench, ours: ModuleType, task: bytes) -> None:
    class Worker(ours.GearmanWorker):  # type: ignore[misc, name-defined] # ours is a module
        def on_job_exception(self, current_job: Any, exc_info: Any) -> bool:
            self.send_job_exception(current_job, str(exc_info[1]))
            return True

    class PickyEncoder(ours.DataEncoder):  # type: ignore[misc, name-defined] # ours is a module
        @classmethod
        def encode(cls, encodable_object: str) -> str:
            return encodable_object

        @classmethod
        def decode(cls, decodable_string: bytes) -> str:
            raise ValueError("not for me")

    class PickyClient(ours.GearmanClient):  # type: ignore[misc, name-defined] # ours is a module
        data_encoder = PickyEncoder

    def fail(worker: Any, job: Any) -> bytes:
        raise ValueError("boom")

    bench.start(task, fail, Worker)
    for base in (None, PickyClient):
        request = bench.client(base).submit_job(task, "")
        assert ("FAILED", b"boom") == (request.state, request.exception)


def test_refused_request_fails(bench: Bench, ours: ModuleType, task: bytes) -> None:
    said: list[str] = []

    class Client(ours.GearmanClient):  # type: ignore[misc, name-defined] # ours is a module
        def on_gearman_error(self, error_code: str, error_text: str) -> bool:
            said.append(error_code)
            return bool(super().on_gearman_error(error_code, error_text))

    client = bench.client(Client)
    client.submit_job(task, b"1", background=True)
    assert "OK" == bench.admin().send_maxqueue(task, 1)
    request = client.submit_job(task, b"2", background=True, poll_timeout=PATIENCE)

    assert ("FAILED", False) == (request.state, request.complete)
    assert 1 == len(said)


def test_what_cannot_be_sent_is_refused_before(our_bench: Bench, ours: ModuleType, task: bytes) -> None:
    client = our_bench.client()
    for arguments in ({"unique": "u" * 65}, {"unique": "a\0b"}, {"priority": "HIGHEST"}):
        with pytest.raises(ours.errors.ProtocolError):
            client.submit_job(task, b"", **arguments)
    with pytest.raises(ours.errors.ProtocolError):
        client.submit_job("", b"")
    with pytest.raises(TypeError, match="several"):
        client.submit_multiple_jobs({"task": task, "data": b""})
    request = client.submit_job(task, b"", background=True)
    with pytest.raises(TypeError, match="several"):
        client.submit_multiple_requests(request)
    with pytest.raises(ours.errors.InvalidClientState):
        client.send_job_request(request)
    request.reset()
    with pytest.raises(ours.errors.InvalidClientState):
        client.get_job_status(request)
    assert [] == client.submit_multiple_jobs([])


def test_errors_are_errors_of_gearman_trio_too(ours: ModuleType) -> None:
    assert issubclass(ours.errors.GearmanError, gearman_trio.GearmanError)
    with pytest.raises(ours.errors.ServerUnavailable):
        ours.GearmanClient().submit_job("task", b"")
    with pytest.raises(ours.errors.ServerUnavailable):
        ours.connection.GearmanConnection()


def test_lost_requests(ours: ModuleType, task: bytes) -> None:
    with server_in_thread() as port:
        client = ours.GearmanClient([("127.0.0.1", port)])
        once = client.submit_job(task, b"1", wait_until_complete=False)
        twice = client.submit_job(task, b"2", wait_until_complete=False, max_retries=1)
    with pytest.raises(ours.errors.ServerUnavailable):
        client.wait_until_jobs_completed([once, twice], poll_timeout=PATIENCE)
    assert [("UNKNOWN", False)] * 2 == [(request.state, request.complete) for request in (once, twice)]

    with server_in_thread(port=port), bench_of(ours, port) as bench:
        bench.start(task, lambda worker, job: job.data)
        with pytest.raises(ours.errors.ExceededConnectionAttempts):
            client.submit_multiple_requests([once], poll_timeout=PATIENCE)
        client.submit_multiple_requests([twice], poll_timeout=PATIENCE)
        assert (b"2", 2) == (twice.result, twice.connection_attempts)
        client.shutdown()


def test_lost_request_while_another_server_is_there(ours: ModuleType, our_server: str, task: bytes) -> None:
    client = ours.GearmanClient([our_server])
    client.establish_connection(client.connection_list[0])
    with server_in_thread() as port:
        other = client.add_connection(f"127.0.0.1:{port}")
        request = client.submit_job(task, b"", wait_until_complete=False)
        while request.job.connection is not other:
            request = client.submit_job(task, b"", wait_until_complete=False)
    client.wait_until_jobs_completed([request], poll_timeout=PATIENCE)

    assert ("UNKNOWN", True) == (request.state, request.timed_out)
    client.shutdown()


def test_background_jobs_keep_their_order(our_bench: Bench, task: bytes) -> None:
    jobs = [{"task": task, "data": b"%d" % number} for number in range(200)]
    our_bench.client().submit_multiple_jobs(jobs, background=True)
    order: list[int] = []
    done = threading.Event()

    def note(worker: Any, job: Any) -> bytes:
        order.append(int(job.data))
        if len(order) == 200:
            done.set()
        return b""

    our_bench.start(task, note)

    assert done.wait(PATIENCE)
    assert list(range(200)) == order


def test_threads_share_a_client(our_bench: Bench, task: bytes) -> None:
    our_bench.start(task, lambda worker, job: job.data[::-1])
    client = our_bench.client()

    def run(number: int) -> list[bytes]:
        return [client.submit_job(task, b"%d-%d" % (number, job)).result for job in range(5)]

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(run, range(20)))

    assert results == [[(b"%d-%d" % (number, job))[::-1] for job in range(5)] for number in range(20)]


def test_a_request_that_nobody_keeps_does_no_harm(our_bench: Bench, task: bytes) -> None:
    client = our_bench.client()
    client.submit_job(task, b"forgotten", wait_until_complete=False)
    our_bench.start(task, lambda worker, job: job.data)

    assert b"kept" == client.submit_job(task, b"kept").result


def test_unserved_requests_are_lost_with_the_client(our_bench: Bench, ours: ModuleType, task: bytes) -> None:
    client = our_bench.client()
    request = client.submit_job(task, b"", wait_until_complete=False)
    client.shutdown()
    with pytest.raises(ours.errors.ServerUnavailable):
        client.wait_until_jobs_completed([request])

    assert "UNKNOWN" == request.state


# ---- workers -----------------------------------------------------------------------------------------------


def test_tasks_may_be_text(bench: Bench, task: bytes) -> None:
    seen: list[object] = []

    def look(worker: Any, job: Any) -> str:
        seen.append(job.task)
        return "text"

    worker = bench.worker(task, look)
    assert "tâche" == worker.register_task("tâche", look)
    worker.after_job = lambda: False
    client = bench.client()
    request = client.submit_job("tâche", b"", wait_until_complete=False)
    worker.work()
    client.wait_until_jobs_completed([request], poll_timeout=PATIENCE)

    assert ["tâche"] == seen
    assert b"text" == request.result


def test_functions_come_and_go_during_a_job(bench: Bench, task: bytes) -> None:
    other = task + b"-other"

    def teach(worker: Any, job: Any) -> bytes:
        worker.register_task(other, lambda worker, job: b"learned")
        worker.unregister_task(task)
        worker.set_client_id("new-name")
        return b"taught"

    bench.start(task, teach)
    client = bench.client()
    waits = client.submit_job(other, b"", wait_until_complete=False)

    assert b"taught" == client.submit_job(task, b"").result
    client.wait_until_jobs_completed([waits], poll_timeout=PATIENCE)
    assert b"learned" == waits.result
    assert client.submit_job(task, b"", poll_timeout=0.02).timed_out


def test_data_that_cannot_be_decoded_fails_its_job_only(
    our_bench: Bench, ours: ModuleType, task: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    class NumberEncoder(ours.DataEncoder):  # type: ignore[misc, name-defined] # ours is a module
        encode = staticmethod(str)
        decode = staticmethod(int)

    class Worker(ours.GearmanWorker):  # type: ignore[misc, name-defined] # ours is a module
        data_encoder = NumberEncoder

    our_bench.start(task, lambda worker, job: job.data + 1, Worker)
    client = our_bench.client()

    assert "FAILED" == client.submit_job(task, b"no number").state
    assert b"2" == client.submit_job(task, b"1").result
    assert "ValueError" in caplog.text


def test_exceptions_of_functions_are_logged(our_bench: Bench, task: bytes, caplog: pytest.LogCaptureFixture) -> None:
    def fail(worker: Any, job: Any) -> bytes:
        raise ValueError("seen in the log")

    our_bench.start(task, fail)

    assert "FAILED" == our_bench.client().submit_job(task, b"secret").state
    assert "seen in the log" in caplog.text
    assert "secret" not in caplog.text


def test_worker_comes_back_to_a_server_that_was_started_again(ours: ModuleType, our_server: str, task: bytes) -> None:
    seen: list[bytes] = []

    class Worker(ours.GearmanWorker):  # type: ignore[misc, name-defined] # ours is a module
        def after_job(self) -> bool:
            return len(seen) < 2

    def note(worker: Any, job: Any) -> bytes:
        seen.append(job.data)
        return b""

    with server_in_thread() as port:
        # While it is alone, the other server keeps the worker from giving up.
        worker = Worker([f"127.0.0.1:{port}", our_server])
        worker.register_task(task, note)
        thread = threading.Thread(target=worker.work)
        thread.start()
        with bench_of(ours, port) as bench:
            assert "COMPLETE" == bench.client().submit_job(task, b"1").state
    with server_in_thread(port=port), bench_of(ours, port) as bench:
        assert "COMPLETE" == bench.client().submit_job(task, b"2").state
        thread.join(PATIENCE)

    assert [b"1", b"2"] == seen


def test_worker_gives_up_when_no_server_is_left(ours: ModuleType, task: bytes) -> None:
    errors: list[Exception] = []

    def work() -> None:
        try:
            worker.work()
        except ours.errors.ServerUnavailable as exc:
            errors.append(exc)

    with server_in_thread() as port, bench_of(ours, port) as bench:
        worker = bench.worker(task, lambda worker, job: b"")
        thread = threading.Thread(target=work)
        thread.start()
        bench.client().submit_job(task, b"")
    thread.join(PATIENCE)

    assert 1 == len(errors)


def test_shutdown_in_a_job_gives_it_back(our_bench: Bench, ours: ModuleType, task: bytes) -> None:
    def give_up(worker: Any, job: Any) -> bytes:
        worker.shutdown()
        return b"never sent"

    client = our_bench.client()
    request = client.submit_job(task, b"", wait_until_complete=False)
    with pytest.raises(ours.errors.ServerUnavailable):
        our_bench.worker(task, give_up).work()
    our_bench.start(task, lambda worker, job: b"by another")
    client.wait_until_jobs_completed([request], poll_timeout=PATIENCE)

    assert b"by another" == request.result


def test_a_job_that_ends_the_program_goes_to_another_worker(our_bench: Bench, task: bytes) -> None:
    def leave(worker: Any, job: Any) -> bytes:
        raise SystemExit

    client = our_bench.client()
    request = client.submit_job(task, b"", wait_until_complete=False)
    with pytest.raises(SystemExit):
        our_bench.worker(task, leave).work()
    our_bench.start(task, lambda worker, job: b"by another")
    client.wait_until_jobs_completed([request], poll_timeout=PATIENCE)

    assert b"by another" == request.result


def test_nothing_is_sent_for_a_job_that_has_ended(our_bench: Bench, task: bytes) -> None:
    def complete(worker: Any, job: Any) -> bytes:
        worker.send_job_complete(job, b"first")
        worker.send_job_data(job, b"late")
        worker.send_job_failure(job)
        with pytest.raises(TypeError, match="number"):
            worker.send_job_status(job, "1", 2)
        return b"second"

    our_bench.start(task, complete)
    request = our_bench.client().submit_job(task, b"")

    assert ("COMPLETE", b"first", 0) == (request.state, request.result, len(request.data_updates))


def test_results_for_a_lost_connection_are_logged(
    ours: ModuleType, task: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    lost = threading.Event()
    running = threading.Event()

    def wait(worker: Any, job: Any) -> bytes:
        running.set()
        lost.wait(PATIENCE)
        while job.connection.connected:
            pass
        return b"for nobody"

    with server_in_thread() as other:
        with server_in_thread() as port:
            worker = ours.GearmanWorker([f"127.0.0.1:{port}", f"127.0.0.1:{other}"])
            worker.register_task(task, wait)
            worker.after_job = lambda: False
            thread = threading.Thread(target=worker.work)
            thread.start()
            client = ours.GearmanClient([f"127.0.0.1:{port}"])
            client.submit_job(task, b"", background=True)
            assert running.wait(PATIENCE)
            client.shutdown()
        lost.set()
        thread.join(PATIENCE)

    assert "WORK_COMPLETE is not sent" in caplog.text


def test_worker_without_servers_or_with_wrong_names(ours: ModuleType) -> None:
    worker = ours.GearmanWorker()
    with pytest.raises(ours.errors.ProtocolError):
        worker.register_task("", lambda worker, job: b"")
    with pytest.raises(ours.errors.ProtocolError):
        worker.set_client_id("two words")
    worker.shutdown()
    with pytest.raises(ours.errors.ServerUnavailable):
        worker.work()


# ---- administrative clients --------------------------------------------------------------------------------


def test_silent_server(ours: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        admin = ours.GearmanAdminClient([silent.getsockname()], poll_timeout=0.02)
        for call in (admin.get_version, admin.get_status, admin.ping_server):
            with pytest.raises(ours.errors.InvalidAdminClientState):
                call()
        admin.shutdown()


@contextmanager
def server_that_answers(answer: bytes) -> Iterator[int]:
    """A job server that has one answer to everything, and then closes the connection."""

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        await stream.aclose()

    @asynccontextmanager
    async def open_() -> AsyncIterator[int]:
        async with trio.open_nursery() as nursery:
            (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            yield listener.socket.getsockname()[1]
            nursery.cancel_scope.cancel()

    with in_thread(open_) as port:
        yield port


@pytest.mark.parametrize("answer", [b"OK\r\n", b""])
def test_shutdown_where_the_server_allows_it(ours: ModuleType, answer: bytes) -> None:
    with server_that_answers(answer) as port:
        admin = ours.GearmanAdminClient([("127.0.0.1", port)])
        admin.send_shutdown(graceful=False)
        admin.shutdown()


def test_shutdown_where_the_server_refuses(bench: Bench, ours: ModuleType) -> None:
    """Neither server ends by this; gearmand 1.1.20 does not know the command any more."""
    with pytest.raises(ours.errors.ProtocolError, match="refused"):
        bench.admin().send_shutdown()


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", b"f\t1\t2\n.\n", b"f\tx\ty\tz\n.\n"])
def test_answers_without_sense(ours: ModuleType, answer: bytes) -> None:
    with server_that_answers(answer) as port:
        admin = ours.GearmanAdminClient([("127.0.0.1", port)])
        with pytest.raises(ours.errors.ProtocolError):
            admin.get_status()
        admin.shutdown()


def test_no_answer_at_all(ours: ModuleType) -> None:
    with server_that_answers(b"") as port:
        admin = ours.GearmanAdminClient([("127.0.0.1", port)])
        with pytest.raises(ours.errors.ServerUnavailable):
            admin.get_version()
        admin.shutdown()


def test_questions_that_cannot_be_asked(ours: ModuleType, our_server: str) -> None:
    admin = ours.GearmanAdminClient([our_server])
    with pytest.raises(ours.errors.ProtocolError):
        admin.cancel_job("two words")
    with pytest.raises(ours.errors.ProtocolError):
        admin.send_maxqueue("two words", 1)
    with pytest.raises(ours.errors.ServerUnavailable):
        ours.GearmanAdminClient().get_version()
    admin.shutdown()


# ---- TLS ---------------------------------------------------------------------------------------------------


def test_tls(ours: ModuleType, task: bytes, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    certificate = authority.issue_cert("client@example.org")
    files = {name: str(tmp_path / name) for name in ("keyfile", "certfile", "ca_certs")}
    certificate.private_key_pem.write_to_path(files["keyfile"])
    certificate.cert_chain_pems[0].write_to_path(files["certfile"])
    authority.cert_pem.write_to_path(files["ca_certs"])

    with in_thread(lambda: open_server(port=0, ssl_context=context, drain_seconds=0)) as server:
        where = {"host": "127.0.0.1", "port": server.addresses[0].port, **files}
        client, admin, worker = (
            ours.GearmanClient([where]),
            ours.GearmanAdminClient([where]),
            ours.GearmanWorker([where]),
        )
        worker.register_task(task, lambda worker, job: job.data)
        worker.after_job = lambda: False
        request = client.submit_job(task, b"safe", wait_until_complete=False)
        worker.work()
        client.wait_until_jobs_completed([request], poll_timeout=PATIENCE)

        assert b"safe" == request.result
        assert admin.get_version().startswith("OK ")
        client.shutdown()
        admin.shutdown()

    missing = ours.GearmanClient([{**where, "certfile": str(tmp_path / "nothing")}])
    with pytest.raises(ours.errors.ServerUnavailable, match="No such file"):
        missing.submit_job(task, b"")
    missing.shutdown()


def test_logging_is_quiet_about_what_goes_well(our_bench: Bench, task: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    our_bench.start(task, lambda worker, job: job.data)
    our_bench.client().submit_job(task, b"")

    assert [] == [record for record in caplog.records if record.name.startswith("gearman_trio.compat")]
