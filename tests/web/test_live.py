"""Server-sent events: what they tell, and what they cost."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

from gearman_trio import Server, open_admin, open_server
from gearman_trio.web import History, WebLimits
from gearman_trio.web.live import Live

from .conftest import Site


def parsed(event: bytes) -> tuple[str, Any]:
    name, content = event.removesuffix(b"\n\n").split(b"\ndata: ")
    return name.removeprefix(b"event: ").decode(), json.loads(content)


def live_events(server: Server) -> Live:
    return Live(server, History(server))


async def submit(server: Server, *names: str) -> None:
    async with server.open_client() as client:
        for name in names:
            await client.submit(name, b"")


async def test_first_event_is_whole_and_the_next_tells_changes(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(listeners=[], drain_seconds=0, epoch_clock=trio.current_time) as server:
        await submit(server, "a", "b")
        events = aiter(live_events(server).events())
        first, whole = parsed(await anext(events))
        await submit(server, "b", "c")
        second, changes = parsed(await anext(events))
        third, nothing = parsed(await anext(events))

    assert ("whole", "changes", "changes") == (first, second, third)
    assert [("a", 1), ("b", 1)] == [(row["function"], row["queued"]) for row in whole["functions"]]
    assert [("b", 2), ("c", 1)] == [(row["function"], row["queued"]) for row in changes["functions"]]
    assert ([], []) == (nothing["functions"], nothing["functions_gone"])
    assert 2.0 == nothing["time"] - whole["time"]
    assert 4 == nothing["server"]["queued"]


async def test_what_has_gone_is_told(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(port=0) as server, open_admin(server.addresses[0]) as admin:
        await admin.create_function("a")
        events = aiter(live_events(server).events())
        await anext(events)
        await admin.drop_function("a")
        _, changes = parsed(await anext(events))

    assert (["a"], []) == (changes["functions_gone"], changes["functions"])


async def test_slow_reader_is_told_everything_anew(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(listeners=[], drain_seconds=0) as server:
        live = live_events(server)
        slow, quick = aiter(live.events()), aiter(live.events())
        await anext(slow)
        await submit(server, "a")
        for _ in range(4):
            await anext(quick)
        await submit(server, "b")
        name, content = parsed(await anext(slow))

    assert ("whole", ["a"]) == (name, [row["function"] for row in content["functions"]])


async def test_readers_share_what_is_made(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(listeners=[]) as server:
        live = live_events(server)
        one, other = aiter(live.events()), aiter(live.events())

        assert await anext(one) is await anext(other)
        assert await anext(one) is await anext(other)


async def test_busiest_functions_are_shown_where_there_are_many(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(listeners=[], drain_seconds=0) as server:
        await submit(server, *(f"f{number}" for number in range(1001)), "f500")
        name, content = parsed(await anext(aiter(live_events(server).events())))

    assert ("whole", 1000, 1) == (name, len(content["functions"]), content["functions_left_off"])
    assert "f500" in {row["function"] for row in content["functions"]}
    assert 1001 == content["server"]["functions"]


async def test_events_over_http(site: Site) -> None:
    async with await site.connect() as stream:
        events = await site.events(stream)
        first, whole = await events.next()
        await submit(site.server, "a")
        functions: list[Any] = []
        while not functions:
            _, changes = await events.next()
            functions = changes["functions"]

    assert ("whole", []) == (first, whole["functions"])
    assert "a" == functions[0]["function"]


@pytest.mark.parametrize("limits", [WebLimits(event_streams=1)])
async def test_streams_are_limited_and_one_that_ends_makes_room(site: Site) -> None:
    async with await site.connect() as stream:
        await (await site.events(stream)).next()

        refused = await site.ask("/api/v1/events")

        assert 503 == refused.status
        assert "1 event streams are open, which is the limit" == refused.json["detail"]
    async with await site.connect() as stream:
        # That the first reader has gone is noticed in a while.
        await site.ask_until("/api/v1/events", lambda answer: answer.status == 200, "HEAD")
        name, _ = await (await site.events(stream)).next()

    assert "whole" == name
