"""A server with a store: what it waits for, what it refuses, what comes back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from gearman_trio import StorageError
from gearman_trio.core import Batch
from gearman_trio.protocol import PacketType
from gearman_trio.server import Server, ServerOptions, journal, serve
from gearman_trio.storage import Store, StoredJob
from gearman_trio.testing import MemoryStore

from ..patience import PATIENCE
from .raw import RawPeer, connect, open_tcp_server, until

P = PacketType
PATIENT = ServerOptions(handle_prefix="H:t", store_timeout=PATIENCE, close_seconds=PATIENCE)
#: For tests that let it pass at the right moment; what nothing keeps from succeeding never takes so long.
STORE_SECONDS = PATIENCE / 4
LIMITED = attrs.evolve(PATIENT, store_timeout=STORE_SECONDS)


@pytest.fixture
def clock(mock_clock: MockClock) -> MockClock:
    """The clock of the test goes as all others do, and can jump."""
    mock_clock.rate = 1.0
    return mock_clock


async def let_pass(clock: MockClock, condition: Callable[[], bool]) -> None:
    """When something is so, and the store has been asked, end the time for its answer."""
    await until(condition)
    await trio.testing.wait_all_tasks_blocked()
    clock.jump(STORE_SECONDS)


@asynccontextmanager
async def open_server(store: Store | str, options: ServerOptions = PATIENT) -> AsyncGenerator[Server]:
    """A server on a free port, stopped hard at the end."""
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(partial(serve, port=0, options=options, store=store))
            yield server
            nursery.cancel_scope.cancel()


def stored(row: int, workload: bytes = b"w", function: bytes = b"f") -> StoredJob:
    return StoredJob(row, b"H:old:%d" % row, function, b"", 1, workload, 0.0, b"", 0, 5.0, True, "")


def refusing(server: Server) -> bool:
    return server.statistics().store.refusing  # type: ignore[union-attr] # there is one


def failure(server: Server) -> str:
    return server.statistics().store.failure  # type: ignore[union-attr] # there is one


def lag(server: Server) -> float:
    return server.statistics().store.lag  # type: ignore[union-attr] # there is one


def committing(server: Server) -> int:
    return sum(function.committing for function in server.statistics().functions)


async def ask_background(peer: RawPeer, workload: bytes = b"w") -> None:
    await peer.send(P.SUBMIT_JOB_BG, b"f", b"", workload)


async def work(worker: RawPeer, count: int) -> list[bytes]:
    """Grab and complete so many jobs; give their workloads."""
    await worker.can_do(b"f")
    done = []
    for _ in range(count):
        handle, workload = await worker.grab()
        await worker.send(P.WORK_COMPLETE, handle, b"")
        done.append(workload)
    await worker.synchronize()
    return done


async def test_an_acknowledged_job_is_in_the_store(driver: str) -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client:
        handle = await client.submit_background(b"f", b"w\0")

        (job,) = store.content.values()
        assert (handle, b"w\0") == (job.handle, job.workload)


async def test_jobs_survive_the_server_and_their_handles_too(driver: str) -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client:
        handles = [await client.submit_background(b"f", b"%d" % number) for number in range(10)]
    async with open_server(store) as server, connect(server) as client:
        await client.send(P.GET_STATUS, handles[3])
        await client.expect(P.STATUS_RES, handles[3], b"1", b"0", b"0", b"0")
        assert await client.submit_background(b"f", b"new") not in handles
        assert [*(b"%d" % number for number in range(10)), b"new"] == await work(client, 11)
    assert {} == store.content


async def test_the_same_over_a_file(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/jobs.db"
    async with open_server(url) as server, connect(server) as client:
        for number in range(10):
            await client.submit_background(b"f", b"%d" % number)
    async with open_server(url) as server, connect(server) as client:
        assert [b"0", b"1", b"2"] == await work(client, 3)
    async with open_server(url) as server, connect(server) as client:
        assert [b"3", b"4"] == await work(client, 2)


async def test_nothing_is_acknowledged_before_the_commit(driver: str) -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client, connect(server) as other:
        store.hold()
        await ask_background(client)
        await client.send(P.ECHO_REQ, b"behind")
        # Everybody else goes on.
        assert b"H:t:" in await other.submit(b"g", b"")
        await other.send(P.ECHO_REQ, b"also me")
        await other.expect(P.ECHO_RES, b"also me")
        assert {} == store.content

        store.go_on()
        assert P.JOB_CREATED == (await client.receive())[0]
        await client.expect(P.ECHO_RES, b"behind")


async def test_a_store_tells_how_far_it_is_behind() -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client:
        before = server.statistics().store
        store.hold()
        await ask_background(client)
        await until(lambda: lag(server) > 0)
        store.go_on()
        assert P.JOB_CREATED == (await client.receive())[0]
        after = server.statistics().store

    assert before is not None
    assert after is not None
    assert (0, 0.0, 1, 0.0) == (before.committing.count, before.lag, after.committing.count, after.lag)
    assert 0 < after.committing.seconds


async def test_what_comes_during_a_commit_goes_into_one_batch() -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client:
        store.hold()
        await ask_background(client)
        # The first batch is under way when this has been seen.
        await until(lambda: committing(server) == 1)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(99):
            await ask_background(client)
        await until(lambda: committing(server) == 100)
        store.go_on()
        for _ in range(100):
            assert P.JOB_CREATED == (await client.receive())[0]

    assert [1, 99] == [len(batch.adds) for batch in store.batches if batch.adds]


async def test_the_end_of_a_job_is_stored_though_nothing_else_comes() -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client, connect(server) as worker:
        await client.submit_background(b"f", b"w")
        await work(worker, 1)
        await until(lambda: len(store.batches) == 2)

        assert ([], [1]) == (store.batches[1].adds, store.batches[1].removes)


@pytest.fixture
def long_rest(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long after a batch one may begin that nobody waits for: longer than a test takes by itself."""
    monkeypatch.setattr(journal, "_BETWEEN_SECONDS", STORE_SECONDS)
    return STORE_SECONDS


