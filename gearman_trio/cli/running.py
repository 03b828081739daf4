"""Between Typer and Trio: run async functions; errors become a line on stderr with an exit code."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import partial
from typing import Any, Final, NoReturn, TypeVar

import trio
import typer

from ..errors import ConfigError, GearmanError, JobError, ServersUnavailable

__all__ = ["Exit", "discard_output", "errors_reported", "fail", "run_async", "stop_on_signals"]

T = TypeVar("T")


class Exit(IntEnum):
    """The exit codes of every subcommand; documented in `docs/reference/command.md`."""

    DONE = 0
    JOB_FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4


#: The first that fits counts.
_EXIT_CODES: Final[list[tuple[type[GearmanError], Exit]]] = [
    (ConfigError, Exit.USAGE),
    (ServersUnavailable, Exit.UNREACHABLE),
    (JobError, Exit.JOB_FAILED),
    (GearmanError, Exit.REFUSED),
]


def fail(code: Exit, message: str) -> NoReturn:
    """End the command with one line on stderr."""
    typer.echo(f"gearman-trio: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def errors_reported() -> Iterator[None]:
    """Turn the errors of this package into one line on stderr and an exit code; Ctrl-C into 130, as shells expect."""
    try:
        yield
    except BaseException as exc:
        error = _sole_error(exc)
        for kind, code in _EXIT_CODES:
            if isinstance(error, kind):
                fail(code, str(error))
        if isinstance(error, BrokenPipeError):
            # Whoever read our output has seen enough (| head).
            discard_output()
            raise typer.Exit(141) from None
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(130) from None
        if isinstance(error, typer.Exit | OSError):
            raise error from None
        raise


def discard_output() -> None:
    """Let what is left to be written go nowhere: the interpreter would try once more at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sole_error(exc: BaseException) -> BaseException:
    """What a nursery wrapped, where it wrapped one thing only."""
    while isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:
        exc = exc.exceptions[0]
    return exc


def run_async(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function to its end, its errors reported; Ctrl-C cancels it."""
    with errors_reported():
        return trio.run(_run_until_ctrl_c, partial(function, *args))


async def _run_until_ctrl_c(function: Callable[[], Awaitable[T]]) -> T:
    """Run a function; on SIGINT cancel it, and raise `KeyboardInterrupt` when it has ended.

    Python's own way raises `KeyboardInterrupt` wherever the process happens to be, in any task, between any two steps.
    """
    if threading.current_thread() is not threading.main_thread():
        # Python handles signals in the main thread; a program that uses another one has its own ideas of Ctrl-C.
        return await function()
    interrupted = False

    async def watch(task_status: trio.TaskStatus[None]) -> None:
        nonlocal interrupted
        with trio.open_signal_receiver(signal.SIGINT) as signals:
            task_status.started()
            async for _ in signals:
                interrupted = True
                nursery.cancel_scope.cancel(reason="Ctrl-C")

    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(watch)
            result = await function()
            nursery.cancel_scope.cancel(reason="done")
    except BaseException:
        if not interrupted:
            raise
    if interrupted:
        raise KeyboardInterrupt
    return result


async def stop_on_signals(
    drain: Callable[[], Awaitable[None]],
    scope: trio.CancelScope,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """On the first SIGTERM or SIGINT let `drain` end things gracefully; on the second cancel `scope`.

    Args:
        drain: ends things gracefully; runs as a task.
        scope: what is cancelled.
        task_status: for ``nursery.start``: started when signals no longer end the process by themselves.
    """
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async for number in signals:
                name = signal.Signals(number).name
                typer.echo(f"gearman-trio: {name}: finishing what runs; once more to stop at once", err=True)
                nursery.start_soon(drain)
                break
            async for _ in signals:
                scope.cancel(reason="a second signal came")
