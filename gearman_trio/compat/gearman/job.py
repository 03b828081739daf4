"""Jobs, and requests for them as clients see them."""

from __future__ import annotations

from collections import deque
from typing import Any

from .connection import GearmanConnection
from .constants import JOB_COMPLETE, JOB_CREATED, JOB_FAILED, JOB_UNKNOWN, PRIORITY_NONE

__all__ = ["GearmanJob", "GearmanJobRequest"]


class GearmanJob:
    """What makes a job, on both sides.

    Attributes:
        connection: to the job server that has it; ``None`` before it was submitted.
        handle: what the job server calls it, as bytes; ``None`` before it was accepted.
        task: the name of the function, as the client gave it or the worker registered it.
        unique: the unique ID, as the client gave it; as bytes in workers.
        data: the workload, not encoded yet, or decoded again.
    """

    def __init__(self, connection: GearmanConnection | None, handle: Any, task: Any, unique: Any, data: Any) -> None:
        self.connection = connection
        self.handle = handle
        self.task = task
        self.unique = unique
        self.data = data

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(connection={self.connection!r}, handle={self.handle!r}, task={self.task!r}, "
            f"unique={self.unique!r}, data={self.data!r})"
        )

    def to_dict(self) -> dict[str, Any]:
        """The same as a dictionary, without the connection."""
        return {"task": self.task, "job_handle": self.handle, "unique": self.unique, "data": self.data}


class GearmanJobRequest:
    """A job as its client follows it.

    It changes only while a method of the client runs, in the thread that called it.

    Attributes:
        gearman_job: the job; also as ``job``.
        priority: one of the ``PRIORITY_*`` constants.
        background: whether nobody waits for its result.
        connection_attempts: how often it was sent to a job server.
        max_connection_attempts: how often it may be.
        result: the decoded result, once the state is ``JOB_COMPLETE``.
        exception: what the worker sent as WORK_EXCEPTION, if it did; decoded, or as bytes where that fails.
        data_updates: what came as WORK_DATA, decoded, in order.
        warning_updates: what came as WORK_WARNING, decoded, in order.
        status: how far the job is, as last heard, with the keys ``handle``, ``known``, ``running``, ``numerator``,
            ``denominator`` and ``time_received`` (epoch seconds); empty before. Also as ``server_status``.
        state: one of the ``JOB_*`` constants.
        timed_out: whether the last wait for it ended before it did.
    """

    def __init__(
        self,
        gearman_job: GearmanJob,
        initial_priority: str | None = PRIORITY_NONE,
        background: bool = False,
        max_attempts: int = 1,
    ) -> None:
        self.gearman_job = gearman_job
        self.priority = initial_priority
        self.background = background
        self.connection_attempts = 0
        self.max_connection_attempts = max_attempts
        self.initialize_request()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(gearman_job={self.gearman_job!r}, initial_priority={self.priority!r}, "
            f"background={self.background!r}, max_attempts={self.max_connection_attempts!r})"
        )

    def initialize_request(self) -> None:
        """Be as if nothing had been heard of it."""
        self.result: Any = None
        self.exception: Any = None
        self.warning_updates: deque[Any] = deque()
        self.data_updates: deque[Any] = deque()
        self.status: dict[str, Any] = {}
        self.state = JOB_UNKNOWN
        self.timed_out = False

    def reset(self) -> None:
        """Be as if it had not been submitted."""
        self.initialize_request()
        self.gearman_job.connection = None
        self.gearman_job.handle = None

    @property
    def job(self) -> GearmanJob:
        """The job."""
        return self.gearman_job

    @property
    def server_status(self) -> dict[str, Any]:
        """The older name of ``status``."""
        return self.status

    @property
    def complete(self) -> bool:
        """Whether nothing more is to be heard: it ended, or it is a background job that was accepted."""
        if self.background:
            return self.state == JOB_CREATED
        return self.state in {JOB_FAILED, JOB_COMPLETE}
