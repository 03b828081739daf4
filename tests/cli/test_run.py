"""``gearman-trio run``: workloads in, results out, and what it shows meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
import trio

from gearman_trio import Abilities, ConfigError, Job, Server, Worker, open_admin, open_worker, run_worker
from gearman_trio.cli.jobs import read_workload
from gearman_trio.cli.screen import Screen

from .commands import Output, invoke, open_command
from .jobs import abilities
from .terminal import open_terminal

#: How a bar ends: the cursor is shown again, and the line erased.
TAKEN_AWAY = b"\x1b[?25h\r\x1b[1A\x1b[2K"

BINARY = bytes(range(256)) * 3 + b"\n\n\0"


class TestLines:
    @pytest.mark.parametrize(
        ("workload", "option", "expected"),
        [
            (b"ab\ncd\n", "--each-line", b"\nba\ndc"),
            (b"ab\ncd\n", "-n", b"\nba\ndc"),
            (b"ab\ncd", "-n", b"\nbadc"),
            (b"ab\ncd\n", "--strip", b"badc"),
            (b"ab\r\n\ncd\n", "-N", b"\rbadc"),
            (b"", "-n", b""),
        ],
    )
    async def test_each_is_a_job(self, worker: Worker, workload: bytes, option: str, expected: bytes) -> None:
        result = await invoke("run", "reverse", option, stdin=workload)

        assert (0, expected, "") == (result.exit_code, result.stdout_bytes, result.stderr)

    async def test_each_result_may_have_the_function_before_it(self, worker: Worker) -> None:
        result = await invoke("run", "reverse", "-n", "--prefix", stdin=b"\nab\ncd")

        assert b"reverse: \nreverse: \nbareverse: dc" == result.stdout_bytes
        assert b"reverse: x" == (await invoke("run", "reverse", "x", "-P")).stdout_bytes

    async def test_one_that_fails_does_not_keep_the_others(self, server: Server) -> None:
        picky = Abilities()

        @picky.function(name="picky")
        async def echo(workload: bytes) -> bytes:
            if workload == b"b":
                raise ValueError("not this one")
            return workload

        async with open_worker(picky, server.url):
            result = await invoke("run", "picky", "--strip", stdin=b"a\nb\nc\n")

        assert (1, b"ac") == (result.exit_code, result.stdout_bytes)
        (line,) = result.stderr.splitlines()
        assert line.startswith("gearman-trio: job H:")
        assert line.endswith("raised ValueError: not this one")


class TestTimeout:
    async def test_job_that_takes_too_long_is_given_up(self, server: Server) -> None:
        result = await invoke("run", "nobody-does-this", "", "--timeout", "0.05")

        assert (1, "") == (result.exit_code, result.stdout)
        assert (
            "gearman-trio: --timeout: not done within 0.05 s; a job that was started may still run\n" == result.stderr
        )

    async def test_job_that_is_done_in_time_is_not(self, worker: Worker) -> None:
        assert (0, "cba") == ((result := await invoke("run", "reverse", "abc", "-t", "600")).exit_code, result.stdout)


class TestWorkload:
    async def test_argument(self, worker: Worker) -> None:
        result = await invoke("run", "reverse", "häuser", stdin=b"not this")

        assert (0, "häuser".encode()[::-1], "") == (result.exit_code, result.stdout_bytes, result.stderr)

    @pytest.mark.parametrize("arguments", [[], ["-"]], ids=["nothing", "dash"])
    async def test_standard_input(self, worker: Worker, arguments: list[str]) -> None:
        result = await invoke("run", "reverse", *arguments, stdin=BINARY)

        assert (0, BINARY[::-1]) == (result.exit_code, result.stdout_bytes)

    async def test_file(self, worker: Worker, tmp_path: Path) -> None:
        path = tmp_path / "in put"
        path.write_bytes(BINARY)

        result = await invoke("run", "reverse", "--file", str(path), stdin=b"not this")

        assert (0, BINARY[::-1]) == (result.exit_code, result.stdout_bytes)

    @pytest.mark.parametrize("workload", [b"", b"x" * 3_000_000], ids=["empty", "large"])
    async def test_size(self, worker: Worker, workload: bytes) -> None:
        result = await invoke("run", "reverse", stdin=workload)

        assert (0, workload) == (result.exit_code, result.stdout_bytes)

    async def test_argument_that_looks_like_an_option(self, worker: Worker) -> None:
        result = await invoke("run", "reverse", "--", "-x")

        assert (0, b"x-") == (result.exit_code, result.stdout_bytes)

    async def test_bytes_of_the_command_line_that_are_no_text(self, worker: Worker) -> None:
        result = await invoke("run", "reverse", "a\udcff", "--unique", "\udcfe")

        assert (0, b"\xffa") == (result.exit_code, result.stdout_bytes)


async def test_argument_and_file_are_refused_together(tmp_path: Path) -> None:
    result = await invoke("run", "reverse", "x", "--file", str(tmp_path / "absent"))

    assert 2 == result.exit_code
    assert "gearman-trio: give the workload as an argument or with --file, not both\n" == result.stderr


@pytest.mark.parametrize(("name", "why"), [("absent", "No such file or directory"), (".", "Is a directory")])
async def test_file_that_cannot_be_read_is_one_line(tmp_path: Path, name: str, why: str) -> None:
    path = str(tmp_path / name)

    result = await invoke("run", "reverse", "--file", path)

    assert (2, f"gearman-trio: --file: {path!r} cannot be read: {why}\n") == (result.exit_code, result.stderr)


# ---- what comes out --------------------------------------------------------------------------------------------------


async def test_data_goes_to_stdout_and_warnings_as_they_are_to_stderr(worker: Worker) -> None:
    result = await invoke("run", "talk", "abc")

    assert (0, b"abc") == (result.exit_code, result.stdout_bytes)
    assert [f"[b]careful[/b] :smile: {number} " + "long " * 30 for number in range(3)] == result.stderr.splitlines()


async def test_job_that_raises_exits_1(worker: Worker) -> None:
    result = await invoke("run", "boom", "x")

    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("gearman-trio: job H:")
    assert result.stderr.endswith(" raised ValueError: no such thing\n")


async def test_job_that_fails_exits_1(server: Server) -> None:
    async with open_worker(abilities, server.url, exceptions=False):
        result = await invoke("run", "boom", "x")

    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("gearman-trio: job H:")
    assert result.stderr.endswith(" failed\n")


async def test_job_that_is_lost_exits_1(server: Server) -> None:
    vanishing = Abilities()

    @vanishing.function(name="vanish")
    async def vanish() -> None:
        await server.drain(0)

    async with trio.open_nursery() as nursery:
        await nursery.start(run_worker, vanishing, server.url)
        result = await invoke("run", "vanish", "x")
        # The worker would look for its server for ever.
        nursery.cancel_scope.cancel()

    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("gearman-trio: job H:")
    assert " was lost with its connection " in result.stderr
    assert 1 == len(result.stderr.splitlines())


async def test_no_server_exits_3(server: Server) -> None:
    address = server.addresses[0]
    await server.drain(0)

    result = await invoke("run", "reverse", "x")

    assert 3 == result.exit_code
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"gearman-trio: no job server could be reached: {address}: ")
    assert line.endswith("Connection refused")


async def test_refused_job_exits_4(server: Server) -> None:
    async with open_admin(server.url) as admin:
        await admin.maxqueue("full", 1)
    await invoke("submit", "full", "x")

    result = await invoke("run", "full", "x")

    assert (4, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("gearman-trio: QUEUE_ERROR: ")


# ---- processes -------------------------------------------------------------------------------------------------------


class Steps:
    """A worker's function of two steps, of which the second begins when the test has seen the first."""

    def __init__(self) -> None:
        self.seen = trio.Event()
        self.abilities = Abilities()
        self.abilities.function(name="steps")(self.steps)

    async def steps(self, workload: bytes, job: Job) -> AsyncIterator[bytes]:
        await job.status(1, 4)
        yield b"first"
        await self.seen.wait()
        await job.warning("half-way")
        yield workload + b"\n"
        await job.status(3, 4)


