"""The client of pygearman and of gearman3: batches by `submit_multiple_jobs`, which sends all before it waits."""

from __future__ import annotations

from .measure import WORKLOAD, Stopwatch, check, client_settings
from .python_gearman import gearman

#: There must be one: without, pygearman does not wait for the jobs' end.
_PATIENCE_SECONDS = 600.0


def main() -> None:
    """Submit the jobs in batches of as many as may be in flight."""
    settings = client_settings()
    client = gearman.GearmanClient([f"{settings.host}:{settings.port}"])
    job = {"task": settings.function, "data": WORKLOAD}
    client.submit_multiple_jobs([job], poll_timeout=_PATIENCE_SECONDS)
    watch = Stopwatch()
    results: list[bytes] = []
    watch.start()
    for begun in range(0, settings.jobs, settings.depth):
        batch = [job] * min(settings.depth, settings.jobs - begun)
        requests = client.submit_multiple_jobs(batch, poll_timeout=_PATIENCE_SECONDS)
        results += [request.result for request in requests]
    watch.stop(len(results))
    check(results, settings.jobs)


if __name__ == "__main__":
    main()
