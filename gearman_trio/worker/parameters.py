"""What the worker fills each parameter of a function with, and what the function gives back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from functools import partial
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import attrs

from ..errors import ConfigError
from ..serializers import BYTES, Serializer, never_fits
from ..signature import Injected, Partition
from .job import Job, ThreadJob

__all__ = ["Kind", "Role", "RunIn", "Slot", "kind_of", "result_is_none", "slots_of", "value_signature"]


#: Where a function may be told to run.
RunIn = Literal["task", "thread", "process"]


class Kind(Enum):
    """How a function runs."""

    ASYNC = "async function"
    GENERATOR = "async generator"
    THREAD = "plain function"
    PROCESS = "process function"
    INLINE = "event-loop function"

    @property
    def run_in(self) -> RunIn:
        """Where such functions run."""
        match self:
            case Kind.THREAD:
                return "thread"
            case Kind.PROCESS:
                return "process"
            case _:
                return "task"


#: How a plain function runs where it is told to.
_PLAIN: Final[dict[RunIn, Kind]] = {"task": Kind.INLINE, "thread": Kind.THREAD, "process": Kind.PROCESS}


class Role(Enum):
    """What a parameter takes: a value of the workload, or something of the worker's own."""

    VALUE = "value"
    JOB = "job"
    LIFESPAN = "lifespan"


@attrs.frozen
class Slot:
    """A parameter of a function, and what it takes."""

    parameter: inspect.Parameter
    role: Role
    #: The class that the value of the worker's lifespan must be of, where the parameter takes that.
    wanted: type | None = None


def kind_of(function: Callable[..., Any], run_in: RunIn | None, shown: str) -> Kind:
    """How a function runs.

    Raises:
        ConfigError: it cannot run, or not there.
    """
    if run_in not in {*_PLAIN, None}:
        raise ConfigError(f"{shown}: run_in: expected 'task', 'thread' or 'process', got {run_in!r}")
    if isinstance(function, Partition):
        if kind_of(function.split, None, shown) is not Kind.GENERATOR:
            raise ConfigError(
                f"{shown}: a partition gives one part after the other; write it as `async def` with `yield`"
            )
        return Kind.GENERATOR
    # An object with an async __call__ is as good as an async function, but inspect does not see through it.
    call = function if inspect.isroutine(function) or isinstance(function, partial) else type(function).__call__
    if inspect.isgeneratorfunction(call):
        raise ConfigError(f"{shown}: a plain generator cannot run as a job; write it as `async def` with `yield`")
    if inspect.isasyncgenfunction(call):
        kind = Kind.GENERATOR
    elif inspect.iscoroutinefunction(call):
        kind = Kind.ASYNC
    else:
        return _PLAIN[run_in or "thread"]
    if run_in not in {"task", None}:
        raise ConfigError(
            f"{shown}: an {kind.value} runs as a task of the worker's event loop, not in a {run_in}; "
            "leave run_in out, or write a plain function"
        )
    return kind


def slots_of(function: Callable[..., Any], kind: Kind, serializer: Serializer, shown: str) -> list[Slot]:
    """What each parameter takes, in order.

    Raises:
        ConfigError: the worker has nothing to fill one with; the message names it.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as exc:
        raise ConfigError(f"{shown}: {function!r} does not tell its parameters; wrap it in a function") from exc
    slots: list[Slot] = []
    for parameter in parameters:
        annotation = _resolved(parameter.annotation, function)
        role = _role_of(parameter, annotation, kind, serializer, shown)
        too_many = any(role is slot.role for slot in slots)
        if role is Role.VALUE:
            too_many = not serializer.structured and (too_many or parameter.kind is parameter.KEYWORD_ONLY)
        if too_many:
            raise ConfigError(
                f"{shown}: nothing to pass as parameter {parameter.name!r}; {_takes(serializer)}{_and_job(kind)}"
            )
        slots.append(Slot(parameter, role, annotation if isinstance(annotation, type) else None))
    return slots


def value_signature(slots: list[Slot]) -> inspect.Signature:
    """The signature that callers see: the values only."""
    return inspect.Signature([slot.parameter for slot in slots if slot.role is Role.VALUE])


def result_is_none(function: Callable[..., Any], kind: Kind, serializer: Serializer, shown: str) -> bool:
    """Whether a function says that it returns ``None`` and nothing else.

    Raises:
        ConfigError: it says that it gives what its serializer never carries.
    """
    try:
        said = inspect.signature(function).return_annotation
    except (TypeError, ValueError):
        return False
    given = _resolved(said, function)
    if kind is Kind.GENERATOR:
        given = next(iter(get_args(given)), None)
    if never_fits(serializer, given, written=True):
        verb = "yields" if kind is Kind.GENERATOR else "returns"
        raise ConfigError(f"{shown} {verb} {said!r}, {_unfit(serializer)}")
    return kind is not Kind.GENERATOR and (given is None or given is NoneType)


def _role_of(parameter: inspect.Parameter, annotation: object, kind: Kind, serializer: Serializer, shown: str) -> Role:
    where = f"{shown}: parameter {parameter.name!r}"
    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
        raise ConfigError(f"{where}: variable arguments cannot be filled; name the parameters")
    role = _injected_role(parameter, annotation, kind, where)
    if role is not None and kind is Kind.PROCESS:
        what = "the job" if role is Role.JOB else "what the worker's lifespan gives"
        raise ConfigError(f"{where} takes {what}, which cannot go into a process; run_in='thread' has it")
    if role is not None:
        return role
    if never_fits(serializer, annotation):
        raise ConfigError(f"{where} is annotated {parameter.annotation!r}, {_unfit(serializer)}")
    return Role.VALUE


def _injected_role(parameter: inspect.Parameter, annotation: object, kind: Kind, where: str) -> Role | None:
    """What of the worker's own a parameter takes, if anything."""
    wanted, other = (ThreadJob, Job) if kind is Kind.THREAD else (Job, ThreadJob)
    if _means(annotation, other):
        if kind is Kind.PROCESS:
            return Role.JOB
        raise ConfigError(f"{where} is annotated {other.__name__}; {kind.value}s take a {wanted.__name__}")
    if _means(annotation, wanted):
        return Role.JOB
    if isinstance(annotation, type) and issubclass(annotation, Injected):
        return Role.LIFESPAN
    if annotation is parameter.empty and parameter.name == "job":
        return Role.JOB
    return None


def _takes(serializer: Serializer) -> str:
    if serializer.structured:
        return "a function takes values"
    return f"a function with {serializer!r} takes at most one workload, by position (with JSON, any number of values)"


def _unfit(serializer: Serializer) -> str:
    hint = "; workloads are bytes, so decode them inside, or choose a serializer" if serializer is BYTES else ""
    return f"which {serializer!r} does not carry{hint}"


def _and_job(kind: Kind) -> str:
    if kind is Kind.PROCESS:
        return ""
    return f", and one job, annotated {ThreadJob.__name__ if kind is Kind.THREAD else Job.__name__}"


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
