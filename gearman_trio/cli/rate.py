"""What ``gearman-trio bench`` shows: the rate while it runs, and the result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import trio
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .measuring import Measurement, Result

__all__ = ["open_rate", "result_lines"]

#: How often a terminal and a log are told.
_TERMINAL_SECONDS: Final = 0.2
_LOG_SECONDS: Final = 1.0


@asynccontextmanager
async def open_rate(measurement: Measurement, total: int | None, *, verbose: bool) -> AsyncIterator[None]:
    """Tell the rate during a block, on stderr: as a bar on a terminal, elsewhere as lines where they are wanted.

    Args:
        measurement: what is told.
        total: how many jobs there will be; ``None`` where nobody knows.
        verbose: whether lines are wanted.
    """
    console = Console(stderr=True)
    async with trio.open_nursery() as nursery:
        if verbose:
            nursery.start_soon(_print_lines, measurement)
        elif console.is_terminal:
            nursery.start_soon(_move_bar, measurement, total, console)
        yield
        nursery.cancel_scope.cancel(reason="the block has ended")


async def _print_lines(measurement: Measurement) -> None:
    """Lines like those of blobslap_worker."""
    while True:
        before, began = measurement.jobs, trio.current_time()
        await trio.sleep(_LOG_SECONDS)
        current = (measurement.jobs - before) / (trio.current_time() - began)
        typer.echo(f"[ Current: {current:8.0f} jobs/s, Total: {measurement.rate():8.0f} jobs/s ]", err=True)


async def _move_bar(measurement: Measurement, total: int | None, console: Console) -> None:
    columns = (
        TextColumn("jobs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[current]:,.0f} jobs/s"),
        TimeElapsedColumn(),
    )
    while not measurement.ended:  # noqa: ASYNC110 - nothing tells, and a bar need not be there at once
        await trio.sleep(_TERMINAL_SECONDS)
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
        shown = bar.add_task("", total=total, current=0.0)
        before, then = 0, trio.current_time()
        while True:
            await trio.sleep(_TERMINAL_SECONDS)
            jobs, now = measurement.jobs, trio.current_time()
            bar.update(shown, completed=measurement.ended, current=(jobs - before) / (now - then), refresh=True)
            before, then = jobs, now


def result_lines(result: Result) -> Iterator[str]:
    """The result for people: a line for each thing that there is to say."""
    yield f"jobs      {result.jobs:,} in {result.seconds:.2f} s: {result.jobs_per_second:,.0f} jobs/s"
    if result.failed:
        yield f"failed    {result.failed:,}"
    if result.refused:
        yield f"refused   {result.refused:,}"
    yield f"workloads {_size(result.workload_bytes)}: {_size(result.bytes_per_second)}/s"
    if (latency := result.latency_ms) is not None:
        percentiles = {"50 %": latency.p50, "90 %": latency.p90, "95 %": latency.p95, "99 %": latency.p99}
        told = ", ".join(f"{name} {value:.2f}" for name, value in percentiles.items())
        yield f"latency   {told}, mean {latency.mean:.2f}, max {latency.max:.2f} ms"


def _size(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