async def test_ends_of_jobs_that_come_soon_after_each_other_are_stored_together(
    long_rest: float, clock: MockClock
) -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client, connect(server) as worker:
        for _ in range(3):
            await client.submit_background(b"f", b"w")
        await work(worker, 3)
        await trio.testing.wait_all_tasks_blocked()
        assert [1, 1, 1] == [len(batch.adds) for batch in store.batches]

        clock.jump(long_rest)
        await until(lambda: len(store.batches) == 4)
        assert [1, 2, 3] == store.batches[3].removes


@pytest.mark.usefixtures("long_rest")
async def test_a_submission_does_not_wait_for_ends_of_jobs() -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client, connect(server) as worker:
        await client.submit_background(b"f", b"1")
        await work(worker, 1)
        await client.submit_background(b"f", b"2")

        assert ([2], [1]) == ([job.row for job in store.batches[1].adds], store.batches[1].removes)


@pytest.mark.usefixtures("long_rest")
async def test_the_end_of_a_server_does_not_wait_to_store_ends_of_jobs() -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client, connect(server) as worker:
        await client.submit_background(b"f", b"1")
        await work(worker, 1)
        await trio.testing.wait_all_tasks_blocked()
        assert 1 == len(store.batches)

    assert {} == store.content


async def test_the_store_hears_of_handles_before_they_are_given_and_seldom() -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client:
        handles = [await client.submit_background(b"f", b"w") for _ in range(3)]
    last = int(handles[-1].rpartition(b":")[2])

    assert last < store.batches[0].last_handle
    assert [0, 0] == [batch.last_handle for batch in store.batches[1:]]


async def test_a_store_that_does_what_it_must_not_ends_the_server() -> None:
    class Broken(MemoryStore):
        def commit(self, batch: Batch) -> None:
            raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with open_server(Broken()) as server, connect(server) as client:
            await ask_background(client)
            await trio.sleep_forever()


