"""The rows of the administrative tables, one after another, so that a long table is made in pieces.

Each generator takes what the table is about when its first row is asked for, and leaves out what ends before its row
comes.  An empty row says that there was nothing to show this time.  None of them gives the dot at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .function import Function
from .job import FINISHED, HIGH, LOW, NORMAL, PRIORITIES, RUNNING, STATES, Job
from .peer import Peer
from .registry import Registry

__all__ = [
    "JobFilter",
    "attached_rows",
    "function_job_rows",
    "job_rows",
    "limit_rows",
    "listener_rows",
    "paused_rows",
    "printable",
    "priority_rows",
    "status_rows",
    "unique_rows",
    "worker_rows",
]

_CONTROL: Final = bytes(range(32)) + b"\x7f"


def printable(value: bytes) -> bytes:
    """Text for one cell of a table: control characters, which would break the table, as ``\\x0a``."""
    if len(value.translate(None, _CONTROL)) != len(value):
        return b"".join([b"\\x%02x" % byte if byte < 32 or byte == 127 else b"%c" % byte for byte in value])
    return value


def status_rows(registry: Registry) -> Iterator[bytes]:
    """``status``: FUNCTION, TOTAL, RUNNING, WORKERS."""
    for function in list(registry.functions.values()):
        yield b"%s\t%d\t%d\t%d\n" % (
            printable(function.name),
            function.total,
            function.running,
            len(function.workers),
        )


def priority_rows(registry: Registry) -> Iterator[bytes]:
    """``prioritystatus``: FUNCTION, HIGH, NORMAL, LOW, WORKERS."""
    for function in list(registry.functions.values()):
        yield b"%s\t%d\t%d\t%d\t%d\n" % (
            printable(function.name),
            function.waiting(HIGH),
            function.waiting(NORMAL),
            function.waiting(LOW),
            len(function.workers),
        )


def worker_rows(peers: dict[int, Peer]) -> Iterator[bytes]:
    """``workers``: FD ADDRESS CLIENT-ID : FUNCTIONS, of every connection."""
    for peer in list(peers.values()):
        if not peer.gone:
            yield b"%d %s %s :%s\n" % (
                peer.number,
                peer.address.encode(),
                printable(peer.client_id).replace(b" ", b"\\x20") or b"-",
                b"".join([b" " + printable(function.name) for function in peer.abilities]),
            )


def job_rows(registry: Registry) -> Iterator[bytes]:
    """``show jobs``: HANDLE, RETRIES, IGNORE, QUEUED.

    The last column says of background jobs that they are queued for good, as gearmand's builtin queue has it.
    """
    for job in list(registry.jobs.values()):
        retries = job.attempts - 1 if job.state == RUNNING else job.attempts
        yield b"" if job.state == FINISHED else b"%s\t%d\t0\t%d\n" % (job.handle, retries, job.background)


def unique_rows(registry: Registry) -> Iterator[bytes]:
    """``show unique jobs``: UNIQUE (gearmand 1.1 to 2.1), or HANDLE and UNIQUE (2.2)."""
    handles = registry.policy.unique_jobs_with_handles
    for job in list(registry.jobs.values()):
        if job.state == FINISHED:
            yield b""
        elif handles:
            yield b"%s\t%s\n" % (job.handle, printable(job.unique))
        else:
            yield b"%s\n" % printable(job.unique)


def limit_rows(functions: list[Function]) -> Iterator[bytes]:
    """``show maxqueue``: FUNCTION, HIGH, NORMAL, LOW; 0 for no limit."""
    for function in functions:
        high, normal, low = function.limits
        yield b"%s\t%d\t%d\t%d\n" % (printable(function.name), high, normal, low)


def paused_rows(registry: Registry) -> Iterator[bytes]:
    """``show paused``: FUNCTION."""
    for function in list(registry.functions.values()):
        yield printable(function.name) + b"\n" if function.paused else b""


class JobFilter:
    """Which jobs of a function ``list jobs`` shows.

    Attributes:
        state: one of the numbers that index `STATES`, or -1 for all.
        priority: one of those that index `PRIORITIES`, or -1 for all.
        unique: the unique ID as the table shows it, or `None` for all.
        older: the least number of milliseconds since its submission, or -1 for all.
        younger: the number that these must be fewer than, or -1 for all.
        limit: how many jobs at most, or -1 for all.
    """

    __slots__ = ("limit", "older", "priority", "state", "unique", "younger")

    def __init__(self) -> None:
        self.state: int = -1
        self.priority: int = -1
        self.unique: bytes | None = None
        self.older: int = -1
        self.younger: int = -1
        self.limit: int = -1

    def read(self, word: bytes) -> str:
        """Take one ``name=value``; say what is wrong with it, or nothing."""
        name, _, value = word.partition(b"=")
        text = value.decode("ascii", "backslashreplace")
        if name == b"state" and text in {"committing", "fetching", "queued", "running", "scheduled"}:
            self.state = STATES.index(text)
        elif name == b"priority" and text in PRIORITIES:
            self.priority = PRIORITIES.index(text)
        elif name == b"unique":
            self.unique = value
        elif name in {b"limit", b"older", b"younger"} and value.isdigit() and len(value) <= 18:
            self._set_number(name, int(value))
        else:
            return (
                "expected state=committing|fetching|queued|running|scheduled, priority=high|normal|low, unique=ID, "
                f"older=MS, younger=MS or limit=NUMBER, got {printable(word).decode('utf-8', 'backslashreplace')}"
            )
        return ""

    def _set_number(self, name: bytes, number: int) -> None:
        if name == b"limit":
            self.limit = number
        elif name == b"older":
            self.older = number
        else:
            self.younger = number

    def takes(self, job: Job, now: float) -> bool:
        """Whether a job is shown, the limit apart."""
        return (
            job.state != FINISHED
            and self._takes_age(age_ms(job, now))
            and (self.state < 0 or job.state == self.state)
            and (self.priority < 0 or job.priority == self.priority)
            and (self.unique is None or printable(job.unique) == self.unique)
        )

    def _takes_age(self, age: int) -> bool:
        return age >= self.older and (self.younger < 0 or age < self.younger)


def age_ms(job: Job, now: float) -> int:
    """For how many milliseconds there has been a job, also in servers that had its store before this one."""
    # By a clock that was set back meanwhile, such a job may have been submitted in the future.
    return int(max(now - job.created_at, 0.0) * 1000)


def function_job_rows(registry: Registry, function: Function, wanted: JobFilter) -> Iterator[bytes]:
    """``list jobs``, by handles.

    HANDLE, UNIQUE, PRIORITY, STATE, ATTEMPTS, BACKGROUND, CLIENTS, BYTES, RUN-AT, AGE in milliseconds.
    """
    left = wanted.limit
    if left == 0:
        return
    # Of the moment of the question, not of that of each row, so that filters mean the same for all.
    now = registry.now
    for job in list(registry.jobs.values()):
        if job.function is not function or not wanted.takes(job, now):
            yield b""
            continue
        yield b"%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\n" % (
            job.handle,
            printable(job.unique),
            PRIORITIES[job.priority].encode(),
            STATES[job.state].encode(),
            job.attempts,
            job.background,
            len(job.clients),
            job.size,
            int(job.run_at),
            age_ms(job, now),
        )
        left -= 1
        if left == 0:
            return


def listener_rows(registry: Registry) -> Iterator[bytes]:
    """``jobs`` of Perl's Gearman::Server: FUNCTION, UNIQUE, WORKER, LISTENERS."""
    for job in list(registry.jobs.values()):
        if job.state == FINISHED:
            yield b""
        else:
            yield b"%s\t%d\n" % (_perl(job), len(job.clients))


def attached_rows(peers: dict[int, Peer]) -> Iterator[bytes]:
    """``clients`` of Perl's Gearman::Server: an address, then its jobs behind a tab: FUNCTION, UNIQUE, WORKER."""
    for peer in list(peers.values()):
        if not peer.gone:
            yield b"%s\n%s" % (peer.address.encode(), b"".join([b"\t%s\n" % _perl(job) for job in peer.attached]))


def _perl(job: Job) -> bytes:
    worker = b"-" if job.worker is None else job.worker.address.encode()
    return b"%s\t%s\t%s" % (printable(job.function.name), printable(job.unique), worker)
