"""``gearman-trio demo``: see a whole Gearman system at work on real files."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..client import JobStatus
from ..demo import DemoResult, find_files, run_demo
from ..errors import ConfigError
from .running import Exit, errors_reported, run_async

__all__ = ["demo_command", "result_table"]


def demo_command(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Count the files below it; without it, Python's own sources."),
    ] = None,
) -> None:
    """Start a job server, workers and a client, count every file below FOLDER, and check the totals.

    Exit codes: 0 everything agrees, 1 it does not, 2 there is no such folder.
    """
    console = Console()
    with errors_reported():
        try:
            files = find_files(folder)
        except NotADirectoryError as exc:
            raise ConfigError(f"FOLDER: {exc}") from exc
    # One job fails on purpose, and files may be unreadable; their tracebacks would bury the progress bar.
    logging.getLogger("gearman_trio").setLevel(logging.CRITICAL)
    with _Bars(console) as bars:
        result = run_async(run_demo, files, bars)
    console.print(result_table(result))
    failed = [name for name, holds in result.checks.items() if not holds]
    for name in failed:
        typer.echo(f"gearman-trio: this does not hold: {name}", err=True)
    raise typer.Exit(Exit.JOB_FAILED if failed else Exit.DONE)


class _Bars:
    """Shows the demo's progress; see `demo.Watcher`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._files = self._progress.add_task("files counted", total=None)
        self._slow = self._progress.add_task("a slow job", total=None)

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._progress.stop()

    def started(self, address: str, workers: int, files: int) -> None:
        self._console.print(f"job server on {address}, {workers} workers, {files} files")
        self._progress.update(self._files, total=files)

    def counted(self, files: int) -> None:
        self._progress.update(self._files, completed=files)

    def slow(self, status: JobStatus) -> None:
        self._progress.update(self._slow, completed=status.numerator, total=status.denominator)


def result_table(result: DemoResult) -> Table:
    """The totals, the speed, and what became of the other jobs."""
    table = Table(show_header=True, header_style="bold")
    table.add_column("")
    table.add_column("by Gearman", justify="right")
    table.add_column("directly", justify="right")
    ours, theirs = result.by_gearman, result.directly
    for name in ("files", "unreadable", "lines", "words"):
        table.add_row(name, f"{getattr(ours, name):,}", f"{getattr(theirs, name):,}")
    table.add_row("bytes", f"{ours.size:,}", f"{theirs.size:,}")
    table.add_row("SHA-256", ours.sha256[:16], theirs.sha256[:16])
    table.add_section()
    latency = partial(_percentile, sorted(result.latencies))
    table.add_row("jobs/s", f"{len(result.latencies) / max(result.seconds, 1e-9):,.0f}", "")
    table.add_row("latency p50, p99", f"{latency(0.50) * 1000:.1f} ms, {latency(0.99) * 1000:.1f} ms", "")
    table.add_section()
    table.add_row("slow job", f"{result.progress:.0%} after {result.status_updates} updates", "")
    table.add_row("failing job", result.raised or "did not fail", "")
    table.add_row("coalesced pair", f"2 submissions, {result.pair_runs} run", "")
    table.add_section()
    table.add_row("all agree", "yes" if all(result.checks.values()) else "NO", "")
    return table


def _percentile(ordered: list[float], fraction: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))] if ordered else 0.0
