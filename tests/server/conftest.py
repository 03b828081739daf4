"""What every test of the server runtime has: a log at INFO without errors, both drivers, certificates."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Generator

import attrs
import pytest
import trustme


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """Whatever peers do is no error of the server; a test that provokes one clears the log."""
    caplog.set_level(logging.INFO, "gearman_trio")
    yield
    assert [] == [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]


@pytest.fixture(params=["pump", "stream"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to move the bytes of a socket; the second is that of systems without epoll."""
    if request.param == "stream":
        monkeypatch.setattr("gearman_trio.server.server.pump_available", False)
    name: str = request.param
    return name


@attrs.frozen
class Certificate:
    """Both sides of TLS at 127.0.0.1."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@pytest.fixture(scope="session")
def certificate() -> Certificate:
    """A certificate that the client's side trusts."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Certificate(server, client)
