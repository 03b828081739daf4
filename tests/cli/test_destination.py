"""How every subcommand reaches its job server: by TCP and unix sockets, with TLS and without."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from gearman_trio import Listen, Server, TlsOptions, open_client, open_server, open_worker
from gearman_trio.cli.destination import Destination

from ..patience import PATIENCE
from ..peers import open_gearmand
from .certificates import Certificates, make_certificates
from .commands import invoke, open_command
from .jobs import abilities
from .test_app import SUBCOMMANDS

#: A call of each kind of subcommand that asks one server and ends. That of doctor is its own test.
CALLS = [
    ["run", "reverse", "abc"],
    ["submit", "reverse", "abc"],
    ["admin", "version"],
    ["admin", "maxqueue", "reverse", "5"],
    ["top", "--once"],
]

#: What does not talk to a job server over an address of its own.
NO_DESTINATION = {("serve",), ("demo",), ("version",), ("migrate",)}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def open_place(address: str, tls: TlsOptions | None = None) -> AsyncGenerator[Server]:
    """A job server with one listener, and a worker for it that comes by another way."""
    async with (
        open_server(listen=[Listen(address, tls=tls), Listen("127.0.0.1:0")], drain_seconds=0) as server,
        open_worker(abilities, str(server.addresses[1])),
    ):
        yield server


async def test_every_subcommand_that_asks_a_server_has_the_same_options() -> None:
    names = {"--server", "--ssl", "--ssl-ca-file", "--ssl-certificate", "--ssl-key", "--ssl-minimum-version"}
    for words, command in SUBCOMMANDS.items():
        if hasattr(command, "commands") or words in NO_DESTINATION or words[0] == "store":
            continue
        found = {name for parameter in command.params for name in parameter.opts}
        assert names - ({"--server"} if words == ("doctor",) else set()) <= found, words


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
async def test_unix_socket(tmp_path: Path, call: list[str]) -> None:
    async with open_place(f"unix:{tmp_path}/s") as server:
        result = await invoke(*call, "--server", str(server.addresses[0]))

    assert (0, "") == (result.exit_code, result.stderr)


@pytest.mark.parametrize("where", ["127.0.0.1:0", "unix:{}/s"])
@pytest.mark.parametrize("call", CALLS, ids=" ".join)
async def test_tls(certificates: Certificates, tmp_path: Path, call: list[str], where: str) -> None:
    async with open_place(where.format(tmp_path), certificates.of_server()) as server:
        result = await invoke(*call, "-s", str(server.addresses[0]), "--ssl", "--ssl-ca-file", certificates.ca)

    assert (0, "") == (result.exit_code, result.stderr)


@pytest.mark.parametrize("where", ["127.0.0.1:0", "unix:{}/s"])
async def test_doctor_speaks_tls(certificates: Certificates, tmp_path: Path, where: str) -> None:
    async with open_place(where.format(tmp_path), certificates.of_server()) as server:
        result = await invoke("doctor", str(server.addresses[0]), "-S", "--ssl-ca-file", certificates.ca)

    assert (0, "") == (result.exit_code, result.stderr)
    assert "ok       tls: TLSv1.3, " in result.stdout


async def test_certificate_of_the_peer_is_shown_where_it_is_asked_for(certificates: Certificates) -> None:
    files = ["--ssl-ca-file", certificates.ca]
    own = ["--ssl-certificate", certificates.certificate, "--ssl-key", certificates.key]
    async with open_place("127.0.0.1:0", certificates.of_server(asks_peers=True)) as server:
        address = str(server.addresses[0])
        without = await invoke("admin", "version", "-s", address, *files)
        with_it = await invoke("admin", "version", "-s", address, *files, *own)

    assert 3 == without.exit_code
    assert (0, "") == (with_it.exit_code, with_it.stderr)


async def test_files_may_come_from_libgearmans_variables(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_place("127.0.0.1:0", certificates.of_server(asks_peers=True)) as server:
        monkeypatch.setenv("GEARMAN_SERVER", str(server.addresses[0]))
        monkeypatch.setenv("GEARMAND_CA_CERTIFICATE", certificates.ca)
        monkeypatch.setenv("GEARMAN_CLIENT_PEM", certificates.certificate)
        monkeypatch.setenv("GEARMAN_CLIENT_KEY", certificates.key)
        result = await invoke("run", "reverse", "abc", "-S")
        # They say which files, and not that TLS is spoken.
        plain = await invoke("run", "reverse", "abc", "-s", str(server.addresses[1]))
        # What is typed goes before them.
        other = await invoke("run", "reverse", "abc", "-S", "--ssl-ca-file", certificates.other_ca)

    assert [(0, "cba"), (0, "cba")] == [(one.exit_code, one.stdout) for one in (result, plain)]
    assert 3 == other.exit_code
    assert "CERTIFICATE_VERIFY_FAILED" in other.stderr


@pytest.mark.parametrize("call", [*CALLS, ["doctor"]], ids=" ".join)
async def test_certificate_of_another_authority_is_refused(certificates: Certificates, call: list[str]) -> None:
    async with open_place("127.0.0.1:0", certificates.of_server()) as server:
        where = [str(server.addresses[0])] if call == ["doctor"] else ["-s", str(server.addresses[0])]
        result = await invoke(*call, *where, "--ssl-ca-file", certificates.other_ca)

    assert (3, "") == (result.exit_code, result.stdout)
    assert "CERTIFICATE_VERIFY_FAILED" in result.stderr
    assert 1 == len(result.stderr.splitlines())


async def test_certificate_for_another_name_is_refused(certificates: Certificates) -> None:
    async with open_server(listen=[Listen("[::1]:0", tls=certificates.of_server())], drain_seconds=0) as server:
        result = await invoke("admin", "version", "-s", str(server.addresses[0]), "--ssl-ca-file", certificates.ca)

    assert 3 == result.exit_code
    assert "certificate is not valid for '::1'" in result.stderr


async def test_file_that_cannot_be_used_is_wrong_usage(certificates: Certificates) -> None:
    for option in ("--ssl-ca-file", "--ssl-certificate"):
        result = await invoke("admin", "version", option, "/nonexistent")
        assert (2, "") == (result.exit_code, result.stdout)
        assert "'/nonexistent' cannot be read: No such file or directory\n" in result.stderr

    result = await invoke("admin", "version", "--ssl-key", certificates.key)
    assert (2, f"gearman-trio: TLS: the key {certificates.key!r} has no certificate\n") == (
        result.exit_code,
        result.stderr,
    )


async def test_version_that_the_server_does_not_speak_is_refused(certificates: Certificates) -> None:
    context = certificates.of_server().server_context()
    context.maximum_version = TlsOptions().minimum_version
    async with open_server(port=0, ssl_context=context, drain_seconds=0) as server:
        call = ["admin", "version", "-s", str(server.addresses[0]), "--ssl-ca-file", certificates.ca]
        newer = await invoke(*call, "--ssl-minimum-version", "1.3")
        older = await invoke(*call, "--ssl-minimum-version", "1.2")

    assert [3, 0] == [newer.exit_code, older.exit_code]


@pytest.mark.parametrize(
    "option",
    ["--ssl", "-S", "--ssl-ca-file={ca}", "--ssl-certificate={certificate}", "--ssl-minimum-version=1.2"],
)
async def test_every_option_about_tls_says_that_it_is_spoken(
    server: Server, certificates: Certificates, option: str
) -> None:
    option = option.format(ca=certificates.ca, certificate=certificates.certificate)
    own = ["--ssl-key", certificates.key] if "certificate" in option else []

    result = await invoke("admin", "version", "-s", server.url, option, *own)

    assert 3 == result.exit_code
    assert "WRONG_VERSION_NUMBER" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("processes", [[], ["--processes", "2"]], ids=["one process", "two processes"])
async def test_worker_serves_servers_with_tls(certificates: Certificates, processes: Sequence[str]) -> None:
    tls = certificates.of_server()
    async with open_server(listen=[Listen("127.0.0.1:0", tls=tls), Listen("127.0.0.1:0", tls=tls)]) as server:
        first, second = map(str, server.addresses)
        arguments = ["-s", first, "-s", second, "--ssl-ca-file", certificates.ca, *processes]
        options = TlsOptions(ca=certificates.ca)
        async with (
            open_command("worker", "tests.cli.jobs:abilities", *arguments) as command,
            open_client(first, ssl_context=options) as client,
        ):
            with trio.fail_after(PATIENCE):
                assert b"cba" == await client.run("reverse", b"abc")
            command.send_signal(signal.SIGTERM)
            assert 0 == await command.wait_ended()


def test_arguments_say_the_same() -> None:
    tls = TlsOptions(ca="a", certificate="b", key="c")

    assert ["--server=h"] == Destination(("h",)).arguments()
    assert [
        "--server=h",
        "--server=unix:/s",
        "--ssl",
        "--ssl-ca-file=a",
        "--ssl-certificate=b",
        "--ssl-key=c",
        "--ssl-minimum-version=1.2",
    ] == Destination(("h", "unix:/s"), tls).arguments()


@pytest.mark.interop
async def test_server_without_tls_is_not_spoken_to_in_plain_text(certificates: Certificates) -> None:
    """Debian's gearmand is built without TLS and passes over its option; its tools do, too, and send plain text."""
    async with open_gearmand("--ssl") as gearmand:
        result = await invoke(
            "run", "reverse", "x", "-s", f"127.0.0.1:{gearmand.port}", "--ssl-ca-file", certificates.ca
        )

    assert (3, "") == (result.exit_code, result.stdout)
    assert "EOF occurred in violation of protocol" in result.stderr