async def test_a_failing_commit_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client:
        store.failure = "the disk is full"
        await ask_background(client)
        await until(lambda: "the disk is full" in failure(server))
        store.failure = ""

        assert P.JOB_CREATED == (await client.receive())[0]
        assert (False, "") == (refusing(server), failure(server))
    said = [
        record.getMessage()
        for record in caplog.records
        if "disk" in record.getMessage() or "again" in record.getMessage()
    ]
    assert [
        "a store in memory could not be written: the disk is full; trying again",
        "a store in memory: stores jobs again",
    ] == said
    caplog.clear()


async def test_a_failing_store_refuses_submissions_and_nothing_else(
    caplog: pytest.LogCaptureFixture, driver: str, clock: MockClock
) -> None:
    store = MemoryStore()
    async with open_server(store, LIMITED) as server, connect(server) as client, connect(server) as worker:
        await client.submit_background(b"f", b"before")
        store.failure = "the disk is full"
        await ask_background(client, b"refused")
        await let_pass(clock, lambda: failure(server) != "")
        text = b"the job cannot be stored: a store in memory could not be written: the disk is full"
        await client.expect(P.ERROR, b"QUEUE_ERROR", text)
        # At once, from now on.
        await ask_background(client, b"refused, too")
        await client.expect(P.ERROR, b"QUEUE_ERROR", text)

        assert [b"before"] == await work(worker, 1)
        handle = await client.submit(b"f", b"foreground")
        assert (handle, b"foreground") == await worker.grab()
        store.failure = ""
        await until(lambda: not store.content)
        await until(lambda: not refusing(server))
        await client.submit_background(b"f", b"after")

    assert [b"after"] == [job.workload for job in store.content.values()]
    caplog.clear()


async def test_a_refused_job_does_not_come_back_though_it_was_stored(
    caplog: pytest.LogCaptureFixture, clock: MockClock
) -> None:
    store = MemoryStore()
    async with open_server(store, LIMITED) as server, connect(server) as client:
        store.loses_answers = True
        store.failure = "the connection broke"
        await ask_background(client)
        await until(lambda: failure(server) != "")
        assert [b"w"] == [job.workload for job in store.content.values()]
        clock.jump(STORE_SECONDS)
        assert P.ERROR == (await client.receive())[0]
        store.failure = ""
        await until(lambda: not store.content)
    caplog.clear()


async def test_a_slow_commit_refuses_who_waits_too_long(caplog: pytest.LogCaptureFixture, clock: MockClock) -> None:
    store = MemoryStore()
    async with open_server(store, LIMITED) as server, connect(server) as client:
        store.hold()
        await ask_background(client)
        await let_pass(clock, lambda: lag(server) > 0)
        text = b"the job cannot be stored: a store in memory has not stored anything for %d seconds" % STORE_SECONDS
        await client.expect(P.ERROR, b"QUEUE_ERROR", text)
        store.go_on()
        # It was stored meanwhile, so it is removed.
        await until(lambda: len(store.batches) == 2)
        assert {} == store.content
        await client.submit_background(b"f", b"w")
    caplog.clear()


async def test_what_happens_at_a_hard_stop_is_stored() -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client, connect(server) as worker:
        await client.submit_background(b"f", b"w")
        await worker.can_do(b"f")
        await worker.grab()

    (job,) = store.content.values()
    assert (1, "its worker was lost") == (job.attempts, job.error)
    assert not store._open


async def test_a_hard_stop_does_not_wait_for_a_store_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    options = attrs.evolve(PATIENT, store_timeout=0.2)
    async with open_server(store, options) as server, connect(server) as client:
        store.hold()
        await ask_background(client)
        # So little time may be over before this is seen.
        await until(lambda: committing(server) == 1 or refusing(server))
    store.go_on()
    assert ["a store in memory: what happened last could not be stored: it is slow"] == [
        message for message in caplog.messages if "could not be stored" in message
    ]
    caplog.clear()


