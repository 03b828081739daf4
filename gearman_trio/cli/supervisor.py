"""Several worker processes, kept going.

There are so many places, and each has a process.  What happens to a process, and what then:

    it crashes, or ends by itself       its place gets another one, after a wait that grows from crash to crash
    it cannot even start                the command ends with its exit code; not where processes of the same command
                                        could start before, and not with --reload, which waits for the next change
    SIGHUP                              place by place, a new one is started, and when that is ready the old one drains
    a source file changes (--reload)    all drain, and new ones start at once
    SIGTERM, SIGINT                     all drain; the second time, all stop; the third time, all are killed

The first process of a generation goes ahead of the others, so that what prevents them all is told once.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio
import typer

from ..transport import Backoff
from ..worker.health import Health, serve_health
from .logs import NOTICE
from .process import WorkerCommand
from .reload import follow_sources
from .running import Exit
from .worker_process import WorkerProcess

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

#: The waits before a process is replaced. The first is short, for a crash now and then costs nobody anything; the last
#: is what makes it bearable that a process dies again and again.
_FIRST_WAIT_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 30.0

#: A process that lived so long did not die of what killed the ones before it.
_HEALTHY_SECONDS: Final = 60.0

#: A process that does not say how it is within this time is not alive: its event loop is blocked.
_ANSWER_SECONDS: Final = 2.0


@attrs.define(eq=False)
class _Place:
    """One of the processes that there shall be.

    Attributes:
        number: which one, from 1 on.
        backoff: how long to wait before its process is replaced.
        process: the one that counts now, if there is one; predecessors that drain, and a successor that is not ready,
            do not.
        pause: around that wait.
    """

    number: int
    backoff: Backoff = attrs.field(factory=lambda: Backoff(first=_FIRST_WAIT_SECONDS, cap=_LONGEST_WAIT_SECONDS))
    process: WorkerProcess | None = None
    pause: trio.CancelScope = attrs.field(factory=trio.CancelScope)


class Supervisor:
    """Keeps worker processes going, until it is told to end.

    The mutable state: the processes that live, the places of those that count, how far the end has come, and the number
    of the generation, which grows with each `--reload`.
    """

    def __init__(self, command: WorkerCommand, processes: int, *, sources: Sequence[Path] = ()) -> None:
        """Make a supervisor that does nothing before `run`.

        Args:
            command: what each worker does.
            processes: how many there shall be.
            sources: folders; whenever a source file below them changes, all processes are replaced.
        """
        self._command = command
        self._sources = sources
        # Python takes compiled code for up to date if the source has the same size and was written in the same second,
        # which whoever tries things out can bring about.
        self._variables = {"PYTHONDONTWRITEBYTECODE": "1"} if sources else {}
        self._places = [_Place(number) for number in range(1, processes + 1)]
        self._living: set[WorkerProcess] = set()
        self._generation = 0
        # Whether any process could start: then it is not the command line or the code that is wrong.
        self._proven = False
        self._all_ready = False
        self._exit_code = int(Exit.DONE)
        self._ending = False
        self._over = trio.Event()
        self._hung_up = trio.Event()

    async def run(self, health: list[trio.SocketListener]) -> int:
        """Keep the processes going; give the exit code.

        Args:
            health: where to answer how they are.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await nursery.start(self._heed_signals)
            if health:
                nursery.start_soon(partial(serve_health, self.health, health))
            if self._sources:
                nursery.start_soon(follow_sources, self._sources, self._sources_changed)
            nursery.start_soon(self._restart_on_demand)
            nursery.start_soon(self._start_all)
            await self._over.wait()
            nursery.cancel_scope.cancel(reason="all processes have ended")
        logger.log(NOTICE, "stopped")
        return self._exit_code

    async def health(self) -> Health:
        """How the processes are: all of them ready is ready, and none of them answering is not alive."""
        rows = [_row(place, None) for place in self._places]
        expected = answered = 0

        async def ask(index: int, place: _Place, process: WorkerProcess) -> None:
            nonlocal answered
            with trio.move_on_after(_ANSWER_SECONDS):
                if await process.ask() is not None:
                    answered += 1
                    rows[index] = _row(place, process)

        async with trio.open_nursery() as nursery:
            for index, place in enumerate(self._places):
                if place.process is not None and place.process.report is not None:
                    expected += 1
                    nursery.start_soon(ask, index, place, place.process)
        ready = sum(row["ready"] is True for row in rows)
        return Health(
            alive=answered > 0 or not expected,
            ready=ready == len(rows) and not self._ending,
            details={"ready_processes": ready, "wanted_processes": len(rows), "processes": rows},
        )

    # ---- starting ----

    async def _start_all(self) -> None:
        """Fill all places, the first one ahead of the others."""
        generation = self._generation
        first, *others = self._places
        process = await self._start(first)
        if process is not None and await process.wait_started():
            for place in others:
                if generation == self._generation and place.process is None and not self._ending:
                    await self._start(place)

    async def _start(self, place: _Place) -> WorkerProcess | None:
        """Give an empty place a process; ``None`` if the system lets nobody start one now."""
        process = place.process = WorkerProcess(place.number, self._command.drain_timeout)
        if await self._open(place, process):
            return process
        if place.process is process:
            place.process = None
            self._nursery.start_soon(self._replace, place, place.backoff.next_wait())
        return None

    async def _open(self, place: _Place, process: WorkerProcess) -> bool:
        """Start a process for a place, whether it counts yet or not; say whether the system let us."""
        try:
            await self._nursery.start(self._attend, place, process)
        except OSError as exc:
            logger.error("process=%d cannot be started: %s", place.number, exc)
            return False
        return True

    async def _attend(self, place: _Place, process: WorkerProcess, task_status: trio.TaskStatus[None]) -> None:
        """Run a process from its start to its end, and see to what comes after it."""
        self._living.add(process)
        began = trio.current_time()
        try:
            arguments = self._command.arguments(place.number)
            await process.run(arguments, self._variables, on_report=self._reported, task_status=task_status)
        finally:
            self._living.discard(process)
        if trio.current_time() - began >= _HEALTHY_SECONDS:
            place.backoff.reset()
        self._ended(place, process)

    # ---- what happens ----

    def _ended(self, place: _Place, process: WorkerProcess) -> None:
        counted = place.process is process
        if counted:
            place.process = None
            self._all_ready = False
        unable = process.report is None
        if process.overdue:
            logger.warning("%s did not end in time and was killed", process)
        elif process.retired:
            logger.info("%s %s", process, _fate(process))
        elif not counted:
            logger.error("%s %s before it was ready", process, _fate(process))
        elif unable and self._sources:
            logger.error("%s could not start: it %s; waiting for a source file to change", process, _fate(process))
        elif unable and not self._proven:
            logger.error("%s could not start: it %s", process, _fate(process))
            self._exit_code = _shell_code(process)
            self._end(stop=True)
        else:
            wait = place.backoff.next_wait()
            level = logging.WARNING if process.returncode else NOTICE
            logger.log(level, "%s %s; another one starts in %.1f s", process, _fate(process), wait)
            self._nursery.start_soon(self._replace, place, wait)
        if self._ending and not self._living:
            self._over.set()

    async def _replace(self, place: _Place, wait: float) -> None:
        waited = False
        with trio.CancelScope() as place.pause:
            await trio.sleep(wait)
            waited = True
        if waited and place.process is None and not self._ending:
            await self._start(place)

    def _reported(self) -> None:
        """Heed a report: say so when the last of all processes has become ready."""
        self._proven = True
        all_ready = all(place.process is not None and place.process.ready for place in self._places)
        if all_ready and not self._all_ready:
            logger.log(NOTICE, "ready: processes=%d", len(self._places))
        self._all_ready = all_ready

    # ---- replacing all ----

    def _sources_changed(self, names: list[str]) -> None:
        if self._ending:
            return
        logger.log(NOTICE, "changed: %s; starting anew", ", ".join(names))
        self._generation += 1
        self._all_ready = False
        for place in self._places:
            place.pause.cancel(reason="the sources changed")
            place.backoff.reset()
            place.process = None
        for process in self._living:
            if process.report is None:
                # It has no jobs, and its code may never come so far as to heed an order.
                process.kill()
            elif not process.retired:
                process.drain()
        self._nursery.start_soon(self._start_all)

    async def _restart_on_demand(self) -> None:
        while True:
            await self._hung_up.wait()
            self._hung_up = trio.Event()
            await self._restart()

    async def _restart(self) -> None:
        """Replace one process after the other, each only when its successor is ready."""
        generation = self._generation
        for place in self._places:
            process = WorkerProcess(place.number, self._command.drain_timeout)
            ready = not self._ending and await self._open(place, process) and await process.wait_ready()
            if self._ending or generation != self._generation:
                process.drain()
                return
            if not ready:
                logger.error("the restart is broken off; the old processes go on")
                return
            place.pause.cancel(reason="its place is taken")
            predecessor, place.process = place.process, process
            if predecessor is not None:
                predecessor.drain()
        logger.log(NOTICE, "restarted: processes=%d", len(self._places))

    # ---- the end ----

    async def _heed_signals(self, task_status: trio.TaskStatus[None]) -> None:
        # A terminal that is closed sends SIGHUP, too, and whoever wants to outlive that starts us with nohup.
        leave_with_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            heard = 0
            async for number in signals:
                name = signal.Signals(number).name
                if number == signal.SIGHUP and not (leave_with_terminal and not _has_terminal()):
                    logger.log(NOTICE, "%s: restarting one process after the other", name)
                    self._hung_up.set()
                else:
                    heard += 1
                    self._end_by_signal(name, heard)

    def _end_by_signal(self, name: str, heard: int) -> None:
        if heard == 1:
            _say(f"{name}: finishing what runs; once more to stop at once")
            self._end(stop=False)
        elif heard == 2:
            _say(f"{name}: stopping at once; once more to kill what does not end")
            self._end(stop=True)
        else:
            for process in self._living:
                process.kill()

    def _end(self, *, stop: bool) -> None:
        self._ending = True
        for place in self._places:
            place.pause.cancel(reason="the supervisor ends")
        for process in self._living:
            (process.stop if stop else process.drain)()
        if not self._living:
            self._over.set()


def _row(place: _Place, process: WorkerProcess | None) -> dict[str, object]:
    """What `Supervisor.health` says of a place; of one whose process gave no answer, if ``None``."""
    report = None if process is None else process.report
    named = process or place.process
    return {
        "process": place.number,
        "pid": None if named is None else named.pid,
        "answers": report is not None,
        "ready": process is not None and process.ready,
        "running": 0 if report is None else report.running,
        "servers": {} if report is None else report.servers,
    }


def _say(text: str) -> None:
    """Tell the person at the terminal, if it is still there."""
    with suppress(OSError):
        typer.echo(f"gearman-trio: {text}", err=True)


def _has_terminal() -> bool:
    """Whether a terminal controls this process."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _fate(process: WorkerProcess) -> str:
    code = process.returncode
    assert code is not None
    if code < 0:
        return f"was killed by {_signal_name(-code)}"
    return f"ended with exit code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _shell_code(process: WorkerProcess) -> int:
    """The exit code that tells of the process's end, as shells make it of signals."""
    code = process.returncode
    assert code is not None
    if code < 0:
        return 128 - code
    return code or int(Exit.JOB_FAILED)
