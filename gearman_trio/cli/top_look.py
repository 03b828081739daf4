"""What ``gearman-trio top`` sees: one look at a job server, as rows that are the same of every kind of server.

gearman_trio's own server tells what runs where and for how long; of others the tables of gearmand are taken, and what
those do not have is ``None``.
"""

from __future__ import annotations

from typing import Any

import attrs
import trio

from ..admin import (
    AdminClient,
    ConnectionActivityRow,
    FunctionActivityRow,
    FunctionRow,
    PriorityRow,
    RunningJobRow,
)
from ..errors import ServerError

__all__ = ["FunctionLine", "JobLine", "Picture", "WorkerLine", "look"]

#: Answers of servers to what only gearman_trio's knows: gearmand's, and that of Perl's Gearman::Server.
_UNKNOWN_COMMANDS = frozenset({"UNKNOWN_SHOW_ARGUMENTS", "UNKNOWN_COMMAND", "ERR"})


@attrs.frozen(kw_only=True)
class FunctionLine:
    """One function.

    Attributes:
        function: its name.
        waiting: jobs that no worker has.
        high: queued jobs of high priority.
        normal: of normal priority.
        low: of low priority.
        scheduled: jobs that wait for their time.
        running: jobs that workers hold.
        workers: connections that have the ability.
        sleeping: those of them that sleep.
        paused: whether its jobs are kept from workers.
        in_per_second: new jobs since the look before; ``None`` at the first.
        out_per_second: jobs that ended since then.
        failed: jobs that failed in whatever way since the start.
        retried: jobs queued again since the start.
        oldest_seconds: for how long the job is queued that has been queued longest.
        run_p50_seconds: about how long half of the jobs ran at most.
        run_p95_seconds: likewise 95 of 100.
    """

    function: str
    waiting: int
    high: int
    normal: int
    low: int
    scheduled: int | None = None
    running: int
    workers: int
    sleeping: int | None = None
    paused: bool | None = None
    in_per_second: float | None = None
    out_per_second: float | None = None
    failed: int | None = None
    retried: int | None = None
    oldest_seconds: float | None = None
    run_p50_seconds: float | None = None
    run_p95_seconds: float | None = None

    @property
    def stalled(self) -> bool:
        """Whether jobs wait and no worker can take them."""
        return self.waiting > (self.scheduled or 0) and not self.workers


@attrs.frozen(kw_only=True)
class JobLine:
    """One job: of gearman_trio's server one that runs, of others any.

    Attributes:
        handle: of the job.
        function: what is called.
        worker: the client ID of the worker, or the number of its connection.
        address: of the worker.
        seconds: for how long the worker has it.
        attempts: how often it was given to a worker.
        progress: from 0 to 1; ``None`` where it tells none.
    """

    handle: str
    function: str | None = None
    worker: str | None = None
    address: str | None = None
    seconds: float | None = None
    attempts: int | None = None
    progress: float | None = None


@attrs.frozen(kw_only=True)
class WorkerLine:
    """One connection with abilities.

    Attributes:
        number: of the connection.
        client_id: by SET_CLIENT_ID; ``-`` where it has none.
        address: of its other end.
        functions: what it can do.
        running: how many jobs it works on.
        sleeping: whether it waits to be woken.
        silent_seconds: for how long it has sent nothing.
    """

    number: int
    client_id: str
    address: str
    functions: tuple[str, ...]
    running: int | None = None
    sleeping: bool | None = None
    silent_seconds: float | None = None


@attrs.frozen(kw_only=True)
class Picture:
    """One look.

    Attributes:
        version: of the server.
        own: whether it is gearman_trio's server.
        taken_at: when, by Trio's clock.
        connections: how many there are, this one too.
        functions: in the server's order.
        jobs: likewise.
        workers: likewise.
        counts: of each function, submitted and ended jobs, for the rates of the next look.
    """

    version: str
    own: bool
    taken_at: float
    connections: int
    functions: tuple[FunctionLine, ...]
    jobs: tuple[JobLine, ...]
    workers: tuple[WorkerLine, ...]
    counts: dict[str, tuple[int, int]] = attrs.field(factory=dict)

    def json(self) -> dict[str, Any]:
        """What a program may read."""
        value = attrs.asdict(self)
        del value["counts"], value["taken_at"]
        return value


