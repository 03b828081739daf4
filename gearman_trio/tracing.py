"""Spans of OpenTelemetry for jobs: submitted and waited for in clients, run in workers. Needs the extra ``otel``.

    abilities = Abilities(serializer=carrying_context(JSON))       spans of the worker belong to those of the client
    async with open_worker(abilities, middleware=[trace_jobs()])   a span for each job that runs
    client = traced(client)                                        spans for submitting and waiting

Only the API of OpenTelemetry is used: without an SDK in the program all of this does next to nothing.

A client tells a worker its context in an envelope around the workload, and only where both have agreed on that: the
function's serializer is one of `carrying_context`.  A workload that is opaque bytes to us is sent as it is, and so is
every result.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar, Token
from functools import partial
from typing import Any, Final, TypeVar, cast

import attrs
import trio

from .client import Client
from .client.call import Call, ResultCall, RunCall
from .errors import ConfigError
from .names import JobHandle, UniqueId
from .serializers import Serializer
from .signature import Signature, signature_of
from .worker import CallNext, Job, Middleware, Retry, Shutdown

try:
    from opentelemetry import context, propagate, trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider
except ModuleNotFoundError as exc:
    raise ConfigError(f"tracing needs {exc.name}: pip install 'gearman-trio[otel]'") from exc

__all__ = ["carrying_context", "trace_jobs", "traced"]

_T = TypeVar("_T")
_Call = TypeVar("_Call", bound=Call)

#: What an envelope begins with: a NUL, with which neither JSON nor text of people begins, a name, a version.  Behind it
#: are the headers as JSON, a NUL, and the workload.
_MAGIC: Final = b"\0gearman_trio.context/1\0"

#: Longer headers are passed over: the limit that OpenTelemetry sets for baggage.
_MAX_HEADERS_BYTES: Final = 8192


def carrying_context(serializer: Serializer) -> Serializer:
    """A serializer whose calls can carry the context of a trace; values are written by the one that is given.

    What `traced` clients send is understood by workers whose functions have this serializer, and by no others, so
    change the workers first.  Calls of other clients, which have no envelope, are read as ever.  Results have none.
    """
    return _CarryingContext(serializer)


@attrs.frozen(repr=False)
class _CarryingContext:
    """See `carrying_context`."""

    inner: Serializer

    def __repr__(self) -> str:
        return f"carrying_context({self.inner!r})"

    @property
    def structured(self) -> bool:
        """As the serializer within."""
        return self.inner.structured

    def dumps(self, value: Any, /) -> bytes:
        """As the serializer within: the envelope is put around the whole workload, by `traced`."""
        return self.inner.dumps(value)

    def loads(self, data: bytes, /) -> Any:
        """Read what is in the envelope, where there is one."""
        return self.inner.loads(_opened(data)[1])


def trace_jobs(*, tracer_provider: TracerProvider | None = None) -> Middleware:
    """Middleware for `open_worker` that makes a span for each job: ``run FUNCTION``, of the kind ``CONSUMER``.

    Its parent is the span that submitted the job, where the workload tells it.  Exceptions of the function are
    recorded, and make the span an error; `Retry` and `Shutdown` are orders, and only leave an event.

    Args:
        tracer_provider: makes the spans; OpenTelemetry's global one by default.

    Cancellation: the span ends, as an error.
    """
    tracer = _tracer(tracer_provider)

    async def trace_job(job: Job, call_next: CallNext) -> bytes:
        attributes: dict[str, str | int] = {
            **_attributes(job.function, "process"),
            "messaging.message.id": _text(job.handle),
            "messaging.message.body.size": len(job.workload),
        }
        span = tracer.start_span(
            f"run {_text(job.function)}",
            # Not the span that is current where the worker was opened: a job has nothing to do with that one.
            context=propagate.extract(_headers(job.workload), context=Context()),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
        )
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                return await call_next()
            except (Retry, Shutdown) as order:
                span.add_event(type(order).__name__.lower())
                raise
            except BaseException as exc:
                _blame(span, exc)
                raise

    return trace_job


def traced(client: Client, *, tracer_provider: TracerProvider | None = None) -> Client:
    """A view of a client whose calls make spans.

    ::

        await traced(client).run(word_count, "some text")

    `Client.run` and `Client.stream` make two, ``submit FUNCTION`` until the job server has taken the job, of the kind
    ``PRODUCER``, and ``wait FUNCTION`` from then on, of the kind ``CLIENT``; `Client.submit` makes the first.  Their
    parent is the span that is current in the calling task.  Calls of many jobs at once make none.

    Where a decorated function has a serializer of `carrying_context`, its workload carries the context of ``submit``.
    It does not where there is no workload, and where the workload is the unique ID, since no two jobs would have the
    same one.

    It is a view, made in a moment, as that of `Client.with_options`; so is what its own `with_options` gives.

    Args:
        client: whose connection is used.
        tracer_provider: makes the spans; OpenTelemetry's global one by default.
    """
    return _TracedClient.of(client, _tracer(tracer_provider))


class _TracedClient(Client):
    """See `traced`. Types are checked against `Client`, as which it is known outside."""

    _tracer: Tracer

    @classmethod
    def of(cls, client: Client, tracer: Tracer) -> _TracedClient:
        """A view of a client."""
        view = cls(client._connectors, client._connector, client._options, router=client._router)
        view._tracer = tracer
        return view

    def with_options(self, **options: Any) -> Client:
        """A traced view with other options."""
        return self.of(super().with_options(**options), self._tracer)

    async def run(self, /, *args: Any, **kwargs: Any) -> Any:
        with _Steps(self._tracer, self._name(*args)):
            return await super().run(*args, **kwargs)

    async def submit(self, /, *args: Any, **kwargs: Any) -> JobHandle:
        with _Steps(self._tracer, self._name(*args)) as steps:
            handle = await super().submit(*args, **kwargs)
            steps.taken(handle)
            return handle

    @asynccontextmanager
    async def stream(self, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        with _Steps(self._tracer, self._name(*args)) as steps:
            async with super().stream(*args, **kwargs) as job:
                steps.created(job.handle)
                # What the block does is not part of submitting.
                steps.leave()
                yield job

    def _name(self, function: Any = b"", /, *_: Any) -> str:
        """What is called, for the name of a span; what cannot be called is another's to refuse."""
        if callable(function):
            try:
                return _text(signature_of(function, self._options.name).name)
            except TypeError:
                return "?"
        if isinstance(function, bytes):
            return _text(function)
        return function if isinstance(function, str) else "?"

    def _typed(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> tuple[Signature, bytes]:
        signature, workload = super()._typed(function, *args, **kwargs)
        agreed = isinstance(signature.serializer, _CarryingContext) and self._options.unique_of({}) != b"-"
        return signature, _sealed(workload) if agreed and workload else workload

    async def _outcome(
        self,
        packet: bytes,
        unique: UniqueId,
        kind: Callable[[], _Call],
        wait: Callable[[_Call], Awaitable[_T]],
    ) -> _T:
        steps = _under_way.get()
        if steps is None:
            # A call of another kind, which makes no spans.
            return await super()._outcome(packet, unique, kind, wait)
        watched = partial(_WatchedRunCall if kind is RunCall else _WatchedResultCall, steps)
        # Each is of the kind that it stands for.
        return await super()._outcome(packet, unique, cast(Callable[[], _Call], watched), wait)


class _Steps:
    """The spans of one call, one after the other, for the length of a block in the task that calls."""

    def __init__(self, tracer: Tracer, function: str) -> None:
        self._tracer = tracer
        self._function = function
        self._outer = context.get_current()
        self._span = self._start("submit", "publish", SpanKind.PRODUCER)
        self._waits = False

    def __enter__(self) -> _Steps:
        self._token: Token[Context] | None = context.attach(trace.set_span_in_context(self._span, self._outer))
        self._under_way = _under_way.set(self)
        return self

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        self.leave()
        if exc is not None:
            _blame(self._span, exc)
        self._span.end()

    def leave(self) -> None:
        """Make the span of the caller the current one again."""
        if self._token is not None:
            context.detach(self._token)
            self._token = None
            _under_way.reset(self._under_way)

    def taken(self, handle: bytes) -> None:
        """The job server has taken the job."""
        self._span.set_attribute("messaging.message.id", _text(handle))

    def created(self, handle: bytes) -> None:
        """It has, and now the job's end is waited for. May be called in any task, and again after a loss."""
        if self._waits:
            self._span.add_event("submitted again")
            self.taken(handle)
            return
        self.taken(handle)
        self._span.end()
        self._waits = True
        self._span = self._start("wait", "receive", SpanKind.CLIENT)
        self.taken(handle)

    def _start(self, verb: str, operation: str, kind: SpanKind) -> Span:
        return self._tracer.start_span(
            f"{verb} {self._function}",
            context=self._outer,
            kind=kind,
            attributes=_attributes(self._function.encode(), operation),
        )


#: The call that the current task makes.
_under_way: ContextVar[_Steps | None] = ContextVar("gearman_trio_call", default=None)


class _WatchedResultCall(ResultCall):
    """Tells the steps when the job has a handle."""

    __slots__ = ("_steps",)

    def __init__(self, steps: _Steps) -> None:
        super().__init__()
        self._steps = steps

    def answered(self, fields: list[bytes]) -> None:
        self._steps.created(fields[0])


class _WatchedRunCall(RunCall):
    """Likewise."""

    __slots__ = ("_steps",)

    def __init__(self, steps: _Steps) -> None:
        super().__init__()
        self._steps = steps

    def answered(self, fields: list[bytes]) -> None:
        self._steps.created(fields[0])


def _sealed(workload: bytes) -> bytes:
    """A workload in an envelope with the current context; without a context, as it is."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    if not headers:
        return workload
    return b"".join([_MAGIC, json.dumps(headers).encode("ascii"), b"\0", workload])


def _opened(data: bytes) -> tuple[dict[str, str], bytes]:
    """The headers of an envelope and what is in it; no headers where there is none, or they are none.

    Raises:
        ValueError: the envelope has no end.
    """
    if not data.startswith(_MAGIC):
        return {}, data
    end = data.find(b"\0", len(_MAGIC))
    if end < 0:
        raise ValueError("expected a NUL behind the headers of an envelope")
    return _read_headers(data[len(_MAGIC) : end]), data[end + 1 :]


def _headers(workload: bytes) -> dict[str, str]:
    """The headers of a workload, if it has any: whether it can be read is the function's to find out."""
    try:
        return _opened(workload)[0]
    except ValueError:
        return {}


def _read_headers(data: bytes) -> dict[str, str]:
    """A stranger's headers: what cannot be used is passed over, since a job must not fail for want of a trace."""
    if len(data) > _MAX_HEADERS_BYTES:
        return {}
    try:
        headers = json.loads(data)
    except ValueError:
        return {}
    if not isinstance(headers, dict):
        return {}
    return {name: value for name, value in headers.items() if isinstance(value, str)}


def _blame(span: Span, exc: BaseException) -> None:
    """Let a span end as an error."""
    if isinstance(exc, Exception):
        span.record_exception(exc)
        span.set_status(Status(StatusCode.ERROR, f"{type(exc).__name__}: {exc}"))
    else:
        span.set_status(
            Status(StatusCode.ERROR, "cancelled" if isinstance(exc, trio.Cancelled) else type(exc).__name__)
        )


def _attributes(function: bytes, operation: str) -> dict[str, str]:
    """Those of OpenTelemetry's conventions for messaging."""
    return {
        "messaging.system": "gearman",
        "messaging.destination.name": _text(function),
        "messaging.operation.name": operation,
    }


def _tracer(provider: TracerProvider | None) -> Tracer:
    return trace.get_tracer("gearman_trio", tracer_provider=provider)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
