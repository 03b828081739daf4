"""The functions that a worker can do, and how each of them is called."""

from __future__ import annotations

import inspect
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from enum import Enum
from functools import partial
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, overload

import attrs

from ..errors import ConfigError
from ..names import FunctionName, function_name
from .job import BytesLike, Job, ThreadJob, printable

__all__ = ["Abilities", "Ability", "Kind"]

_Result = BytesLike | None
_Function = TypeVar("_Function", bound=Callable[..., Awaitable[_Result] | AsyncIterator[BytesLike] | BytesLike | None])

#: Written where bytes are meant, most likely; a workload is none of these.
_NOT_WORKLOADS: Final = (str, int, float, dict, list, bytearray, memoryview)


class Kind(Enum):
    """How a function runs."""

    ASYNC = "async function"
    GENERATOR = "async generator"
    THREAD = "plain function"


class _Role(Enum):
    """What a parameter takes."""

    WORKLOAD = "workload"
    JOB = "job"


@attrs.frozen(kw_only=True)
class Ability:
    """One function of a worker.

    Attributes:
        name: what clients call it.
        function: the decorated function itself.
        kind: how it runs.
        timeout: the seconds that it may run, or ``None``.
    """

    name: FunctionName
    function: Callable[..., Any]
    kind: Kind
    timeout: float | None
    _positional: tuple[_Role, ...]
    _keyword: str | None

    def bind(self, job: Job) -> Callable[[], Any]:
        """The function with its arguments for this job, to be called without any."""
        injected = ThreadJob(job) if self.kind is Kind.THREAD else job
        arguments = [job.workload if role is _Role.WORKLOAD else injected for role in self._positional]
        if self._keyword is None:
            return partial(self.function, *arguments)
        return partial(self.function, *arguments, **{self._keyword: injected})


class Abilities:
    """A set of functions, filled by a decorator.

    ::

        abilities = Abilities()

        @abilities.function(timeout=30)
        async def reverse(workload: bytes) -> bytes:
            return workload[::-1]

    A worker takes the functions that are there when it is opened; those that are added later it does not
    know.
    """

    def __init__(self) -> None:
        self._by_name: dict[FunctionName, Ability] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Ability]:
        """Give the abilities in the order in which they were added."""
        return iter(self._by_name.values())

    def __repr__(self) -> str:
        return f"<Abilities {', '.join(printable(name) for name in self._by_name)}>"

    @overload
    def function(self, function: _Function, /) -> _Function: ...

    @overload
    def function(
        self, /, *, name: str | bytes | None = None, timeout: float | None = None
    ) -> Callable[[_Function], _Function]: ...

    def function(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | bytes | None = None,
        timeout: float | None = None,
    ) -> Callable[..., Any]:
        """Add a function; as a decorator with or without arguments. The function itself stays as it is.

        What can be added:

        * an ``async def`` function, which runs as a Trio task;
        * an ``async def`` function that yields: each item is sent to the clients at once (WORK_DATA), and the
          end is an empty result;
        * a plain function, which runs in a thread. A thread cannot be stopped: at the job's timeout, and
          wherever else the job is cancelled, the worker goes on without it, and it keeps its place among the
          worker's ``concurrency`` threads until it returns.

        The first positional parameter, if there is one, takes the workload (bytes).  One more parameter may
        take the job: annotated `Job` in async functions, `ThreadJob` in plain ones, or named ``job`` without
        annotation.  The result is bytes-like, or ``None`` for an empty one.  Whatever a function raises fails
        the job: it is logged with its traceback and sent as WORK_EXCEPTION (``b"ValueError: the message"``)
        and WORK_FAIL.

        Args:
            function: the function, where the decorator is used without arguments.
            name: what clients call it, the function's own name by default.
            timeout: the seconds that one job of it may run; ``None`` means without limit. At the end of that
                time the function is cancelled, and the job fails.

        Raises:
            ConfigError: the name cannot be sent or is taken, the timeout is not a positive number, or the
                function has parameters that the worker cannot fill; the message names it.
        """
        if function is None:
            return partial(self._add, name=name, timeout=timeout)
        return self._add(function, name=name, timeout=timeout)

    def _add(
        self, function: Callable[..., Any], *, name: str | bytes | None, timeout: float | None
    ) -> Callable[..., Any]:
        if not callable(function):
            raise ConfigError(f"abilities.function: expected a function, got {function!r}; give the name as name=")
        if name is None:
            name = getattr(function, "__name__", None)
            if name is None:
                raise ConfigError(f"abilities.function: {function!r} has no name of its own; give one as name=")
        wire_name = function_name(name)
        shown = f"function {printable(wire_name)!r}"
        if wire_name in self._by_name:
            raise ConfigError(f"{shown}: these abilities have a function of that name already")
        if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
            raise ConfigError(f"{shown}: timeout must be a positive number of seconds or None, got {timeout!r}")
        kind = _kind_of(function, shown)
        positional, keyword = _roles(function, kind, shown)
        self._by_name[wire_name] = Ability(
            name=wire_name,
            function=function,
            kind=kind,
            timeout=timeout,
            positional=positional,
            keyword=keyword,
        )
        return function


