"""Listeners: several at once, IPv6, unix sockets and what their files go through, TLS beside plain, renewed files."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import attrs
import pytest
import trio
import trustme

from gearman_trio import Abilities, Listen, ServersUnavailable, TlsOptions, blocking, open_admin, open_client
from gearman_trio.errors import ConfigError
from gearman_trio.server import ServerOptions, open_listeners
from gearman_trio.transport import Address, connect_socket
from gearman_trio.worker import open_worker

from ..patience import PATIENCE
from .raw import open_descriptors, open_tcp_server

LOCAL = "127.0.0.1:0"

abilities = Abilities()


@abilities.function
async def upper(workload: bytes) -> bytes:
    return workload.upper()


@attrs.frozen
class Certificates:
    """Options of both sides, and the folder of the files."""

    folder: Path
    authority: trustme.CA
    server: TlsOptions
    peer: TlsOptions


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, leaf in [("server", authority.issue_cert("127.0.0.1", "localhost")), ("peer", authority.issue_cert("p"))]:
        leaf.private_key_and_cert_chain_pem.write_to_path(tmp_path / f"{name}.pem")
    return Certificates(
        tmp_path,
        authority,
        TlsOptions(certificate=tmp_path / "server.pem", ca=tmp_path / "ca.pem"),
        TlsOptions(certificate=tmp_path / "peer.pem", ca=tmp_path / "ca.pem"),
    )


class Accepting(trio.abc.Listener[trio.SocketStream]):
    """A listener that remembers what it has accepted."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self.listener = listener
        self.accepted: list[trio.SocketStream] = []

    async def accept(self) -> trio.SocketStream:
        stream = await self.listener.accept()
        self.accepted.append(stream)
        return stream

    async def aclose(self) -> None:
        await self.listener.aclose()


