"""The administrative client for threads."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from gearman_trio import ConfigError, ServerError, ServersUnavailable
from gearman_trio.blocking import AdminClient, Client

from ..patience import PATIENCE


def test_all_questions(server: str, client: Client, unserved: str) -> None:
    handle = client.submit(unserved, unique=unserved)
    with AdminClient(server) as admin:
        assert unserved in [row.function for row in admin.status(timeout=PATIENCE)]
        assert unserved in [row.function for row in admin.priority_status(timeout=PATIENCE)]
        assert 2 <= len(admin.workers(timeout=PATIENCE))
        assert handle.decode() in [row.handle for row in admin.jobs(timeout=PATIENCE)]
        assert unserved in admin.unique_jobs(timeout=PATIENCE)
        admin.maxqueue(unserved, 5, timeout=PATIENCE)
        assert 5 == admin.limits(unserved, timeout=PATIENCE)[0].low
        assert handle.decode() == admin.function_jobs(unserved, state="queued", limit=1, timeout=PATIENCE)[0].handle
        admin.pause_function(unserved, timeout=PATIENCE)
        assert unserved in admin.paused_functions(timeout=PATIENCE)
        admin.resume_function(unserved, timeout=PATIENCE)
        client.submit(f"{unserved}-purged", timeout=PATIENCE)
        assert 1 == admin.purge_function(f"{unserved}-purged", timeout=PATIENCE)
        with pytest.raises(ServerError, match="UNKNOWN_COMMAND"):
            admin.shut_down(timeout=PATIENCE)
        admin.cancel(handle, timeout=PATIENCE)
        with pytest.raises(ServerError, match="UNKNOWN_JOB"):
            admin.cancel(handle, timeout=PATIENCE)
        admin.create_function(f"{unserved}-new", timeout=PATIENCE)
        admin.drop_function(f"{unserved}-new", timeout=PATIENCE)
        assert admin.version(timeout=PATIENCE)
        assert os.getpid() == admin.process_id(timeout=PATIENCE)
        assert admin.verbosity(timeout=PATIENCE)


def test_many_threads_ask_at_once(server: str) -> None:
    with AdminClient(server) as admin, ThreadPoolExecutor(20) as pool:
        versions = set(pool.map(lambda _: admin.version(timeout=PATIENCE), range(40)))

    assert 1 == len(versions)


def test_a_timeout_spoils_nothing() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, AdminClient(f"127.0.0.1:{silent.getsockname()[1]}") as admin:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                admin.version(timeout=0.01)


def test_no_server_and_wrong_arguments(server: str) -> None:
    with AdminClient("127.0.0.1:1") as admin, pytest.raises(ServersUnavailable):
        admin.version(timeout=PATIENCE)
    with pytest.raises(ConfigError):
        AdminClient("host:port")
    with AdminClient(server) as admin, pytest.raises(ConfigError):
        admin.cancel("two words")


def test_closed_is_closed(server: str) -> None:
    admin = AdminClient(server)
    admin.version()
    admin.close()

    with pytest.raises(ServersUnavailable, match="the administrative client was closed"):
        admin.version()
