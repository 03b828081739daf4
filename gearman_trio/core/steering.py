"""What operators do to jobs and functions, whichever way they say it."""

from __future__ import annotations

from collections.abc import Iterator

from .function import Function
from .job import COMMITTING, FETCHING, QUEUED, RUNNING, SCHEDULED, STATES
from .outcome import Outcomes
from .registry import Registry
from .waking import Waking

__all__ = ["Steering"]


class Steering:
    """Ends, moves and keeps back jobs, at the time that the registry has: `Dispatcher.steering` sets it."""

    __slots__ = ("_outcomes", "_policy", "_registry", "_waking")

    def __init__(self, registry: Registry, outcomes: Outcomes, waking: Waking) -> None:
        self._registry = registry
        self._policy = registry.policy
        self._outcomes = outcomes
        self._waking = waking

    def cancel(self, handle: bytes) -> bool:
        """End a job, whose clients hear WORK_FAIL; say whether there was one. A result still to come is dropped."""
        return self._outcomes.cancel(handle)

    def requeue(self, handle: bytes) -> str:
        """Take a running job from its worker and queue it again, at the tail of its priority.

        It goes on as a job of a lost worker does, but for the limit of attempts, which an operator is above; what the
        worker still says of it is dropped.

        Returns:
            Why that cannot be, or ``""``.
        """
        job = self._registry.jobs.get(handle)
        if job is None:
            return "there is no such job"
        worker = job.worker
        if worker is None or job.state != RUNNING:
            return f"the job is {STATES[job.state]}, not running"
        if not job.clients and not job.background:
            return "no client hears of the job any more, so it is not to run again"
        worker.released.add(handle)
        self._registry.requeue(job, "an operator took it from its worker")
        self._waking.job_queued(job.function, self._registry.now)
        return ""

    def pause(self, name: bytes) -> bool:
        """Keep a function's jobs from workers, also before it is first used; say whether it can be a function."""
        function = self._registry.functions.get(name)
        if function is None:
            if not name or len(name) > self._policy.max_function_bytes:
                return False
            function = self._registry.function(name)
        function.pause()
        return True

    def resume(self, name: bytes) -> bool:
        """Undo `pause`; say whether the function is known."""
        function = self._registry.functions.get(name)
        if function is None:
            return False
        function.resume()
        self._waking.resumed(function, self._registry.now)
        return True

    def limit(self, name: bytes, limits: tuple[int, int, int]) -> bool:
        """Refuse new jobs of a priority while the function has so many; 0 for no limit. High, normal, low.

        Unlike in gearmand, a limit may be set before the function is first used; say whether it can be a function.
        """
        if name not in self._registry.functions and (
            not any(limits) or not name or len(name) > self._policy.max_function_bytes
        ):
            return False
        self._registry.function(name).limits = limits
        return True

    def purge(self, function: Function) -> Iterator[int]:
        """End the jobs that the function has and that no worker has: for each job looked at, 1 if it was ended."""
        for job in list(self._registry.jobs.values()):
            if job.function is function and job.state in (COMMITTING, FETCHING, QUEUED, SCHEDULED):
                self._outcomes.cancel_job(job)
                yield 1
            else:
                yield 0

    def purge_named(self, name: bytes) -> Iterator[int] | None:
        """`purge` of a function by its name; `None` where it is not known."""
        function = self._registry.functions.get(name)
        return None if function is None else self.purge(function)
