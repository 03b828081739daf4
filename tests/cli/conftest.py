"""A job server with a worker for the commands, and a clean logger after each of them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gearman_trio import Server, Worker, open_server, open_worker
from gearman_trio.config import settings

from .jobs import abilities


@pytest.fixture(autouse=True)
def _logger(logger_as_before: None) -> None:
    """The commands set up logging."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the commands read from the environment does not depend on who runs the tests."""
    for name in [name for name in os.environ if name.startswith(("GEARMAND_", "GEARMAN_CLIENT_"))]:
        monkeypatch.delenv(name)
    for name in ("GEARMAN_SERVER", "NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_PID", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings, "DEFAULT_CONFIG_FILE", Path("/nonexistent"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A job server in this process, which the commands find by the environment."""
    async with open_server(port=0, drain_seconds=0) as running:
        monkeypatch.setenv("GEARMAN_SERVER", str(running.addresses[0]))
        yield running


@pytest.fixture
async def worker(server: Server) -> AsyncIterator[Worker]:
    """A worker of that server with the functions of `jobs`; tests must name it as an argument."""
    async with open_worker(abilities, server.url, client_id="test-worker") as running:
        yield running
