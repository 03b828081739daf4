"""Which server a client connects to, when, and what it says there first."""

from __future__ import annotations

import ssl
from functools import partial
from typing import Any

import pytest
import trio
import trustme
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio.client import Client, open_client
from gearman_trio.errors import ConfigError, JobLost, ServersUnavailable
from gearman_trio.protocol import PacketType
from gearman_trio.server import open_server
from gearman_trio.transport import Address

from .outcome import Outcome
from .scripted_server import ScriptedConnection, ScriptedServer

P = PacketType
A, B, C = Address("a"), Address("b", 1), Address("::1")


async def answer_echo(connection: ScriptedConnection) -> None:
    kind, fields = await connection.receive()
    assert P.ECHO_REQ == kind
    await connection.send(P.ECHO_RES, *fields)


async def echo(client: Client, server: ScriptedServer) -> ScriptedConnection:
    """Make the client use its connection, which is new."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.echo, b"")
        connection = await server.accept()
        await answer_echo(connection)
    return connection


async def test_nothing_is_connected_until_it_is_needed() -> None:
    server = ScriptedServer()
    async with open_client(connect=server.connect) as client:
        await wait_all_tasks_blocked()
        assert client.server is None
        assert not client.statistics().connected

    assert [] == server.addresses


async def test_the_default_server() -> None:
    server = ScriptedServer()
    async with open_client(connect=server.connect, options=()) as client:
        await echo(client, server)
        assert Address("127.0.0.1", 4730) == client.server


async def test_servers_are_tried_in_order() -> None:
    server = ScriptedServer()
    server.down = {A, B}
    async with open_client("a", "b:1", C, connect=server.connect, options=()) as client:
        await echo(client, server)
        assert C == client.server

    assert [A, B, C] == server.addresses


async def test_all_servers_down_tells_each_reason_and_the_next_call_tries_again() -> None:
    server = ScriptedServer()
    server.down = {A, B}
    async with open_client(A, B, connect=server.connect, options=()) as client:
        with pytest.raises(ServersUnavailable) as caught:
            await client.run("f")
        server.down = {A}
        await echo(client, server)

    assert ("a:4730: nobody listens", "b:1: nobody listens") == caught.value.causes
    assert [A, B, A, B] == server.addresses


async def test_client_id_and_options_come_first_on_every_connection() -> None:
    server = ScriptedServer()
    async with (
        open_client(connect=server.connect, client_id="me", options=["exceptions", "other"]) as client,
        trio.open_nursery() as nursery,
    ):
        for _ in range(2):
            outcome = Outcome()
            await outcome.start(nursery, partial(client.echo, b"e"))
            connection = await server.accept()
            await connection.expect(P.SET_CLIENT_ID, b"me")
            await connection.expect(P.OPTION_REQ, b"exceptions")
            await connection.expect(P.OPTION_REQ, b"other")
            await connection.send(P.OPTION_RES, b"exceptions")
            await connection.send(P.OPTION_RES, b"other")
            await answer_echo(connection)
            await connection.stream.aclose()
            await wait_all_tasks_blocked()
            assert b"e" == outcome.value

        assert 1 == client.statistics().reconnects


async def test_an_option_set_later_is_asked_for_again() -> None:
    server = ScriptedServer()
    async with open_client(connect=server.connect, options=()) as client, trio.open_nursery() as nursery:
        connection = await echo(client, server)
        for option in ("good", "good", "bad"):
            await Outcome().start(nursery, partial(client.set_option, option))
        for _ in range(3):
            await connection.receive()
        await connection.send(P.OPTION_RES, b"good")
        await connection.send(P.OPTION_RES, b"good")
        await connection.send(P.ERROR, b"UNKNOWN_OPTION", b"")
        await wait_all_tasks_blocked()
        await connection.stream.aclose()
        await wait_all_tasks_blocked()
        await Outcome().start(nursery, partial(client.echo, b""))
        connection = await server.accept()
        await connection.expect(P.OPTION_REQ, b"good")
        await connection.send(P.OPTION_RES, b"good")
        await answer_echo(connection)


async def test_a_server_that_refuses_an_option_is_not_used() -> None:
    server, outcome = ScriptedServer(), Outcome()
    async with open_client(A, B, connect=server.connect) as client, trio.open_nursery() as nursery:
        await outcome.start(nursery, partial(client.run, "f"))
        for _ in range(2):
            connection = await server.accept()
            await connection.expect(P.OPTION_REQ, b"exceptions")
            await connection.send(P.ERROR, b"UNKNOWN_OPTION", b"never heard of it")
            await connection.wait_closed()

    assert isinstance(outcome.error, ServersUnavailable)
    refused = "option 'exceptions' was refused (UNKNOWN_OPTION: never heard of it)"
    assert (f"a:4730: {refused}", f"b:1: {refused}") == outcome.error.causes


async def test_a_server_that_says_nothing_is_given_up_after_ten_seconds(autojump_clock: MockClock) -> None:
    server = ScriptedServer()
    began = trio.current_time()
    async with open_client(connect=server.connect) as client:
        with pytest.raises(ServersUnavailable, match="no answer within 10 seconds"):
            await client.run("f")

    assert 10 == pytest.approx(trio.current_time() - began)


async def test_the_time_limit_ends_once_connected(autojump_clock: MockClock) -> None:
    server = ScriptedServer()
    async with open_client(connect=server.connect, options=()) as client:
        connection = await echo(client, server)
        await trio.sleep(1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.echo, b"")
            await answer_echo(connection)


async def test_a_server_that_hangs_up_during_the_greeting_is_passed_over() -> None:
    server, outcome = ScriptedServer(), Outcome()
    async with open_client(A, connect=server.connect) as client, trio.open_nursery() as nursery:
        await outcome.start(nursery, partial(client.run, "f"))
        await (await server.accept()).stream.aclose()

    assert isinstance(outcome.error, ServersUnavailable)
    assert ("a:4730: the job server closed the connection",) == outcome.error.causes


async def test_a_connection_lost_before_it_was_used() -> None:
    """The greeting's answer and the end of the stream in one batch: the caller must not try for ever."""
    server, outcome = ScriptedServer(), Outcome()
    async with open_client(A, connect=server.connect) as client, trio.open_nursery() as nursery:
        await outcome.start(nursery, partial(client.run, "f"))
        connection = await server.accept()
        await connection.stream.send_all(b"\0RES\0\0\0\x1b\0\0\0\x0aexceptionsjunk")
        await wait_all_tasks_blocked()

    assert isinstance(outcome.error, ServersUnavailable)
    assert ("a:4730: the connection was lost at once",) == outcome.error.causes