@pytest.mark.slow
async def test_data_is_written_when_it_comes(server: Server) -> None:
    steps = Steps()
    async with (
        open_worker(steps.abilities, server.url),
        open_command("run", "steps", stdin=subprocess.PIPE) as command,
    ):
        assert command.process.stdin is not None
        async with command.process.stdin as stdin:
            await stdin.send_all(BINARY)
        await command.stdout.wait_for(b"first")
        steps.seen.set()
        assert 0 == await command.wait_ended()

    assert (b"first" + BINARY + b"\n", b"half-way\n") == (command.stdout.data, command.stderr.data)


@pytest.mark.slow
async def test_terminal_shows_a_bar_that_leaves_nothing_behind(server: Server) -> None:
    """The result goes elsewhere, so that the bar has the terminal for itself."""
    steps, screen = Steps(), Output()
    async with (
        open_worker(steps.abilities, server.url),
        open_terminal() as (terminal, theirs),
        open_command("run", "steps", "x", stderr=theirs) as command,
        terminal.kept(screen),
    ):
        await screen.wait_for(b"25%")
        steps.seen.set()
        assert 0 == await command.wait_ended()
        await screen.wait_for(TAKEN_AWAY)

    assert b"firstx\n" == command.stdout.data
    assert screen.text.startswith("\x1b[?25lsteps ")
    assert "half-way" in screen.text
    assert screen.data.endswith(TAKEN_AWAY)


