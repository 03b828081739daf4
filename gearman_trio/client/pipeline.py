"""Many background jobs at once: submissions are collected without waiting, and sent and answered together.

Each submission is one request of the session, and all of a batch count down to one wake-up, so a submission costs two
small objects and no task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, get_args, overload

import trio

from ..errors import ConfigError, GearmanError, JobLost, ServersUnavailable
from ..names import FunctionName, JobHandle, UniqueId, function_name
from ..protocol import PacketType
from ..signature import Injected, signature_of
from .connector import Connection
from .options import CallOptions, RunAt
from .session import Request
from .submission import Priority, Workload

__all__ = ["OnRefusal", "Pipeline", "PipelineEntry", "PipelineError"]

_P = ParamSpec("_P")
_Job = TypeVar("_Job", bound=Injected)

#: What a submission that fails does: be raised together with the others, or stay with its entry alone.
OnRefusal = Literal["raise", "keep"]


class PipelineEntry:
    """One submission of a pipeline.

    Attributes:
        function: what was called.
        unique: the unique ID as it was sent; empty where there was none.
        handle: what the job server called the job; ``None`` until it has answered, and where it refused.
        error: why there is no job, or perhaps none; ``None`` until that is known, and where there is a job.
    """

    __slots__ = ("error", "function", "handle", "unique")

    def __init__(self, function: FunctionName, unique: UniqueId) -> None:
        self.function = function
        self.unique = unique
        self.handle: JobHandle | None = None
        self.error: GearmanError | None = None

    def __repr__(self) -> str:
        state = self.handle or self.error
        return f"<PipelineEntry {self.function!r} {'not answered' if state is None else state!r}>"


class PipelineError(ExceptionGroup[GearmanError]):
    """Submissions of a pipeline failed; the others have their handles.

    Attributes:
        entries: those that failed, in the order of their submission.
        exceptions: their errors, in the same order: `ServerError` where the job server refused one, `JobLost` where
            the connection ended before the answer, `ServersUnavailable` where none could be reached.
    """

    entries: tuple[PipelineEntry, ...]

    def __new__(
        cls, message: str, exceptions: Sequence[GearmanError], entries: Sequence[PipelineEntry] = ()
    ) -> PipelineError:
        """Make a group of the errors of these entries."""
        group = super().__new__(cls, message, exceptions)
        group.entries = tuple(entries)
        return group

    def derive(self, excs: Sequence[Any], /) -> ExceptionGroup[Any]:
        """The part of the group that holds these errors, as ``except*`` asks for it."""
        wanted = set(map(id, excs))
        entries = [entry for entry in self.entries if id(entry.error) in wanted]
        errors = [entry.error for entry in entries if entry.error is not None]
        if len(errors) != len(excs):
            return ExceptionGroup(self.message, excs)
        return PipelineError(self.message, errors, entries)


class _Submission(Request):
    """One submission until it is answered."""

    __slots__ = ("_batch", "entry", "packet")

    def __init__(self, packet: bytes, entry: PipelineEntry) -> None:
        super().__init__(PacketType.JOB_CREATED)
        self.packet = packet
        self.entry = entry
        self._batch: _Batch | None = None

    @property
    def never_sent(self) -> bool:
        """Whether it was lost in the outbox of its connection, so that sending it cannot make a second job."""
        error = self.entry.error
        return isinstance(error, JobLost) and not error.may_have_run

    def anew(self) -> _Submission:
        """The same submission, for another try."""
        self.entry.error = None
        return _Submission(self.packet, self.entry)

    def join(self, batch: _Batch) -> None:
        """Take part in a count-down."""
        self._batch = batch

    def answered(self, fields: list[bytes]) -> None:
        """Keep the handle."""
        self.entry.handle = JobHandle(fields[0])
        self._leave()

    def failed(self, error: GearmanError) -> None:
        """Keep the error."""
        self.entry.error = error
        self._leave()

    def _leave(self) -> None:
        assert self._batch is not None
        self._batch.count_down()


class _Batch:
    """Submissions on their way, which one task waits for. The mutable state is how many have no answer."""

    __slots__ = ("_done", "_open", "_submissions")

    def __init__(self, submissions: Sequence[_Submission]) -> None:
        self._submissions = submissions
        # One more until everything was sent.
        self._open = 1
        self._done = trio.Event()

    def count_down(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._done.set()

    async def send(self, writable: Callable[[bytes], Awaitable[Connection]]) -> None:
        """Send everything, as fast as the job servers take it, and wait until everything is answered or lost."""
        try:
            await self._send_each(writable)
            self.count_down()
            await self._done.wait()
        except BaseException:
            for submission in self._submissions:
                submission.abandoned = True
            raise

    async def _send_each(self, writable: Callable[[bytes], Awaitable[Connection]]) -> None:
        unreachable: tuple[str, ...] | None = None
        for submission in self._submissions:
            if unreachable is None:
                try:
                    connection = await writable(submission.entry.unique)
                except ServersUnavailable as exc:
                    # Nor will the rest be taken: trying would take the time of a timeout for each.
                    unreachable = exc.causes
            if unreachable is not None:
                submission.entry.error = ServersUnavailable(unreachable)
                continue
            self._open += 1
            submission.join(self)
            connection.request(submission.packet, submission)


class _Queue:
    """What all views of one pipeline share: the submissions that were not sent, and whether the block has ended."""

    __slots__ = ("ended", "unsent", "unsent_bytes")

    def __init__(self) -> None:
        self.unsent: list[_Submission] = []
        self.unsent_bytes = 0
        self.ended = False


class Pipeline:
    """Collects submissions of background jobs; `Client.pipeline` gives it.

    The mutable state is what was not sent.
    """

    def __init__(
        self,
        options: CallOptions,
        writable: Callable[[bytes], Awaitable[Connection]],
        *,
        on_error: OnRefusal,
        tries: int,
    ) -> None:
        # `writable` gives the connection that a job with a unique ID goes over, as soon as it is not too far behind;
        # `tries` is how often a submission goes to another one because it was not sent when its own was lost.
        if on_error not in get_args(OnRefusal):
            raise ConfigError(f"on_error: expected 'raise' or 'keep', got {on_error!r}")
        self._options = options
        self._writable = writable
        self._on_error = on_error
        self._tries = tries
        self._queue = _Queue()

    def __len__(self) -> int:
        """How many submissions were not sent."""
        return len(self._queue.unsent)

    @property
    def unsent_bytes(self) -> int:
        """How many bytes of packets were not sent; they are in memory until `flush`."""
        return self._queue.unsent_bytes

    @overload
    def submit(
        self,
        /,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        run_at: RunAt | None = None,
        delay: float | None = None,
    ) -> PipelineEntry: ...
    @overload
    def submit(
        self, function: Callable[Concatenate[_Job, _P], Any], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> PipelineEntry: ...
    @overload
    def submit(self, function: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> PipelineEntry: ...
    def submit(self, /, *args: Any, **kwargs: Any) -> PipelineEntry:
        """Add a background job; never waits, and sends nothing.

        Args:
            args: as for `Client.submit`.
            kwargs: as for `Client.submit`.

        Raises:
            SerializationError, ConfigError, TypeError: as for `Client.submit`; nothing was added.
            RuntimeError: the block of the pipeline was left.
        """
        if self._queue.ended:
            raise RuntimeError("the pipeline has ended; submit within its block")
        options = self._options
        if args and callable(args[0]):
            function, *rest = args
            signature = signature_of(function, options.name)
            name, unique = signature.name, options.unique_of({})
            packet = options.background(name, signature.write_call(tuple(rest), kwargs))
        else:
            packet = options.background(*args, **kwargs)
            name, unique = function_name(args[0] if args else kwargs["function"]), options.unique_of(kwargs)
        entry = PipelineEntry(name, unique)
        self._queue.unsent.append(_Submission(packet, entry))
        self._queue.unsent_bytes += len(packet)
        return entry

    def with_options(
        self,
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        run_at: RunAt | None = None,
        delay: float | None = None,
        name: str | bytes | None = None,
    ) -> Pipeline:
        """This pipeline with other options for what is submitted through the view: the same queue, the same end.

        ::

            pipeline.with_options(unique=picture.name).submit(resize, picture.data)

        Args:
            priority: as for `Client.with_options`, like the others.
            unique: as there.
            run_at: as there.
            delay: as there, from the time of each `submit`.
            name: as there.

        Raises:
            ConfigError: an option cannot be used.
        """
        options = self._options.changed(priority=priority, unique=unique, run_at=run_at, delay=delay, name=name)
        view = Pipeline(options, self._writable, on_error=self._on_error, tries=self._tries)
        view._queue = self._queue
        return view

    def clear(self) -> None:
        """Forget what was not sent; its entries get neither a handle nor an error."""
        self._queue.unsent = []
        self._queue.unsent_bytes = 0

    async def flush(self) -> None:
        """Send what was submitted so far, and wait until the job servers have answered all of it.

        After this the pipeline keeps nothing of it, only the caller's entries do: so a pipeline of any length takes
        bounded memory where it is flushed now and then.

        Raises:
            PipelineError: submissions failed, unless the pipeline keeps errors with their entries.

        Cancellation: what was sent stays with the job servers, and what was not is dropped.  Entries without an answer
        stay without one.  The connections stay usable.
        """
        queue = self._queue
        submissions, queue.unsent, queue.unsent_bytes = queue.unsent, [], 0
        if not submissions:
            await trio.lowlevel.checkpoint()
            return
        await _Batch(submissions).send(self._writable)
        again = submissions
        for _ in range(self._tries):
            again = [each.anew() for each in again if each.never_sent]
            if not again:
                break
            await _Batch(again).send(self._writable)
        failed = [each.entry for each in submissions if each.entry.error is not None]
        if failed and self._on_error == "raise":
            raise _group(failed, len(submissions))

    def _end(self) -> None:
        self.clear()
        self._queue.ended = True


def _group(failed: list[PipelineEntry], total: int) -> PipelineError:
    errors = []
    for entry in failed:
        assert entry.error is not None
        unique = f", unique ID {entry.unique!r}" if entry.unique else ""
        entry.error.add_note(f"submission of {entry.function!r}{unique}")
        errors.append(entry.error)
    return PipelineError(f"{len(failed)} of {total} submissions failed", errors, failed)
