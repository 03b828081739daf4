"""Running jobs, each in a task and a cancel scope of its own, and saying how each of them ended.

Nothing that a function does or raises reaches another job or a connection, with one exception: what is no
`Exception` (`KeyboardInterrupt`, `SystemExit`, a cancellation from outside) is nobody's to swallow and ends
the worker.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from enum import Enum
from functools import partial
from typing import Final

import attrs
import trio

from ..errors import ProcessRaised
from ..protocol import MAX_PACKET_BYTES, PacketType, encode_request
from ..protocol.codec import pack_size
from .ability import Ability
from .control import Fail, Retry, Shutdown
from .job import Job, printable
from .middleware import Middleware, through
from .parameters import Kind
from .processes import Processes, open_processes
from .reducing import reduce_parts

__all__ = ["End", "Ending", "Executor", "Places", "execute", "open_executor", "open_places"]

logger = logging.getLogger(__name__)

#: The magic and type of WORK_COMPLETE.  It is put together here, for each job needs it: a handle that came over the
#: wire as an argument holds no NUL, which is all that `encode_request` would find.
_COMPLETE: Final = encode_request(PacketType.WORK_COMPLETE, b"", b"")[:8]

#: From this size on a result is not put together with what comes before it.
_LARGE_BYTES: Final = 65536


class End(Enum):
    """How the function of a job came to its end, told by what is counted apart."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"
    RETRIED = "retried"


@attrs.frozen
class Ending:
    """What became of a job, and the packets that tell the server so.

    Attributes:
        end: how it ended.
        packets: what the server is sent.
        shutdown: whether the worker is to end after it.
        retry_after: the seconds to stay away from the server, where the job is to be tried again.
    """

    end: End
    packets: tuple[bytes, ...] = ()
    shutdown: bool = False
    retry_after: float | None = None


@attrs.frozen(eq=False)
class Places:
    """Where plain functions run.

    Attributes:
        threads: where they get their threads.  Those that were abandoned still count until they return, so a worker
            never has more threads than places for them.
        processes: where they get their processes, if any of them wants one.
    """

    threads: trio.CapacityLimiter
    processes: Processes | None = None


@asynccontextmanager
async def open_places(concurrency: int, *, processes: bool) -> AsyncIterator[Places]:
    """Have places for so many jobs, for the length of a block."""
    threads = trio.CapacityLimiter(concurrency)
    if not processes:
        yield Places(threads)
        return
    async with open_processes(concurrency) as opened:
        yield Places(threads, opened)


