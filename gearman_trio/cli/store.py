"""``gearman-trio store`` and ``gearman-trio migrate``: look into stores of jobs, and move jobs between them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Final

import attrs
import typer

from ..core import PRIORITIES
from ..errors import ConfigError
from ..storage import BadRow, Store, StoredJob, make_store, migrate
from .options import JsonOption, checked
from .running import Exit, errors_reported

__all__ = ["app", "migrate_command"]

app = typer.Typer(help="Look into a store of jobs, also while a job server uses it.", no_args_is_help=True)

#: How much of a workload is shown.
_SHOWN_BYTES: Final = 40

_URL = Annotated[
    str, typer.Argument(metavar="URL", help="The store, as for serve --store.", callback=checked(make_store))
]
_Limit = Annotated[int, typer.Option("--limit", "-n", metavar="N", min=0, help="How many are shown; 0 for all.")]


@app.command("info")
def info_command(url: _URL, *, as_json: JsonOption = False) -> None:
    """Print how much is in a store."""
    with errors_reported():
        values = attrs.asdict(_store(url).info())
    if as_json:
        typer.echo(json.dumps(values))
    else:
        for name, value in values.items():
            typer.echo(f"{name}\t{value}")


@app.command("check")
def check_command(url: _URL) -> None:
    """Read every row; say which cannot become jobs. The exit code is 1 if there are any."""
    jobs = bad = 0
    with errors_reported():
        for row in _store(url).rows():
            if isinstance(row, BadRow):
                bad += 1
                typer.echo(f"row {row.row}: {row.reason}")
            else:
                jobs += 1
    typer.echo(f"{jobs} jobs, {bad} bad rows")
    if bad:
        raise typer.Exit(Exit.JOB_FAILED)


@app.command("jobs")
def jobs_command(url: _URL, *, limit: _Limit = 100, as_json: JsonOption = False) -> None:
    """Print the jobs of a store, oldest first: row, handle, function, unique ID, priority, attempts, workload."""
    with errors_reported():
        jobs = (row for row in _store(url).rows() if isinstance(row, StoredJob))
        _print((_shown_job(job) for job in jobs), limit, as_json=as_json)


@app.command("quarantine")
def quarantine_command(url: _URL, *, limit: _Limit = 100, as_json: JsonOption = False) -> None:
    """Print the rows that could not become jobs: row, reason, what they hold."""
    with errors_reported():
        _print((attrs.asdict(row) for row in _store(url).quarantined()), limit, as_json=as_json)


def migrate_command(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A store, or the queue of a gearmand: gearmand+sqlite:FILE."),
    ],
    dest: Annotated[str, typer.Argument(metavar="DEST", help="A store.", callback=checked(make_store))],
) -> None:
    """Move all jobs of one store to another one; no job server may be using them. A gearmand's queue is only read."""
    with errors_reported():
        done = migrate(source, dest, progress=lambda count: typer.echo(f"{count} jobs", err=True))
    for row in done.bad:
        typer.echo(f"row {row.row} is left where it is: {row.reason}", err=True)
    typer.echo(f"{done.moved} jobs {'moved' if done.emptied else 'copied'} from {done.source} to {done.dest}")
    if done.bad:
        raise typer.Exit(Exit.JOB_FAILED)


def _store(url: str) -> Store:
    store = make_store(url)
    if store is None:
        raise ConfigError(f"store {url!r}: jobs in memory are the server's alone; use gearman-trio admin to see them")
    return store


def _print(rows: Iterable[dict[str, Any]], limit: int, *, as_json: bool) -> None:
    for number, row in enumerate(rows):
        if limit and number == limit:
            typer.echo(f"gearman-trio: there are more than {limit}; see --limit", err=True)
            return
        typer.echo(json.dumps(row) if as_json else "\t".join(str(value) for value in row.values()))


def _shown_job(job: StoredJob) -> dict[str, Any]:
    workload = job.workload[:_SHOWN_BYTES]
    return {
        "row": job.row,
        "handle": _text(job.handle),
        "function": _text(job.function),
        "unique": _text(job.unique),
        "priority": PRIORITIES[job.priority],
        "attempts": job.attempts,
        "run_at": job.run_at,
        "error": job.error,
        "workload_bytes": len(job.workload),
        "workload": _text(workload) + ("..." if len(job.workload) > _SHOWN_BYTES else ""),
    }


def _text(value: bytes) -> str:
    """Bytes on one line of a table."""
    text = value.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
