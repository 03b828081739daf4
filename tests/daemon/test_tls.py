"""TLS from files: who gets in, and certificates that change while the server runs."""

from __future__ import annotations

import ssl
from pathlib import Path

import attrs
import pytest
import trio
import trustme

from gearman_trio import Server, ServersUnavailable, open_client, open_server
from gearman_trio.daemon.tls import TlsFiles
from gearman_trio.errors import ConfigError

AUTHORITY = trustme.CA()


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    files = TlsFiles(certificate=str(tmp_path / "pem"), key=str(tmp_path / "key"))
    write(files, AUTHORITY)
    return files


def write(files: TlsFiles, authority: trustme.CA) -> None:
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(files.certificate)
    issued.private_key_pem.write_to_path(files.key)


def client_context(*, trusts: trustme.CA = AUTHORITY, is_known_to: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    trusts.configure_trust(context)
    if is_known_to is not None:
        is_known_to.issue_cert("a.worker").configure_cert(context)
    return context


async def echo(server: Server, context: ssl.SSLContext) -> bytes:
    async with open_client(server.url, ssl_context=context) as client:
        return await client.echo(b"hello")


async def open_listeners(context: ssl.SSLContext) -> list[trio.SSLListener[trio.SocketStream]]:
    return await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")


async def test_clients_speak_tls_without_a_certificate(files: TlsFiles) -> None:
    async with open_server(listeners=await open_listeners(files.context())) as server:
        assert b"hello" == await echo(server, client_context())


async def test_where_an_authority_is_given_clients_need_its_certificate(files: TlsFiles, tmp_path: Path) -> None:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca")
    context = attrs.evolve(files, authority=str(tmp_path / "ca")).context()
    async with open_server(listeners=await open_listeners(context)) as server:
        assert b"hello" == await echo(server, client_context(is_known_to=AUTHORITY))
        for stranger in (client_context(), client_context(is_known_to=trustme.CA())):
            with pytest.raises(ServersUnavailable):
                await echo(server, stranger)


async def test_new_certificate_is_shown_to_those_who_come_next(files: TlsFiles) -> None:
    other = trustme.CA()
    context = files.context()
    async with open_server(listeners=await open_listeners(context)) as server:
        assert b"hello" == await echo(server, client_context())
        write(files, other)
        files.load(context)

        assert b"hello" == await echo(server, client_context(trusts=other))


async def test_certificate_that_cannot_be_read_leaves_the_old_one(files: TlsFiles) -> None:
    context = files.context()
    # The certificate of one, the key of another.
    AUTHORITY.issue_cert("127.0.0.1").private_key_pem.write_to_path(files.key)
    with pytest.raises(ConfigError, match=r"--ssl-certificate, --ssl-key: .* cannot be used: .*KEY_VALUES_MISMATCH"):
        files.load(context)
    async with open_server(listeners=await open_listeners(context)) as server:
        assert b"hello" == await echo(server, client_context())


def test_old_versions_are_not_spoken(files: TlsFiles) -> None:
    assert files.context().minimum_version >= ssl.TLSVersion.TLSv1_2


def test_missing_file_is_told(files: TlsFiles) -> None:
    with pytest.raises(
        ConfigError, match=r"--ssl-certificate, --ssl-key: '/nonexistent' and .* cannot be used: No such"
    ):
        attrs.evolve(files, certificate="/nonexistent").context()


def test_authority_that_is_none_is_told(files: TlsFiles) -> None:
    with pytest.raises(ConfigError, match=r"--ssl-ca-file: '.*key' cannot be used: "):
        attrs.evolve(files, authority=files.key).context()


def test_key_with_a_password_is_told_and_not_asked_for(files: TlsFiles) -> None:
    Path(files.key).write_text(ENCRYPTED_KEY)

    with pytest.raises(ConfigError, match="--ssl-key: the key must not be protected by a password"):
        files.context()


#: Made for this test; its password is "secret".
ENCRYPTED_KEY = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjLR8z9uAZZXwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEG2OXqiTRo7C7/Y1fyGLjbsEgZBR
TYrp8loVsauRVukLL58chTidCd6RS7NktfeCQ8yPoO7+rIZlX7MAL0dcmhVZBfRk
z2DsRSwlnml9GbQ+kqp3nbfpQAvdxGcEKsj5Eb45sWED8/fuQdPMJAGnleGeO0p1
waFFlcSsXCa5KV6WGH3qPkxbbD3UwFqt/geB7uBHl4FHoC9uVq8466sHbpcDEbg=
-----END ENCRYPTED PRIVATE KEY-----
"""
