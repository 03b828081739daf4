"""Sleeping workers, and who is woken when there is work.

Theory.  A worker that found no job sends PRE_SLEEP and then waits for NOOP.  Waking every sleeper for every job, as
gearmand does by default, makes all but one of them come in vain.  Waking one is enough if no wake is ever lost:

    Invariant: where a function has sleepers, at least as many workers are woken for it, and have yet to grab, as it has
    queued jobs that workers may have: none while it is paused, and not those that cannot be fetched from the store.

It can only be hurt when a wake ends without a job of that function being taken: the woken worker grabs a job of another
function, leaves, goes back to sleep, gives up the ability, or does nothing in `Policy.wake_seconds`.  Each of these
calls `settle`, which wakes the next sleepers until the invariant holds again.

Where the runtime wants sleepers to be woken late, queueing a job does not wake anybody yet, and the invariant holds
after each `wake_due`: a worker whose grab comes in the meantime is spared the answer that there is no job, its sleep
and its being woken, and the longest sleeper a wake in vain.
"""

from __future__ import annotations

from .deadlines import Timer
from .function import Function
from .job import NO_PRIORITY
from .peer import Peer
from .registry import Registry
from .replies import NOOP

__all__ = ["Waking"]


class Waking:
    """Puts workers to sleep and wakes them.

    Its state is in the functions and peers themselves, but for the functions whose sleepers are to be woken late.
    """

    __slots__ = ("_due", "_late", "_policy", "_registry")

    def __init__(self, registry: Registry, *, late: bool) -> None:
        self._registry = registry
        self._policy = registry.policy
        # More than one wake for each job, or all, is asked for by those who do not want to save any.
        self._late = late and registry.policy.worker_wakeup == 1
        # Those that have got a job since the last `wake_due` while they had sleepers, perhaps more than once.
        self._due: list[Function] = []

    def sleep(self, worker: Peer, now: float) -> None:
        """PRE_SLEEP: answered with NOOP at once where a job waits, else the worker sleeps until one comes."""
        if worker.sleeping:
            return
        self.settle(worker, now)
        for function in worker.abilities:
            if function.top != NO_PRIORITY:
                self._wake(worker, function, now)
                return
        worker.sleeping = True
        for function in worker.abilities:
            function.sleepers[worker] = None

    def arise(self, worker: Peer) -> None:
        """The worker does not sleep any more."""
        if worker.sleeping:
            worker.sleeping = False
            for function in worker.abilities:
                del function.sleepers[worker]

    def job_queued(self, function: Function, now: float) -> None:
        """A job of this function was queued: wake as many sleepers as the policy says."""
        sleepers = function.sleepers
        if not sleepers or function.top == NO_PRIORITY:
            return
        if self._late:
            self._due.append(function)
            return
        count = self._policy.worker_wakeup or len(sleepers)
        while count > 0 and sleepers:
            self._wake(next(iter(sleepers)), function, now)
            count -= 1

    def wake_due(self, now: float) -> None:
        """Wake those whom `job_queued` has put off."""
        if self._due:
            for function in self._due:
                self._balance(function, now)
            self._due.clear()

    def resumed(self, function: Function, now: float) -> None:
        """Workers may have the jobs of this function again."""
        self._balance(function, now)

    def ability_added(self, worker: Peer, function: Function, now: float) -> None:
        """A worker, perhaps sleeping, can do one more function."""
        if worker.sleeping:
            function.sleepers[worker] = None
            self._balance(function, now)

    def ability_removed(self, worker: Peer, function: Function, now: float) -> None:
        """A worker, perhaps sleeping or just woken, can do one function less."""
        if worker.sleeping:
            del function.sleepers[worker]
        elif worker.woken_for is function:
            self.settle(worker, now)

    def settle(self, worker: Peer, now: float) -> None:
        """A woken worker has grabbed, left, or will not grab: wake others if its function still needs them."""
        function = worker.woken_for
        if function is None:
            return
        worker.woken_for = None
        if worker.wake_timer is not None:
            self._registry.timers.cancel(worker.wake_timer)
            worker.wake_timer = None
        function.wakes -= 1
        self._balance(function, now)

    def _balance(self, function: Function, now: float) -> None:
        sleepers = function.sleepers
        available = function.available if sleepers else 0
        while sleepers and function.wakes < available:
            self._wake(next(iter(sleepers)), function, now)

    def _wake(self, worker: Peer, function: Function, now: float) -> None:
        self.arise(worker)
        worker.woken_for = function
        worker.wake_timer = Timer(None, worker)
        self._registry.timers.add(now + self._policy.wake_seconds, worker.wake_timer)
        function.wakes += 1
        worker.send(NOOP)
