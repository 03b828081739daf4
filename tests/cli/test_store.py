"""``gearman-trio serve --store``, ``gearman-trio store`` and ``gearman-trio migrate``."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from gearman_trio import open_client
from gearman_trio.storage import BadRow, Batch, SQLiteStore

from ..storage.test_sqlite import execute, job
from .commands import invoke_here, open_command


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with two jobs, one bad row, and one row in quarantine."""
    path = str(tmp_path / "jobs.db")
    store = SQLiteStore(path)
    store.open("H:here")
    batch = Batch(1)
    batch.adds = [job(1)._replace(unique=b"\x1b[u"), job(2, b"x" * 50), job(3), job(4)]
    store.commit(batch)
    store.quarantine([BadRow(4, "it is strange")])
    store.close()
    execute(path, "UPDATE gearman_jobs SET workload = NULL WHERE id = 3")
    return f"sqlite:{path}"


def test_info(url: str) -> None:
    result = invoke_here("store", "info", url)

    assert (0, "jobs\t3\nquarantined\t1\nschema\t1\nowner\tH:here\nepoch\t1\n") == (result.exit_code, result.output)
    assert {"jobs": 3, "quarantined": 1, "schema": 1, "owner": "H:here", "epoch": 1} == json.loads(
        invoke_here("store", "info", url, "--json").output
    )


def test_check_names_bad_rows(url: str) -> None:
    result = invoke_here("store", "check", url)

    assert (1, "row 3: workload: expected bytes, got None\n2 jobs, 1 bad rows\n") == (result.exit_code, result.output)


def test_check_of_a_sound_store(url: str) -> None:
    execute(url.removeprefix("sqlite:"), "DELETE FROM gearman_jobs WHERE id = 3")

    assert (0, "2 jobs, 0 bad rows\n") == (
        invoke_here("store", "check", url).exit_code,
        invoke_here("store", "check", url).output,
    )


def test_jobs(url: str) -> None:
    result = invoke_here("store", "jobs", url)

    assert [
        "1\tH:t:1\tf\t\\x1b[u\tnormal\t0\t0.0\t\t1\tw",
        f"2\tH:t:2\tf\t\tnormal\t0\t0.0\t\t50\t{'x' * 40}...",
    ] == result.stdout.splitlines()
    (line,) = invoke_here("store", "jobs", url, "--json", "-n", "1").stdout.splitlines()
    assert ("H:t:1", "normal", 1) == tuple(json.loads(line)[name] for name in ("handle", "priority", "workload_bytes"))


def test_what_is_not_shown_is_said(url: str) -> None:
    assert "there are more than 1; see --limit" in invoke_here("store", "jobs", url, "-n", "1").stderr


def test_quarantine(url: str) -> None:
    result = invoke_here("store", "quarantine", url)

    assert result.stdout.startswith("4\tit is strange\thandle=b'H:t:4', function=b'f'")


def test_migrate(url: str, tmp_path: Path) -> None:
    result = invoke_here("migrate", url, f"sqlite:{tmp_path}/other.db")

    assert 1 == result.exit_code
    assert f"2 jobs moved from {url} to sqlite:{tmp_path}/other.db\n" == result.stdout
    assert "row 3 is left where it is: workload: expected bytes, got None" in result.stderr
    assert (0, "2 jobs, 0 bad rows\n") == (
        invoke_here("store", "check", f"sqlite:{tmp_path}/other.db").exit_code,
        invoke_here("store", "check", f"sqlite:{tmp_path}/other.db").stdout,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["store", "info", "memory:"], 2, "jobs in memory are the server's alone"),
        (["store", "info", "nothing:"], 2, "expected a URL that begins with mariadb:, memcached:, memory:"),
        (["store", "info", "sqlite:/nowhere/jobs.db"], 4, "cannot be read: unable to open database file"),
        (["serve", "--store", "nothing:"], 2, "expected a URL that begins with mariadb:, memcached:, memory:"),
        (["serve", "--store", "sqlite:x", "--durability", "much"], 2, "'much' is not one of"),
        (["serve", "--port", "0", "--store", "sqlite:/nowhere/jobs.db"], 4, "/nowhere/jobs.db-lock': No such file"),
    ],
)
def test_errors(arguments: list[str], code: int, text: str) -> None:
    result = invoke_here(*arguments)

    assert code == result.exit_code
    assert text in result.stderr


@pytest.mark.slow
async def test_jobs_outlive_the_command(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/jobs.db"
    command = ["serve", "--listen", "127.0.0.1:0", "--store", url, "--durability", "normal"]
    async with open_command(*command) as server:
        port = await server.wait_port()
        async with open_client(f"127.0.0.1:{port}") as client:
            handle = await client.submit("f", b"w")
        async with open_command(*command) as second:
            assert 4 == await second.wait_ended()
            assert f"{url} is in use by another job server, process {server.process.pid}" in second.stderr.text
        server.send_signal(signal.SIGTERM)
        assert 0 == await server.wait_ended()
    async with open_command(*command) as server:
        port = await server.wait_port()
        async with open_client(f"127.0.0.1:{port}") as client:
            assert (await client.status(handle)).known
        # Without being asked for more lines.
        assert f"{url}: all 1 jobs are back" in server.stderr.text