async def test_concurrent_calls_share_one_attempt_and_a_cancelled_one_leaves_it() -> None:
    server = ScriptedServer()
    outcomes = [Outcome() for _ in range(3)]
    async with open_client(connect=server.connect) as client, trio.open_nursery() as nursery:
        for outcome in outcomes:
            await outcome.start(nursery, partial(client.echo, b"e"))
        outcomes[0].scope.cancel()
        connection = await server.accept()
        await connection.expect(P.OPTION_REQ, b"exceptions")
        await connection.send(P.OPTION_RES, b"exceptions")
        await answer_echo(connection)
        await answer_echo(connection)

    assert [None, b"e", b"e"] == [outcome.value for outcome in outcomes]
    assert outcomes[0].scope.cancelled_caught
    assert 1 == len(server.addresses)


async def test_an_attempt_without_callers_serves_the_next_one() -> None:
    server, outcome = ScriptedServer(), Outcome()
    async with open_client(connect=server.connect) as client, trio.open_nursery() as nursery:
        await outcome.start(nursery, partial(client.echo, b"never"))
        outcome.scope.cancel()
        connection = await server.accept()
        await connection.expect(P.OPTION_REQ, b"exceptions")
        await connection.send(P.OPTION_RES, b"exceptions")
        await wait_all_tasks_blocked()
        nursery.start_soon(client.echo, b"e")
        await answer_echo(connection)

    assert 1 == len(server.addresses)


