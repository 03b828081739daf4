"""Throw-away processes of other projects: started for a block, ended by their own process id."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE

import trio

from ..patience import PATIENCE

__all__ = ["PEERS", "Program", "ask_admin", "open_program", "run_program", "wait_status", "wait_until"]

logger = logging.getLogger(__name__)

#: Our scripts for PHP, Perl and pygearman.
PEERS = Path(__file__).with_name("peers")


class Program:
    """A running process, its input and output in lines."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._buffer = b""
        self.stderr = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send_line(self, line: bytes) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(line + b"\n")

    async def read_line(self) -> bytes:
        """The next line of the output without its end. Raises `EOFError` if the program ends instead."""
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            chunk = await self._process.stdout.receive_some()
            if not chunk:
                raise EOFError(f"the program ended instead of answering: {self.stderr.decode(errors='replace')}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def kill(self) -> None:
        """SIGKILL: the process can do nothing more."""
        self._process.kill()

    async def _keep_stderr(self) -> None:
        assert self._process.stderr is not None
        async for chunk in self._process.stderr:
            self.stderr += chunk


@asynccontextmanager
async def open_program(*command: str) -> AsyncGenerator[Program]:
    """Run a program for a block, then kill it; what it wrote to stderr is logged, for pytest to show on failure."""
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(list(command), stdin=PIPE, stdout=PIPE, stderr=PIPE)
        program = Program(process)
        nursery.start_soon(program._keep_stderr)
        try:
            yield program
        finally:
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()
            if program.stderr:
                logger.warning("%s: %s", " ".join(command), program.stderr.decode(errors="replace"))
            nursery.cancel_scope.cancel()


async def run_program(*command: str, stdin: bytes = b"", returncode: int = 0) -> bytes:
    """Run a program to its end and give its output."""
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(list(command), stdin=stdin, capture_stdout=True, capture_stderr=True, check=False)
    if done.stderr:
        logger.warning("%s: %s", " ".join(command), done.stderr.decode(errors="replace"))
    assert returncode == done.returncode
    output: bytes = done.stdout
    return output


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a state that a foreign process brings about, which nothing in this process could tell otherwise."""
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 nothing tells us when another process has done something
            await trio.sleep(0.005)


async def ask_admin(port: int, line: bytes) -> bytes:
    """One administrative command: the answer up to its end, a line or the single dot of a table."""
    table = line.split()[0] in {b"status", b"prioritystatus", b"workers", b"show"}
    answer = b""
    with trio.fail_after(PATIENCE):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(line + b"\n")
            while not (answer == b".\n" or answer.endswith(b"\n.\n" if table else b"\n")):
                answer += await stream.receive_some()
    return answer


async def wait_status(port: int, row: bytes) -> None:
    """Wait until a server's ``status`` has a row: function, total, running, workers with blanks between."""
    wanted = row.replace(b" ", b"\t")
    with trio.fail_after(PATIENCE):
        while wanted not in (await ask_admin(port, b"status")).split(b"\n"):  # noqa: ASYNC110 as above
            await trio.sleep(0.01)
