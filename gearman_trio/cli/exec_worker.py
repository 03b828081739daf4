"""Functions of a worker that run a program for each job, as ``gearman -w`` does."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from enum import StrEnum
from typing import Final

import trio

from ..errors import ConfigError
from ..worker import Abilities, Fail, Job, Shutdown

__all__ = ["Output", "exec_abilities"]

#: How long a program whose job is cancelled may take to end after SIGTERM.
_STOP_SECONDS: Final = 5.0


class Output(StrEnum):
    """What becomes of what the program writes."""

    RESULT = "result"
    DATA = "data"
    LINES = "lines"
    STRIPPED = "stripped"


def exec_abilities(
    functions: str, command: str, *, output: Output = Output.RESULT, count: int | None = None
) -> Abilities:
    """Functions that each run a program.

    The program gets the workload on its standard input, and function, handle and unique ID as the environment variables
    GEARMAN_FUNCTION, GEARMAN_HANDLE and GEARMAN_UNIQUE. It need not read its input. A job ends when the program has
    ended and nobody can write to its output any more: with exit status 0 it is complete, else it fails, after the
    clients got what was written as data and the reason as a warning. Standard error is that of the worker.

    Cancellation: the program and what it has started get SIGTERM, and SIGKILL if that does not help within 5 seconds.

    Args:
        functions: their names, with commas between.
        command: the program and its arguments, as a shell splits them; no shell runs.
        output: whether the clients get what is written as the result at the end, as data as soon as it comes, or as
            data line by line, with line ends or without.
        count: after how many jobs the worker ends; ``None`` for never.

    Raises:
        ConfigError: there is no such program, the command cannot be split, or a name cannot be one of a function.
    """
    runner = _Runner(_split(command), output, count)
    abilities = Abilities()
    for name in functions.split(","):
        abilities.function(name=os.fsencode(name))(runner.run)
    return abilities


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as exc:
        raise ConfigError(f"--exec: {command!r} cannot be split: {exc}") from exc
    if not words or shutil.which(words[0]) is None:
        raise ConfigError(f"--exec: expected a program and its arguments, got {command!r}; there is no such program")
    return words


class _Runner:
    """Runs the program for one job after the other, or for many at once.

    The mutable state: how many jobs have ended.
    """

    def __init__(self, command: list[str], output: Output, count: int | None) -> None:
        self._command = command
        self._output = output
        self._count = count
        self._ended = 0

    async def run(self, job: Job) -> bytes:
        variables = {"GEARMAN_FUNCTION": job.function, "GEARMAN_HANDLE": job.handle, "GEARMAN_UNIQUE": job.unique}
        try:
            process = await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **{name: _variable(value) for name, value in variables.items()}},
                # A group of its own, so that what it starts can be stopped with it.
                start_new_session=True,
            )
        except OSError as exc:
            raise Fail(f"{self._command[0]} cannot be started: {exc.strerror}") from exc
        try:
            written = await self._converse(job, process)
            status = await process.wait()
        finally:
            await _stop(process)
        self._ended += 1
        return await self._end(job, written, status)

    async def _converse(self, job: Job, process: trio.Process) -> bytes:
        """Write the workload, read the output; give that part of it that the clients have not got yet."""
        assert process.stdin is not None
        assert process.stdout is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_feed, process.stdin, job.workload)
            rest = bytearray()
            async with process.stdout as stream:
                async for chunk in stream:
                    if self._output is Output.DATA:
                        await job.data(chunk)
                    else:
                        rest += chunk
                    if self._output in {Output.LINES, Output.STRIPPED}:
                        await self._send_lines(job, rest)
        return bytes(rest)

    async def _send_lines(self, job: Job, rest: bytearray) -> None:
        """Send the whole lines that there are, and take them away."""
        end = rest.rfind(b"\n") + 1
        for line in bytes(rest[:end]).splitlines(keepends=True):
            await job.data(line.removesuffix(b"\n") if self._output is Output.STRIPPED else line)
        del rest[:end]

    async def _end(self, job: Job, written: bytes, status: int) -> bytes:
        if status != 0:
            if written:
                await job.data(written)
            raise Fail(f"{self._command[0]} {_ending(status)}")
        if self._output is not Output.RESULT and written:
            await job.data(written)
            written = b""
        if self._count is not None and self._ended >= self._count:
            raise Shutdown(written)
        return written


def _variable(value: bytes) -> str:
    # A unique ID may have a NUL, which cannot stand in the environment.
    return os.fsdecode(value.replace(b"\0", b""))


async def _feed(stream: trio.abc.SendStream, workload: bytes) -> None:
    async with stream:
        # The program may have read as much as it wants to.
        with suppress(trio.BrokenResourceError):
            await stream.send_all(workload)


async def _stop(process: trio.Process) -> None:
    """If the program still runs, let neither it nor what it has started run on."""
    if process.returncode is not None:
        return
    with trio.CancelScope(shield=True):
        with trio.move_on_after(_STOP_SECONDS):
            _signal_group(process, signal.SIGTERM)
            await process.wait()
        # What it has started may not have ended with it.
        _signal_group(process, signal.SIGKILL)
        await process.wait()


def _signal_group(process: trio.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
