"""``gearman-trio worker``: do jobs with the functions of a Python module, or with a program."""

from __future__ import annotations

import importlib
import logging
import math
import sys
from enum import StrEnum
from typing import Annotated

import attrs
import trio
import typer

from ..errors import ConfigError
from ..worker import Abilities, Worker, log_jobs, run_worker
from .exec_worker import Output, exec_abilities
from .logs import NOTICE, set_up_logging
from .options import ClientIdOption, LogFileOption, ServersOption, VerboseOption, seconds, whole_number
from .running import errors_reported, run_async, stop_on_signals

__all__ = ["load_abilities", "worker_command"]

logger = logging.getLogger(__name__)


class OnLost(StrEnum):
    """What becomes of the running jobs of a connection that is lost."""

    CANCEL = "cancel"
    FINISH = "finish"


@attrs.frozen(kw_only=True)
class _Command:
    """What the command line asked for."""

    abilities: Abilities
    servers: list[str]
    concurrency: int
    client_id: str | None
    exceptions: bool
    on_lost: OnLost
    drain_timeout: float


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


def worker_command(
    target: _Target,
    *,
    server: ServersOption = None,
    concurrency: Annotated[
        int,
        typer.Option("--concurrency", "-c", metavar="N", parser=whole_number(1), help="Jobs that may run at once."),
    ] = 1,
    program: _Program = None,
    output: _Output = Output.RESULT,
    count: _Count = None,
    client_id: ClientIdOption = None,
    exceptions: Annotated[
        bool,
        typer.Option(
            "--exceptions/--no-exceptions", help="Whether clients are told what a function raised, or only that it did."
        ),
    ] = True,
    on_lost: Annotated[
        OnLost,
        typer.Option("--on-lost", help="What becomes of the running jobs of a server that is lost; it requeues them."),
    ] = OnLost.CANCEL,
    drain_timeout: Annotated[
        float,
        typer.Option(
            "--drain-timeout",
            metavar="SECONDS",
            parser=seconds,
            help="How long running jobs may take to finish at the end, before they go back to their servers.",
        ),
    ] = math.inf,
    verbose: VerboseOption = "NOTICE",
    log_file: LogFileOption = "stderr",
) -> None:
    """Do jobs until SIGTERM or Ctrl-C, which lets running jobs finish; a second one gives them back at once."""
    with errors_reported():
        command = _Command(
            abilities=exec_abilities(target, program, output=output, count=count)
            if program is not None
            else load_abilities(target),
            servers=server or ["127.0.0.1:4730"],
            concurrency=concurrency,
            client_id=client_id,
            exceptions=exceptions,
            on_lost=on_lost,
            drain_timeout=drain_timeout,
        )
        set_up_logging(verbose, log_file)
    run_async(_work, command)


def load_abilities(target: str) -> Abilities:
    """Import ``package.module:object``, from the current folder too.

    Raises:
        ConfigError: the target is not of that form, or is not found, or is no `Abilities`, or is empty.
    """
    module_name, colon, name = target.partition(":")
    if not colon or not all([*module_name.split("."), *name.split(".")]):
        raise ConfigError(f"expected MODULE:OBJECT, for example jobs:abilities, got {target!r}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        # A module that the user's own module lacks is the user's to see, with its traceback.
        if exc.name is None or not (module_name == exc.name or module_name.startswith(exc.name + ".")):
            raise
        hint = "write it without .py" if module_name.endswith(".py") else "is this the right folder?"
        raise ConfigError(f"module {module_name!r} is not found; {hint}") from exc
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    if not isinstance(found, Abilities):
        raise ConfigError(f"{target} is a {type(found).__name__}; expected gearman_trio.Abilities")
    if not found:
        raise ConfigError(f"{target} holds no functions; add one with @{name}.function")
    return found


async def _work(command: _Command) -> None:
    names = ", ".join(ability.name.decode("utf-8", "backslashreplace") for ability in command.abilities)
    logger.log(NOTICE, "functions: %s; job servers: %s", names, ", ".join(command.servers))
    async with trio.open_nursery() as nursery:
        stop = nursery.cancel_scope
        started: list[Worker] = []

        async def drain() -> None:
            # Signals are heeded from the start on, also while no server can be reached yet.
            if started:
                await started[0].drain()
            else:
                stop.cancel(reason="stopped before a server was reached")

        nursery.start_soon(stop_on_signals, drain, stop)
        async with trio.open_nursery() as running:
            started.append(await running.start(_run, command))
            logger.log(NOTICE, "ready")
        stop.cancel(reason="the worker has ended")
    logger.log(NOTICE, "stopped")


async def _run(command: _Command, task_status: trio.TaskStatus[Worker]) -> None:
    await run_worker(
        command.abilities,
        *command.servers,
        concurrency=command.concurrency,
        client_id=command.client_id,
        exceptions=command.exceptions,
        on_lost=command.on_lost.value,
        drain_seconds=None if math.isinf(command.drain_timeout) else command.drain_timeout,
        middleware=[log_jobs] if logging.getLogger("gearman_trio").isEnabledFor(logging.INFO) else [],
        task_status=task_status,
    )
