"""``gearman-trio doctor``: what it finds, with servers that are well and servers that are not."""

from __future__ import annotations

import datetime
import json
import re
import time
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from gearman_trio import (
    Abilities,
    Address,
    Server,
    ServersUnavailable,
    TlsOptions,
    open_client,
    open_server,
    open_worker,
)
from gearman_trio.cli.examination import examine
from gearman_trio.cli.finding import Finding, Verdict
from gearman_trio.protocol.codec import encode_request
from gearman_trio.protocol.table import PacketType
from gearman_trio.transport import connect_tcp

from ..peers import open_gearmand
from .certificates import Certificates, make_certificates
from .commands import invoke


async def findings(server: Server, *, probe: bool = False) -> list[Finding]:
    found: list[Finding] = []
    await examine(server.addresses[0], found.append, probe=probe)
    return found


async def test_server_is_found_by_the_environment(server: Server) -> None:
    result = await invoke("doctor")

    assert (0, "") == (result.exit_code, result.stderr)
    assert result.stdout.startswith(f"ok       reachable: {server.addresses[0]}")


async def test_server_that_is_well(server: Server) -> None:
    result = await invoke("doctor", str(server.addresses[0]))

    assert (0, "") == (result.exit_code, result.stderr)
    lines = [line.split(": ")[0].split() for line in result.stdout.splitlines()]
    assert [["ok", what] for what in ("reachable", "version", "echo", "functions")] == lines
    assert result.stdout.endswith("functions: 0 functions, 0 jobs, 0 abilities of workers\n")


async def test_jobs_without_a_worker_are_told(server: Server) -> None:
    async with open_client(server.url) as client:
        await client.submit("nobody")

    result = await invoke("doctor", str(server.addresses[0]), "--json")

    assert 1 == result.exit_code
    assert {"what": "functions", "verdict": "warning", "text": "'nobody' has 1 job and no worker"} == json.loads(
        result.stdout
    )[-1]


async def test_workers_that_take_no_job_are_told(server: Server) -> None:
    """One that said what it can do, and then nothing more."""
    async with open_client(server.url) as client, await connect_tcp(server.addresses[0]) as stream:
        await stream.send_all(encode_request(PacketType.CAN_DO, b"f"))
        await client.submit("f")
        found = await findings(server)

    assert Verdict.WARNING is found[-1].verdict
    assert found[-1].text.startswith(
        "'f' has 1 job waiting, and none is taken for 2 s though 1 of its workers are free"
    )


async def test_workers_that_are_busy_are_no_reason_to_worry(server: Server) -> None:
    abilities, started = Abilities(), trio.Event()

    @abilities.function(name="f")
    async def wait() -> None:
        started.set()
        await trio.sleep_forever()

    async with open_worker(abilities, server.url, drain_seconds=0), open_client(server.url) as client:
        await client.submit("f", b"1")
        await client.submit("f", b"2")
        await started.wait()

        assert {Verdict.OK} == {finding.verdict for finding in await findings(server)}


