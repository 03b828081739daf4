"""Health over HTTP: what probes get, and what becomes of those that are slow, huge or wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
from trio.testing import open_stream_to_socket_listener

from gearman_trio import ConfigError
from gearman_trio.worker.health import Health, check_available, serve_health

from ..patience import PATIENCE


class Place:
    """An endpoint whose state a test sets."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self.listener = listener
        self.health = Health(alive=True, ready=True, details={"running": 3})
        self.asked = 0

    async def check(self) -> Health:
        self.asked += 1
        return self.health

    async def open(self) -> trio.SocketStream:
        return await open_stream_to_socket_listener(self.listener)

    async def send(self, data: bytes) -> bytes:
        """Send something, and give all that comes back."""
        async with await self.open() as stream:
            await stream.send_all(data)
            return await read_all(stream)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    with trio.fail_after(PATIENCE):
        return b"".join([bytes(chunk) async for chunk in stream])


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def content(answer: bytes) -> object:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.fixture
async def place(nursery: trio.Nursery) -> AsyncIterator[Place]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    place = Place(listener)
    await nursery.start(partial(serve_health, place.check, [listener]))
    yield place
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("alive", "ready", "path", "expected"),
    [
        (True, True, "/healthz", 200),
        (True, True, "/readyz", 200),
        (True, False, "/healthz", 200),
        (True, False, "/readyz", 503),
        (False, False, "/healthz", 503),
        (True, True, "/readyz?verbose", 200),
    ],
)
async def test_status_tells_what_was_asked_for(
    place: Place, *, alive: bool, ready: bool, path: str, expected: int
) -> None:
    place.health = Health(alive=alive, ready=ready, details={"servers": {"a:4730": "connected"}})

    answer = await place.send(get(path))

    assert expected == status(answer)
    assert {"alive": alive, "ready": ready, "servers": {"a:4730": "connected"}} == content(answer)
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"content-type: application/json" in head
    assert b"connection: close" in head


async def test_head_gets_the_same_without_the_body(place: Place) -> None:
    head, _, body = (await place.send(get("/readyz", "HEAD"))).partition(b"\r\n\r\n")

    assert (await place.send(get("/readyz"))).partition(b"\r\n\r\n")[0] == head
    assert b"" == body


async def test_http_1_0_is_understood(place: Place) -> None:
    assert 200 == status(await place.send(b"GET /healthz HTTP/1.0\r\n\r\n"))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (get("/"), 404),
        (get("/healthz/"), 404),
        (get("/readyz", "POST"), 405),
        (get("/readyz", "DELETE"), 405),
        (b"nonsense\r\n\r\n", 400),
        (b"\x00\x01\x02\x03", 400),
        (b"GET /readyz HTTP/1.1\r\n\r\n", 400),
        (b"GET /readyz HTTP/1.1\r\nHost: here\r\nX: " + 20_000 * b"x", 431),
        (20_000 * b"G", 431),
    ],
)
async def test_wrong_request_gets_an_error_and_asks_nothing(place: Place, request_: bytes, expected: int) -> None:
    answer = await place.send(request_)

    assert expected == status(answer)
    assert isinstance(content(answer), dict)
    assert 0 == place.asked
    # And the next one is served.
    assert 200 == status(await place.send(get("/readyz")))


async def test_answer_arrives_while_a_large_body_is_still_coming(place: Place) -> None:
    async with await place.open() as stream, trio.open_nursery() as nursery:
        head = b"POST /readyz HTTP/1.1\r\nHost: here\r\nContent-Length: 300000\r\n\r\n"
        nursery.start_soon(stream.send_all, head + 300_000 * b"x")
        answer = await read_all(stream)

    assert 405 == status(answer)


async def test_request_in_pieces_is_answered(place: Place) -> None:
    async with await place.open() as stream:
        for byte in get("/healthz"):
            await stream.send_all(bytes([byte]))
        assert 200 == status(await read_all(stream))


@pytest.mark.parametrize("beginning", [b"", b"GET /readyz HTTP/1.1\r\nHost: h"])
async def test_who_is_slow_is_cut_off(place: Place, autojump_clock: trio.testing.MockClock, beginning: bytes) -> None:
    async with await place.open() as stream:
        await stream.send_all(beginning)
        began = trio.current_time()

        assert b"" == bytes(await stream.receive_some())

    assert began + 5.0 == pytest.approx(trio.current_time())
    assert 0 == place.asked


async def test_who_goes_without_a_word_is_forgotten(place: Place) -> None:
    for _ in range(60):
        await (await place.open()).aclose()

    assert 200 == status(await place.send(get("/healthz")))


async def test_too_many_at_once_are_turned_away(place: Place) -> None:
    async with trio.open_nursery() as nursery:
        waiting = [await place.open() for _ in range(50)]
        await trio.testing.wait_all_tasks_blocked()

        async with await place.open() as one_more:
            assert b"" == bytes(await one_more.receive_some())

        for stream in waiting:
            nursery.start_soon(stream.aclose)
    await trio.testing.wait_all_tasks_blocked()
    assert 200 == status(await place.send(get("/healthz")))


async def test_missing_h11_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h11", None)

    with pytest.raises(ConfigError, match=r"pip install 'gearman-trio\[health\]'"):
        check_available()
