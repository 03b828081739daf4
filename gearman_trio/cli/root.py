"""The command line's root: which subcommands there are."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version as package_version
from typing import TYPE_CHECKING, Final

import trio
import typer

from ..core import COMPILED
from .running import Exit, discard_output

if TYPE_CHECKING:
    app: typer.Typer

__all__ = ["app", "main"]

#: The shell sets it when it asks for words to complete.
_COMPLETION: Final = "_GEARMAN_TRIO_COMPLETE"

#: The subcommands in the order of the help: module and name of a function, or of a group of further subcommands.
_SUBCOMMANDS: Final = {
    "serve": ("serve", "serve_command"),
    "worker": ("worker", "worker_command"),
    "run": ("jobs", "run_command"),
    "submit": ("jobs", "submit_command"),
    "admin": ("admin", "app"),
    "top": ("top", "top_command"),
    "bench": ("bench", "bench_command"),
    "doctor": ("doctor", "doctor_command"),
    "store": ("store", "app"),
    "migrate": ("store", "migrate_command"),
    "demo": ("demo", "demo_command"),
    "version": ("root", "version_command"),
}


def __getattr__(name: str) -> typer.Typer:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    whole = _command(_SUBCOMMANDS)
    globals()["app"] = whole
    return whole


def _command(names: Iterable[str]) -> typer.Typer:
    """The command with some of its subcommands, whose modules are imported here."""
    command = typer.Typer(
        name="gearman-trio",
        help="A Gearman job server, and the tools around it: submit jobs, do jobs, look at what happens.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # Plain help and errors: boxes leave the long options of serve a column of a few words on 80 columns, and break
        # an error message into lines.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # Or else a command of one subcommand would not be called by the subcommand's name.
    command.callback()(lambda: None)
    for name in names:
        module, attribute = _SUBCOMMANDS[name]
        found = getattr(import_module(f".{module}", __package__), attribute)
        if isinstance(found, typer.Typer):
            command.add_typer(found, name=name)
        else:
            command.command(name)(found)
    return command


def version_command() -> None:
    """Print which versions run here, and whether the job server's core is compiled or pure Python."""
    core = "compiled" if COMPILED else "pure Python"
    typer.echo(f"gearman-trio {package_version('gearman-trio')} ({core} core)")
    typer.echo(f"{platform.python_implementation()} {platform.python_version()}, trio {trio.__version__}")


def main() -> None:
    """The entry point of the console script."""
    called = sys.argv[1] if len(sys.argv) > 1 else ""
    # Help, completion and mistakes need all of them.
    names = [called] if called in _SUBCOMMANDS and _COMPLETION not in os.environ else _SUBCOMMANDS
    try:
        _command(names)()
    except OSError as exc:
        # What can be wrong with connections and files has been reported; left are those that the user's shell opened.
        discard_output()
        typer.echo(f"gearman-trio: cannot write the output: {exc.strerror or exc}", err=True)
        sys.exit(Exit.JOB_FAILED)
