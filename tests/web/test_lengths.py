"""The small curves of the page."""

from __future__ import annotations

import trio
import trio.testing

from gearman_trio import open_server
from gearman_trio.web import History
from gearman_trio.web.lengths import Lengths

from .conftest import Site


async def test_queues_of_the_last_hour(mock_clock: trio.testing.MockClock) -> None:
    mock_clock.autojump_threshold = 0
    async with open_server(listeners=[], drain_seconds=0) as server, trio.open_nursery() as nursery:
        history = History(server)
        nursery.start_soon(history.run)
        await trio.sleep(30)
        async with server.open_client() as client:
            for name in ("a", "a", b"\xff"):
                await client.submit(name, b"")
        await trio.sleep(25)
        assert {"a": [2], "\\xff": [1]} == history.lengths.value()
        await trio.sleep(2 * 3600)
        nursery.cancel_scope.cancel()

    assert {"a": [2] * 180, "\\xff": [1] * 180} == history.lengths.value()


async def test_function_that_has_gone_is_forgotten() -> None:
    async with open_server(listeners=[], drain_seconds=0) as server:
        async with server.open_client() as client:
            await client.submit("a", b"")
        lengths = Lengths()
        lengths.note(server.statistics().functions, 0.0)
        assert {"a": [1]} == lengths.value()
        assert [False, True] == [lengths.due(10.0), lengths.due(20.0)]
        lengths.note([], 20.0)

    assert {} == lengths.value()


async def test_curves_are_told(site: Site) -> None:
    assert {} == (await site.ask("/api/v1/history")).json["functions_queued"]
