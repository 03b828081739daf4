"""The machine that figures were taken on, in a few words."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import attrs

__all__ = ["Machine", "describe"]


@attrs.frozen(kw_only=True)
class Machine:
    """What a reader must know to compare figures.

    Attributes:
        processor: its name.
        processors: how many this process may use.
        memory_gib: how much memory there is, in GiB.
        system: the kernel's name and version.
        python: the Python that runs the benchmarks.
        load: the mean number of processes that wanted to run in the last minute.
    """

    processor: str
    processors: int
    memory_gib: float
    system: str
    python: str
    load: float

    def __str__(self) -> str:
        return (
            f"{self.processors} x {self.processor}, {self.memory_gib:.1f} GiB; {self.system}; {self.python};"
            f" load {self.load:.1f} at the end"
        )


def describe() -> Machine:
    """Describe this machine as it is now."""
    return Machine(
        processor=_field("/proc/cpuinfo", "model name") or platform.machine(),
        processors=len(os.sched_getaffinity(0)),
        memory_gib=int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1024**2,
        system=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        load=os.getloadavg()[0],
    )


def _field(path: str, name: str) -> str | None:
    """The value of a line ``name : value`` of one of the kernel's files, or ``None``."""
    found = re.search(rf"^{name}\s*:\s*(.+)$", Path(path).read_text(encoding="utf-8"), re.MULTILINE)
    return None if found is None else found[1].strip()
