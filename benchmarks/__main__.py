"""``python -m benchmarks``: measure, print tables, and on request write them into the documentation."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TypeAlias

import rich.console

from .databases import BACKENDS
from .durable import compare_stores, measure_foreground, measure_replay, measure_spilling
from .embedded import measure_embedded
from .flight import measure_abilities, measure_flight, measure_growth
from .instructions import measure_instructions
from .large import CASES, measure_large
from .libraries import compare_clients, compare_workers
from .loads import LOADS, measure_loads
from .machine import describe
from .page import write_section
from .plots import draw, measure_queue, measure_sleepers
from .processes import Missing
from .rest import measure_rest
from .tables import Table
from .web import measure_web

_LENGTHS = [1_000, 10_000, 100_000, 300_000, 1_000_000, 3_000_000]
#: What ``loads`` measures besides `LOADS`.
_MORE = ("rest", "embedded")
_IDLE_CONNECTIONS = 2_000
_EMBEDDED_JOBS = 10_000
_SLEEPERS = [0, 10, 50, 100, 200, 500, 1_000, 2_000]

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

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
    names = arguments.only or [*LOADS, *_MORE]
    ours = [name for name in LOADS if name in names]
    tables = [
        *measure_loads(ours, arguments.rounds, arguments.scale, most=arguments.most, progress=_progress),
    ]
    if "rest" in names:
        tables.append(measure_rest(arguments.rounds, _IDLE_CONNECTIONS, arguments.seconds, progress=_progress))
    if "embedded" in names:
        jobs = min(arguments.most, int(_EMBEDDED_JOBS * arguments.scale))
        tables.append(measure_embedded(arguments.rounds, jobs, progress=_progress))
    return [table for table in tables if table.rows]


def _durable(arguments: argparse.Namespace) -> list[Table]:
    stores = arguments.only or list(BACKENDS)
    measures: dict[str, Callable[[], Table]] = {
        "stores": lambda: compare_stores(stores, arguments.rounds, arguments.jobs, progress=_progress),
        "foreground": lambda: measure_foreground(arguments.rounds, arguments.jobs // 20, progress=_progress),
        "replay": lambda: measure_replay(stores, arguments.replayed, progress=_progress),
        "spilling": lambda: measure_spilling(arguments.megabytes, progress=_progress),
    }
    return [measure() for part, measure in measures.items() if arguments.part in {part, "all"}]


def _plots(arguments: argparse.Namespace) -> list[Table]:
    lengths = [length for length in _LENGTHS if length <= arguments.longest]
    counts = [count for count in _SLEEPERS if count <= arguments.sleepers]
    queue = measure_queue(lengths, arguments.rounds, patience=arguments.patience, progress=_progress)
    sleepers = measure_sleepers(counts, arguments.rounds, arguments.jobs, progress=_progress)
    if arguments.write:
        arguments.pictures = [draw(queue, "queue"), draw(sleepers, "sleepers")]
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


def _large(arguments: argparse.Namespace) -> list[Table]:
    return [measure_large(arguments.only or list(CASES), arguments.size, progress=_progress)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition(":")[2])
    parser.set_defaults(pictures=[])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/explanation/performance.md")
    commands = parser.add_subparsers(dest="command", required=True, metavar="BENCHMARK")

    _add_comparisons(commands)
    _add_own_costs(commands)
    return parser


def _add_comparisons(commands: _Commands) -> None:
    """Add what compares us with others."""
    libraries = commands.add_parser("libraries", help="our client and worker beside other Python libraries")
    libraries.set_defaults(measure=_libraries)
    libraries.add_argument("--rounds", type=int, default=5)
    libraries.add_argument("--jobs", type=int, default=20_000)
    libraries.add_argument("--depth", type=int, default=100, help="jobs in flight at once (default: 100)")
    libraries.add_argument("--side", choices=["clients", "workers", "both"], default="both")

    loads = commands.add_parser("loads", help="our job server beside gearmand")
    loads.set_defaults(measure=_loads)
    loads.add_argument("--only", nargs="+", choices=[*LOADS, *_MORE], help="which loads", metavar="LOAD")
    loads.add_argument("--rounds", type=int, default=5)
    loads.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of jobs")
    loads.add_argument("--most", type=int, default=1_000_000, help="the most jobs of a load (default: a million)")
    loads.add_argument("--seconds", type=float, default=5.0, help="how long connections at rest are watched")

    _add_durable(commands)

    plots = commands.add_parser("plots", help="jobs/s by the length of the queue, and by sleeping workers")
    plots.set_defaults(measure=_plots)
    plots.add_argument("--rounds", type=int, default=3)
    plots.add_argument("--jobs", type=int, default=1_000, help="run beside the sleepers each time")
    plots.add_argument("--longest", type=int, default=_LENGTHS[-1], help="the longest queue")
    plots.add_argument(
        "--patience",
        type=float,
        default=60.0,
        help="a server for which a queue takes longer than so many seconds is not measured with longer ones",
    )
    plots.add_argument("--sleepers", type=int, default=_SLEEPERS[-1], help="the most sleepers")


def _add_own_costs(commands: _Commands) -> None:
    """Add what measures us alone."""
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

    large = commands.add_parser("large", help="the memory of our job server for large workloads and results")
    large.set_defaults(measure=_large)
    large.add_argument("--only", nargs="+", choices=list(CASES), help="which cases", metavar="CASE")
    large.add_argument("--size", type=int, default=2**31, help="bytes of a workload or result (default: 2 GiB)")


def _add_durable(commands: _Commands) -> None:
    durable = commands.add_parser("durable", help="stored jobs: beside gearmand, at a start, larger than memory")
    durable.set_defaults(measure=_durable)
    durable.add_argument("--only", nargs="+", choices=list(BACKENDS), help="which databases", metavar="DATABASE")
    durable.add_argument("--part", choices=["stores", "foreground", "replay", "spilling", "all"], default="all")
    durable.add_argument("--rounds", type=int, default=1)
    durable.add_argument("--jobs", type=int, default=100_000, help="stored by ours; gearmand stores a 200th")
    durable.add_argument("--replayed", type=int, default=1_000_000, help="in the store at a start")
    durable.add_argument("--megabytes", type=int, default=500, help="of the queue larger than memory")


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
        write_section(arguments.command, tables, machine, arguments.pictures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
