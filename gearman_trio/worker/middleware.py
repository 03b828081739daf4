"""Middleware: what stands between the worker and its functions, for every job."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter

from .control import Fail, Retry, Shutdown
from .job import Job, to_bytes

__all__ = ["CallNext", "Middleware", "log_jobs", "through"]

logger = logging.getLogger(__name__)

#: Calls what is further in, and at last the function; gives the bytes of the result.
CallNext = Callable[[], Awaitable[bytes]]

#: What `open_worker` takes: ``async def middleware(job, call_next)``.
Middleware = Callable[[Job, CallNext], Awaitable[bytes]]


async def log_jobs(job: Job, call_next: CallNext) -> bytes:
    """Middleware that logs one line at INFO for each job: its ids, how it ended, and the seconds that it took."""
    began = perf_counter()
    how = "cancelled"
    try:
        result = await call_next()
        how = "done"
    except Exception as exc:
        how = _told(exc)
        raise
    else:
        return result
    finally:
        logger.info("%s %s after %.3f s", job, how, perf_counter() - began)


async def through(middleware: Sequence[Middleware], job: Job, call: CallNext) -> bytes:
    """Call a function through all middleware, of which the first is the outermost.

    Raises:
        TypeError: a middleware gave something else than bytes.
    """
    for each in reversed(middleware):
        call = partial(each, job, call)
    return to_bytes(await call(), "the middleware returned")


def _told(exc: Exception) -> str:
    match exc:
        case Shutdown():
            return "done, and asked for the worker's end,"
        case Fail():
            return "failed"
        case Retry():
            return "put off"
        case _:
            return f"raised {type(exc).__name__}"
