"""``gearman-trio top``: what happens in a job server, live."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .destination import Destination, asks_server
from .options import JsonOption
from .running import run_async
from .top_columns import TABLES
from .top_live import look_once, watch
from .top_look import Picture

__all__ = ["top_command"]


def _interval(value: str | float) -> float:
    """A parser of the seconds between two looks."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise typer.BadParameter(f"expected a number of seconds from 0.1 to 3600, got {value!r}")
    return seconds


@asks_server
def top_command(
    destination: Destination,
    interval: Annotated[
        float,
        typer.Option("--interval", "-i", metavar="SECONDS", parser=_interval, help="How often it looks."),
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, print that, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what happens in a job server, live: functions, running jobs, workers.

    It works with every Gearman server; gearman_trio's own tells more.  The key ? shows what other keys do.
    """
    if as_json and not once:
        raise typer.BadParameter("goes with --once only", param_hint="'--json'")
    if not once:
        run_async(watch, destination, interval)
        return
    picture = run_async(look_once, destination)
    if as_json:
        typer.echo(json.dumps(picture.json()))
    else:
        _print(picture)


def _print(picture: Picture) -> None:
    """Print all tables, with all columns, as wide as they need to be."""
    console = Console()
    for name, columns in TABLES.items():
        table = Table(box=None, pad_edge=False, header_style="bold", title=name.capitalize(), title_justify="left")
        for column in columns:
            table.add_column(column.title, justify="left" if column.words else "right")
        for line in getattr(picture, name):
            # As Text, or else Rich would look for markup in names.
            table.add_row(*(Text(column.text(line)) for column in columns))
        if not console.is_terminal:
            # A pipe has no width; cells must not be cut to fit one.
            unbounded = console.options.update(width=sys.maxsize)
            console.width = max(console.width, console.measure(table, options=unbounded).maximum)
        console.print(table)
