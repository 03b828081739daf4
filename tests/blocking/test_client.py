"""The client for threads, from one thread and from many."""

from __future__ import annotations

import gc
import signal
import socket
import ssl
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest
import trio

import gearman_trio
from gearman_trio import (
    Address,
    ConfigError,
    GearmanError,
    JobData,
    JobError,
    JobLost,
    JobRaised,
    JobStatus,
    JobWarning,
    ServerError,
    ServersUnavailable,
)
from gearman_trio.blocking import Client, ForegroundJob, Worker

from ..patience import PATIENCE
from .background import server_in_thread, threads_of_ours
from .conftest import Gate


def test_run_gives_the_result(client: Client, worker: Worker) -> None:
    assert b"olleh" == client.run("reverse", b"hello")
    assert b"olleh" == client.run(b"reverse", bytearray(b"hello"), priority="high", unique="x", timeout=PATIENCE)


def test_submit_and_ask_by_handle_and_unique_id(client: Client, unserved: str) -> None:
    handle = client.submit(unserved, b"x", unique=unserved, priority="low", timeout=PATIENCE)

    assert handle.startswith(b"H:")
    assert client.status(handle, timeout=PATIENCE).known
    assert not client.status(handle).running
    assert client.status_by_unique(unserved, timeout=PATIENCE).known
    assert not client.status(b"H:nowhere:1").known


def test_submit_for_later(client: Client, unserved: str) -> None:
    assert client.status(client.submit(unserved, run_at=4_000_000_000)).known


def test_echo_options_and_statistics(client: Client, server: str) -> None:
    assert "None" == str(client.server)
    assert b"\0any\xff" == client.echo(b"\0any\xff", timeout=PATIENCE)
    client.set_option("exceptions", timeout=PATIENCE)
    with pytest.raises(ServerError):
        client.set_option("no such option")
    host, _, port = server.partition(":")

    assert Address(host, int(port)) == client.server
    assert client.statistics().connected
    assert 0 == client.statistics().pending_replies


def test_stream_gives_events_then_the_result(client: Client, worker: Worker) -> None:
    with client.stream("parts", b"", unique="u-parts", timeout=PATIENCE) as job:
        events = list(job)

        assert [JobData(b"one"), JobWarning(b"careful"), JobStatus(1, 2)] == events
        assert b"end" == job.result(timeout=PATIENCE)
        assert b"u-parts" == job.unique
        assert job.handle.startswith(b"H:")
        assert "ForegroundJob" in repr(job)


def test_leaving_a_stream_early_leaves_the_connection_usable(client: Client, worker: Worker, gate: Gate) -> None:
    with client.stream("hold", b"x") as job:
        assert JobData(b"begun") == next(iter(job))

    assert b"y" == client.echo(b"y")
    assert 1 == client.statistics().abandoned_jobs
    with pytest.raises(JobError, match="was left"):
        job.result(timeout=PATIENCE)


def test_fifty_threads_share_one_connection(client: Client, worker: Worker) -> None:
    together = threading.Barrier(50)

    def run(number: int) -> list[bytes]:
        together.wait(PATIENCE)
        return [client.run("reverse", b"%03d-%02d" % (number, job), timeout=PATIENCE) for job in range(10)]

    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(run, range(50)))

    assert results == [[(b"%03d-%02d" % (number, job))[::-1] for job in range(10)] for number in range(50)]
    assert 0 == client.statistics().reconnects
    assert 1 == len([name for name in threads_of_ours() if "client" in name])


# ---- time --------------------------------------------------------------------------------------------------


def test_timeout_leaves_the_job_and_the_connection(client: Client, unserved: str) -> None:
    client.echo(b"")
    timeout = 0.01
    while not client.status_by_unique(unserved).known:
        # On a busy machine the first may be over before the job is sent.
        with pytest.raises(TimeoutError, match=f"no answer within {timeout} seconds"):
            client.run(unserved, b"x", unique=unserved, timeout=timeout)
        timeout *= 2

    assert 0 == client.statistics().reconnects


def test_a_timeout_of_zero_is_allowed_and_a_negative_one_is_not(client: Client, unserved: str) -> None:
    with pytest.raises(TimeoutError):
        client.run(unserved, timeout=0)
    with pytest.raises(ConfigError, match="timeout"):
        client.run(unserved, timeout=-1)
    with pytest.raises(ConfigError, match="timeout"):
        client.run(unserved, timeout=float("nan"))


def test_an_event_that_is_late_is_not_lost(client: Client, worker: Worker, gate: Gate) -> None:
    with client.stream("hold", b"late") as job:
        assert JobData(b"begun") == next(job.events(timeout=PATIENCE))
        with pytest.raises(TimeoutError):
            next(job.events(timeout=0.01))
        with pytest.raises(TimeoutError):
            job.result(timeout=0.01)
        gate.open.set()

        assert [] == list(job.events(timeout=PATIENCE))
        assert b"late" == job.result(timeout=PATIENCE)


def test_timeout_although_the_background_thread_is_stuck(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gearman_trio.blocking.loop._GRACE_SECONDS", 0.01)
    is_stuck, go_on = threading.Event(), threading.Event()

    async def connect(address: Address) -> trio.SocketStream:
        is_stuck.set()
        go_on.wait(PATIENCE)
        return await gearman_trio.transport.connect_tcp(address)

    with Client(server, connect=connect) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.echo, b"first")
        assert is_stuck.wait(PATIENCE)
        with pytest.raises(TimeoutError, match="stuck"):
            client.echo(b"", timeout=0.01)
        go_on.set()

        assert b"first" == first.result(PATIENCE)
        assert b"x" == client.echo(b"x", timeout=PATIENCE)


