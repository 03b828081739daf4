"""The command line's root: which subcommands there are."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version as package_version

import trio
import typer

from . import admin, demo, jobs, serve, store, worker
from .running import Exit, discard_output

__all__ = ["app", "main"]

app = typer.Typer(
    name="gearman-trio",
    help="A Gearman job server, and the tools around it: submit jobs, do jobs, look at what happens.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help and errors: boxes leave the long options of serve a column of a few words on 80 columns, and break an
    # error message into lines.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve_command)
app.command("worker")(worker.worker_command)
app.command("run")(jobs.run_command)
app.command("submit")(jobs.submit_command)
app.add_typer(admin.app, name="admin")
app.add_typer(store.app, name="store")
app.command("migrate")(store.migrate_command)
app.command("demo")(demo.demo_command)


@app.command("version")
def version_command() -> None:
    """Print which versions run here."""
    typer.echo(f"gearman-trio {package_version('gearman-trio')} (pure Python core)")
    typer.echo(f"{platform.python_implementation()} {platform.python_version()}, trio {trio.__version__}")


def main() -> None:
    """The entry point of the console script."""
    try:
        app()
    except OSError as exc:
        # What can be wrong with connections and files has been reported; left are those that the user's shell opened.
        discard_output()
        typer.echo(f"gearman-trio: cannot write the output: {exc.strerror or exc}", err=True)
        sys.exit(Exit.JOB_FAILED)
