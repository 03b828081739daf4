"""Large workloads and results are in the job server's memory once, whoever waits for them and however they come."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme

from benchmarks.large import CASES, measure_large, pass_through
from benchmarks.processes import HOST, Running, open_server
from gearman_trio.protocol import PacketType, encode_response

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]

P = PacketType

SIZE = 64 * 1024 * 1024


def told(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def server() -> Generator[Running]:
    """A job server without a store."""
    with open_server("gearman_trio") as running:
        yield running


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.store])
def test_what_is_large_is_in_memory_once(server: Running, name: str) -> None:
    case = CASES[name]

    peak = pass_through(lambda: socket.create_connection((HOST, server.port)), server.pid, case, SIZE)

    assert peak < 1.3 * case.held * SIZE


def test_what_is_stored_is_copied_no_more_than_is_said() -> None:
    (row,) = measure_large(["stored"], SIZE, progress=told).rows

    assert float(row[-1].rstrip("x")) < 1.3


def test_and_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "certificate.pem"
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with open_server("gearman_trio", "--ssl", "--ssl-certificate", str(certificate)) as server:

        def connect() -> socket.socket:
            plain = socket.create_connection((HOST, server.port))
            return context.wrap_socket(plain, server_hostname=HOST)

        peak = pass_through(connect, server.pid, CASES["both"], SIZE)

    assert peak < 1.3 * 2 * SIZE


def test_what_comes_is_compared_with_what_was_sent() -> None:
    """Else a server that answers nonsense would pass."""
    with socket.create_server((HOST, 0)) as listener, ExitStack() as stack:

        def connect() -> socket.socket:
            ours = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
            stack.enter_context(theirs).sendall(encode_response(P.JOB_CREATED, b"H:x:1") * 2)
            return ours

        with pytest.raises(RuntimeError, match="expected JOB_ASSIGN with 100 bytes, got packet 8"):
            pass_through(connect, 0, CASES["workload"], SIZE)
