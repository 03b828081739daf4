"""Options that several subcommands share, spelled once."""

from __future__ import annotations

from typing import Annotated

import typer

from ..client import Priority

__all__ = ["JsonOption", "LogFileOption", "PriorityOption", "ServerOption", "UniqueOption", "VerboseOption"]

ServerOption = Annotated[
    str,
    typer.Option("--server", "-s", metavar="HOST:PORT", envvar="GEARMAN_SERVER", help="The job server."),
]
PriorityOption = Annotated[Priority, typer.Option("--priority", help="Which queue the job waits in.")]
UniqueOption = Annotated[
    str | None,
    typer.Option(
        "--unique",
        "-u",
        metavar="ID",
        help="Jobs of one function with the same unique ID run once; - takes the workload for the ID.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
VerboseOption = Annotated[
    str,
    typer.Option(
        "--verbose",
        metavar="LEVEL",
        help="What is logged: FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG.",
    ),
]
LogFileOption = Annotated[
    str,
    typer.Option("--log-file", "-l", metavar="FILE", help="Where the log goes: a file, 'stderr' or 'none'."),
]
