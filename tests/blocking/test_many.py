"""Many jobs by one call, from threads: pipelines, maps, chunks, map and reduce."""

from __future__ import annotations

import io
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gearman_trio import (
    Abilities,
    ConfigError,
    GearmanError,
    JobLost,
    JobRaised,
    PipelineError,
    ServersUnavailable,
    ThreadJob,
)
from gearman_trio.blocking import AdminClient, Client, Worker

from ..patience import PATIENCE
from .conftest import Gate


def join(parts: list[bytes]) -> bytes:
    return b"+".join(parts)


@pytest.fixture
def abilities(gate: Gate) -> Abilities:
    abilities = Abilities()

    @abilities.function
    def reverse(workload: bytes) -> bytes:
        if workload == b"bad":
            raise ValueError("bad")
        return workload[::-1]

    @abilities.function
    def hold(workload: bytes, job: ThreadJob) -> bytes:
        gate.enter()
        return workload

    @abilities.partition(aggregate=join)
    async def words(text: bytes) -> AsyncIterator[bytes]:
        for word in text.split():
            yield word

    return abilities


# ---- pipelines -------------------------------------------------------------------------------------------------------


def test_a_pipeline_submits_at_its_end(client: Client, unserved: str) -> None:
    with client.pipeline(timeout=PATIENCE) as pipeline:
        first = pipeline.submit(unserved, b"one", unique=unserved, priority="high")
        second = pipeline.submit(unserved, bytearray(b"two"), delay=3600)
        assert 2 == len(pipeline)
        assert pipeline.unsent_bytes > 6
        assert [None, None] == [entry.handle for entry in (first, second)]

    assert first.handle is not None
    assert second.handle is not None
    assert client.status(first.handle).known
    assert client.status_by_unique(unserved).known


def test_a_pipeline_in_pieces(client: Client, unserved: str) -> None:
    with client.pipeline() as pipeline:
        first = pipeline.submit(unserved)
        pipeline.flush(timeout=PATIENCE)
        assert first.handle is not None
        pipeline.submit(unserved)
        pipeline.clear()
        assert (0, 0) == (len(pipeline), pipeline.unsent_bytes)


def test_a_block_that_raises_sends_nothing(client: Client, server: str, unserved: str) -> None:
    def submit() -> None:
        with client.pipeline() as pipeline:
            pipeline.submit(unserved, unique=unserved)
            raise KeyError

    with pytest.raises(KeyError):
        submit()
    client.echo(b"after what may have been sent")

    assert unserved not in [row.function for row in AdminClient(server).status()]


def test_refused_submissions_and_mistakes(client: Client, server: str, unserved: str) -> None:
    admin = AdminClient(server)
    admin.create_function(unserved)
    admin.maxqueue(unserved, 1)

    def submit(**arguments: Any) -> list[Any]:
        with client.pipeline(**arguments) as pipeline:
            with pytest.raises(ConfigError):
                pipeline.submit("")
            return [pipeline.submit(unserved) for _ in range(3)]

    with pytest.raises(PipelineError, match="2 of 3 submissions failed"):
        submit()
    assert 3 == len([entry.error for entry in submit(on_error="keep") if entry.error is not None])
    with pytest.raises(ConfigError, match="on_error"):
        submit(on_error="yield")


def test_a_pipeline_whose_client_is_closed(server: str) -> None:
    def submit_and_close(client: Client) -> None:
        with client.pipeline() as pipeline:
            pipeline.submit("f")
            client.close()

    with Client(server) as client, pytest.raises(ServersUnavailable):
        submit_and_close(client)


# ---- maps ------------------------------------------------------------------------------------------------------------


def test_map_gives_every_result(client: Client, worker: Worker) -> None:
    items = [b"%d" % number for number in range(100)]

    with client.map("reverse", iter(items), timeout=PATIENCE) as results:
        assert sorted(item[::-1] for item in items) == sorted(results)
        assert [] == list(results)
    with client.map("reverse", items, concurrency=3, ordered=True) as results:
        assert [item[::-1] for item in items] == list(results)
    with client.map("reverse", []) as results:
        assert [] == list(results)


def test_items_are_taken_in_the_calling_thread_as_results_are(client: Client, worker: Worker) -> None:
    threads: set[int] = set()
    taken = 0

    def items() -> Iterator[bytes]:
        nonlocal taken
        while True:
            threads.add(threading.get_ident())
            taken += 1
            yield b"x"

    with client.map("reverse", items(), concurrency=2) as results:
        assert 0 == taken
        next(results)
        assert 4 == taken
        for _ in range(10):
            next(results)
        assert 14 == taken

    assert {threading.get_ident()} == threads
    assert [] == list(results)


def test_no_more_jobs_run_than_were_allowed(client: Client, worker: Worker, gate: Gate) -> None:
    with ThreadPoolExecutor() as pool:

        def run() -> list[bytes]:
            with client.map("hold", [b"1", b"2", b"3"], concurrency=2, ordered=True) as results:
                return list(results)

        done = pool.submit(run)
        gate.wait_started()
        gate.wait_started()
        assert 2 == client.statistics().jobs
        gate.open.set()
        assert [b"1", b"2", b"3"] == done.result(timeout=PATIENCE)