async def look(admin: AdminClient, before: Picture | None) -> Picture:
    """Look at a job server; `before` is the last look at the same one.

    Raises:
        ServersUnavailable: the connection has ended.
        RemoteProtocolError: its answers cannot be understood.
    """
    try:
        activity = await admin.function_activity()
    except ServerError as exc:
        if exc.code not in _UNKNOWN_COMMANDS:
            raise
        return await _look_at_another(admin)
    now = trio.current_time()
    jobs, connections = await admin.running_jobs(), await admin.connection_activity()
    return Picture(
        version=await admin.version(),
        own=True,
        taken_at=now,
        connections=len(connections),
        functions=tuple(_own_function(row, before, now) for row in activity),
        jobs=tuple(map(_own_job, jobs)),
        workers=tuple(_own_worker(row) for row in connections if row.functions),
        counts={row.function: (row.submitted, row.ended) for row in activity},
    )


async def _look_at_another(admin: AdminClient) -> Picture:
    status, priorities = await admin.status(), {row.function: row for row in await admin.priority_status()}
    connections = await admin.workers()
    return Picture(
        version=await admin.version(),
        own=False,
        taken_at=trio.current_time(),
        connections=len(connections),
        functions=tuple(_function(row, priorities.get(row.function)) for row in status),
        jobs=tuple(JobLine(handle=row.handle, attempts=row.retries) for row in await admin.jobs()),
        workers=tuple(
            WorkerLine(number=row.number, client_id=row.client_id, address=row.address, functions=row.functions)
            for row in connections
            if row.functions
        ),
    )


def _function(row: FunctionRow, priorities: PriorityRow | None) -> FunctionLine:
    return FunctionLine(
        function=row.function,
        waiting=max(row.total - row.running, 0),
        high=0 if priorities is None else priorities.high,
        normal=0 if priorities is None else priorities.normal,
        low=0 if priorities is None else priorities.low,
        running=row.running,
        workers=row.workers,
    )


def _own_function(row: FunctionActivityRow, before: Picture | None, now: float) -> FunctionLine:
    submitted = ended = None
    if before is not None and before.own and now > before.taken_at:
        counts = before.counts.get(row.function, (0, 0))
        seconds = now - before.taken_at
        # A server that was started again counts from 0.
        submitted = round(max(row.submitted - counts[0], 0) / seconds, 2)
        ended = round(max(row.ended - counts[1], 0) / seconds, 2)
    return FunctionLine(
        function=row.function,
        waiting=row.queued + row.scheduled + row.committing,
        high=row.high,
        normal=row.normal,
        low=row.low,
        scheduled=row.scheduled,
        running=row.running,
        workers=row.workers,
        sleeping=row.sleeping,
        paused=row.paused,
        in_per_second=submitted,
        out_per_second=ended,
        failed=row.failed,
        retried=row.retried,
        oldest_seconds=_seconds(row.oldest_ms),
        run_p50_seconds=_seconds(row.run_p50_ms),
        run_p95_seconds=_seconds(row.run_p95_ms),
    )


def _own_job(row: RunningJobRow) -> JobLine:
    return JobLine(
        handle=row.handle,
        function=row.function,
        worker=row.client_id if row.client_id != "-" else f"#{row.connection}",
        address=row.address,
        seconds=row.running_ms / 1000,
        attempts=row.attempts,
        progress=_progress(row.numerator, row.denominator),
    )


def _own_worker(row: ConnectionActivityRow) -> WorkerLine:
    return WorkerLine(
        number=row.number,
        client_id=row.client_id,
        address=row.address,
        functions=row.functions,
        running=row.running,
        sleeping=row.sleeping,
        silent_seconds=row.silent_ms / 1000,
    )


def _progress(numerator: str, denominator: str) -> float | None:
    """What a worker's two numbers say, which may be anything."""
    try:
        share = float(numerator) / float(denominator)
    except (ValueError, ZeroDivisionError):
        return None
    return share if 0 <= share <= 1 else None


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 6)