@pytest.mark.parametrize(
    "keywords",
    [{"options": "exceptions"}, {"options": [""]}, {"options": ["a\0b"]}, {"client_id": "two words"}],
)
async def test_arguments_that_are_refused(keywords: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        async with open_client("a", **keywords):  # type: ignore[arg-type]  # wrong on purpose
            pytest.fail("opened")


async def test_an_address_that_is_refused() -> None:
    with pytest.raises(ConfigError):
        async with open_client("a:http"):
            pytest.fail("opened")


async def test_an_error_of_the_callers_own_connect_ends_the_block() -> None:
    async def connect(address: Address) -> trio.abc.Stream:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        async with open_client(connect=connect) as client:
            await client.run("f")

    assert caught.group_contains(ZeroDivisionError)


@pytest.mark.parametrize("in_call", [False, True])
async def test_ctrl_c_while_the_client_connects_is_not_swallowed(in_call: bool, autojump_clock: MockClock) -> None:
    """Python raises `KeyboardInterrupt` in whichever task runs at that moment."""
    gate = trio.Event()

    async def connect(address: Address) -> trio.abc.Stream:
        await gate.wait()
        raise KeyboardInterrupt

    async def call_and_leave(client: Client) -> None:
        with trio.move_on_after(1):
            await client.run("f")
        gate.set()
        if in_call:
            await client.run("f")
        await trio.sleep_forever()

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_client(connect=connect) as client:
            await call_and_leave(client)

    assert caught.group_contains(KeyboardInterrupt)


def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize(("name", "trusted"), [("jobs.example", True), ("other.example", False)])
async def test_tls_proves_the_name_of_the_server(name: str, trusted: bool) -> None:
    authority = trustme.CA()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(server_context)
    server, outcome = ScriptedServer(), Outcome()

    async def serve() -> None:
        connection = await server.accept()
        connection.stream = trio.SSLStream(connection.stream, server_context, server_side=True)
        try:
            await answer_echo(connection)
        except trio.BrokenResourceError:
            assert not trusted

    async with (
        open_client("jobs.example", connect=server.connect, options=(), ssl_context=tls(authority)) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(serve)
        await outcome.catch(partial(client.echo, b"secret"))

    assert (b"secret" if trusted else None) == outcome.value
    assert trusted or isinstance(outcome.error, ServersUnavailable)
    assert trusted or "jobs.example" in str(outcome.error)


class Resolver(trio.abc.HostnameResolver):
    """Knows one name, which a test gives another address."""

    address = "127.0.0.1"

    async def getaddrinfo(self, host: Any, port: Any, family: int = 0, *arguments: Any) -> Any:
        await trio.lowlevel.checkpoint()
        assert b"jobs.test" == host
        return [(trio.socket.AF_INET, trio.socket.SOCK_STREAM, 0, "", (self.address, port))]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise AssertionError


async def test_name_is_looked_up_again_for_each_connection() -> None:
    """A server that moved is found at its new address, by the same client."""
    resolver = Resolver()
    before = trio.socket.set_custom_hostname_resolver(resolver)
    try:
        async with open_server(host="127.0.0.1", port=0) as old:
            port = old.addresses[0].port
            async with (
                open_server(host="127.0.0.2", port=port) as new,
                open_client(f"jobs.test:{port}") as client,
                new.open_client() as witness,
            ):
                async with client.stream("nobody") as job:
                    resolver.address = "127.0.0.2"
                    await old.drain(0)
                    with pytest.raises(JobLost):
                        await job.result()
                handle = await client.submit("moved")

                assert (await witness.status(handle)).known
                assert 1 == client.statistics().reconnects
    finally:
        trio.socket.set_custom_hostname_resolver(before)
