"""``gearman-trio run`` and ``submit``: jobs from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..client import ForegroundJob, JobData, JobStatus, JobWarning, Priority, open_client
from ..errors import ConfigError
from .options import PriorityOption, ServerOption, UniqueOption
from .running import errors_reported, run_async

__all__ = ["read_workload", "run_command", "submit_command"]

_FunctionArgument = Annotated[str, typer.Argument(metavar="FUNCTION", help="The name of the function to call.")]
_WorkloadArgument = Annotated[
    str | None,
    typer.Argument(metavar="WORKLOAD", help="The workload as text; - or nothing reads standard input.", show_default=False),
]
_FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", metavar="PATH", help="Take the workload from a file instead.")
]


def run_command(
    function: _FunctionArgument,
    workload: _WorkloadArgument = None,
    file: _FileOption = None,
    server: ServerOption = "127.0.0.1:4730",
    priority: PriorityOption = Priority.NORMAL,
    unique: UniqueOption = None,
) -> None:
    """Run a job and wait for it: data and result go to stdout as they come, warnings and progress to stderr.

    Exit codes: 0 the job completed, 1 it failed or was lost, 2 wrong usage, 3 no job server was reached, 4 the job
    server refused the job.
    """
    with errors_reported():
        data = read_workload(workload, file, sys.stdin.buffer)
    run_async(_run, server, function, data, priority, unique)


def submit_command(
    function: _FunctionArgument,
    workload: _WorkloadArgument = None,
    file: _FileOption = None,
    server: ServerOption = "127.0.0.1:4730",
    priority: PriorityOption = Priority.NORMAL,
    unique: UniqueOption = None,
    run_at: Annotated[
        float | None, typer.Option(metavar="EPOCH", help="Start it at this time: seconds since 1970, UTC.")
    ] = None,
) -> None:
    """Leave a job with the job server to be done in the background, and print its handle."""
    with errors_reported():
        data = read_workload(workload, file, sys.stdin.buffer)
    typer.echo(run_async(_submit, server, function, data, priority, unique, run_at))


def read_workload(workload: str | None, file: Path | None, stdin: BinaryIO) -> bytes:
    """The workload from the argument, a file, or standard input; empty where that is a terminal and ``-`` was not given.

    Raises:
        ConfigError: both an argument and a file were given, or the file cannot be read.
    """
    if file is not None:
        if workload is not None:
            raise ConfigError("give the workload as an argument or with --file, not both")
        try:
            return file.read_bytes()
        except OSError as exc:
            raise ConfigError(f"--file: {str(file)!r} cannot be read: {exc.strerror}") from exc
    if workload == "-" or (workload is None and not stdin.isatty()):
        return stdin.read()
    return (workload or "").encode("utf-8", "surrogateescape")


async def _run(server: str, function: str, workload: bytes, priority: Priority, unique: str | None) -> None:
    async with (
        open_client(server) as client,
        client.stream(function, workload, priority=priority, unique=unique) as job,
    ):
        await _show(job, function)


async def _show(job: ForegroundJob, function: str) -> None:
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=False,
    )
    with bar:
        task = None
        async for event in job:
            match event:
                case JobData(data):
                    _write(data)
                case JobWarning(data):
                    console.print(data.decode("utf-8", "backslashreplace"), markup=False, highlight=False)
                case JobStatus(numerator, denominator):
                    if task is None:
                        task = bar.add_task(function, total=None)
                    bar.update(task, completed=numerator, total=denominator or None)
        _write(await job.result())


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


async def _submit(
    server: str, function: str, workload: bytes, priority: Priority, unique: str | None, run_at: float | None
) -> str:
    async with open_client(server) as client:
        handle = await client.submit(function, workload, priority=priority, unique=unique, run_at=run_at)
    return handle.decode("utf-8", "backslashreplace")
