"""Where the process listens: several places, plain and with TLS, its own and those of the service manager."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import attrs
import pytest
import trustme

from gearman_trio import Server, open_client, open_server
from gearman_trio.config import resolve
from gearman_trio.daemon import Launch
from gearman_trio.daemon.listening import open_all
from gearman_trio.errors import ConfigError
from gearman_trio.server import Listen, ServerListener
from gearman_trio.transport import TlsOptions, parse_address

AUTHORITY = trustme.CA()


@pytest.fixture
def tls(tmp_path: Path) -> TlsOptions:
    issued = AUTHORITY.issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    return TlsOptions(certificate=tmp_path / "pem")


def launch(*listens: Listen) -> Launch:
    return attrs.evolve(Launch.of(resolve({"port": "0"}, {})), listens=tuple(listens))


async def echo(server: Server, number: int, *, with_tls: bool) -> bytes:
    context = None
    if with_tls:
        context = ssl.create_default_context()
        AUTHORITY.configure_trust(context)
    async with open_client(server.addresses[number], ssl_context=context) as client:
        return await client.echo(b"hello")


async def test_plain_tls_and_unix_sockets_stand_side_by_side(tls: TlsOptions, tmp_path: Path) -> None:
    listeners = await open_all(
        launch(Listen("127.0.0.1:0"), Listen("127.0.0.1:0", tls=tls), Listen(f"unix:{tmp_path}/socket")), []
    )
    async with open_server(listeners=listeners) as server:
        answers = [await echo(server, number, with_tls=number == 1) for number in range(3)]

    assert [b"hello"] * 3 == answers


async def test_socket_of_the_service_manager_takes_the_place_of_the_default(tls: TlsOptions) -> None:
    inherited = socket.create_server(("127.0.0.1", 0))
    port = inherited.getsockname()[1]
    asked = attrs.evolve(launch(), everywhere=Listen("*:0", tls=tls))
    async with open_server(listeners=await open_all(asked, [inherited])) as server:
        assert [port] == [address.port for address in server.addresses]
        assert b"hello" == await echo(server, 0, with_tls=True)


async def test_places_that_are_asked_for_are_opened_besides() -> None:
    inherited = socket.create_server(("127.0.0.1", 0))
    async with open_server(listeners=await open_all(launch(Listen("127.0.0.1:0")), [inherited])) as server:
        assert [b"hello", b"hello"] == [await echo(server, number, with_tls=False) for number in range(2)]


async def test_file_of_the_service_manager_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    inherited = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    inherited.bind(str(path))
    inherited.listen()
    async with (
        open_server(listeners=await open_all(launch(), [inherited])),
        open_client(parse_address(f"unix:{path}")) as client,
    ):
        assert b"hello" == await client.echo(b"hello")

    assert is_socket(path)


def is_socket(path: Path) -> bool:
    return path.is_socket()


async def test_default_is_every_address() -> None:
    listeners = await open_all(launch(), [])
    hosts = {listener.address.host for listener in listeners if isinstance(listener, ServerListener)}
    for listener in listeners:
        await listener.aclose()

    assert "0.0.0.0" in hosts
    assert hosts <= {"0.0.0.0", "::"}


async def test_place_for_administrators_is_one_besides(tmp_path: Path) -> None:
    asked = attrs.evolve(launch(Listen(f"unix:{tmp_path}/admin", admin=True)), everywhere=Listen("127.0.0.1:0"))
    async with open_server(listeners=await open_all(asked, [])) as server:
        answers = [await echo(server, number, with_tls=False) for number in range(2)]

        assert ["127.0.0.1", ""] == [address.host for address in server.addresses]
        assert [b"hello"] * 2 == answers


async def test_what_cannot_be_opened_leaves_nothing_open(tls: TlsOptions, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1, port {port}: Address already in use"):
            await open_all(launch(Listen(f"unix:{path}"), Listen(f"127.0.0.1:{port}")), [])
    missing = attrs.evolve(tls, certificate="/nonexistent")
    with pytest.raises(ConfigError, match="TLS: the certificate '/nonexistent' cannot be read: No such file"):
        await open_all(launch(Listen(f"unix:{path}"), Listen("127.0.0.1:0", tls=missing)), [])

    assert not is_socket(path)
