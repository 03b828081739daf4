"""``gearman-trio run`` and ``submit``: jobs from the command line."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, BinaryIO

import attrs
import trio
import typer

from ..client import Client, ForegroundJob, JobData, JobStatus, JobWarning, Priority, open_client
from ..errors import ConfigError, JobError
from .destination import Destination, asks_server
from .options import FunctionArgument, PriorityOption, UniqueOption, seconds
from .running import Exit, errors_reported, fail, run_async
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


@asks_server
def run_command(
    function: FunctionArgument,
    workload: _WorkloadArgument = None,
    *,
    file: _FileOption = None,
    destination: Destination,
    priority: PriorityOption = Priority.NORMAL,
    unique: UniqueOption = None,
    each_line: Annotated[
        bool, typer.Option("--each-line", "-n", help="Run a job for each line of the workload, its end included.")
    ] = False,
    strip: Annotated[
        bool, typer.Option("--strip", "-N", help="Run a job for each line of the workload, without its end.")
    ] = False,
    prefix: Annotated[
        bool, typer.Option("--prefix", "-P", help="Put the function's name before what each job gives.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option("--timeout", "-t", metavar="SECONDS", parser=seconds, help="Wait no longer than this for all."),
    ] = math.inf,
) -> None:
    """Run a job and wait for it: data and result go to stdout as they come, warnings and progress to stderr.

    Exit codes: 0 the job completed, 1 it failed or was lost, 2 wrong usage, 3 no job server was reached, 4 the job
    server refused the job.
    """
    with errors_reported():
        data = read_workload(workload, file, _standard_input())
        workloads = _lines(data, strip=strip) if each_line or strip else [data]
    jobs = [_Job(function, one, priority, unique) for one in workloads]
    run_async(_run, destination, jobs, prefix, timeout)


@asks_server
def submit_command(
    function: FunctionArgument,
    workload: _WorkloadArgument = None,
    *,
    file: _FileOption = None,
    destination: Destination,
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
    typer.echo(run_async(_submit, destination, _Job(function, data, priority, unique), run_at))


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


def _lines(data: bytes, *, strip: bool) -> list[bytes]:
    # Only line feeds end lines: the bytes need not be text.
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    if not lines[-1]:
        del lines[-1]
    return [line.removesuffix(b"\n") for line in lines] if strip else lines


async def _run(destination: Destination, jobs: Sequence[_Job], prefix: bool, limit: float) -> None:
    failed = False
    with trio.move_on_after(limit) as patience:
        async with open_client(destination.address, ssl_context=destination.tls) as client:
            for job in jobs:
                failed |= not await _succeeds(client, job, prefix, only=len(jobs) == 1)
    if patience.cancelled_caught:
        fail(Exit.JOB_FAILED, f"--timeout: not done within {limit:g} s; a job that was started may still run")
    if failed:
        raise typer.Exit(Exit.JOB_FAILED)


async def _succeeds(client: Client, job: _Job, prefix: bool, *, only: bool) -> bool:
    """Run one of several jobs, whose failure is told, or the only one, whose failure is raised."""
    try:
        await _run_one(client, job, prefix)
    except JobError as exc:
        if only:
            raise
        typer.echo(f"gearman-trio: {exc}", err=True)
        return False
    return True


async def _run_one(client: Client, job: _Job, prefix: bool) -> None:
    running = client.stream(job.function_bytes, job.workload, priority=job.priority, unique=job.unique_bytes)
    async with running as events:
        await _show(events, job, job.function_bytes + b": " if prefix else b"")


async def _show(running: ForegroundJob, job: _Job, prefix: bytes) -> None:
    with Screen(job.function_bytes) as screen:
        screen.data(prefix)
        async for event in running:
            match event:
                case JobData(data):
                    screen.data(data)
                case JobWarning(data):
                    screen.warning(data)
                case JobStatus(numerator, denominator):
                    screen.status(numerator, denominator)
        screen.data(await running.result())


async def _submit(destination: Destination, job: _Job, run_at: float | None) -> str:
    async with open_client(destination.address, ssl_context=destination.tls) as client:
        handle = await client.submit(
            job.function_bytes, job.workload, priority=job.priority, unique=job.unique_bytes, run_at=run_at
        )
    return handle.decode("utf-8", "backslashreplace")
