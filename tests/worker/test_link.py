"""Connecting to a server for ever, and what the log says of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing

from gearman_trio.protocol import PacketType
from gearman_trio.server import open_server
from gearman_trio.transport import Address
from gearman_trio.worker import Abilities, open_worker, run_worker

from ..patience import PATIENCE
from .fakes import FakeServers, Peer, running_worker

Clock = trio.testing.MockClock
Log = pytest.LogCaptureFixture
P = PacketType


@pytest.fixture
def abilities() -> Abilities:
    made = Abilities()

    @made.function
    async def echo(workload: bytes) -> bytes:
        return workload

    return made


def lines(caplog: Log) -> list[tuple[int, str]]:
    """Give level and text of what was logged above DEBUG, without the number of the connection."""
    found = [(r.levelno, r.getMessage()) for r in caplog.records if r.levelno > logging.DEBUG]
    return [(level, text.partition("server=")[2]) for level, text in found]


async def test_server_that_cannot_be_reached_is_tried_for_ever(abilities: Abilities, autojump_clock: Clock) -> None:
    async with running_worker(abilities) as servers:
        servers.failing = 20
        await (await servers.accept()).registered()
        times = [time for time, _ in servers.attempts]

    waits = [later - earlier for earlier, later in pairwise(times)]
    assert 20 == len(waits)
    assert 0.05 <= waits[0] <= 0.1
    # Doubling up to the cap of 30 seconds, each drawn from its upper half.
    assert [True] * 8 == [0.05 * 2**n <= wait <= 0.1 * 2**n for n, wait in enumerate(waits[:8])]
    assert all(15 <= wait <= 30 for wait in waits[9:])


async def test_one_line_for_each_change_of_state(abilities: Abilities, autojump_clock: Clock, caplog: Log) -> None:
    caplog.set_level(logging.INFO)
    async with running_worker(abilities) as servers:
        servers.failing = 3
        peer = await servers.accept()
        await peer.registered()
        servers.failing = 3
        await peer.stream.aclose()
        await (await servers.accept()).registered()

    assert [
        (logging.WARNING, "127.0.0.1:4730 cannot connect: nobody listens"),
        (logging.INFO, "127.0.0.1:4730 connected"),
        (logging.WARNING, "127.0.0.1:4730 lost: the job server closed the connection"),
        (logging.WARNING, "127.0.0.1:4730 cannot connect: nobody listens"),
        (logging.INFO, "127.0.0.1:4730 connected"),
    ] == lines(caplog)


async def test_everything_is_registered_again(abilities: Abilities, autojump_clock: Clock) -> None:
    async with running_worker(abilities) as servers:
        peer = await servers.accept()
        first = await peer.greeting()
        await peer.stream.aclose()

        assert first == await (await servers.accept()).greeting()


async def test_success_makes_the_next_wait_short_again(abilities: Abilities, autojump_clock: Clock) -> None:
    async with running_worker(abilities) as servers:
        servers.failing = 12
        peer = await servers.accept()
        await peer.registered()
        lost = trio.current_time()
        await peer.stream.aclose()
        await servers.accept()

        assert 0.1 >= trio.current_time() - lost


async def test_server_that_only_accepts_does_not_make_the_wait_short(
    abilities: Abilities, autojump_clock: Clock, caplog: Log
) -> None:
    async with running_worker(abilities) as servers:
        for _ in range(12):
            await (await servers.accept()).stream.aclose()
        times = [time for time, _ in servers.attempts]

    assert times[-1] - times[-2] >= 15
    # Never connected, so nothing was lost.
    (line,) = lines(caplog)
    assert "127.0.0.1:4730 cannot connect: the job server closed the connection" == line[1]


async def test_server_that_does_not_answer_the_greeting_is_given_up(
    abilities: Abilities, autojump_clock: Clock, caplog: Log
) -> None:
    async with running_worker(abilities) as servers:
        silent = await servers.accept()
        await (await servers.accept()).registered()

        assert (P.SET_CLIENT_ID, b"test") == await silent.receive()
    assert "did not answer within 30 s" in caplog.text


async def test_connecting_that_hangs_is_given_up(abilities: Abilities, autojump_clock: Clock, caplog: Log) -> None:
    servers = FakeServers()

    async def connect(address: Address) -> trio.abc.Stream:
        if not servers.attempts:
            servers.attempts.append((trio.current_time(), address))
            await trio.sleep_forever()
        return await servers.connect(address)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_worker(abilities, connect=connect))
        await (await servers.accept()).registered()
        nursery.cancel_scope.cancel()

    assert "no connection within 30 s" in caplog.text


async def drain_beside(abilities: Abilities, connect_bad: Callable[[Address], Awaitable[trio.abc.Stream]]) -> float:
    """Drain a worker that has a good server, and one that is bad in some way; give how long that took."""
    good = FakeServers()

    async def connect(address: Address) -> trio.abc.Stream:
        return await (good.connect if address.host == "good" else connect_bad)(address)

    async def serve_good() -> None:
        peer = await good.accept()
        await peer.sleeping()
        await peer.farewell()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_good)
        async with open_worker(abilities, "good", "bad", connect=connect):
            await trio.sleep(5)
            began = trio.current_time()
        return trio.current_time() - began


async def test_draining_ends_a_connect_that_hangs(abilities: Abilities, autojump_clock: Clock) -> None:
    async def hang(address: Address) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    assert 0 == await drain_beside(abilities, hang)


async def test_draining_ends_the_wait_between_two_attempts(abilities: Abilities, autojump_clock: Clock) -> None:
    async def refuse(address: Address) -> trio.abc.Stream:
        raise OSError("refused")

    assert 0 == await drain_beside(abilities, refuse)


async def test_draining_ends_a_greeting_without_answer(abilities: Abilities, autojump_clock: Clock) -> None:
    silent = FakeServers()

    assert 0 == await drain_beside(abilities, silent.connect)


async def test_reason_is_in_the_words_of_the_system(abilities: Abilities, autojump_clock: Clock, caplog: Log) -> None:
    async def refuse(address: Address) -> trio.abc.Stream:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as exc:
            raise OSError("all attempts failed") from ExceptionGroup("several", [exc, exc])

    await drain_beside(abilities, refuse)

    assert "server=bad:4730 cannot connect: Connection refused" in caplog.text


async def test_connection_that_comes_when_the_worker_drains_already_is_closed(
    abilities: Abilities, autojump_clock: Clock
) -> None:
    late: list[Peer] = []

    async def connect_late(address: Address) -> trio.abc.Stream:
        with trio.CancelScope(shield=True):
            await trio.sleep(7)
        late.append(Peer())
        return late[0].worker_end

    assert 2 == await drain_beside(abilities, connect_late)
    await late[0].closed()


class Resolver(trio.abc.HostnameResolver):
    """Knows one name, which a test gives another address."""

    def __init__(self) -> None:
        self.address = ""

    async def getaddrinfo(self, host: Any, port: Any, family: int = 0, *arguments: Any) -> Any:
        await trio.lowlevel.checkpoint()
        assert host == b"jobs.test"
        return [(trio.socket.AF_INET, trio.socket.SOCK_STREAM, 0, "", (self.address, port))]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise AssertionError


async def test_name_is_looked_up_again_for_each_attempt(abilities: Abilities) -> None:
    """A server that moved is found at its new address."""
    resolver = Resolver()
    before = trio.socket.set_custom_hostname_resolver(resolver)
    try:
        async with open_server(host="127.0.0.1", port=0) as old:
            port = old.addresses[0].port
            async with open_server(host="127.0.0.2", port=port) as new, new.open_client() as client:
                resolver.address = "127.0.0.1"
                with trio.fail_after(PATIENCE):
                    async with open_worker(abilities, f"jobs.test:{port}") as worker:
                        resolver.address = "127.0.0.2"
                        await old.drain(0)
                        assert b"moved" == await client.run("echo", b"moved")
                        assert 1 == worker.statistics().done
    finally:
        trio.socket.set_custom_hostname_resolver(before)