@pytest.mark.slow
async def test_data_and_bar_on_one_terminal_do_not_mix(server: Server) -> None:
    steps, screen = Steps(), Output()
    async with (
        open_worker(steps.abilities, server.url),
        open_terminal() as (terminal, theirs),
        open_command("run", "steps", "x", stdout=theirs, stderr=theirs) as command,
        terminal.kept(screen),
    ):
        await screen.wait_for(b"first")
        steps.seen.set()
        assert 0 == await command.wait_ended()
        await screen.wait_for(b"x\n")

    # The bar is taken away before the data; what follows half a line begins a new one.
    assert TAKEN_AWAY + b"first\nhalf-way\nx\n" in screen.data


@pytest.mark.slow
async def test_reader_who_leaves_early_causes_no_traceback(server: Server) -> None:
    steps = Steps()
    async with open_worker(steps.abilities, server.url):
        receiver, sender = os.pipe()
        async with (
            open_command("run", "steps", "x", stdout=sender) as command,
            trio.lowlevel.FdStream(receiver) as pipe,
        ):
            os.close(sender)
            assert b"f" == await pipe.receive_some(1)
            await pipe.aclose()
            steps.seen.set()
            assert 141 == await command.wait_ended()

    assert "half-way\n" == command.stderr.text


@pytest.mark.slow
async def test_ctrl_c_exits_130_without_a_traceback(server: Server) -> None:
    steps = Steps()
    async with open_worker(steps.abilities, server.url), open_command("run", "steps", "x") as command:
        await command.stdout.wait_for(b"first")
        command.send_signal(signal.SIGINT)
        assert 130 == await command.wait_ended()
        steps.seen.set()

    assert (b"first", b"") == (command.stdout.data, command.stderr.data)


@pytest.mark.slow
async def test_full_disk_is_one_line(server: Server) -> None:
    steps = Steps()
    steps.seen.set()
    with open("/dev/full", "wb") as full:  # noqa: ASYNC230 opening a device does not wait
        async with (
            open_worker(steps.abilities, server.url),
            open_command("run", "steps", "x", stdout=full) as command,
        ):
            assert 1 == await command.wait_ended()

    assert "gearman-trio: cannot write the output: No space left on device\n" == command.stderr.text


# ---- what a shell may have closed ------------------------------------------------------------------------------------


def test_closed_input_is_told() -> None:
    with pytest.raises(ConfigError, match="standard input is closed; give the workload as an argument or with --file"):
        read_workload(None, None, None)


def test_closed_input_is_not_missed_where_there_is_a_workload() -> None:
    assert b"x" == read_workload("x", None, None)


def test_closed_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    with pytest.raises(ConfigError, match="standard output is closed; the result would have nowhere to go"):
        Screen(b"f")


def test_terminal_is_not_waited_for_unless_asked() -> None:
    class Keyboard(BytesIO):
        def isatty(self) -> bool:
            return True

    assert [b"", b"typed"] == [read_workload(argument, None, Keyboard(b"typed")) for argument in (None, "-")]
