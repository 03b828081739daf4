"""The client of gear: several threads submit, since `submitJob` waits for the handle; a thread of gear's receives."""

from __future__ import annotations

import threading
from typing import Any

import gear

from .measure import WORKLOAD, Settings, Stopwatch, check, client_settings


class Client(gear.Client):  # type: ignore[misc]  # gear ships no types
    """A client that says when all jobs have ended, and keeps only so many in flight."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.room = threading.Semaphore(depth)
        self.results: list[bytes] = []
        self.expected = 0
        self.ended = threading.Event()

    def expect(self, jobs: int) -> None:
        """Begin to wait for so many jobs."""
        self.results = []
        self.expected = jobs
        self.ended.clear()

    def handleWorkComplete(self, packet: Any) -> Any:  # noqa: N802  # gear's name
        """Keep the result."""
        job = super().handleWorkComplete(packet)
        self.results.append(b"".join(job.data))
        self.room.release()
        if len(self.results) == self.expected:
            self.ended.set()
        return job


#: More threads than these only wait for each other; measured with 1, 2, 4, 8 and 16.
_THREADS = 4


def submit(client: Client, function: str, jobs: int) -> None:
    """Submit so many jobs, as there is room."""
    for _ in range(jobs):
        client.room.acquire()
        client.submitJob(gear.Job(function, WORKLOAD))


def run(client: Client, settings: Settings) -> list[bytes]:
    """Run all jobs and give their results."""
    client.expect(settings.jobs)
    share, rest = divmod(settings.jobs, _THREADS)
    threads = [
        threading.Thread(target=submit, args=(client, settings.function, share + (index < rest)))
        for index in range(_THREADS)
    ]
    for thread in threads:
        thread.start()
    client.ended.wait()
    for thread in threads:
        thread.join()
    return client.results


def main() -> None:
    """Submit the jobs from some threads."""
    settings = client_settings()
    client = Client(settings.depth)
    client.addServer(settings.host, settings.port)
    client.waitForServer()
    client.expect(1)
    submit(client, settings.function, 1)
    client.ended.wait()
    watch = Stopwatch()
    watch.start()
    results = run(client, settings)
    watch.stop(len(results))
    check(results, settings.jobs)
    client.shutdown()


if __name__ == "__main__":
    main()