def test_a_result_that_takes_too_long_is_not_lost(client: Client, worker: Worker, gate: Gate) -> None:
    with client.map("hold", [b"1"], timeout=0.01) as results:
        with pytest.raises(TimeoutError):
            next(results)
        gate.open.set()
        found: list[bytes] = []
        while not found:
            try:
                found.append(next(results))
            except TimeoutError:
                continue
        assert [b"1"] == found


def test_items_that_fail(client: Client, worker: Worker) -> None:
    items = [b"ab", b"bad", b"cd"]

    with client.map("reverse", items, ordered=True, concurrency=1) as results:
        assert b"ba" == next(results)
        with pytest.raises(JobRaised, match="bad"):
            next(results)
        assert [] == list(results)
    with client.map("reverse", items, ordered=True, on_error="yield") as kept:
        assert [bytes, JobRaised, bytes] == [type(each) for each in kept]


def test_an_error_of_the_items_comes_after_the_results_before_it(client: Client, worker: Worker) -> None:
    def items() -> Iterator[bytes]:
        yield b"ab"
        raise KeyError("no more")

    with client.map("reverse", items()) as results:
        assert b"ba" == next(results)
        with pytest.raises(KeyError, match="no more"):
            next(results)
        assert [] == list(results)


def test_leaving_early_abandons_the_jobs(client: Client, worker: Worker, gate: Gate) -> None:
    with client.map("hold", [b"1"] * 3, timeout=0.01) as results:
        with pytest.raises(TimeoutError):
            next(results)
        gate.wait_started()
    while client.statistics().jobs:
        client.echo(b"")

    assert b"cba" == client.run("reverse", b"abc")


@pytest.mark.parametrize("arguments", [{"concurrency": 0}, {"concurrency": -1}, {"on_error": "ignore"}])
def test_arguments_of_map_that_are_refused(client: Client, arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError), client.map("f", [], **arguments):
        pytest.fail("opened")


def test_several_threads_map_over_one_client(client: Client, worker: Worker) -> None:
    def run(prefix: bytes) -> list[bytes]:
        with client.map("reverse", [prefix + b"%d" % number for number in range(50)], ordered=True) as results:
            return list(results)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, [b"a", b"b", b"c", b"d"]))

    for prefix, results in zip([b"a", b"b", b"c", b"d"], found, strict=True):
        assert [(prefix + b"%d" % number)[::-1] for number in range(50)] == results


def test_a_map_whose_client_is_closed(server: str, unserved: str) -> None:
    with Client(server) as client, client.map(unserved, [b"x"]) as results, ThreadPoolExecutor(1) as pool:
        first = pool.submit(next, results)
        while not client.statistics().jobs:
            client.echo(b"")
        client.close()
        with pytest.raises((JobLost, ServersUnavailable)):
            first.result(timeout=PATIENCE)


# ---- chunks ----------------------------------------------------------------------------------------------------------

LINES = b"one\ntwo\nthree\nfour"


@pytest.mark.parametrize(
    "source",
    [LINES, bytearray(LINES), memoryview(LINES), io.BytesIO(LINES), [LINES[:5], LINES[5:]], iter([LINES])],
    ids=["bytes", "bytearray", "memoryview", "file", "list", "iterator"],
)
def test_chunks_come_in_the_order_of_the_source(client: Client, worker: Worker, source: Any) -> None:
    with client.run_chunks("reverse", source, chunk_bytes=8, separator=b"\n", timeout=PATIENCE) as results:
        assert [b"\nowt\neno", b"\neerht", b"ruof"] == list(results)


def test_a_file_by_its_path(client: Client, worker: Worker, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(LINES)
    for source in (path, str(path)):
        with client.run_chunks("reverse", source, chunk_bytes=10) as results:
            assert LINES == b"".join(result[::-1] for result in results)

    with pytest.raises(FileNotFoundError), client.run_chunks("reverse", tmp_path / "nothing"):
        pytest.fail("opened")


def test_chunks_that_fail_and_sources_that_cannot_be_cut(client: Client, worker: Worker) -> None:
    with client.run_chunks("reverse", b"abbad", chunk_bytes=2, on_error="yield") as results:
        assert [b"ba", b"ab", b"d"] == list(results)
    with client.run_chunks("reverse", [b"bad"], on_error="yield") as kept:
        (error,) = kept
        assert isinstance(error, GearmanError)
    wrong: Any = ["text"]
    with (
        client.run_chunks("reverse", wrong) as results,
        pytest.raises(TypeError, match="expected pieces of bytes, got str"),
    ):
        next(results)
    wrong = 5
    with pytest.raises(TypeError, match="source: expected a path"), client.run_chunks("reverse", wrong):
        pytest.fail("opened")


# ---- map and reduce --------------------------------------------------------------------------------------------------


def test_map_and_reduce(client: Client, worker: Worker) -> None:
    assert b"eno+owt" == client.map_reduce("words", "reverse", b"one two", timeout=PATIENCE)
    assert b"" == client.map_reduce("words", "reverse", unique="empty")
    with pytest.raises(JobRaised, match="bad"):
        client.map_reduce("words", "reverse", b"one bad")


def test_map_and_reduce_takes_too_long(client: Client, unserved: str) -> None:
    with pytest.raises(TimeoutError):
        client.map_reduce(unserved, "reverse", timeout=0.01)