async def test_draining_leaves_stored_jobs_in_the_store(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client:
        await client.submit_background(b"f", b"w")
        await server.drain(5)

    assert [b"w"] == [job.workload for job in store.content.values()]
    assert "of which background jobs stay in the store" in caplog.text


async def test_a_client_that_sends_and_leaves_hears_of_its_jobs(driver: str) -> None:
    """As `printf ... | nc -N` does: nothing more comes from it, but it still reads."""
    store = MemoryStore()
    async with open_server(store) as server, connect(server) as client:
        store.hold()
        await ask_background(client)
        assert isinstance(client.stream, trio.SocketStream)
        await client.stream.send_eof()
        await until(lambda: committing(server) == 1)
        store.go_on()
        assert P.JOB_CREATED == (await client.receive())[0]


async def test_who_submits_faster_than_it_is_stored_is_not_read(driver: str) -> None:
    store = MemoryStore()
    options = attrs.evolve(PATIENT, outbox_pause_bytes=10_000)
    async with open_server(store, options) as server, connect(server) as client:
        store.hold()
        for _ in range(100):
            await ask_background(client, b"x" * 1000)
        await until(lambda: server.statistics().peers[0].outbox_bytes > 10_000)
        store.go_on()
        for _ in range(100):
            assert P.JOB_CREATED == (await client.receive())[0]
        await client.synchronize()
    assert 100 == len(store.content)


# Replay


@pytest.mark.parametrize("replay", ["first", "online"])
async def test_stored_jobs_come_back_in_order(
    replay: Literal["first", "online"], caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    store.content = {row: stored(row, b"%d" % row) for row in range(1, 5001)}
    options = attrs.evolve(PATIENT, replay=replay)
    async with open_server(store, options) as server, connect(server) as worker:
        await until(lambda: "all 5000 jobs are back" in caplog.text)
        assert [b"1", b"2", b"3"] == await work(worker, 3)
        statistics = server.statistics().store
        assert statistics is not None
        assert (5000, False) == (statistics.restored, statistics.replaying)
    assert 4997 == len(store.content)


async def test_rows_that_cannot_be_jobs_are_put_into_quarantine(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.content = {1: stored(1), 2: stored(2, function=b""), 3: stored(3)}
    async with open_server(store) as server, connect(server) as worker:
        assert [b"w", b"w"] == await work(worker, 2)
        statistics = server.statistics().store
        assert statistics is not None
        assert (2, 1) == (statistics.restored, statistics.quarantined)
        # Its number is not given again.
        await worker.submit_background(b"g", b"")

    assert [4] == list(store.content)
    assert [(2, "function name: must not be empty")] == [(row.row, row.reason) for row in store.quarantined()]
    assert "a store in memory: row 2 is quarantined: function name: must not be empty" in caplog.messages
    caplog.clear()


async def test_no_handle_is_given_again_though_the_clock_was_set_back() -> None:
    store = MemoryStore()
    handles = []
    for clock in (lambda: 2_000_000_000.0, lambda: 1_900_000_000.0):
        async with trio.open_nursery() as nursery:
            start = partial(serve, port=0, options=PATIENT, store=store, epoch_clock=clock)
            server: Server = await nursery.start(start)
            async with connect(server) as client:
                handles.append(await client.submit_background(b"f", b""))
            nursery.cancel_scope.cancel()

    first, second = (int(handle.rpartition(b":")[2]) for handle in handles)
    assert second > first


# Starting


async def test_two_servers_cannot_have_one_store(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/jobs.db"
    async with open_server(url):
        with pytest.raises(StorageError, match="in use by another job server"):
            await serve(port=0, store=url)


async def test_a_server_that_cannot_listen_lets_go_of_its_store() -> None:
    store = MemoryStore()
    async with open_tcp_server() as other:
        with pytest.raises(OSError, match="in use"):
            await serve(port=other.addresses[0].port, store=store)

    assert not store._open
