"""The rows of the administrative tables, read from the text that gearmand and this server print."""

from __future__ import annotations

import attrs

from ..errors import RemoteProtocolError

__all__ = [
    "ConnectionRow",
    "FunctionJobRow",
    "FunctionRow",
    "JobRow",
    "LimitRow",
    "PriorityRow",
    "read_integers",
    "split_row",
]


@attrs.frozen
class FunctionRow:
    """One row of ``status``.

    Attributes:
        function: its name.
        total: jobs of the function, running ones included.
        running: jobs that workers hold.
        workers: connections that have the ability.
    """

    function: str
    total: int
    running: int
    workers: int

    @classmethod
    def parse(cls, line: str) -> FunctionRow:
        """Read ``FUNCTION\\tTOTAL\\tRUNNING\\tWORKERS``."""
        name, *numbers = split_row(line, 4)
        return cls(name, *read_integers(line, numbers))


@attrs.frozen
class PriorityRow:
    """One row of ``prioritystatus``: queued jobs by priority.

    Attributes:
        function: its name.
        high: queued jobs of high priority.
        normal: of normal priority.
        low: of low priority.
        workers: connections that have the ability.
    """

    function: str
    high: int
    normal: int
    low: int
    workers: int

    @classmethod
    def parse(cls, line: str) -> PriorityRow:
        """Read ``FUNCTION\\tHIGH\\tNORMAL\\tLOW\\tWORKERS``."""
        name, *numbers = split_row(line, 5)
        return cls(name, *read_integers(line, numbers))


@attrs.frozen
class ConnectionRow:
    """One row of ``workers``, which lists every connection.

    Attributes:
        number: of the connection, gearmand's file descriptor.
        address: of its other end.
        client_id: by SET_CLIENT_ID; ``-`` where it has none.
        functions: what it can do; empty for clients.
    """

    number: int
    address: str
    client_id: str
    functions: tuple[str, ...]

    @classmethod
    def parse(cls, line: str) -> ConnectionRow:
        """Read ``FD ADDRESS CLIENT-ID : FUNCTION FUNCTION``.

        The address may hold colons (IPv6), so it is the first colon that stands alone which ends the client ID.
        """
        head, colon, functions = f"{line} ".partition(" : ")
        words = head.split(" ", 2)
        if not colon or len(words) != 3:
            raise RemoteProtocolError(f"expected a row 'FD ADDRESS ID : FUNCTIONS', got {line!r}")
        (number,) = read_integers(line, words[:1])
        return cls(number, words[1], words[2], tuple(filter(None, functions.split(" "))))


@attrs.frozen
class JobRow:
    """One row of ``show jobs``.

    Attributes:
        handle: of the job.
        retries: how often it was queued again.
        ignored: whether nobody waits for it any more (gearmand keeps such jobs for a while).
        stored: whether it is a background job, which may be kept in a store; gearmand and this server tell no more.
    """

    handle: str
    retries: int
    ignored: bool
    stored: bool

    @classmethod
    def parse(cls, line: str) -> JobRow:
        """Read ``HANDLE\\tRETRIES\\tIGNORE\\tQUEUED``."""
        handle, *numbers = split_row(line, 4)
        retries, ignored, stored = read_integers(line, numbers)
        return cls(handle, retries, bool(ignored), bool(stored))


@attrs.frozen(kw_only=True)
class FunctionJobRow:
    """One row of ``list jobs``, a command of this server alone.

    Attributes:
        handle: of the job.
        unique: its unique ID; control characters are written ``\\x0a``.
        priority: ``"high"``, ``"normal"`` or ``"low"``.
        state: ``"committing"`` (not stored yet), ``"queued"``, ``"fetching"`` (its workload), ``"running"`` or
            ``"scheduled"``.
        attempts: how often it was given to a worker.
        background: whether it lives on without clients.
        clients: how many connections hear of it.
        workload_bytes: how long its workload is.
        run_at: epoch seconds before which it is not queued, 0 for at once.
        age_ms: how long ago it was submitted.
    """

    handle: str
    unique: str
    priority: str
    state: str
    attempts: int
    background: bool
    clients: int
    workload_bytes: int
    run_at: int
    age_ms: int

    @classmethod
    def parse(cls, line: str) -> FunctionJobRow:
        """Read ``HANDLE\\tUNIQUE\\tPRIORITY\\tSTATE\\tATTEMPTS\\tBACKGROUND\\tCLIENTS\\tBYTES\\tRUN-AT\\tAGE``."""
        handle, unique, priority, state, *numbers = split_row(line, 10)
        attempts, background, clients, workload_bytes, run_at, age_ms = read_integers(line, numbers)
        return cls(
            handle=handle,
            unique=unique,
            priority=priority,
            state=state,
            attempts=attempts,
            background=bool(background),
            clients=clients,
            workload_bytes=workload_bytes,
            run_at=run_at,
            age_ms=age_ms,
        )


@attrs.frozen
class LimitRow:
    """One row of ``show maxqueue``, a command of this server alone: most jobs by the priority of the new one.

    Attributes:
        function: its name.
        high: how many jobs the function may have when one of high priority comes; 0 for no limit.
        normal: likewise for normal priority.
        low: likewise for low priority.
    """

    function: str
    high: int
    normal: int
    low: int

    @classmethod
    def parse(cls, line: str) -> LimitRow:
        """Read ``FUNCTION\\tHIGH\\tNORMAL\\tLOW``."""
        name, *numbers = split_row(line, 4)
        return cls(name, *read_integers(line, numbers))


def split_row(line: str, count: int) -> list[str]:
    """The cells of a row.

    Raises:
        RemoteProtocolError: there are not so many.
    """
    # From the right: a function name may hold a tab of its own (Perl's prefix).
    cells = line.rsplit("\t", count - 1)
    if len(cells) != count:
        raise RemoteProtocolError(f"expected a row of {count} cells between tabs, got {line!r}")
    return cells


def read_integers(line: str, cells: list[str]) -> list[int]:
    """The numbers in cells of a row.

    Raises:
        RemoteProtocolError: one is none.
    """
    try:
        return [int(cell) for cell in cells]
    except ValueError:
        raise RemoteProtocolError(f"expected numbers in the row {line!r}") from None
