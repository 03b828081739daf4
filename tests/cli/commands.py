"""The command ``gearman-trio``: in this process where nothing but its text matters, else as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from typer.testing import CliRunner, Result

from gearman_trio.cli import app

from ..patience import PATIENCE

__all__ = ["ROOT", "Command", "Output", "invoke", "invoke_here", "open_command", "open_program"]

ROOT = Path(__file__).parents[2]


def invoke_here(*arguments: str, stdin: bytes | None = None) -> Result:
    """Run a command in this thread."""
    return CliRunner().invoke(app, arguments, input=stdin, prog_name="gearman-trio")


async def invoke(*arguments: str, stdin: bytes | None = None) -> Result:
    """Run a command in a thread, so that the job server and the worker of the test can serve it."""
    with trio.fail_after(PATIENCE):
        return await trio.to_thread.run_sync(partial(invoke_here, *arguments, stdin=stdin), abandon_on_cancel=True)


class Output:
    """What a process has written so far."""

    def __init__(self) -> None:
        self.data = b""
        self.ended = False
        self._changed = trio.Event()

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")

    async def wait_for(self, part: bytes, *, times: int = 1) -> None:
        """Wait until `part` has been written so often."""
        with trio.fail_after(PATIENCE):
            while self.data.count(part) < times:
                assert not self.ended, f"expected {part!r} {times} times in {self.text}"
                await self._changed.wait()

    async def wait_until(self, wanted: Callable[[], bool]) -> None:
        """Wait until what has been written is as wanted."""
        with trio.fail_after(PATIENCE):
            while not wanted():
                assert not self.ended, f"not as wanted: {self.text}"
                await self._changed.wait()

    async def wait_ended(self) -> None:
        """Wait until nobody is left who could write."""
        with trio.fail_after(PATIENCE):
            while not self.ended:
                await self._changed.wait()

    async def keep(self, stream: trio.abc.ReceiveStream) -> None:
        try:
            async for chunk in stream:
                self.data += chunk
                self._notify()
        except trio.BrokenResourceError:
            # A terminal whose last user has gone.
            pass
        self.ended = True
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Command:
    """A running command."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.stdout = Output()
        self.stderr = Output()

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def wait_ended(self) -> int:
        """Wait until the process has ended and its output is read; give the exit code."""
        with trio.fail_after(PATIENCE):
            code: int = await self.process.wait()
        await self.stdout.wait_ended()
        await self.stderr.wait_ended()
        return code

    async def wait_port(self) -> int:
        """Wait until a job server says that it is ready, and give the port of its first address."""
        await self.stderr.wait_for(b"ready: listening on ")
        await self.stderr.wait_for(b"\n")
        (line,) = [line for line in self.stderr.text.splitlines() if "ready: listening on " in line]
        return int(line.partition("ready: listening on ")[2].split(",")[0].rpartition(":")[2])


@asynccontextmanager
async def open_command(*arguments: str, **options: Any) -> AsyncGenerator[Command]:
    """Run ``gearman-trio`` for a block, and kill it if it still runs then; `open_program` says more."""
    async with open_program([sys.executable, "-m", "gearman_trio", *arguments], **options) as command:
        yield command


@asynccontextmanager
async def open_program(program: Sequence[str], **options: Any) -> AsyncGenerator[Command]:
    """Run any program for a block, and kill it then if it still runs; output is kept unless `options` redirect it."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    async with trio.open_nursery() as nursery:
        # A session of its own, so that a signal to the tests' group does not reach it.
        process = await trio.lowlevel.open_process(
            list(program),
            **{
                "cwd": ROOT,
                "start_new_session": True,
                "env": {**os.environ, "PYTHONWARNINGS": "error", "PYTHONPATH": str(ROOT)},
                **pipes,
                **options,
            },
        )
        command = Command(process)
        for stream, output in ((process.stdout, command.stdout), (process.stderr, command.stderr)):
            if stream is None:
                output.ended = True
            else:
                nursery.start_soon(output.keep, stream)
        try:
            yield command
        finally:
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()
            nursery.cancel_scope.cancel()
