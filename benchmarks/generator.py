"""The load generator, `generator.c`: compiled when it is first needed, run, and what it reports."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import attrs

from .processes import BUILD, HOST, Running, find

__all__ = ["Report", "generate", "generator", "serve_command"]

_SOURCE = Path(__file__).with_suffix(".c")


@attrs.frozen(kw_only=True)
class Report:
    """What the load generator says of one run.

    Attributes:
        jobs: how many jobs were done.
        seconds: how long that took.
        jobs_per_second: the one by the other.
        p50_us: half of the jobs took at most so many microseconds: from the submission to WORK_COMPLETE, or to
            JOB_CREATED in the background.
        p99_us: the same for 99 of 100.
        max_us: the same for all.
        lost: jobs that never came.
        doubled: jobs that came, or ended, twice.
        disordered: jobs that came to a worker before one that the same client had submitted earlier.
        wrong: results that were not the workload, or another job's.
        failed: jobs that failed or were refused.
        noops: wake-ups that workers got.
        empty_grabs: how often a worker asked for a job and there was none.
        cpu_us_per_job: the processor time, in microseconds, that the watched process used, by the jobs.
        resident_kib: the resident memory of the watched process at the end.
    """

    jobs: int
    seconds: float
    jobs_per_second: float
    p50_us: float
    p99_us: float
    max_us: float
    lost: int
    doubled: int
    disordered: int
    wrong: int
    failed: int
    noops: int
    empty_grabs: int
    cpu_us_per_job: float = 0.0
    resident_kib: int = 0


def generator() -> str:
    """The path of the compiled generator, compiled now if it is older than its source.

    Raises:
        Missing: there is no C compiler.
    """
    path = BUILD / "generator"
    if not path.exists() or path.stat().st_mtime < _SOURCE.stat().st_mtime:
        compiler = find("cc", "Debian's packages are gcc and libc6-dev")
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-o", str(path), str(_SOURCE)], check=True)
    return str(path)


def generate(mode: str, port: int, *, watched: Running | None = None, **options: int | str) -> Report:
    """Run the generator and give its report.

    Args:
        mode: ``"run"``, ``"spread"``, ``"enqueue"`` or ``"drain"``; the source says more.
        port: where the job server listens on `HOST`.
        watched: the process whose processor time and memory are reported.
        options: the generator's own.

    Raises:
        RuntimeError: a job was lost, or came twice, or in the wrong order, or with another result, or something else
            went wrong; the message says what.
        Missing: there is no C compiler.
    """
    if watched is not None:
        options["pid"] = watched.pid
    arguments = [f"{name}={value}" for name, value in options.items()]
    command = [generator(), mode, HOST, str(port), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = f"{done.stderr.strip()} {done.stdout.strip()}".strip()
        raise RuntimeError(f"{mode} {' '.join(arguments)}: exit status {done.returncode}: {said}")
    return Report(**json.loads(done.stdout))


def serve_command(port: int, *, function: str, workers: int = 1) -> list[str]:
    """The command of a worker, or several, that give each workload back until they are stopped."""
    return [generator(), "serve", HOST, str(port), f"function={function}", f"workers={workers}"]
