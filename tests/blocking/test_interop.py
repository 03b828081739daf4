"""The blocking calls with the C job server."""

from __future__ import annotations

import threading

import pytest

from gearman_trio import Abilities, JobData, JobRaised
from gearman_trio.blocking import AdminClient, Client, Worker

from ..patience import PATIENCE
from .background import server_in_thread

pytestmark = pytest.mark.interop


def test_client_worker_and_admin(abilities: Abilities) -> None:
    with server_in_thread("gearmand") as port:
        server = f"127.0.0.1:{port}"
        with Client(server) as client, Worker(abilities, server, concurrency=8) as worker, AdminClient(server) as admin:
            worker.wait_ready(timeout=PATIENCE)
            results: list[bytes] = []
            threads = [
                threading.Thread(target=lambda i=i: results.append(client.run("reverse", b"%d" % i, timeout=PATIENCE)))
                for i in range(10, 30)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(results) == sorted((b"%d" % i)[::-1] for i in range(10, 30))
            with client.stream("parts") as job:
                assert JobData(b"one") == next(iter(job))
                assert b"end" == job.result(timeout=PATIENCE)
            with pytest.raises(JobRaised):
                client.run("raise", timeout=PATIENCE)
            handle = client.submit("nobody", unique="u")
            assert client.status(handle, timeout=PATIENCE).known
            assert ["nobody"] == [row.function for row in admin.status(timeout=PATIENCE) if row.total]
            with pytest.raises(TimeoutError):
                client.run("nobody", timeout=0.01)
            assert b"still there" == client.echo(b"still there", timeout=PATIENCE)
