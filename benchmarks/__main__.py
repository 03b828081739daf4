"""``python -m benchmarks``: measure, print tables, and on request write them into the documentation."""

from __future__ import annotations

import argparse
import sys

import rich.console

from .libraries import compare_clients, compare_workers
from .machine import describe
from .page import write_section
from .processes import Missing
from .tables import Table

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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition(":")[2])
    parser.add_argument("--write", action="store_true", help="write the tables to docs/explanation/performance.md")
    commands = parser.add_subparsers(dest="command", required=True, metavar="BENCHMARK")
    libraries = commands.add_parser("libraries", help="our client and worker beside other Python libraries")
    libraries.set_defaults(measure=_libraries)
    libraries.add_argument("--rounds", type=int, default=5)
    libraries.add_argument("--jobs", type=int, default=20_000)
    libraries.add_argument("--depth", type=int, default=100, help="jobs in flight at once (default: 100)")
    libraries.add_argument("--side", choices=["clients", "workers", "both"], default="both")
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
