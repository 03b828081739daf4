"""``gearman-trio admin``: look at a job server and steer it, over the administrative text protocol."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Literal, TypeVar

import attrs
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..admin import (
    AdminClient,
    ConnectionRow,
    FunctionJobRow,
    FunctionRow,
    JobRow,
    LimitRow,
    PriorityRow,
    open_admin,
)
from ..errors import ServerError
from .destination import Destination, asks_server
from .options import FunctionArgument, JsonOption, finite_seconds, whole_number
from .running import run_async

__all__ = ["app", "print_rows"]

T = TypeVar("T")
_Row = FunctionRow | PriorityRow | ConnectionRow | JobRow | FunctionJobRow | LimitRow

app = typer.Typer(
    help="Look at a job server and steer it; what only this job server understands is marked with *.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _ask(destination: Destination, question: Callable[[AdminClient], Awaitable[T]]) -> T:
    async def ask() -> T:
        async with open_admin(destination.address, ssl_context=destination.tls) as admin:
            return await question(admin)

    return run_async(ask)


def print_rows(kind: type[_Row], rows: Sequence[_Row], *, as_json: bool) -> None:
    """Print rows as a table, or as one JSON array of objects."""
    if as_json:
        typer.echo(json.dumps([attrs.asdict(row) for row in rows]))
        return
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for field in attrs.fields(kind):
        table.add_column(
            field.name.replace("_", " ").upper(),
            justify="right" if field.type == "int" else "left",
            overflow="fold",
        )
    for row in rows:
        # As Text, or else Rich would look for markup in names.
        table.add_row(*(Text(_cell(value)) for value in attrs.astuple(row)))
    if not console.is_terminal:
        # A pipe has no width; cells must not be cut to fit one.
        unbounded = console.options.update(width=sys.maxsize)
        console.width = max(console.width, console.measure(table, options=unbounded).maximum)
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = " ".join(value) if isinstance(value, tuple) else str(value)
    # Names are a stranger's: they must not move the cursor, nor break the table.
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _print_value(name: str, value: str | int, *, as_json: bool) -> None:
    typer.echo(json.dumps({name: value}) if as_json else value)


@app.command("status")
@asks_server
def status_command(destination: Destination, as_json: JsonOption = False) -> None:
    """Jobs and workers of each function; TOTAL counts queued, scheduled and running jobs."""
    print_rows(FunctionRow, _ask(destination, AdminClient.status), as_json=as_json)


@app.command("priority-status")
@asks_server
def priority_status_command(destination: Destination, as_json: JsonOption = False) -> None:
    """Queued jobs of each function, by priority."""
    print_rows(PriorityRow, _ask(destination, AdminClient.priority_status), as_json=as_json)


@app.command("workers")
@asks_server
def workers_command(destination: Destination, as_json: JsonOption = False) -> None:
    """Every connection, with what it can do; clients, and this command itself, can do nothing."""
    print_rows(ConnectionRow, _ask(destination, AdminClient.workers), as_json=as_json)


@app.command("jobs")
@asks_server
def jobs_command(destination: Destination, as_json: JsonOption = False) -> None:
    """Every live job by its handle."""
    print_rows(JobRow, _ask(destination, AdminClient.jobs), as_json=as_json)


@app.command("unique-jobs")
@asks_server
def unique_jobs_command(destination: Destination, as_json: JsonOption = False) -> None:
    """The unique ID of every live job; an empty line for a job without one."""
    uniques = _ask(destination, AdminClient.unique_jobs)
    typer.echo(json.dumps(uniques) if as_json else "".join(f"{unique}\n" for unique in uniques), nl=as_json)


@app.command("cancel")
@asks_server
def cancel_command(
    handle: Annotated[str, typer.Argument(metavar="HANDLE", help="The job handle, as submit prints it.")],
    destination: Destination,
) -> None:
    """End a job: its clients hear that it failed, and a result still to come is dropped."""
    _ask(destination, lambda admin: admin.cancel(os.fsencode(handle)))


@app.command("maxqueue")
@asks_server
def maxqueue_command(
    function: FunctionArgument,
    sizes: Annotated[
        list[int] | None,
        typer.Argument(
            metavar="SIZE...",
            help="Most jobs: one number, or three for high, normal and low priority; 0 or nothing for no limit.",
            parser=whole_number(0),
        ),
    ] = None,
    *,
    destination: Destination,
) -> None:
    """Limit how many jobs of a function there may be; more are refused with QUEUE_ERROR."""
    _ask(destination, lambda admin: admin.maxqueue(os.fsencode(function), *(sizes or [])))


@app.command("create-function")
@asks_server
def create_function_command(function: FunctionArgument, destination: Destination) -> None:
    """List a function although it has neither jobs nor workers yet."""
    _ask(destination, lambda admin: admin.create_function(os.fsencode(function)))


@app.command("drop-function")
@asks_server
def drop_function_command(function: FunctionArgument, destination: Destination) -> None:
    """Forget a function that has neither jobs nor workers."""
    _ask(destination, lambda admin: admin.drop_function(os.fsencode(function)))


@app.command("limits")
@asks_server
def limits_command(
    function: Annotated[
        str | None, typer.Argument(metavar="FUNCTION", help="Only of this one.", show_default=False)
    ] = None,
    *,
    destination: Destination,
    as_json: JsonOption = False,
) -> None:
    """* What maxqueue said of each function."""
    name = None if function is None else os.fsencode(function)
    print_rows(LimitRow, _ask(destination, lambda admin: admin.limits(name)), as_json=as_json)


@app.command("list")
@asks_server
def list_command(
    *,
    function: FunctionArgument,
    state: Annotated[
        Literal["committing", "fetching", "queued", "running", "scheduled"] | None,
        typer.Option(help="Only in this state."),
    ] = None,
    priority: Annotated[Literal["high", "normal", "low"] | None, typer.Option(help="Only of this priority.")] = None,
    unique: Annotated[
        str | None, typer.Option("--unique", "-u", metavar="ID", help="Only with this unique ID.")
    ] = None,
    older: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", parser=finite_seconds, help="Only if submitted at least so long ago."),
    ] = None,
    younger: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", parser=finite_seconds, help="Only if submitted since so long ago."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", metavar="N", parser=whole_number(0), help="At most so many.")
    ] = None,
    destination: Destination,
    as_json: JsonOption = False,
) -> None:
    """* The jobs of a function, one by one."""
    key = None if unique is None else os.fsencode(unique)
    name = os.fsencode(function)
    rows = _ask(
        destination,
        lambda admin: admin.function_jobs(
            name, state=state, priority=priority, unique=key, older=older, younger=younger, limit=limit
        ),
    )
    print_rows(FunctionJobRow, rows, as_json=as_json)


@app.command("pause")
@asks_server
def pause_command(function: FunctionArgument, destination: Destination) -> None:
    """* Give no worker a job of a function any more; new jobs are queued, and running ones go on."""
    _ask(destination, lambda admin: admin.pause_function(os.fsencode(function)))


@app.command("resume")
@asks_server
def resume_command(function: FunctionArgument, destination: Destination) -> None:
    """* Undo pause."""
    _ask(destination, lambda admin: admin.resume_function(os.fsencode(function)))


@app.command("paused")
@asks_server
def paused_command(destination: Destination, as_json: JsonOption = False) -> None:
    """* The functions that are paused."""
    names = _ask(destination, AdminClient.paused_functions)
    typer.echo(json.dumps(names) if as_json else "".join(f"{name}\n" for name in names), nl=as_json)


@app.command("purge")
@asks_server
def purge_command(function: FunctionArgument, destination: Destination, as_json: JsonOption = False) -> None:
    """* End every job of a function that no worker has yet, and print how many that were; their clients hear of it."""
    ended = _ask(destination, lambda admin: admin.purge_function(os.fsencode(function)))
    _print_value("ended", ended, as_json=as_json)


@app.command("shutdown")
@asks_server
def shutdown_command(
    graceful: Annotated[bool, typer.Option(help="Whether running jobs may end first.")] = True,
    *,
    destination: Destination,
) -> None:
    """* Stop the job server; only over a listener for administrators."""

    async def shut_down(admin: AdminClient) -> None:
        try:
            await admin.shut_down(graceful=graceful)
        except ServerError as exc:
            if exc.code != "UNKNOWN_COMMAND":
                raise
            text = f"{destination.address} is not for administrators; expected what --listen-admin of the server named"
            raise ServerError(exc.code, text) from exc

    _ask(destination, shut_down)


@app.command("version")
@asks_server
def version_command(destination: Destination, as_json: JsonOption = False) -> None:
    """The server's version."""
    _print_value("version", _ask(destination, AdminClient.version), as_json=as_json)


@app.command("getpid")
@asks_server
def getpid_command(destination: Destination, as_json: JsonOption = False) -> None:
    """The server's process ID."""
    _print_value("pid", _ask(destination, AdminClient.process_id), as_json=as_json)


@app.command("verbose")
@asks_server
def verbose_command(destination: Destination, as_json: JsonOption = False) -> None:
    """What the server logs."""
    _print_value("verbose", _ask(destination, AdminClient.verbosity), as_json=as_json)
