"""``gearman-trio demo``: what it prints, its exit codes, and what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from gearman_trio import demo

from .commands import Output, invoke, invoke_here, open_command
from .terminal import open_terminal


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow job is not slow; it is there to be watched."""
    monkeypatch.setattr(demo, "_SLOW_STEP_SECONDS", 0.001)


def rows(output: str) -> dict[str, list[str]]:
    """The table by the names of its rows."""
    lines = [line.strip("│┃ ").replace("┃", "│").split("│") for line in output.splitlines() if line[:1] in {"│", "┃"}]
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}


@pytest.mark.slow
def test_table_tells_the_totals_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"a b\nc\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "two").write_bytes(b"\0\xff no end")

    result = invoke_here("demo", str(tmp_path))

    assert (0, "") == (result.exit_code, result.stderr)
    table = rows(result.stdout)
    expected = {"files": "2", "unreadable": "0", "lines": "2", "words": "6", "bytes": "15"}
    assert {name: [value, value] for name, value in expected.items()} == {name: table[name] for name in expected}
    assert table["SHA-256"][0] == table["SHA-256"][1]
    assert re.fullmatch("100% after [0-9]+ updates", table["slow job"][0])
    assert "ValueError: this job fails on purpose" == table["failing job"][0]
    assert "2 submissions, 1 run" == table["coalesced pair"][0]
    assert "yes" == table["all agree"][0]
    assert 80 >= max(map(len, result.stdout.splitlines()))


@pytest.mark.slow
def test_odd_names_and_files_are_counted(tmp_path: Path) -> None:
    names = [b"new\nline", b"not \xff UTF-8", b" ", b"[red]", b"-x", "größe".encode(), b"empty"]
    for name in names:
        Path(os.fsdecode(bytes(tmp_path) + b"/" + name)).write_bytes(b"" if name == b"empty" else name)
    # None of these is a regular file, and reading the last one would wait for ever.
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    (tmp_path / "again").symlink_to(tmp_path / "-x")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo")

    result = invoke_here("demo", str(tmp_path))

    assert 0 == result.exit_code
    assert [str(len(names))] * 2 == rows(result.stdout)["files"]
    assert [str(sum(map(len, names)) - len("empty"))] * 2 == rows(result.stdout)["bytes"]


@pytest.mark.slow
def test_empty_folder_agrees(tmp_path: Path) -> None:
    result = invoke_here("demo", str(tmp_path))

    assert 0 == result.exit_code
    assert ["0", "0"] == rows(result.stdout)["files"]
    assert "0.0 ms, 0.0 ms" == rows(result.stdout)["latency p50, p99"][0]


def test_disagreement_exits_1_and_says_what_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").write_bytes(b"x")
    lines = iter((1, 2))
    monkeypatch.setattr(demo, "count_file", lambda path: demo.FileCount(next(lines), 0, 0, ""))

    result = invoke_here("demo", str(tmp_path))

    assert 1 == result.exit_code
    assert "gearman-trio: this does not hold: totals agree with a direct computation\n" == result.stderr
    assert ["1", "2"] == rows(result.stdout)["lines"]
    assert "NO" == rows(result.stdout)["all agree"][0]


@pytest.mark.slow
@pytest.mark.parametrize("failing", ["the worker", "everything"])
def test_files_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """A file that only the worker could not read is a disagreement."""
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"x")
    outcomes = iter([PermissionError(), None] * 2 if failing == "everything" else [PermissionError(), None, None, None])

    def count_file(path: str) -> demo.FileCount:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome
        return demo.FileCount(0, 1, 1, "")

    monkeypatch.setattr(demo, "count_file", count_file)

    result = invoke_here("demo", str(tmp_path))

    assert ["1", "1" if failing == "everything" else "0"] == rows(result.stdout)["unreadable"]
    assert (0 if failing == "everything" else 1) == result.exit_code


# ---- processes -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_without_a_folder_pythons_own_sources_are_counted_on_a_terminal() -> None:
    """As the README has it, on a terminal of 80 columns; nothing is left running."""
    screen = Output()
    async with open_terminal() as (terminal, theirs), open_command("demo", stdout=theirs, stderr=theirs) as command:
        async with terminal.kept(screen):
            assert 0 == await command.wait_ended()
            await screen.wait_for(b"all agree")
            await screen.wait_for("└".encode())
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.text)
        check_nothing_left(command.process.pid, shown)

    table = rows(shown.replace("\r", ""))
    assert table["files"][0] == table["files"][1]
    assert int(table["files"][0].replace(",", "")) > 300
    assert "yes" == table["all agree"][0]
    # Bars were drawn in place.
    assert screen.text.count("files counted") > 2
    assert 80 >= max(len(line) for line in re.split(r"[\r\n]", shown))


@pytest.mark.slow
async def test_ctrl_c_exits_130_and_leaves_nothing(tmp_path: Path) -> None:
    async with open_command("demo", str(tmp_path)) as command:
        await command.stdout.wait_for(b"job server on ")
        command.send_signal(signal.SIGINT)
        assert 130 == await command.wait_ended()
        check_nothing_left(command.process.pid, command.stdout.text)

    assert "" == command.stderr.text


def check_nothing_left(session: int, output: str) -> None:
    """Neither a process of its session nor a listener."""
    with pytest.raises(ProcessLookupError):
        os.killpg(session, 0)
    found = re.search(r"job server on (127\.0\.0\.1):(\d+)", output)
    assert found is not None
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect((found[1], int(found[2])))


async def test_folder_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    result = await invoke("demo", str(tmp_path / "a\nb"))

    assert (2, "") == (result.exit_code, result.stdout)
    (line,) = result.stderr.splitlines()
    assert f"gearman-trio: FOLDER: expected a folder that exists, got {str(tmp_path / 'a')!r}"[:-1] + r"\nb'" == line
