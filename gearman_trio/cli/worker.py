"""``gearman-trio worker``: do jobs with the functions of a Python module, or with a program."""

from __future__ import annotations

import math
import traceback
from enum import StrEnum
from typing import Annotated

import typer

from ..errors import ConfigError
from ..names import client_id as checked_client_id
from .destination import Destination, asks_servers
from .exec_worker import Output, exec_abilities
from .health import health_address, open_health_listeners
from .leash import Leash
from .logs import set_up_logging
from .options import (
    ClientIdOption,
    JsonLogsOption,
    LogFileOption,
    VerboseOption,
    checked,
    seconds,
    whole_number,
)
from .process import WorkerCommand, work
from .reload import check_available, source_folders
from .running import Exit, errors_reported, fail, run_async
from .supervisor import Supervisor
from .target import Target, load_target, program_target, users_traceback

__all__ = ["worker_command"]


class OnLost(StrEnum):
    """What becomes of the running jobs of a connection that is lost."""

    CANCEL = "cancel"
    FINISH = "finish"


_Target = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:OBJECT",
        help="Where the Abilities object is: package.module:abilities; with --exec, the names of functions, with "
        "commas between.",
    ),
]
_Program = Annotated[
    str | None,
    typer.Option("--exec", metavar="'CMD ARGS'", help="Run this program for each job, with the workload as its input."),
]
_Output = Annotated[
    Output,
    typer.Option(
        "--output",
        help="With --exec: what the program writes is the result, or data as it comes, or data line by line, with or "
        "without line ends.",
    ),
]
_Count = Annotated[
    int | None,
    typer.Option("--count", metavar="N", parser=whole_number(1), help="With --exec: end after so many jobs."),
]
_IdleTimeout = Annotated[
    float,
    typer.Option(
        "--idle-timeout",
        metavar="SECONDS",
        parser=seconds,
        help="End after this time without a job.",
        show_default="no limit",
    ),
]
_Concurrency = Annotated[
    int,
    typer.Option(
        "--concurrency", "-c", metavar="N", parser=whole_number(1), help="Jobs that may run at once, in each process."
    ),
]
_Processes = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        parser=whole_number(1, 1000),
        help="Run N worker processes and keep them going: one that crashes is replaced; SIGHUP restarts them one "
        "after the other.",
        show_default="the worker runs in this process",
    ),
]
_Reload = Annotated[
    bool,
    typer.Option(
        "--reload", help="For development: start anew when a Python file changes. Needs gearman-trio[reload]."
    ),
]
_Health = Annotated[
    str | None,
    typer.Option(
        "--health",
        metavar="HOST:PORT",
        help="Answer /healthz and /readyz over HTTP there. Needs gearman-trio[health].",
        callback=checked(health_address),
    ),
]
_Lifespan = Annotated[
    str | None,
    typer.Option(
        metavar="[MODULE:]OBJECT",
        help="A function that gives an async context manager, open as long as each worker; what it gives goes to the "
        "functions that ask for it.",
    ),
]
_Middleware = Annotated[
    list[str] | None,
    typer.Option(metavar="[MODULE:]OBJECT", help="An async function that is called around each job; may be repeated."),
]
_Exceptions = Annotated[
    bool,
    typer.Option(
        "--exceptions/--no-exceptions", help="Whether clients are told what a function raised, or only that it did."
    ),
]
_OnLost = Annotated[
    OnLost,
    typer.Option("--on-lost", help="What becomes of the running jobs of a server that is lost; it requeues them."),
]
_DrainTimeout = Annotated[
    float,
    typer.Option(
        "--drain-timeout",
        metavar="SECONDS",
        parser=seconds,
        help="How long running jobs may take to finish at the end, before they go back to their servers.",
        show_default="no limit",
    ),
]


@asks_servers
def worker_command(
    target: _Target,
    *,
    destination: Destination,
    concurrency: _Concurrency = 1,
    program: _Program = None,
    output: _Output = Output.RESULT,
    count: _Count = None,
    idle_timeout: _IdleTimeout = math.inf,
    processes: _Processes = None,
    reload: _Reload = False,
    health: _Health = None,
    lifespan: _Lifespan = None,
    middleware: _Middleware = None,
    client_id: ClientIdOption = None,
    exceptions: _Exceptions = True,
    on_lost: _OnLost = OnLost.CANCEL,
    drain_timeout: _DrainTimeout = math.inf,
    verbose: VerboseOption = "NOTICE",
    log_file: LogFileOption = "stderr",
    json_logs: JsonLogsOption = False,
) -> None:
    """Do jobs until SIGTERM or Ctrl-C, which lets running jobs finish; a second one gives them back at once.

    A file jobs.py with "abilities = gearman_trio.Abilities()", and functions that are decorated with
    "@abilities.function", is served by: gearman-trio worker jobs:abilities
    """
    command = WorkerCommand(
        target=target,
        lifespan=lifespan,
        middleware=middleware or [],
        destination=destination,
        concurrency=concurrency,
        client_id=client_id,
        exceptions=exceptions,
        on_lost=on_lost.value,
        drain_timeout=drain_timeout,
        verbose=verbose,
        log_file=log_file,
        json_logs=json_logs,
        program=program,
        output=output,
        count=count,
        idle_timeout=idle_timeout,
    )
    with errors_reported():
        _check_program(command, supervised=processes is not None, reload=reload)
        leash = Leash.from_environment()
        set_up_logging(verbose, log_file, json_lines=json_logs, prefix="" if leash is None else f"{leash} ")
        if leash is not None or (processes is None and not reload):
            found = _load(command)
            code = run_async(_work, command, found, leash, health)
        else:
            if client_id is not None:
                checked_client_id(f"{client_id}-{processes or 1}")
            sources = []
            if reload:
                check_available()
                sources = source_folders(target.partition(":")[0])
            code = run_async(_supervise, Supervisor(command, processes or 1, sources=sources), health)
    raise typer.Exit(code)


def _check_program(command: WorkerCommand, *, supervised: bool, reload: bool) -> None:
    """Refuse what has no sense with a program, or without one, or with a supervisor."""
    if (supervised or reload) and command.idle_timeout != math.inf:
        raise ConfigError(
            "--idle-timeout: with --processes or --reload, a process that ends is replaced by another one"
        )
    if command.program is None:
        if command.count is not None:
            raise ConfigError("--count: a program must be given with --exec")
    elif reload:
        raise ConfigError("--reload: there is no Python source to look at with --exec")
    elif command.lifespan is not None:
        raise ConfigError("--lifespan: a program of --exec cannot be given its value")
    elif supervised and command.count is not None:
        raise ConfigError("--count: with --processes, a process that ends is replaced by another one")


def _load(command: WorkerCommand) -> Target:
    """Import what the command line names; an error of the user's own module is shown where it is."""
    if command.program is not None:
        program = exec_abilities(command.target, command.program, output=command.output, count=command.count)
        return program_target(program, middleware=command.middleware)
    try:
        return load_target(command.target, lifespan=command.lifespan, middleware=command.middleware)
    except ConfigError:
        raise
    except Exception as exc:  # noqa: BLE001 a stranger's code runs
        traceback.print_exception(type(exc), exc, users_traceback(exc))
        fail(Exit.JOB_FAILED, f"{command.target} cannot be imported")


async def _work(command: WorkerCommand, target: Target, leash: Leash | None, health: str | None) -> int:
    await work(command, target, leash=leash, health=await open_health_listeners(health))
    return 0


async def _supervise(supervisor: Supervisor, health: str | None) -> int:
    return await supervisor.run(await open_health_listeners(health))
