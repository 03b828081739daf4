"""What a function raises to say how its job goes on, where that is neither a result nor an error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .job import to_bytes

__all__ = ["Fail", "Retry", "Shutdown"]


class Fail(Exception):
    """Raised by a function: the job has failed, as can happen, and that is no error of the program.

    The clients get the message as a warning (WORK_WARNING), where there is one, and then WORK_FAIL, so that they see
    `JobFailed`.  The log says it at INFO, without a traceback.

    Args:
        message: for the clients; ``str`` is sent as UTF-8.

    Raises:
        TypeError: the message is neither ``str`` nor bytes.
    """

    def __init__(self, message: str | bytes = "") -> None:
        super().__init__(message)
        if isinstance(message, str):
            self.data = message.encode("utf-8", "backslashreplace")
        else:
            self.data = to_bytes(message, "Fail() got")


class Retry(Exception):
    """Raised by a function: the job shall be tried again later, perhaps by another worker.

    The protocol has no packet for that.  What makes a job server queue a job again is that the connection of its
    worker ends; libgearman's worker does the same for GEARMAN_ERROR (libgearman-1.0/worker.h).  So the connection
    that the job came from asks for no more jobs, waits until its other jobs have ended and their results have
    arrived, and is closed.  After ``after`` seconds it is made again.  The other servers of the worker are served
    meanwhile.

    What that means:

    * The job server queues the job again when the connection ends, not sooner, and any worker may get it, at once.
      ``after`` holds off this worker only: with one worker it is the least time until the next try.
    * It counts as a try: a server with a limit (``gearmand --job-retries``) fails the job when that is reached.
    * Where several jobs of a connection ask for it, the longest ``after`` counts.

    Args:
        after: the seconds for which the worker stays away from the server.

    Raises:
        ValueError: that is not a number of seconds.
    """

    def __init__(self, *, after: float = 0.0) -> None:
        if not (math.isfinite(after) and after >= 0):
            raise ValueError(f"Retry: after must be a number of seconds from 0 on, got {after!r}")
        super().__init__(f"again in {after:g} s at the earliest")
        self.after = after

    def __reduce__(self) -> tuple[Callable[[float], Retry], tuple[float]]:
        """Let it be pickled, for functions in processes."""
        return _retry, (self.after,)


class Shutdown(Exception):
    """Returned or raised by a function: the job is done, and the worker ends after it.

    The job completes with the result.  Then the worker drains (`Worker.drain`): it asks for no more jobs, and ends when
    those that run have ended.  libgearman calls that GEARMAN_SHUTDOWN, since 0.23.

    Through middleware it comes as an exception, also where it was returned.

    Args:
        result: of the job, as the function would return it.
    """

    def __init__(self, result: Any = None) -> None:
        super().__init__()
        self.result = result


def _retry(after: float) -> Retry:
    return Retry(after=after)
