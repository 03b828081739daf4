"""``python -m benchmarks``: measure, print tables, and on request write them into the documentation."""

from __future__ import annotations

import argparse
import sys

import rich.console

from .flight import measure_abilities, measure_flight, measure_growth
from .instructions import measure_instructions
from .libraries import compare_clients, compare_workers
from .loads import LOADS, measure_loads
from .machine import describe
from .page import write_section
from .plots import draw, measure_queue, measure_sleepers
from .processes import Missing
from .tables import Table
from .web import measure_web

_LENGTHS = [1_000, 10_000, 100_000, 300_000, 1_000_000, 3_000_000]
_SLEEPERS = [0, 10, 50, 100, 200, 500, 1_000, 2_000]

_console = rich.console.Console()
_errors = rich.console.Console(stderr=True)


def _progress(message: str) -> None:
    _errors.print(message, style="dim", highlight=False)


def _libraries(arguments: argparse.Namespace) -> list[Table]:
    scale = (arguments.rounds, arguments.jobs, arguments.depth)
    tables = []
    if arguments.side in {"clients", "both"}:
        tables.append(compare_clients(*scale, progress=_progress))
    if arguments.side in {"workers", "both"}:
        tables.append(compare_workers(*scale, progress=_progress))
    return tables


def _loads(arguments: argparse.Namespace) -> list[Table]:
    tables = measure_loads(arguments.only or list(LOADS), arguments.rounds, arguments.scale, progress=_progress)
    return [table for table in tables if table.rows]


def _plots(arguments: argparse.Namespace) -> list[Table]:
    lengths = [length for length in _LENGTHS if length <= arguments.longest]
    counts = [count for count in _SLEEPERS if count <= arguments.sleepers]
    queue = measure_queue(lengths, arguments.rounds, progress=_progress)
    sleepers = measure_sleepers(counts, arguments.rounds, arguments.jobs, progress=_progress)
    if arguments.write:
        draw(queue, "queue")
        draw(sleepers, "sleepers")
    return [queue.table(), sleepers.table()]


def _flight(arguments: argparse.Namespace) -> list[Table]:
    return [
        measure_flight(arguments.counts, progress=_progress),
        measure_growth(arguments.jobs, progress=_progress),
        measure_abilities(arguments.workers, arguments.functions, progress=_progress),
    ]


def _instructions(arguments: argparse.Namespace) -> list[Table]:
    return [measure_instructions(arguments.repeats, progress=_progress)]


def _web(arguments: argparse.Namespace) -> list[Table]:
    return [measure_web(arguments.rounds, arguments.scale, progress=_progress)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition(":")[2])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/explanation/performance.md")
    commands = parser.add_subparsers(dest="command", required=True, metavar="BENCHMARK")

    libraries = commands.add_parser("libraries", help="our client and worker beside other Python libraries")
    libraries.set_defaults(measure=_libraries)
    libraries.add_argument("--rounds", type=int, default=5)
    libraries.add_argument("--jobs", type=int, default=20_000)
    libraries.add_argument("--depth", type=int, default=100, help="jobs in flight at once (default: 100)")
    libraries.add_argument("--side", choices=["clients", "workers", "both"], default="both")

    loads = commands.add_parser("loads", help="our job server beside gearmand")
    loads.set_defaults(measure=_loads)
    loads.add_argument("--only", nargs="+", choices=list(LOADS), help="which loads", metavar="LOAD")
    loads.add_argument("--rounds", type=int, default=5)
    loads.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of jobs")

    plots = commands.add_parser("plots", help="jobs/s by the length of the queue, and by sleeping workers")
    plots.set_defaults(measure=_plots)
    plots.add_argument("--rounds", type=int, default=3)
    plots.add_argument("--jobs", type=int, default=1_000, help="run beside the sleepers each time")
    plots.add_argument("--longest", type=int, default=_LENGTHS[-1], help="the longest queue")
    plots.add_argument("--sleepers", type=int, default=_SLEEPERS[-1], help="the most sleepers")

    flight = commands.add_parser("flight", help="the memory of our client and worker")
    flight.set_defaults(measure=_flight)
    flight.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="jobs in flight")
    flight.add_argument("--jobs", type=int, default=1_000_000, help="jobs that one client runs")
    flight.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1_000], help="workers in one process")
    flight.add_argument("--functions", type=int, default=10, help="functions of each worker")

    instructions = commands.add_parser("instructions", help="instructions of the codec and the dispatcher")
    instructions.set_defaults(measure=_instructions)
    instructions.add_argument("--repeats", type=int, default=1_000)

    web = commands.add_parser("web", help="what the web interface costs the jobs")
    web.set_defaults(measure=_web)
    web.add_argument("--rounds", type=int, default=5)
    web.add_argument("--scale", type=float, default=4.0, help="multiplies the number of jobs")
    return parser


def main() -> int:
    """Measure what the command line asks for; gives the exit status."""
    arguments = _parser().parse_args()
    try:
        tables: list[Table] = arguments.measure(arguments)
    except Missing as exc:
        _errors.print(str(exc), highlight=False)
        return 2
    machine = describe()
    for table in tables:
        _console.print(table.rich())
    _console.print(str(machine), highlight=False)
    if arguments.write:
        write_section(arguments.command, tables, machine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
