"""``gearman-trio admin``: every subcommand, as text and as JSON."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

from gearman_trio import Listen, Server, ServerError, Worker, open_admin, open_client, open_server
from gearman_trio.admin import ConnectionRow, FunctionRow
from gearman_trio.cli.admin import print_rows

from .commands import invoke


async def ask(*arguments: str) -> Any:
    """What a subcommand prints with ``--json``."""
    result = await invoke("admin", *arguments, "--json")
    assert (0, "") == (result.exit_code, result.stderr)
    return json.loads(result.stdout)


async def ask_table(*arguments: str) -> list[list[str]]:
    """What a subcommand prints, in words."""
    result = await invoke("admin", *arguments)
    assert (0, "") == (result.exit_code, result.stderr)
    return [line.split() for line in result.stdout.splitlines()]


async def test_status(server: Server) -> None:
    async with open_client(server.url) as client:
        await client.submit("resize")
        await client.submit("resize", priority="high")

    assert [{"function": "resize", "total": 2, "running": 0, "workers": 0}] == await ask("status")
    assert [["FUNCTION", "TOTAL", "RUNNING", "WORKERS"], ["resize", "2", "0", "0"]] == await ask_table("status")


async def test_priority_status(server: Server) -> None:
    async with open_client(server.url) as client:
        await client.submit("resize")
        await client.submit("resize", priority="high")

    assert [{"function": "resize", "high": 1, "normal": 1, "low": 0, "workers": 0}] == await ask("priority-status")
    assert ["resize", "1", "1", "0", "0"] == (await ask_table("priority-status"))[1]


async def test_workers(worker: Worker) -> None:
    names = ["reverse", "boom", "talk", "hold"]

    first, second = await ask("workers")
    table = await ask_table("workers")

    assert {"number": 1, "address": "127.0.0.1", "client_id": "test-worker", "functions": names} == first
    assert ("-", []) == (second["client_id"], second["functions"])
    assert [["NUMBER", "ADDRESS", "CLIENT", "ID", "FUNCTIONS"], ["1", "127.0.0.1", "test-worker", *names]] == table[:2]


async def test_jobs(server: Server) -> None:
    async with open_client(server.url) as client:
        handle = (await client.submit("resize", unique="a b")).decode()

    assert [{"handle": handle, "retries": 0, "ignored": False, "stored": True}] == await ask("jobs")
    assert [["HANDLE", "RETRIES", "IGNORED", "STORED"], [handle, "0", "no", "yes"]] == await ask_table("jobs")
    assert ["a b"] == await ask("unique-jobs")
    assert "a b\n" == (await invoke("admin", "unique-jobs")).stdout


async def test_nothing_there(server: Server) -> None:
    assert [] == await ask("status")
    assert [] == await ask("unique-jobs")
    assert "" == (await invoke("admin", "unique-jobs")).stdout
    assert [["FUNCTION", "TOTAL", "RUNNING", "WORKERS"]] == await ask_table("status")


async def test_cancel(server: Server) -> None:
    async with open_client(server.url) as client:
        handle = (await client.submit("resize")).decode()

    result = await invoke("admin", "cancel", handle)
    again = await invoke("admin", "cancel", handle)

    assert (0, "") == (result.exit_code, result.output)
    assert (4, f"gearman-trio: UNKNOWN_JOB: the answer to 'cancel job {handle}'\n") == (again.exit_code, again.stderr)


@pytest.mark.parametrize(
    ("sizes", "priority", "expected"),
    [
        ((), "high", 6),
        (("0",), "high", 6),
        (("4",), "low", 4),
        (("3", "0", "1"), "high", 3),
        (("3", "0", "1"), "low", 1),
    ],
)
async def test_maxqueue(server: Server, sizes: tuple[str, ...], priority: str, expected: int) -> None:
    await invoke("admin", "maxqueue", "resize", "1")

    result = await invoke("admin", "maxqueue", "resize", *sizes)

    assert (0, "") == (result.exit_code, result.output)
    async with open_client(server.url) as client:
        with suppress(ServerError):
            for _ in range(6):
                await client.submit("resize", priority=priority)
    assert [expected] == [function.queued for function in server.statistics().functions]


@pytest.mark.parametrize("sizes", [("1", "2"), ("1", "2", "3", "4"), ("--", "-1"), ("many",)])
async def test_maxqueue_takes_no_other_sizes(server: Server, sizes: tuple[str, ...]) -> None:
    result = await invoke("admin", "maxqueue", "resize", *sizes)

    assert (2, "") == (result.exit_code, result.stdout)
    assert "expected " in result.stderr.splitlines()[-1]


async def test_create_and_drop_function(server: Server) -> None:
    created = await invoke("admin", "create-function", "résize")
    listed = await ask("status")
    dropped = await invoke("admin", "drop-function", "résize")
    again = await invoke("admin", "drop-function", "résize")

    assert [(0, ""), (0, "")] == [(result.exit_code, result.output) for result in (created, dropped)]
    assert [{"function": "résize", "total": 0, "running": 0, "workers": 0}] == listed
    assert (4, "gearman-trio: ERR: function not found\n") == (again.exit_code, again.stderr)


async def test_function_in_use_is_not_dropped(worker: Worker) -> None:
    result = await invoke("admin", "drop-function", "reverse")

    assert 4 == result.exit_code
    assert "gearman-trio: ERR: there are still connected workers or executing clients\n" == result.stderr


@pytest.mark.parametrize("command", ["cancel", "create-function", "drop-function", "maxqueue"])
@pytest.mark.parametrize("name", ["a b", "a\nstatus", "a\tb"])
async def test_names_cannot_smuggle_commands(server: Server, command: str, name: str) -> None:
    result = await invoke("admin", command, name)

    assert (2, "") == (result.exit_code, result.stdout)
    assert f"got {name.encode()!r}" in result.stderr
    assert [] == server.statistics().functions


async def test_values(server: Server) -> None:
    for name, key in (("version", "version"), ("getpid", "pid"), ("verbose", "verbose")):
        answer = await ask(name)
        assert [[str(answer[key])]] == await ask_table(name)

    assert {"pid": os.getpid()} == await ask("getpid")
    assert {"verbose": "ERROR"} == await ask("verbose")


async def test_server_is_named_by_an_option_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEARMAN_SERVER", "127.0.0.1:1")

    assert 0 == (await invoke("admin", "version", "--server", server.url)).exit_code


async def test_no_server_is_one_line_with_the_reason(server: Server) -> None:
    await server.drain(0)

    result = await invoke("admin", "status")

    assert (3, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith(f"gearman-trio: no job server could be reached: {server.addresses[0]}: ")
    assert result.stderr.endswith("Connection refused\n")
    assert 1 == len(result.stderr.splitlines())


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_pipe_gets_whole_rows(capsys: pytest.CaptureFixture[str]) -> None:
    functions = tuple(f"function-{number}" for number in range(5000))

    print_rows(
        ConnectionRow, [ConnectionRow(1, "::1", "a", functions), ConnectionRow(2, "b" * 50, "-", ())], as_json=False
    )

    header, first, second = capsys.readouterr().out.splitlines()
    assert (["1", "::1", "a", *functions], ["2", "b" * 50, "-"]) == (first.split(), second.split())
    assert header.startswith("NUMBER  ADDRESS ")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[red]x[/red]", "[red]x[/red]"),
        (":smile:", ":smile:"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("größe", "größe"),
    ],
)
def test_names_are_shown_as_they_are(capsys: pytest.CaptureFixture[str], name: str, shown: str) -> None:
    print_rows(FunctionRow, [FunctionRow(name, 1, 0, 0)], as_json=False)

    assert [shown, "1", "0", "0"] == capsys.readouterr().out.splitlines()[1].split()


@pytest.mark.parametrize("name", ["[red]x[/red]", "\x1b[2J", "größe\n", "\\xff"])
def test_json_has_names_whole(capsys: pytest.CaptureFixture[str], name: str) -> None:
    rows = [FunctionRow(name, 1, 0, 0)]

    print_rows(FunctionRow, rows, as_json=True)

    assert [attrs.asdict(row) for row in rows] == json.loads(capsys.readouterr().out)


async def test_names_of_a_server_are_escaped_once(server: Server) -> None:
    async with open_admin(server.url) as admin, open_client(server.url) as client:
        await client.submit(b"a\tb")
        rows = await admin.status()

    assert ["a\\x09b"] == [row.function for row in rows]
    assert "a\\x09b" == (await ask_table("status"))[1][0]


async def test_limits(server: Server) -> None:
    await invoke("admin", "maxqueue", "resize", "3", "2", "1")

    assert [{"function": "resize", "high": 3, "normal": 2, "low": 1}] == await ask("limits")
    assert [["FUNCTION", "HIGH", "NORMAL", "LOW"], ["resize", "3", "2", "1"]] == await ask_table("limits", "resize")
    assert 4 == (await invoke("admin", "limits", "other")).exit_code


async def test_list(server: Server) -> None:
    async with open_client(server.url) as client:
        handle = (await client.submit("resize", b"four", unique="a b")).decode()
        await client.submit("resize", priority="low")
    first, second = await ask("list", "resize")

    assert (handle, "a b", 4, "low") == (first["handle"], first["unique"], first["workload_bytes"], second["priority"])
    assert [handle] == await handles("-n", "1", "--state", "queued")
    assert [second["handle"]] == await handles("--priority", "low", "-u", "")
    assert [handle, second["handle"]] == await handles("--older", "0", "--younger", "3600")
    assert [] == await handles("--older", "3600.5")
    assert [] == await handles("--younger", "0")
    *words, age = (await ask_table("list", "resize"))[1]
    assert [handle, "a", "b", "normal", "queued", "0", "yes", "0", "4", "0"] == words
    assert age.isdigit()
    for option in ("--older", "--younger"):
        for wrong in ("inf", "-1", "soon"):
            result = await invoke("admin", "list", "resize", option, wrong)
            assert 2 == result.exit_code
            assert f"got {wrong!r}" in result.stderr
    assert 2 == (await invoke("admin", "list", "resize", "--state", "lost")).exit_code


async def handles(*filters: str) -> list[str]:
    return [row["handle"] for row in await ask("list", "resize", *filters)]


async def test_pause_resume_and_purge(server: Server) -> None:
    async with open_client(server.url) as client:
        await client.submit("resize")

    assert (0, "") == ((result := await invoke("admin", "pause", "resize")).exit_code, result.output)
    assert ["resize"] == await ask("paused")
    assert "resize\n" == (await invoke("admin", "paused")).stdout
    assert (0, "") == ((result := await invoke("admin", "resume", "resize")).exit_code, result.output)
    assert [] == await ask("paused")
    assert {"ended": 1} == await ask("purge", "resize")
    assert "0\n" == (await invoke("admin", "purge", "resize")).stdout


async def test_shutdown_is_for_administrators(server: Server) -> None:
    result = await invoke("admin", "shutdown")

    assert 4 == result.exit_code
    where = f"{server.addresses[0]} is not for administrators; expected what --listen-admin of the server named"
    assert f"gearman-trio: UNKNOWN_COMMAND: {where}\n" == result.stderr


@pytest.mark.parametrize("how", ["--graceful", "--no-graceful"])
async def test_administrators_shut_down_over_their_unix_socket(tmp_path: Path, how: str) -> None:
    url = f"unix:{tmp_path}/s"
    async with open_server(listen=[Listen(url, admin=True)]) as server:
        result = await invoke("admin", "shutdown", how, "--server", url)
        await server.wait_ended()

    assert (0, "") == (result.exit_code, result.output)
