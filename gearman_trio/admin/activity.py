"""The rows of the tables that tell what happens in a job server; only gearman_trio's own has them."""

from __future__ import annotations

import attrs

from ..errors import RemoteProtocolError
from .rows import read_integers, split_row

__all__ = ["ConnectionActivityRow", "FunctionActivityRow", "RunningJobRow"]


@attrs.frozen(kw_only=True)
class FunctionActivityRow:
    """One row of ``show functions``. Counts are those since the server first heard of the function.

    Attributes:
        function: its name.
        high: queued jobs of high priority.
        normal: of normal priority.
        low: of low priority.
        scheduled: jobs that wait for their time.
        committing: jobs that wait to be stored.
        running: jobs that workers hold.
        workers: connections that have the ability.
        sleeping: those of them that sleep.
        paused: whether its jobs are kept from workers.
        submitted: new jobs.
        started: jobs given to workers, each attempt counted.
        retried: jobs queued again after their worker was lost or their time was out.
        completed: jobs that ended by WORK_COMPLETE.
        failed: jobs that failed, raised, outlived their time limit, or were lost with their last worker.
        ended: jobs that ended in whatever way.
        oldest_ms: for how long the job is queued that has been queued longest; ``None`` where none is.
        wait_p50_ms: about how long half of the jobs were queued at most; ``None`` where none began.
        wait_p95_ms: likewise 95 of 100.
        run_p50_ms: about how long half of the jobs ran at most; ``None`` where none ended.
        run_p95_ms: likewise 95 of 100.
    """

    function: str
    high: int
    normal: int
    low: int
    scheduled: int
    committing: int
    running: int
    workers: int
    sleeping: int
    paused: bool
    submitted: int
    started: int
    retried: int
    completed: int
    failed: int
    ended: int
    oldest_ms: int | None
    wait_p50_ms: float | None
    wait_p95_ms: float | None
    run_p50_ms: float | None
    run_p95_ms: float | None

    @property
    def queued(self) -> int:
        """Queued jobs of every priority."""
        return self.high + self.normal + self.low

    @classmethod
    def parse(cls, line: str) -> FunctionActivityRow:
        """Read a row, whose cells are in the order of the attributes."""
        fields = attrs.fields(cls)
        name, *cells = split_row(line, len(fields))
        counts, times = cells[:15], cells[15:]
        numbers: dict[str, int | float | bool | None] = dict(
            zip((field.name for field in fields[1:16]), read_integers(line, counts), strict=True)
        )
        numbers["paused"] = bool(numbers["paused"])
        numbers["oldest_ms"] = _milliseconds(line, times[0], int)
        for field, cell in zip(fields[17:], times[1:], strict=True):
            numbers[field.name] = _milliseconds(line, cell, float)
        return cls(function=name, **numbers)  # type: ignore[arg-type] # each has the type that was read


@attrs.frozen(kw_only=True)
class RunningJobRow:
    """One row of ``show running``.

    Attributes:
        handle: of the job.
        function: what is called.
        unique: its unique ID; control characters are written ``\\x0a``.
        connection: the number of the worker's connection.
        client_id: of the worker; ``-`` where it has none.
        address: of the worker.
        running_ms: for how long the worker has it.
        attempts: how often it was given to a worker.
        numerator: of its last status, as the worker sent it; ``0`` before the first.
        denominator: likewise.
    """

    handle: str
    function: str
    unique: str
    connection: int
    client_id: str
    address: str
    running_ms: int
    attempts: int
    numerator: str
    denominator: str

    @classmethod
    def parse(cls, line: str) -> RunningJobRow:
        """Read a row, whose cells are in the order of the attributes."""
        handle, function, unique, number, client_id, address, *numbers, numerator, denominator = split_row(line, 10)
        connection, running_ms, attempts = read_integers(line, [number, *numbers])
        return cls(
            handle=handle,
            function=function,
            unique=unique,
            connection=connection,
            client_id=client_id,
            address=address,
            running_ms=running_ms,
            attempts=attempts,
            numerator=numerator,
            denominator=denominator,
        )


@attrs.frozen(kw_only=True)
class ConnectionActivityRow:
    """One row of ``show connections``.

    Attributes:
        number: of the connection.
        address: of its other end.
        client_id: by SET_CLIENT_ID; ``-`` where it has none.
        running: how many jobs it works on.
        attached: how many jobs it hears of.
        sleeping: whether it waits to be woken.
        connected_ms: for how long it has been there.
        silent_ms: for how long it has sent nothing.
        received_bytes: how much it has sent.
        sent_bytes: how much was sent to it.
        functions: what it can do; empty for clients.
    """

    number: int
    address: str
    client_id: str
    running: int
    attached: int
    sleeping: bool
    connected_ms: int
    silent_ms: int
    received_bytes: int
    sent_bytes: int
    functions: tuple[str, ...]

    @classmethod
    def parse(cls, line: str) -> ConnectionActivityRow:
        """Read a row, whose cells are in the order of the attributes."""
        number, address, client_id, *cells, functions = split_row(line, 11)
        numbers = read_integers(line, [number, *cells])
        return cls(
            number=numbers[0],
            address=address,
            client_id=client_id,
            running=numbers[1],
            attached=numbers[2],
            sleeping=bool(numbers[3]),
            connected_ms=numbers[4],
            silent_ms=numbers[5],
            received_bytes=numbers[6],
            sent_bytes=numbers[7],
            functions=tuple(functions.split()),
        )


def _milliseconds(line: str, cell: str, kind: type[int] | type[float]) -> float | None:
    try:
        return None if cell == "-" else kind(cell)
    except ValueError:
        raise RemoteProtocolError(f"expected milliseconds or - in the row {line!r}, got {cell!r}") from None