@pytest.mark.slow
async def test_probe_runs_jobs_and_leaves_nothing_behind(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine makes a job late as a wrong clock does.
    monkeypatch.setattr("gearman_trio.cli.examination._SKEW_SECONDS", 60.0)
    found = await findings(server, probe=True)

    assert ["reachable", "version", "echo", "functions", "job", "clock"] == [finding.what for finding in found]
    assert {Verdict.OK} == {finding.verdict for finding in found}
    assert [] == server.statistics().functions


@pytest.mark.slow
@pytest.mark.parametrize(("offset", "ahead", "side"), [(-4.0, 3, "behind"), (3600.0, 60, "ahead of")])
async def test_clock_that_is_wrong_is_told(
    offset: float, ahead: int, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job for a minute later comes at once where that minute is over, however long at once takes."""
    monkeypatch.setattr("gearman_trio.cli.examination._AHEAD_SECONDS", ahead)
    async with open_server(port=0, epoch_clock=lambda: time.time() + offset, drain_seconds=0) as server:
        found = await findings(server, probe=True)

    assert ("clock", Verdict.WARNING) == (found[-1].what, found[-1].verdict)
    assert found[-1].text.endswith(f"the server's clock is {side} this machine's")


async def say_nothing(stream: trio.SocketStream) -> None:
    async with stream:
        await trio.sleep_forever()


async def test_server_that_says_nothing_is_told(autojump_clock: MockClock) -> None:
    found: list[Finding] = []
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, say_nothing, [listener])
        await examine(Address("127.0.0.1", listener.socket.getsockname()[1]), found.append)
        nursery.cancel_scope.cancel()

    assert Finding("version", Verdict.FAILURE, "no answer within 10 s") == found[-1]


async def test_server_that_is_not_there_is_one_line() -> None:
    result = await invoke("doctor", "127.0.0.1:1")

    assert (3, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("gearman-trio: no job server could be reached: 127.0.0.1:1: ")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


async def test_tls_is_told(certificates: Certificates) -> None:
    async with open_server(port=0, ssl_context=certificates.of_server(), drain_seconds=0) as server:
        result = await invoke("doctor", str(server.addresses[0]), "--ssl-ca-file", certificates.ca)

    assert (0, "") == (result.exit_code, result.stderr)
    lines = result.stdout.splitlines()
    assert ["reachable:", "tls:", "version:", "echo:", "functions:"] == [line.split()[1] for line in lines]
    assert re.fullmatch(r"ok       tls: TLSv1\.3, TLS_\w+, certificate until \d{4}-\d\d-\d\d", lines[1])


async def test_certificate_that_ends_soon_is_told(tmp_path: Path) -> None:
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3, hours=12)
    certificates = make_certificates(tmp_path, not_after=ends)
    async with open_server(port=0, ssl_context=certificates.of_server(), drain_seconds=0) as server:
        result = await invoke("doctor", str(server.addresses[0]), "--ssl-ca-file", certificates.ca, "--json")

    (finding,) = [finding for finding in json.loads(result.stdout) if finding["what"] == "tls"]
    assert (1, "warning") == (result.exit_code, finding["verdict"])
    assert finding["text"].endswith(f"certificate until {ends:%Y-%m-%d}, which is in 3.5 days")


async def test_server_that_speaks_tls_only_is_told(certificates: Certificates) -> None:
    async with open_server(port=0, ssl_context=certificates.of_server(), drain_seconds=0) as server:
        result = await invoke("doctor", str(server.addresses[0]))

    assert 3 == result.exit_code
    assert result.stderr.endswith(" closed the connection; it speaks TLS; see --ssl\n")


async def test_server_that_does_not_speak_tls_is_told(server: Server, certificates: Certificates) -> None:
    result = await invoke("doctor", str(server.addresses[0]), "--ssl-ca-file", certificates.ca)

    assert (3, "") == (result.exit_code, result.stdout)
    assert "WRONG_VERSION_NUMBER" in result.stderr
    assert result.stderr.endswith("; it answers without TLS\n")


async def test_handshake_that_stalls_is_told(autojump_clock: MockClock) -> None:
    found: list[Finding] = []
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, say_nothing, [listener])
        with pytest.raises(ServersUnavailable, match=r"no connection within 10 s$"):
            await examine(Address(*listener.socket.getsockname()), found.append, ssl_context=TlsOptions())
        nursery.cancel_scope.cancel()

    assert [] == found


async def test_what_is_no_job_server_is_told() -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    found: list[Finding] = []
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, answer, [listener])
        await examine(Address(*listener.socket.getsockname()), found.append)
        nursery.cancel_scope.cancel()

    text = "no answer of a job server: expected OK after 'version', got 'HTTP/1.1 400 Bad Request'"
    assert Finding("version", Verdict.FAILURE, text) == found[-1]


@pytest.mark.interop
@pytest.mark.slow
async def test_gearmand_is_looked_at_like_ours() -> None:
    async with open_gearmand() as gearmand:
        address = f"127.0.0.1:{gearmand.port}"
        well = await invoke("doctor", address, "--probe", "--json")
        async with open_client(address) as client:
            await client.submit("nobody")
        ill = await invoke("doctor", address)

    assert (0, "") == (well.exit_code, well.stderr)
    assert ["reachable", "version", "echo", "functions", "job", "clock"] == [
        finding["what"] for finding in json.loads(well.stdout)
    ]
    assert 1 == ill.exit_code
    assert "warning  functions: 'nobody' has 1 job and no worker\n" in ill.stdout
