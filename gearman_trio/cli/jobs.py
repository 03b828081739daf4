"""``gearman-trio run`` and ``submit``: jobs from the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import attrs
import typer

from ..client import ForegroundJob, JobData, JobStatus, JobWarning, Priority, open_client
from ..errors import ConfigError
from .options import FunctionArgument, PriorityOption, ServerOption, UniqueOption
from .running import errors_reported, run_async
from .screen import Screen

__all__ = ["read_workload", "run_command", "submit_command"]

_WorkloadArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="WORKLOAD",
        help="The workload as text; - or nothing reads standard input, but nothing on a terminal is an empty one.",
        show_default=False,
    ),
]
_FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", metavar="PATH", help="Take the workload from a file instead.")
]


def run_command(
    function: FunctionArgument,
    workload: _WorkloadArgument = None,
    *,
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
        data = read_workload(workload, file, _standard_input())
    run_async(_run, server, _Job(function, data, priority, unique))


def submit_command(
    function: FunctionArgument,
    workload: _WorkloadArgument = None,
    *,
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
        if run_at is not None and priority is not Priority.NORMAL:
            raise ConfigError(f"--run-at: such a job has --priority normal, got {priority.value!r}")
        data = read_workload(workload, file, _standard_input())
    typer.echo(run_async(_submit, server, _Job(function, data, priority, unique), run_at))


def read_workload(workload: str | None, file: Path | None, stdin: BinaryIO | None) -> bytes:
    """The workload from the argument, a file, or standard input; a terminal is read only where ``-`` was given.

    Raises:
        ConfigError: both an argument and a file were given, or the file cannot be read, or there is no standard input.
    """
    if file is not None:
        if workload is not None:
            raise ConfigError("give the workload as an argument or with --file, not both")
        try:
            return file.read_bytes()
        except OSError as exc:
            raise ConfigError(f"--file: {str(file)!r} cannot be read: {exc.strerror}") from exc
    if workload is not None and workload != "-":
        return os.fsencode(workload)
    if stdin is None:
        raise ConfigError("standard input is closed; give the workload as an argument or with --file")
    return b"" if workload is None and stdin.isatty() else stdin.read()


def _standard_input() -> BinaryIO | None:
    # A shell that closes it leaves None there.
    return None if sys.stdin is None else sys.stdin.buffer


@attrs.frozen
class _Job:
    """A job as the command line says it: text, by which any bytes of the command line are kept."""

    function: str
    workload: bytes = attrs.field(repr=False)
    priority: Priority
    unique: str | None

    @property
    def function_bytes(self) -> bytes:
        return os.fsencode(self.function)

    @property
    def unique_bytes(self) -> bytes | None:
        return None if self.unique is None else os.fsencode(self.unique)


async def _run(server: str, job: _Job) -> None:
    async with (
        open_client(server) as client,
        client.stream(job.function_bytes, job.workload, priority=job.priority, unique=job.unique_bytes) as running,
    ):
        await _show(running, job)


async def _show(running: ForegroundJob, job: _Job) -> None:
    with Screen(job.function_bytes) as screen:
        async for event in running:
            match event:
                case JobData(data):
                    screen.data(data)
                case JobWarning(data):
                    screen.warning(data)
                case JobStatus(numerator, denominator):
                    screen.status(numerator, denominator)
        screen.data(await running.result())


async def _submit(server: str, job: _Job, run_at: float | None) -> str:
    async with open_client(server) as client:
        handle = await client.submit(
            job.function_bytes, job.workload, priority=job.priority, unique=job.unique_bytes, run_at=run_at
        )
    return handle.decode("utf-8", "backslashreplace")