async def test_small_packets_are_sent_at_once() -> None:
    """By neither side are they held back until the one before was acknowledged: TCP_NODELAY."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    accepting = Accepting(listener)
    port = listener.socket.getsockname()[1]
    async with open_tcp_server(listeners=[accepting]):
        ours = await connect_socket(Address("127.0.0.1", port))
        async with ours, open_client(f"127.0.0.1:{port}") as client:
            assert b"hello" == await client.echo(b"hello")
            streams = [ours, *accepting.accepted]

            assert [1] * 3 == [stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for stream in streams]


async def echo(address: Address, tls: TlsOptions | None = None) -> None:
    async with open_client(address, ssl_context=tls) as client:
        assert b"hello" == await client.echo(b"hello")


async def no_echo(address: Address, tls: TlsOptions | None = None) -> str:
    """See that a connection is not possible; say why not."""
    with pytest.raises(ServersUnavailable) as caught, trio.fail_after(PATIENCE):
        async with open_admin(address, ssl_context=tls) as admin:
            await admin.version()
    return str(caught.value)


# ---- several -----------------------------------------------------------------------------------------------


async def test_everything_side_by_side(tmp_path: Path, certificates: Certificates) -> None:
    path = tmp_path / "s"
    places = [LOCAL, "[::1]:0", f"unix:{path}", Listen(LOCAL, tls=certificates.server)]
    async with open_tcp_server(listen=places) as server:
        plain, six, unix, tls = server.addresses

        assert ("127.0.0.1", "::1", Address("", 0, str(path))) == (plain.host, six.host, unix)
        assert f"gearman://{plain}" == server.url
        for address in (plain, six, unix):
            await echo(address)
        await echo(tls, certificates.peer)
        assert 4 == server.statistics().counters.connections


async def test_star_is_every_address_of_both_families() -> None:
    async with open_tcp_server(listen=["*:0"]) as server:
        assert {"0.0.0.0", "::"} == {address.host for address in server.addresses}


async def test_where_one_place_fails_none_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "s"
    before = open_descriptors()
    with pytest.raises(OSError, match="No such file"):
        await open_listeners([Listen(LOCAL), Listen(f"unix:{path}"), Listen(f"unix:{tmp_path}/none/s")])

    assert before == open_descriptors()
    assert not path.exists()


# ---- unix sockets ------------------------------------------------------------------------------------------


async def test_client_worker_and_administrators_speak_over_a_unix_socket(tmp_path: Path) -> None:
    url = f"unix:{tmp_path}/s"
    async with open_tcp_server(listen=[url]) as server:
        assert f"gearman://{url}" == server.url
        async with open_worker(abilities, url), open_client(url) as client, open_admin(server.url) as admin:
            assert b"HELLO" == await client.run("upper", b"hello")
            assert ["unix"] * 3 == [row.address for row in await admin.workers()]

        def ask() -> int:
            with blocking.AdminClient(url) as admin:
                return len(admin.status())

        assert 1 == await trio.to_thread.run_sync(ask)


@pytest.mark.parametrize("mode", [0o600, 0o666])
async def test_file_of_the_socket_has_its_mode_and_goes_with_the_server(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "s"
    async with open_tcp_server(listen=[Listen(f"unix:{path}", mode=mode)]):
        assert mode == stat.S_IMODE(path.stat().st_mode)

    assert not path.exists()


async def test_file_of_a_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    async with open_tcp_server(listen=[f"unix:{path}"]) as server:
        await echo(server.addresses[0])


async def test_socket_of_a_live_server_is_refused(tmp_path: Path) -> None:
    url = f"unix:{tmp_path}/s"
    async with open_tcp_server(listen=[url]) as server:
        with pytest.raises(OSError, match="another process listens there"):
            await open_listeners([Listen(url)])
        await echo(server.addresses[0])


async def test_live_socket_whose_backlog_is_full_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)
        with pytest.raises(OSError, match="another process listens there"):
            await open_listeners([Listen(f"unix:{path}")])


async def test_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="no socket is in the way"):
        await open_listeners([Listen(f"unix:{path}")])

    assert "precious" == path.read_text()


async def test_file_of_another_server_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    (old,) = await open_listeners([Listen(f"unix:{path}")])
    path.unlink()
    (new,) = await open_listeners([Listen(f"unix:{path}")])
    await old.aclose()

    assert path.exists()

    await new.aclose()

    assert not path.exists()


async def test_limit_of_an_address_is_not_for_unix_sockets(tmp_path: Path) -> None:
    options = ServerOptions(max_connections_per_address=1)
    async with open_tcp_server(options, listen=[f"unix:{tmp_path}/s"]) as server:
        (address,) = server.addresses
        async with open_client(address) as client:
            await client.echo(b"")
            await echo(address)


# ---- TLS ---------------------------------------------------------------------------------------------------


async def test_peers_without_a_certificate_are_refused_where_there_is_an_authority(certificates: Certificates) -> None:
    stranger = attrs.evolve(certificates.peer, certificate=None)
    async with open_tcp_server(listen=[Listen(LOCAL, tls=certificates.server)]) as server:
        (address,) = server.addresses
        await no_echo(address, stranger)
        await no_echo(address)
        await echo(address, certificates.peer)


async def test_server_that_is_not_who_it_should_be_is_refused(certificates: Certificates) -> None:
    certificates.authority.issue_cert("elsewhere").private_key_and_cert_chain_pem.write_to_path(
        certificates.folder / "server.pem"
    )
    async with open_tcp_server(listen=[Listen(LOCAL, tls=certificates.server)]) as server:
        assert "certificate verify failed" in await no_echo(server.addresses[0], certificates.peer)


async def test_tls_over_a_unix_socket(certificates: Certificates) -> None:
    url = f"unix:{certificates.folder}/s"
    async with open_tcp_server(listen=[Listen(url, tls=certificates.server)]) as server:
        await echo(server.addresses[0], certificates.peer)


async def test_renewed_certificates_are_for_new_connections(certificates: Certificates) -> None:
    other = trustme.CA()
    leaf = other.issue_cert("127.0.0.1")
    async with open_tcp_server(listen=[LOCAL, Listen(LOCAL, tls=certificates.server)]) as server:
        _, address = server.addresses
        async with open_client(address, ssl_context=certificates.peer) as early:
            await early.echo(b"")
            leaf.private_key_and_cert_chain_pem.write_to_path(certificates.folder / "server.pem")
            server.reload_tls()

            assert b"still" == await early.echo(b"still")
            assert "certificate verify failed" in await no_echo(address, certificates.peer)
            other.cert_pem.write_to_path(certificates.folder / "new-ca.pem")
            await echo(address, attrs.evolve(certificates.peer, ca=certificates.folder / "new-ca.pem"))


async def test_files_that_cannot_be_used_change_nothing(certificates: Certificates) -> None:
    async with open_tcp_server(listen=[Listen(LOCAL, tls=certificates.server)]) as server:
        os.truncate(certificates.folder / "server.pem", 100)
        with pytest.raises(ConfigError, match=r"server\.pem"):
            server.reload_tls()
        await echo(server.addresses[0], certificates.peer)


async def test_stalled_handshake_holds_nobody_up(certificates: Certificates) -> None:
    options = ServerOptions(handshake_seconds=0.1)
    async with open_tcp_server(options, listen=[Listen(LOCAL, tls=certificates.server)]) as server:
        (address,) = server.addresses
        async with await trio.open_tcp_stream(address.host, address.port) as stalled:
            await stalled.send_all(b"\x16\x03\x01")
            await echo(address, certificates.peer)
            assert b"" == await stalled.receive_some()


async def test_peer_that_still_sends_hears_over_tls_too_why_it_is_disconnected(certificates: Certificates) -> None:
    async with open_tcp_server(listen=[Listen(LOCAL, tls=certificates.server)]) as server:
        (address,) = server.addresses
        plain = await trio.open_tcp_stream(address.host, address.port)
        stream = trio.SSLStream(plain, certificates.peer.client_context(), server_hostname=address.host)
        await stream.send_all(b"\0nonsense" + bytes(500_000))
        heard = b""
        while b"INVALID_PACKET" not in heard:
            heard += await stream.receive_some()
        await trio.aclose_forcefully(stream)
