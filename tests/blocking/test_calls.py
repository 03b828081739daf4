"""Calls of decorated functions, options of calls, and several servers, from a thread."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest

from gearman_trio import (
    JSON,
    Abilities,
    ConfigError,
    Job,
    JobData,
    JobItem,
    JobRaised,
    JobStatus,
    SerializationError,
    ThreadJob,
)
from gearman_trio.blocking import AdminClient, Client, ForegroundJob, TypedJob, Worker

from ..patience import PATIENCE
from .background import server_in_thread

typed = Abilities(serializer=JSON, namespace="typed.")


@typed.function
def add(left: int, right: int = 1) -> int:
    return left + right


@typed.function
async def count_to(job: Job, last: int) -> AsyncIterator[int]:
    await job.status(0, last)
    for number in range(last):
        yield number + 1


@typed.function
def with_progress(job: ThreadJob, timeout: float) -> float:
    job.data(b"begun")
    return timeout


@pytest.fixture
def typed_worker(server: str) -> Iterator[Worker]:
    with Worker(typed, server, concurrency=4) as worker:
        worker.wait_ready(timeout=PATIENCE)
        yield worker


def test_decorated_functions_are_called_with_their_own_arguments(client: Client, typed_worker: Worker) -> None:
    assert 5 == client.run(add, 2, right=3)
    assert 3 == client.run(add, 2)
    assert [1, 2, 3] == client.run(count_to, 3)
    # Its own argument, not the limit of the call.
    assert 2.5 == client.run(with_progress, timeout=2.5)
    assert client.submit(add, 2).startswith(b"H:")


def test_what_does_not_fit_is_not_sent(client: Client) -> None:
    with pytest.raises(SerializationError, match=r"typed\.add.*left"):
        client.run(add, object())  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="or one decorated with"):
        client.run(len, b"")

    assert not client.statistics().connected


def test_a_stream_of_a_decorated_function_gives_its_values(client: Client, typed_worker: Worker) -> None:
    with client.stream(count_to, 2) as items:
        assert isinstance(items, TypedJob)
        assert [JobStatus(0, 2), JobItem(1), JobItem(2)] == list(items)
        assert items.result(timeout=PATIENCE) is None
    with client.stream(with_progress, 1.5) as job:
        assert [JobData(b"begun")] == list(job.events(timeout=PATIENCE))
        assert 1.5 == job.result(timeout=PATIENCE)
        assert "TypedJob" in repr(job)
    with client.stream("typed.add", b'{"left": 1}') as by_name:
        assert isinstance(by_name, ForegroundJob)
        assert b"2" == by_name.result(timeout=PATIENCE)


def test_options_of_a_view_are_those_of_its_calls(client: Client, server: str, unserved: str) -> None:
    view = client.with_options(unique="of-the-view", delay=3600).with_options(name=unserved)
    handle = view.submit(add, 1)

    assert client.status_by_unique("of-the-view").known
    with AdminClient(server) as admin:
        assert [unserved] == [row.function for row in admin.status() if row.function == unserved]
    # A call by name says otherwise, and the client itself has none of it.
    assert handle != view.submit(unserved, b"x", unique="of-the-call")
    assert handle == view.submit(unserved, b"y")
    assert handle != client.submit(unserved, b"z")


def test_delay_and_run_at_take_the_place_of_each_other(client: Client, unserved: str) -> None:
    view = client.with_options(run_at=time.time() + 3600).with_options(delay=7200)

    assert client.status(view.submit(unserved)).known
    assert client.status(client.submit(unserved, delay=3600)).known
    with pytest.raises(ConfigError, match="only a job in the background can start later"):
        view.run(unserved)


def test_the_time_limit_of_a_view(client: Client, unserved: str) -> None:
    impatient = client.with_options(timeout=0.01)

    client.echo(b"")
    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 seconds"):
        impatient.run(unserved)
    with pytest.raises(TimeoutError, match=r"within 0\.02 seconds"):
        impatient.run(unserved, timeout=0.02)
    with pytest.raises(TimeoutError, match=r"within 0\.01 seconds"):
        impatient.with_options(name=unserved).run(add, 1)
    assert b"x" == client.echo(b"x")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"priority": "urgent"}, "priority"),
        ({"unique": "u" * 65}, "unique"),
        ({"delay": -1}, "delay: expected seconds from 0 on"),
        ({"run_at": 1, "delay": 1}, "give one of them"),
        ({"resubmit": "always"}, "'never' or 'if-unique'"),
        ({"server": "elsewhere:1"}, "server: expected one of 127.0.0.1:"),
        ({"timeout": -1}, "timeout: expected"),
    ],
)
def test_wrong_options_are_refused_without_a_server(server: str, option: dict[str, object], message: str) -> None:
    client = Client(server)
    with pytest.raises(ConfigError, match=message):
        client.with_options(**option)  # type: ignore[arg-type]

    assert client.server is None


def test_wrong_ways_over_several_servers_are_refused() -> None:
    with pytest.raises(ConfigError, match="routing: expected one of"):
        Client(routing="random")
    with pytest.raises(ConfigError, match="resubmit"):
        Client(resubmit="always")  # type: ignore[arg-type]


def test_jobs_are_spread_over_several_servers(unserved: str) -> None:
    with server_in_thread() as one, server_in_thread() as other:
        addresses = f"127.0.0.1:{one}", f"127.0.0.1:{other}"
        with Client(*addresses, routing="round-robin") as client:
            for _ in range(4):
                client.submit(unserved, b"x", timeout=PATIENCE)
            last = client.with_options(server=addresses[1])
            handle = last.submit(unserved, b"y", timeout=PATIENCE)

            assert last.status(handle, timeout=PATIENCE).known
            assert str(last.server) == addresses[1]
        queued = []
        for address in addresses:
            with AdminClient(address) as admin:
                queued += [row.total for row in admin.status(timeout=PATIENCE)]

    assert [2, 3] == queued


def test_a_view_is_closed_with_its_client(server: str) -> None:
    with Client(server) as client:
        view = client.with_options(priority="high")
        assert b"x" == view.echo(b"x")

    with pytest.raises(Exception, match="the client was closed"):
        view.echo(b"x")


def test_a_function_that_raises(client: Client, typed_worker: Worker) -> None:
    with pytest.raises(JobRaised, match="left"):
        client.run("typed.add", b'{"wrong": 1}')


def test_a_map_and_a_pipeline_of_decorated_functions(client: Client, typed_worker: Worker) -> None:
    with client.map(add, [1, 2, 3], ordered=True, timeout=PATIENCE) as results:
        assert [2, 3, 4] == list(results)
    with client.map(count_to, [2], timeout=PATIENCE) as lists:
        assert [[1, 2]] == list(lists)
    with client.map(add, [1, object()], ordered=True, on_error="yield", timeout=PATIENCE) as kept:
        first, second = kept
    with client.pipeline(timeout=PATIENCE) as pipeline:
        entry = pipeline.submit(add, 1, right=2)

    assert 2 == first
    assert isinstance(second, SerializationError)
    assert entry.handle is not None
    assert b"typed.add" == entry.function