class Executor:
    """Runs the jobs of one worker.

    The mutable state is how many jobs run, and how many came to which end.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        places: Places,
        *,
        exceptions: bool = True,
        middleware: Sequence[Middleware] = (),
    ) -> None:
        self._nursery = nursery
        self._exceptions = exceptions
        self._middleware = middleware
        self._places = places
        self.running = 0
        self.ended = dict.fromkeys(End, 0)

    def start(self, ability: Ability, job: Job, on_end: Callable[[Job, Ending], None]) -> None:
        """Begin a job in a task of its own; never waits.

        Args:
            ability: what to run.
            job: what to run it with.
            on_end: called once with the job and its end, except where the whole worker is being cancelled.
        """
        self.running += 1
        self._nursery.start_soon(self._run, ability, job, on_end)

    async def _run(self, ability: Ability, job: Job, on_end: Callable[[Job, Ending], None]) -> None:
        try:
            ending = await execute(ability, job, self._places, exceptions=self._exceptions, middleware=self._middleware)
        except BaseException:
            self.ended[End.LOST] += 1
            raise
        finally:
            job.ended = True
            self.running -= 1
        self.ended[ending.end] += 1
        on_end(job, ending)


@asynccontextmanager
async def open_executor(
    concurrency: int, *, processes: bool = False, exceptions: bool = True, middleware: Sequence[Middleware] = ()
) -> AsyncIterator[Executor]:
    """An executor, for the length of a block whose end waits for the jobs that still run."""
    async with open_places(concurrency, processes=processes) as places, trio.open_nursery() as nursery:
        yield Executor(nursery, places, exceptions=exceptions, middleware=middleware)


async def execute(
    ability: Ability,
    job: Job,
    places: Places,
    *,
    exceptions: bool = True,
    middleware: Sequence[Middleware] = (),
) -> Ending:
    """Run one job to its end, whatever end it is, and log what is not a success.

    Args:
        ability: what to run.
        job: what to run it with.
        places: where plain functions run.
        exceptions: whether WORK_EXCEPTION is sent ahead of WORK_FAIL.
        middleware: what the call goes through, the first one outermost.

    Cancellation: where the job's own scope is cancelled (timeout, lost connection, the function itself), this
    returns. A cancellation from further out passes through, and nothing is sent.
    """
    try:
        with job.scope as scope:
            if ability.timeout is not None:
                scope.deadline = trio.current_time() + ability.timeout
            # The connection may have been lost before this task had its first turn.
            await trio.lowlevel.checkpoint_if_cancelled()
            if middleware:
                result = await through(middleware, job, partial(_call, ability, job, places))
            else:
                result = await _call(ability, job, places)
            packets = _completion(job, result)
    except Exception as exc:  # noqa: BLE001 a stranger's function; logged below
        return _stopped(ability, job, exc, exceptions=exceptions)
    except BaseExceptionGroup as group:
        # A nursery of the function's gathered exceptions together with a cancellation from further out: each
        # goes its way.
        ours, rest = group.split(Exception)
        if ours is not None:
            _raised(job, ours, exceptions=exceptions)
        assert rest is not None, "a group of exceptions alone is an Exception"
        raise rest from None
    if scope.cancelled_caught:
        return _cancelled(ability, job)
    if job.lost:
        return Ending(End.LOST)
    logger.debug("%s done", job)
    return Ending(End.DONE, packets)


async def _call(ability: Ability, job: Job, places: Places) -> bytes:
    match ability.kind:
        case Kind.ASYNC:
            return ability.written(await ability.bind(job)(), "returned")
        case Kind.INLINE:
            return ability.written(ability.bind(job)(), "returned")
        case Kind.THREAD:
            name = f"gearman function {printable(ability.name)}"
            call = partial(_call_in_thread, ability, job)
            return await trio.to_thread.run_sync(call, limiter=places.threads, abandon_on_cancel=True, thread_name=name)
        case Kind.PROCESS:
            assert places.processes is not None, "there are processes where there are functions for them"
            assert ability.target is not None, "every function of this kind has one"
            return await places.processes.run(ability.target, job.workload)
        case Kind.GENERATOR:
            if job.reducer and ability.partition is not None:
                return await reduce_parts(ability, ability.partition, job, places.threads)
            async with aclosing(ability.bind(job)()) as items:
                async for item in items:
                    await job.data(ability.written(item, "yielded"))
            return b""


def _call_in_thread(ability: Ability, job: Job) -> bytes:
    """Everything in the thread, since serializers can take long, too."""
    return ability.written(ability.bind(job)(), "returned")


def _completion(job: Job, result: bytes) -> tuple[bytes, ...]:
    """WORK_COMPLETE, in two parts where that saves copying a large result."""
    size = len(job.handle) + 1 + len(result)
    if size > MAX_PACKET_BYTES:
        # It says so.
        return (encode_request(PacketType.WORK_COMPLETE, job.handle, result),)
    if size < _LARGE_BYTES:
        return (b"".join((_COMPLETE, pack_size(size), job.handle, b"\0", result)),)
    return b"".join((_COMPLETE, pack_size(size), job.handle, b"\0")), result


def _stopped(ability: Ability, job: Job, exc: Exception, *, exceptions: bool) -> Ending:
    """What an exception of the function means: an order to the worker, or an error."""
    order: BaseException = exc
    while isinstance(order, BaseExceptionGroup) and len(order.exceptions) == 1:
        # A nursery of the function's wrapped it.
        order = order.exceptions[0]
    match order:
        case Fail():
            return _failed(job, order)
        case Shutdown():
            return _shut_down(ability, job, order, exceptions=exceptions)
        case Retry() if not job.lost:
            logger.info("%s is to be tried again, %s", job, order)
            return Ending(End.RETRIED, retry_after=order.after)
        case Retry():
            return Ending(End.LOST)
    return _raised(job, exc, exceptions=exceptions)


def _failed(job: Job, order: Fail) -> Ending:
    logger.info("%s failed: %s", job, printable(order.data) or "no reason given")
    if job.lost:
        return Ending(End.LOST)
    warning = encode_request(PacketType.WORK_WARNING, job.handle, order.data)
    return Ending(End.FAILED, (warning, _failure(job)) if order.data else (_failure(job),))


def _shut_down(ability: Ability, job: Job, order: Shutdown, *, exceptions: bool) -> Ending:
    """Complete the job with the order's result; the worker ends in any case."""
    logger.info("%s asked for the worker's end", job)
    try:
        if ability.kind is Kind.GENERATOR and order.result is None:
            packets = _completion(job, b"")
        else:
            packets = _completion(job, ability.written(order.result, "returned"))
    except Exception as exc:  # noqa: BLE001 a stranger's serializer
        return attrs.evolve(_raised(job, exc, exceptions=exceptions), shutdown=True)
    if job.lost:
        return Ending(End.LOST, shutdown=True)
    return Ending(End.DONE, packets, shutdown=True)


def _raised(job: Job, exc: Exception, *, exceptions: bool) -> Ending:
    """Log an exception of the function, and make the packets that tell of it."""
    logger.error("%s raised %s", job, type(exc).__name__, exc_info=exc)
    if job.lost:
        return Ending(End.LOST)
    if not exceptions:
        return Ending(End.FAILED, (_failure(job),))
    text = _text(exc).encode("utf-8", "backslashreplace")
    # gearmand ends the job at WORK_EXCEPTION and answers the WORK_FAIL with ERROR JOB_NOT_FOUND; the PROTOCOL
    # document lets WORK_FAIL end it, and clients that did not ask for exceptions wait for that one.
    packets = encode_request(PacketType.WORK_EXCEPTION, job.handle, text), _failure(job)
    return Ending(End.FAILED, packets)


def _text(exc: Exception) -> str:
    """What clients are told of an exception: its type and its message."""
    if isinstance(exc, ProcessRaised):
        # It stands for the function's own.
        return str(exc)
    try:
        message = str(exc)
    except Exception as inner:  # noqa: BLE001 a stranger's __str__
        message = f"<its message raised {type(inner).__name__}>"
    return f"{type(exc).__name__}: {message}"


def _cancelled(ability: Ability, job: Job) -> Ending:
    """Say why the job's scope was cancelled."""
    if job.lost:
        # The connection logs how many jobs it took with it.
        logger.debug("%s cancelled, its connection was lost", job)
        return Ending(End.LOST)
    if trio.current_time() >= job.scope.deadline:
        limit = "a deadline of its own" if ability.timeout is None else f"its timeout of {ability.timeout:g} s"
        logger.warning("%s failed, it ran into %s", job, limit)
    else:
        logger.warning("%s failed, it cancelled its own scope", job)
    return Ending(End.FAILED, (_failure(job),))


def _failure(job: Job) -> bytes:
    return encode_request(PacketType.WORK_FAIL, job.handle)
