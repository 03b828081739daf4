"""Functions in processes of their own, so that what computes in Python uses all processors.

The processes are trio-parallel's: each runs one job at a time and is used again, a job that is cancelled takes its
process with it, and a process that dies takes its job with it, and nothing else.  They are spawned, not forked, for a
fork copies locks that other threads hold.

Workload and result cross over as bytes.  The process reads the one and writes the other with the serializer, and tells
of exceptions in a way that cannot fail: by their text, and by themselves where they can be pickled.

trio-parallel is an extra, so it is imported only where a function asks for it, and so is `multiprocessing`.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import threading
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

import attrs
import trio

from ..errors import ConfigError, ProcessDied, ProcessRaised
from .ability import Ability, make_ability
from .parameters import Kind
from .targets import Target, find

if TYPE_CHECKING:
    import trio_parallel

__all__ = ["Processes", "active_process_count", "check_extra", "open_processes"]

logger = logging.getLogger(__name__)

#: How long idle processes may take to leave when the worker ends, before they are killed. They only wait for work.
_GRACE_SECONDS: Final = 5.0

_active: Final = trio.lowlevel.RunVar("gearman_trio.active_process_count", 0)


@attrs.frozen
class _Report:
    """What a process tells of one job; every part of it can be pickled.

    Attributes:
        result: the bytes of the result, or ``None`` where there is none.
        kind: the name of the exception's class.
        message: the exception's own text.
        traceback: the exception with its traceback and causes, as Python prints them.
        exception: the exception itself, pickled; empty where that cannot be done.
    """

    result: bytes | None = None
    kind: str = ""
    message: str = ""
    traceback: str = ""
    exception: bytes = b""


class _Traceback(Exception):
    """The traceback of an exception of another process, as text; its cause, so that logs show it."""

    def __str__(self) -> str:
        return f'in the process that ran the function\n"""\n{self.args[0]}"""'


class Processes:
    """The processes of one worker.  The mutable state is trio-parallel's."""

    def __init__(self, context: trio_parallel.WorkerContext, concurrency: int) -> None:
        self._context = context
        self._limiter = trio.CapacityLimiter(concurrency)

    async def run(self, target: Target, workload: bytes) -> bytes:
        """Do one job in a process; give the bytes of its result.

        Raises:
            ProcessDied: the process ended before the job did.
            ProcessRaised: the function raised what cannot be brought here, or ended its process by `sys.exit`.
            Exception: what the function raised, with its traceback as text in its cause.

        Cancellation: the process is killed.
        """
        from trio_parallel import BrokenWorkerError

        _active.set(_active.get() + 1)
        try:
            report: _Report = await self._context.run_sync(
                _work, target, workload, kill_on_cancel=True, limiter=self._limiter
            )
        except BrokenWorkerError as exc:
            process = exc.args[-1]
            raise ProcessDied(getattr(process, "exitcode", None)) from None
        finally:
            _active.set(_active.get() - 1)
        if report.result is not None:
            return report.result
        raise _brought_back(report) from _Traceback(report.traceback)


def active_process_count() -> int:
    """How many jobs of this run of Trio are in processes, or wait for one."""
    return _active.get()


def check_extra(shown: str) -> None:
    """Check that functions can run in processes at all.

    Raises:
        ConfigError: trio-parallel is not installed, or this process may not start others.
    """
    try:
        import trio_parallel  # noqa: F401
    except ImportError as exc:
        raise ConfigError(
            f"{shown} runs in a process, which takes trio-parallel: pip install 'gearman-trio[processes]' ({exc})"
        ) from exc
    import multiprocessing

    here = multiprocessing.current_process()
    # While a spawned process imports the program, multiprocessing marks it so, and lets it start no other.
    if here.daemon or getattr(here, "_inheriting", False):
        raise ConfigError(
            f"{shown} runs in a process, but this worker is itself in one that may not start others; "
            'if the program is imported by its own processes, start the worker under `if __name__ == "__main__":`'
        )


@asynccontextmanager
async def open_processes(concurrency: int) -> AsyncIterator[Processes]:
    """Have processes for the length of a block; they start when there is work for them.

    Args:
        concurrency: how many there may be at once.

    Cancellation: jobs must have ended when the block does. Its end waits at most five seconds for idle processes.
    """
    from trio_parallel import BrokenWorkerError, WorkerType, open_worker_context

    manager = open_worker_context(init=_begin, grace_period=_GRACE_SECONDS, worker_type=WorkerType.SPAWN)
    context = await manager.__aenter__()
    try:
        yield Processes(context, concurrency)
    finally:
        # By hand, so that what it raises never stands in for what the block raised, a cancellation for instance.
        try:
            await manager.__aexit__(None, None, None)
        except BrokenWorkerError as exc:
            # One that had nothing to do was killed some time, or does not leave; no job was lost by it.
            logger.info("a process without a job ended badly: %s", exc.args[0])


def _brought_back(report: _Report) -> Exception:
    with contextlib.suppress(Exception):
        exception = pickle.loads(report.exception)
        if isinstance(exception, Exception):
            return exception
    return ProcessRaised(report.kind, report.message)


# ---- in the process ----------------------------------------------------------------------------------------------


def _begin() -> None:
    """What a process does first.

    Who stops a worker often signals all its processes, as systemd does; those with jobs go on as long as the worker
    lets them.  They end with it, even if it was killed.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_worker, name="gearman_trio watches the worker", daemon=True).start()


def _end_with_the_worker() -> None:
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(target: Target, workload: bytes) -> _Report:
    """Do one job, whatever becomes of it."""
    try:
        ability = _ability(target)
        return _Report(ability.written(ability.bound(workload)(), "returned"))
    except BaseException as exc:  # noqa: BLE001 a stranger's function; also where it calls sys.exit()
        return _told(exc)


@cache
def _ability(target: Target) -> Ability:
    """The function of a target, made ready once for each process."""
    return make_ability(find(target), target.name, pickle.loads(target.serializer), kind=Kind.PROCESS)


def _told(exc: BaseException) -> _Report:
    try:
        message = str(exc)
    except Exception as inner:  # noqa: BLE001 a stranger's __str__
        message = f"<its message raised {type(inner).__name__}>"
    # Without the frame of this module.
    exc.__traceback__ = exc.__traceback__ and exc.__traceback__.tb_next
    return _Report(
        kind=type(exc).__name__,
        message=message,
        traceback="".join(traceback.format_exception(exc)),
        exception=_pickled(exc),
    )


def _pickled(exc: BaseException) -> bytes:
    """An exception, if another process gets the same out of it."""
    with contextlib.suppress(Exception):
        pickled = pickle.dumps(exc)
        if type(pickle.loads(pickled)) is type(exc):
            return pickled
    return b""