def _kind_of(function: Callable[..., Any], shown: str) -> Kind:
    # An object with an async __call__ is as good as an async function, but inspect does not see through it.
    call = function if inspect.isroutine(function) or isinstance(function, partial) else type(function).__call__
    if inspect.isasyncgenfunction(call):
        return Kind.GENERATOR
    if inspect.iscoroutinefunction(call):
        return Kind.ASYNC
    if inspect.isgeneratorfunction(call):
        raise ConfigError(f"{shown}: a plain generator cannot run as a job; write it as `async def` with `yield`")
    return Kind.THREAD


def _roles(function: Callable[..., Any], kind: Kind, shown: str) -> tuple[tuple[_Role, ...], str | None]:
    """What each positional parameter takes, and the name of the keyword-only one that takes the job."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as exc:
        raise ConfigError(f"{shown}: {function!r} does not tell its parameters; wrap it in a function") from exc
    positional: list[_Role] = []
    keyword: str | None = None
    for parameter in parameters:
        role = _role_of(parameter, _resolved(parameter.annotation, function), kind, shown)
        by_keyword = parameter.kind is parameter.KEYWORD_ONLY
        taken = role in positional or (keyword is not None and role is _Role.JOB)
        if taken or (by_keyword and role is _Role.WORKLOAD):
            raise ConfigError(
                f"{shown}: nothing to pass as parameter {parameter.name!r}; a function takes at most one workload, by "
                f"position, and one job, annotated {_job_class(kind).__name__}"
            )
        if by_keyword:
            keyword = parameter.name
        else:
            positional.append(role)
    return tuple(positional), keyword


def _role_of(parameter: inspect.Parameter, annotation: object, kind: Kind, shown: str) -> _Role:
    where = f"{shown}: parameter {parameter.name!r}"
    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
        raise ConfigError(f"{where}: variable arguments cannot be filled; name the parameters")
    wanted, other = (ThreadJob, Job) if kind is Kind.THREAD else (Job, ThreadJob)
    if _means(annotation, other):
        raise ConfigError(f"{where} is annotated {other.__name__}; {kind.value}s take a {wanted.__name__}")
    if _means(annotation, wanted):
        return _Role.JOB
    if annotation is parameter.empty and parameter.name == "job":
        return _Role.JOB
    if annotation in _NOT_WORKLOADS:
        raise ConfigError(f"{where} is annotated {parameter.annotation!r}; workloads are bytes, decode them inside")
    return _Role.WORKLOAD


def _job_class(kind: Kind) -> type[Job | ThreadJob]:
    return ThreadJob if kind is Kind.THREAD else Job


def _means(annotation: object, wanted: type) -> bool:
    """Whether an annotation is this class, alone or in a union; text without meaning goes by its last word."""
    if isinstance(annotation, str):
        return wanted.__name__ in {part.strip().rpartition(".")[2] for part in annotation.split("|")}
    if get_origin(annotation) in {Union, UnionType}:
        return any(part is wanted for part in get_args(annotation))
    return annotation is wanted


def _resolved(annotation: object, function: Callable[..., Any]) -> object:
    """What an annotation means that is text, as all are after ``from __future__ import annotations``.

    What cannot be resolved stays text: a name that is imported for type checkers only, for instance.
    """
    if not isinstance(annotation, str):
        return annotation
    inner = inspect.unwrap(function)
    while isinstance(inner, partial):
        inner = inner.func
    namespace = getattr(inner, "__globals__", None) or getattr(type(inner).__call__, "__globals__", {})
    try:
        return eval(annotation, dict(namespace))
    except Exception:  # noqa: BLE001 the text of a stranger
        return annotation
