"""The code that the page "Test your workers" shows beside the example `test_my_worker.py`."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from gearman_trio import JSON, Abilities, Injected, JobLost, ServerOptions, Worker
from gearman_trio.testing import Gearman, call, open_gearman

abilities = Abilities()


@abilities.function(timeout=600)
async def resize(workload: bytes) -> bytes:
    await trio.sleep(60)
    return b"small " + workload


class TestOptions:
    @pytest.fixture
    def gearman_options(self) -> ServerOptions:
        return ServerOptions(max_attempts=2)

    async def test_job_is_tried_twice(self, gearman: Gearman, autojump_clock: MockClock) -> None:
        async with gearman.worker(abilities) as worker, gearman.client() as client:
            await client.submit("resize", b"cat")
            await lose_twice(gearman, worker)

            assert gearman.server.statistics().counters.lost == 1


class Prices(Injected):
    def __init__(self, table: dict[str, int]) -> None:
        self.table = table


shop = Abilities(serializer=JSON)


@shop.function
def price_of(prices: Prices, name: str) -> int:
    return prices.table[name]


async def test_price() -> None:
    report = await call.with_options(lifespan=Prices({"tea": 3}), run_in="task")(price_of, "tea")

    assert report.result == 3


async def lose_twice(gearman: Gearman, worker: Worker) -> None:
    for _ in range(2):
        await worker.wait_ready()
        await trio.sleep(1)
        await gearman.drop(worker)


async def test_reminder(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        await client.submit("resize", b"cat", run_at=gearman.time() + 86400)
        await gearman.run_until_empty()
        assert worker.statistics().done == 0

        await gearman.run_until_empty(scheduled=True)
        assert worker.statistics().done == 1


async def test_lost_worker(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        await client.submit("resize", b"cat")
        await trio.sleep(30)
        await gearman.drop(worker)
        await gearman.run_until_empty()

        assert worker.statistics().lost == 1
        assert worker.statistics().done == 1


async def test_lost_answer(gearman: Gearman) -> None:
    async with gearman.client() as client:
        gearman.cut(client, after_bytes=40, direction="received")
        with pytest.raises(JobLost) as caught:
            await client.submit("resize", b"cat", unique="cat")

        assert caught.value.may_have_run
        gearman.assert_submitted("resize", unique="cat", count=1)


async def test_restart(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        await client.submit("resize", b"cat")
        await gearman.restart_server(down=10)
        await worker.wait_ready()

        assert await client.run("resize", b"dog") == b"small dog"
        assert worker.statistics().done == 1


async def test_packets(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        await client.run("resize", b"cat")
        tap = gearman.tap(client)

        assert tap.names("received")[-1] == "WORK_COMPLETE", tap.transcript()


async def test_without_the_fixture(autojump_clock: MockClock) -> None:
    async with (
        open_gearman(options=ServerOptions(max_attempts=2)) as gearman,
        gearman.worker(abilities),
        gearman.client() as client,
    ):
        assert await client.run("resize", b"cat") == b"small cat"
