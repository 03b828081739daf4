"""What ``gearman-trio bench`` finds: how many jobs, how fast, and how long each took."""

from __future__ import annotations

import math
from array import array
from typing import Any, Final

import attrs
import trio

__all__ = ["Latency", "Measurement", "Result"]

#: Which percentiles are told.
_PERCENTILES: Final = (50, 90, 95, 99)


@attrs.frozen(kw_only=True)
class Latency:
    """How long jobs took, in milliseconds.

    Attributes:
        min: the fastest one.
        mean: the average.
        p50: half of them took no longer; likewise `p90`, `p95` and `p99` per cent.
        max: the slowest one.
    """

    min: float
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: array[float]) -> Latency:
        """Those of at least one job; a percentile is one of the values (nearest rank), none between two."""
        ordered = [second * 1000 for second in sorted(seconds)]
        ranks = {f"p{number}": ordered[math.ceil(len(ordered) * number / 100) - 1] for number in _PERCENTILES}
        mean = math.fsum(ordered) / len(ordered)
        return cls(min=ordered[0], mean=mean, max=ordered[-1], **ranks)


@attrs.frozen(kw_only=True)
class Result:
    """What came out.

    Attributes:
        jobs: how many were done, or in the background how many have a handle.
        failed: how many failed or were lost.
        refused: how many the job server did not take.
        seconds: how long it took.
        jobs_per_second: `jobs` in this time.
        workload_bytes: how long the workloads of `jobs` are together.
        bytes_per_second: likewise, in this time.
        latency_ms: how long `jobs` took each; ``None`` where that was not measured.
    """

    jobs: int
    failed: int
    refused: int
    seconds: float
    jobs_per_second: float
    workload_bytes: int
    bytes_per_second: float
    latency_ms: Latency | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return attrs.asdict(self)


class Measurement:
    """Counts jobs while they end.

    The mutable state: the counts, how long each job that was done took, since when, and what the last trouble was.

    Attributes:
        jobs: as in `Result`.
        failed: as in `Result`.
        refused: as in `Result`.
        trouble: of the last job that failed or was refused; empty where there was none.
    """

    def __init__(self) -> None:
        self.jobs = 0
        self.failed = 0
        self.refused = 0
        self.trouble = ""
        self._workload_bytes = 0
        self._seconds = array("d")
        self._began = trio.current_time()

    @property
    def ended(self) -> int:
        """How many ended, however that was."""
        return self.jobs + self.failed + self.refused

    def begin(self) -> None:
        """Count the time from now on."""
        self._began = trio.current_time()

    def add(self, workload_bytes: int, seconds: float | None = None) -> None:
        """Count a job that was done, and how long it took where that is known."""
        self.jobs += 1
        self._workload_bytes += workload_bytes
        if seconds is not None:
            self._seconds.append(seconds)

    def rate(self) -> float:
        """How many jobs were done in a second, until now."""
        return _per_second(self.jobs, trio.current_time() - self._began)

    def result(self) -> Result:
        """What came out until now."""
        seconds = trio.current_time() - self._began
        return Result(
            jobs=self.jobs,
            failed=self.failed,
            refused=self.refused,
            seconds=seconds,
            jobs_per_second=_per_second(self.jobs, seconds),
            workload_bytes=self._workload_bytes,
            bytes_per_second=_per_second(self._workload_bytes, seconds),
            latency_ms=Latency.of(self._seconds) if self._seconds else None,
        )


def _per_second(number: int, seconds: float) -> float:
    return number / seconds if seconds else 0.0
