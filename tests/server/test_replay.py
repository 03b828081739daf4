"""The jobs of an earlier run: when they come back, what is told meanwhile, and what their handles say."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import attrs
import pytest
import trio

from gearman_trio.protocol import PacketType
from gearman_trio.server import Server, ServerOptions, serve
from gearman_trio.storage import BadRow, SpilledJob, StoredJob
from gearman_trio.testing import MemoryStore

from ..patience import PATIENCE
from .raw import connect, open_tcp_server, until

P = PacketType
FIRST = ServerOptions(handle_prefix="H:t", replay="first")
ONLINE = attrs.evolve(FIRST, replay="online")


class SlowStore(MemoryStore):
    """Its second list of jobs comes when a test says so."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.content = {
            row: StoredJob(row, b"H:old:%d" % row, b"f", b"", 1, b"%d" % row, 0.0, b"", 0, 5.0, True, "")
            for row in range(1, count + 1)
        }
        self.may_go_on = threading.Event()

    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        for number, chunk in enumerate(super().replay(spill_bytes)):
            if number == 1:
                self.may_go_on.wait()
            yield chunk


def restored(server: Server) -> int:
    statistics = server.statistics().store
    assert statistics is not None
    return statistics.restored


async def test_online_the_server_serves_meanwhile(driver: str) -> None:
    store = SlowStore(2000)
    async with open_tcp_server(ONLINE, store=store) as server, connect(server) as peer:
        await until(lambda: restored(server) == 1000)
        statistics = server.statistics().store
        assert statistics is not None
        assert statistics.replaying
        # What is back is done, in its order; what is not back yet is not known.
        await peer.can_do(b"f")
        handle, workload = await peer.grab()
        assert (b"H:old:1", b"1") == (handle, workload)
        await peer.send(P.GET_STATUS, b"H:old:1500")
        await peer.expect(P.STATUS_RES, b"H:old:1500", b"0", b"0", b"0", b"0")
        store.may_go_on.set()
        await until(lambda: restored(server) == 2000)
        await peer.send(P.GET_STATUS, b"H:old:1500")
        await peer.expect(P.STATUS_RES, b"H:old:1500", b"1", b"0", b"0", b"0")


async def test_first_the_server_has_all_jobs_when_it_begins() -> None:
    store = SlowStore(2000)
    begun = trio.Event()
    async with trio.open_nursery() as nursery:

        async def start() -> None:
            server: Server = await nursery.start(partial(serve, port=0, options=FIRST, store=store))
            assert 2000 == restored(server)
            begun.set()

        nursery.start_soon(start)
        with trio.move_on_after(0.1):
            await begun.wait()
        assert not begun.is_set()
        store.may_go_on.set()
        with trio.fail_after(PATIENCE):
            await begun.wait()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("replay", ["first", "online"])
async def test_the_log_says_how_far_it_has_come(
    replay: Literal["first", "online"], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gearman_trio.server.journal._PROGRESS_JOBS", 2000)
    store = SlowStore(5000)
    store.may_go_on.set()
    async with open_tcp_server(attrs.evolve(FIRST, replay=replay), store=store) as server:
        await until(lambda: restored(server) == 5000)
        await until(lambda: "all 5000" in caplog.text)
    assert [
        ("NOTICE", "a store in memory: 2000 jobs are back, more to come"),
        ("NOTICE", "a store in memory: 4000 jobs are back, more to come"),
        ("NOTICE", "a store in memory: all 5000 jobs are back"),
    ] == [(record.levelname, record.message) for record in caplog.records if "are back" in record.message]


@pytest.mark.parametrize("spill_bytes", [0, 10])
async def test_handles_of_an_earlier_run_tell_the_truth(spill_bytes: int) -> None:
    """Of jobs that were done, that were running when the server ended, that wait, and that are for later."""
    store = MemoryStore()
    options = attrs.evolve(FIRST, spill_bytes=spill_bytes)
    workload = b"w" * 20
    async with open_tcp_server(options, store=store) as server, connect(server) as client, connect(server) as worker:
        done, ran, waits = [await client.submit_background(b"f", workload) for _ in range(3)]
        await client.send(P.SUBMIT_JOB_EPOCH, b"f", b"", b"4102444800", workload)
        _, (later,) = await client.receive()
        await worker.can_do(b"f")
        assert (done, workload) == await worker.grab()
        await worker.send(P.WORK_COMPLETE, done, b"")
        assert (ran, workload) == await worker.grab()
    async with open_tcp_server(options, store=store) as server, connect(server) as client, connect(server) as worker:
        known: dict[bytes, Any] = {done: b"0", ran: b"1", waits: b"1", later: b"1"}
        for handle, live in known.items():
            await client.send(P.GET_STATUS, handle)
            await client.expect(P.STATUS_RES, handle, live, b"0", b"0", b"0")
        # A job that was running is at its old place.
        await worker.can_do(b"f")
        assert (ran, workload) == await worker.grab()
        await client.send(P.GET_STATUS, ran)
        await client.expect(P.STATUS_RES, ran, b"1", b"1", b"0", b"0")
        assert await client.submit_background(b"f", workload) not in known
