"""How many instructions of the processor the codec and the dispatcher take: a measure without noise.

Valgrind counts a run of Python that does an operation many times, and one that does nothing; their difference holds
nothing of the interpreter's start.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gearman_trio

from .drivers.operations import OPERATIONS
from .processes import find, working_directory
from .tables import Table, number

__all__ = ["count_instructions", "measure_instructions"]


def measure_instructions(repeats: int, *, progress: Callable[[str], None]) -> Table:
    """Count the instructions of each operation.

    Args:
        repeats: how often an operation is done.
        progress: told of each operation before it is counted.

    Raises:
        Missing: valgrind is not installed.
    """
    table = Table("Instructions of the processor for each operation", ["operation", "what it is", "instructions"], 2)
    progress("nothing")
    nothing = count_instructions(next(iter(OPERATIONS)), 0)
    for name, operation in OPERATIONS.items():
        progress(name)
        taken = (count_instructions(name, repeats) - nothing) / repeats
        table.add(name.replace("_", " "), (operation.__doc__ or "").rstrip("."), number(taken))
    return table


def count_instructions(operation: str, count: int) -> int:
    """Count the instructions of a whole run of Python that does an operation so many times.

    Raises:
        Missing: valgrind is not installed.
        RuntimeError: it did not print a count; the message shows what it printed.
    """
    valgrind = find("valgrind", "Debian's package has the same name")
    tool = [valgrind, "--tool=callgrind", f"--callgrind-out-file={os.devnull}"]
    # Without the site's packages, of which these layers need none: reading those takes most of the start.
    command = [*tool, sys.executable, "-S", "-m", "benchmarks.drivers.operations", operation, str(count)]
    done = subprocess.run(
        command,
        cwd=working_directory(),
        # Else the order of sets, and with it the number of collisions, would be drawn by lot.
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(Path(gearman_trio.__file__).parents[1])},
        check=False,
        capture_output=True,
        text=True,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    return int(found[1])
