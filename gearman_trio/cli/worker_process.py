"""One worker process, as its supervisor sees it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import trio

from .leash import VARIABLE, Report, read_lines

__all__ = ["WorkerProcess"]

#: What a process that ends gets beyond the time that its jobs may take: to say farewell to its servers, to close its
#: lifespan, and for Python to end.
_GRACE_SECONDS: Final = 5.0

#: How long what a process said last may take to arrive after its end.
_LAST_WORDS_SECONDS: Final = 1.0


class WorkerProcess:
    """A child process with a worker in it; `run` starts it, and attends it to its end.

    The mutable state is what it said last and whether it was ready, what has been ordered or asked, and how it ended.

    Attributes:
        number: which one it is among its siblings, from 1 on; its successor has the same.
        pid: the process ID, once it was started.
        report: what it said last; ``None`` until its functions are there and it looks for job servers.
        retired: whether it was ordered to end.
        returncode: how it ended: an exit code, the negative number of a signal, or ``None`` while it runs.
        overdue: whether it had to be killed because it took too long to end.
    """

    def __init__(self, number: int, drain_timeout: float) -> None:
        self.number = number
        self.pid = 0
        self.report: Report | None = None
        self.retired = False
        self.returncode: int | None = None
        self.overdue = False
        self._was_ready = False
        self._to_be_killed = False
        self._drain_timeout = drain_timeout
        self._process: trio.Process | None = None
        self._line: socket.socket | None = None
        self._asked = False
        self._changed = trio.Event()
        # Around its life; its deadline is when it is killed.
        self._patience = trio.CancelScope()

    def __str__(self) -> str:
        """What lines of the log about it begin with, as its own lines do."""
        return f"process={self.number} pid={self.pid}"

    @property
    def ready(self) -> bool:
        """Whether it takes jobs, by what it said last."""
        return self.report is not None and self.report.ready and not self.retired and self.returncode is None

    async def run(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        *,
        on_report: Callable[[], None],
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Start the process, and wait for its end; one that was ordered to end before is killed as soon as it is there.

        Args:
            arguments: of ``gearman-trio worker``.
            variables: what its environment has beyond that of this process.
            on_report: called whenever `report` has changed.
            task_status: for ``nursery.start``: started when the process is.

        Raises:
            OSError: it cannot be started.

        Cancellation: kills it.
        """
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            with theirs:
                process = await self._open(arguments, variables, theirs.fileno())
            self._process, self.pid, self._line = process, process.pid, ours
            if self.retired:
                self.kill()
            task_status.started()
            try:
                with self._patience:
                    await self._attend(process, ours, on_report)
                self.overdue = self._patience.cancelled_caught and not self._to_be_killed
            finally:
                self._line = None
                process.kill()
                with trio.CancelScope(shield=True):
                    self.returncode = await process.wait()
                self._notify()

    def drain(self) -> None:
        """Order it to end gracefully; it is killed if it takes longer than it may."""
        self.retired = True
        if self.report is None and self._process is not None:
            # It does not listen yet, and has no jobs.
            self._process.send_signal(signal.SIGTERM)
        self._order(b"drain")
        self._limit(self._drain_timeout)

    def stop(self) -> None:
        """Order it to end at once; what still runs goes back to its servers."""
        if self.report is None:
            self.kill()
        self.retired = True
        self._order(b"stop")
        self._limit(0.0)

    def kill(self) -> None:
        """Leave it no choice."""
        self.retired = self._to_be_killed = True
        self._patience.cancel(reason="the process is to be killed")

    async def wait_started(self) -> bool:
        """Wait until it has its functions; say whether it came so far, or else has ended."""
        return await self._wait(lambda: self.report is not None)

    async def wait_ready(self) -> bool:
        """Wait until it has been ready; say whether it came so far, or else has ended."""
        return await self._wait(lambda: self._was_ready)

    async def ask(self) -> Report | None:
        """Ask how it goes, and wait for the answer; ``None`` when it has ended."""
        if not self._asked:
            self._asked = True
            self._order(b"report")
        return self.report if await self._wait(lambda: not self._asked) else None

    async def _wait(self, met: Callable[[], bool]) -> bool:
        while self.returncode is None and not met():
            await self._changed.wait()
        return self.returncode is None

    async def _open(self, arguments: Sequence[str], variables: Mapping[str, str], descriptor: int) -> trio.Process:
        return await trio.lowlevel.open_process(
            [sys.executable, "-m", "gearman_trio", "worker", *arguments],
            stdin=subprocess.DEVNULL,
            pass_fds=[descriptor],
            env={**os.environ, **variables, VARIABLE: f"{self.number}:{descriptor}"},
            # The terminal's Ctrl-C is for the supervisor, which tells its processes what to do.
            process_group=0,
        )

    async def _attend(self, process: trio.Process, ours: socket.socket, on_report: Callable[[], None]) -> None:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        silent = trio.Event()

        async def read() -> None:
            async for line in read_lines(stream):
                self.report = Report.decode(line)
                self._was_ready = self._was_ready or self.report.ready
                self._asked = False
                self._notify()
                on_report()
            silent.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await process.wait()
            with trio.move_on_after(_LAST_WORDS_SECONDS):
                await silent.wait()
            nursery.cancel_scope.cancel(reason="the process has ended")

    def _order(self, word: bytes) -> None:
        """Send a word. The buffer of the socket takes thousands, and nobody sends so many to one that does not read."""
        if self._line is not None:
            try:
                self._line.send(word + b"\n")
            except OSError:
                # It has ended, as will be seen soon.
                return

    def _limit(self, seconds: float) -> None:
        deadline = trio.current_time() + seconds + _GRACE_SECONDS
        self._patience.deadline = min(self._patience.deadline, deadline)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