def test_timeout_on_entering_a_stream() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    client = Client(f"127.0.0.1:{silent.getsockname()[1]}")
    with silent, client, pytest.raises(TimeoutError), client.stream("f", timeout=0.05):
        pass


def test_keyboard_interrupt_leaves_the_client_usable(client: Client, worker: Worker, gate: Gate) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        gate.wait_started()
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        client.run("hold", b"x")
    thread.join()

    assert b"olleh" == client.run("reverse", b"hello", timeout=PATIENCE)
    assert 0 == client.statistics().jobs


# ---- errors ------------------------------------------------------------------------------------------------


def test_exceptions_come_out_with_both_halves_of_their_traceback(client: Client, worker: Worker) -> None:
    with pytest.raises(JobRaised) as caught:
        client.run("raise")

    assert b"ValueError: boom" == caught.value.data
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert "test_exceptions_come_out_with_both_halves_of_their_traceback" == frames[0]
    assert "wait_result" in frames


def test_arguments_are_checked_as_by_the_async_client(client: Client) -> None:
    with pytest.raises(ConfigError, match="function name"):
        client.run("")
    with pytest.raises(TypeError, match="workload"):
        client.run("f", "text")  # type: ignore[call-overload, unused-ignore] # what the test is about
    with pytest.raises(ConfigError, match="address"):
        Client("host:port")
    with pytest.raises(ConfigError, match="client ID"):
        Client(client_id="two words")
    with pytest.raises(ConfigError, match="options"), Client(options="exceptions"):
        pass


def test_no_server() -> None:
    with Client("127.0.0.1:1") as client, pytest.raises(ServersUnavailable, match=r"127\.0\.0\.1:1"):
        client.run("f", timeout=PATIENCE)


def test_a_server_that_was_started_again_is_found() -> None:
    with Client() as unused:
        assert unused.server is None
    with server_in_thread() as port:
        client = Client(f"127.0.0.1:{port}")
        client.echo(b"1")
    with pytest.raises(GearmanError):
        client.echo(b"2")
    with server_in_thread(port=port):
        assert b"3" == client.echo(b"3", timeout=PATIENCE)
    client.close()


def test_a_connection_by_another_way_may_fail_in_any_way(caplog: pytest.LogCaptureFixture) -> None:
    async def connect(address: Address) -> gearman_trio.transport.Connect:
        raise ZeroDivisionError("a mistake of the program")

    client = Client("127.0.0.1:1", connect=connect)  # type: ignore[arg-type] # never gives a stream
    with pytest.raises(ServersUnavailable):
        client.echo(b"")
    client.close()

    assert "ended with an error that should not happen" in caplog.text
    assert "a mistake of the program" in caplog.text


def test_tls_context_is_used(server: str) -> None:
    context = ssl.create_default_context()
    with Client(server, ssl_context=context) as client, pytest.raises(ServersUnavailable, match="SSL"):
        client.echo(b"", timeout=PATIENCE)


# ---- the end -----------------------------------------------------------------------------------------------


def wait_in_run(client: Client, function: str) -> None:
    client.run(function)


def wait_in_stream(client: Client, function: str) -> None:
    with client.stream(function) as job:
        job.result()


def wait_in_events(client: Client, function: str) -> None:
    with client.stream(function) as job:
        for _ in job:
            pass


@pytest.mark.parametrize("wait", [wait_in_run, wait_in_stream, wait_in_events])
def test_closing_ends_the_calls_that_wait(server: str, unserved: str, wait: Callable[[Client, str], None]) -> None:
    client = Client(server)
    errors: SimpleQueue[Exception] = SimpleQueue()

    def call() -> None:
        try:
            wait(client, unserved)
        except GearmanError as exc:
            errors.put(exc)

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    while client.statistics().jobs < 5:
        pass
    client.close()
    for thread in threads:
        thread.join(PATIENCE)

    # The latter where a thread came to wait for its job just after the end.
    assert {JobLost, ServersUnavailable} >= {type(errors.get(timeout=PATIENCE)) for _ in range(5)}


def test_closed_is_closed(server: str) -> None:
    client = Client(server)
    client.echo(b"")
    client.close()
    client.close()

    with pytest.raises(ServersUnavailable, match="the client was closed"):
        client.echo(b"")
    with pytest.raises(ServersUnavailable, match="the client was closed"), client:
        pass


def test_a_job_outlives_its_client_as_an_error(server: str, unserved: str) -> None:
    with Client(server) as client, client.stream(unserved) as job:
        client.close()
        with pytest.raises(ServersUnavailable):
            job.result()


def test_a_client_that_is_not_used_has_no_thread(server: str) -> None:
    client = Client(server)

    assert [] == threads_of_ours()
    client.close()


def test_a_forgotten_client_ends_its_thread(server: str) -> None:
    client = Client(server)
    client.echo(b"")
    (thread,) = [thread for thread in threading.enumerate() if thread.name.startswith("gearman_trio")]
    del client
    gc.collect()
    thread.join(PATIENCE)

    assert not thread.is_alive()


def test_a_thread_that_is_the_clients_own_is_refused(server: str) -> None:
    """It would wait for itself; a way to connect that calls its own client is the only way to get there."""
    refusals: SimpleQueue[str] = SimpleQueue()

    async def connect(address: Address) -> gearman_trio.transport.Connect:
        try:
            client.echo(b"")
        except RuntimeError as exc:
            refusals.put(str(exc))
        raise OSError("refused")

    client = Client(server, connect=connect)  # type: ignore[arg-type] # never gives a stream
    with client, pytest.raises(ServersUnavailable):
        client.echo(b"")

    assert "its own background thread" in refusals.get(timeout=PATIENCE)


def test_job_type_is_public() -> None:
    assert ForegroundJob.__module__.startswith("gearman_trio.blocking")
