"""The signature of a decorated function: what client and worker must both know to understand each other.

How the arguments of a call travel, by the parameters that the function has (not by those that a call gives):

* none: the workload is empty;
* one: the workload is that value, bare, as other languages would send it (an omitted one is empty);
* several: the workload is one ``dict`` by the parameters' names, without those that the call omitted.

The last rule, and an omitted value, need a structured serializer.  Without one, the default of an omitted parameter is
sent like any other value.  What the worker passes in by itself, the job, is no parameter in this sense.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import update_wrapper
from typing import Any, Final, Generic, ParamSpec, TypeVar

import attrs

from .errors import ConfigError, SerializationError
from .names import FunctionName
from .serializers import Serializer

__all__ = ["Injected", "Partition", "Signature", "remember", "signature_of"]

_P = ParamSpec("_P")
_Part = TypeVar("_Part")
_Reduced = TypeVar("_Reduced")
_Result = TypeVar("_Result")

#: Where a decorated function keeps its record; `functools.wraps` copies it to a wrapper.
_ATTRIBUTE: Final = "__gearman_trio__"


class Injected:
    """The base of what a worker passes to a function by itself, so that no caller gives it."""

    __slots__ = ()


class Partition(Generic[_P, _Part, _Reduced, _Result]):
    """A function that splits its job into parts, and what puts the reduced parts together; `Abilities.partition` says.

    It can be called like the function that was decorated.

    Attributes:
        split: the decorated function, an async generator of the parts.
        aggregate: takes the results of the reducer, in the order of the parts, and gives the result of the job.
        concurrency: how many parts of one job are with the reducer at once.

    Raises:
        ConfigError: the concurrency is not at least 1.
    """

    def __init__(
        self,
        split: Callable[_P, AsyncIterator[_Part]],
        aggregate: Callable[[list[_Reduced]], Awaitable[_Result]] | Callable[[list[_Reduced]], _Result],
        *,
        concurrency: int,
    ) -> None:
        if concurrency < 1:
            raise ConfigError(f"concurrency: expected a number from 1 on, got {concurrency!r}")
        update_wrapper(self, split)
        self.split = split
        self.aggregate = aggregate
        self.concurrency = concurrency

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> AsyncIterator[_Part]:
        """The parts."""
        return self.split(*args, **kwargs)


@attrs.frozen(kw_only=True, eq=False)
class Signature:
    """How one function is called over the wire.

    Attributes:
        name: what it is called there.
        serializer: what carries its arguments and its result.
        parameters: those that a caller fills.
        streams: whether it gives items one by one, each of them sent as WORK_DATA.
        returns_none: whether its result is ``None`` at any rate, so that it need not be read.
        run_in: where its worker runs it; no caller's business, but that of tests which call it as a worker does.
    """

    name: FunctionName
    serializer: Serializer
    parameters: inspect.Signature
    streams: bool = False
    returns_none: bool = False
    run_in: str = "task"
    _names: tuple[str, ...] = attrs.field(init=False)
    _positional: tuple[str, ...] = attrs.field(init=False)
    _by_keyword: frozenset[str] = attrs.field(init=False)
    _required: frozenset[str] = attrs.field(init=False)

    @_names.default
    def _all_names(self) -> tuple[str, ...]:
        return tuple(self.parameters.parameters)

    @_positional.default
    def _positional_names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.parameters.parameters.values() if each.kind is not each.KEYWORD_ONLY)

    @_by_keyword.default
    def _keyword_names(self) -> frozenset[str]:
        return frozenset(
            each.name for each in self.parameters.parameters.values() if each.kind is not each.POSITIONAL_ONLY
        )

    @_required.default
    def _required_names(self) -> frozenset[str]:
        return frozenset(each.name for each in self.parameters.parameters.values() if each.default is each.empty)

    def __str__(self) -> str:
        """The function's name as messages show it."""
        return f"function {repr(self.name)[1:]}"

    def renamed(self, name: FunctionName) -> Signature:
        """The same signature under another name."""
        return self if name == self.name else attrs.evolve(self, name=name)

    def write_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The workload of a call.

        Raises:
            TypeError: the arguments are not those that the function takes.
            SerializationError: a value does not fit the serializer.
        """
        if len(args) == 1 == len(self._names) and self._positional and not kwargs:
            return self._write_argument(self._names[0], args[0])
        values = self._bind(args, kwargs)
        if not self._names:
            return b""
        if len(self._names) == 1:
            (name,) = self._names
            if name in values:
                return self._write_argument(name, values[name])
            default = self.parameters.parameters[name].default
            return b"" if self.serializer.structured else self._write_argument(name, default)
        try:
            return self.serializer.dumps(values)
        except Exception as exc:
            for name, value in values.items():
                self._write_argument(name, value)
            # Each fits alone: the serializer does not take them together.
            raise SerializationError(f"{self}: the arguments do not fit {self.serializer!r} ({exc})") from exc

    def read_call(self, workload: bytes) -> Mapping[str, Any]:
        """The values of a workload by the names of their parameters; those that were omitted are not there.

        Raises:
            SerializationError: the workload is not what `write_call` makes; the message says what is wrong.
        """
        if not self._names:
            return {}
        omitted = not workload and self.serializer.structured and not self._required
        if omitted:
            return {}
        value = self._read(workload, "the workload")
        if len(self._names) == 1:
            return {self._names[0]: value}
        if not isinstance(value, dict):
            raise SerializationError(f"{self}: the workload holds {_kind(value)}, expected {self._expected()}")
        missing = [name for name in self._names if name in self._required and name not in value]
        if missing:
            raise SerializationError(f"{self}: the workload lacks {_listed(missing)}, expected {self._expected()}")
        if len(value) > len(self._names) or not value.keys() <= set(self._names):
            unknown = [name for name in value if name not in self._names]
            raise SerializationError(f"{self}: the workload has {_listed(unknown)}, expected {self._expected()}")
        return value

    def write_result(self, value: Any, verb: str = "returned") -> bytes:
        """The bytes of a result, or of an item that the function yielded.

        Raises:
            SerializationError: the value does not fit the serializer.
        """
        if value is None and verb == "returned" and not self.serializer.structured:
            return b""
        return self._write(value, f"{self} {verb} {_kind(value)}, which does not fit {self.serializer!r}")

    def read_result(self, data: bytes) -> Any:
        """The value of a result, or of an item.

        Raises:
            SerializationError: the serializer cannot read it.
        """
        return None if self.returns_none else self._read(data, "the result")

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by the names of their parameters."""
        values = dict(zip(self._positional, args, strict=False))
        given = len(values) + len(kwargs)
        values.update(kwargs)
        # Whatever is wrong, inspect says it in Python's own words; it is too slow to be asked for every call.
        wrong = len(args) > len(self._positional) or len(values) != given or not self._required <= values.keys()
        if wrong or not self._by_keyword >= kwargs.keys():
            try:
                return self.parameters.bind(*args, **kwargs).arguments
            except TypeError as exc:
                raise TypeError(f"{self}: {exc}") from None
        return values

    def _write_argument(self, parameter: str, value: Any) -> bytes:
        return self._write(value, f"{self}, parameter {parameter!r}: {_kind(value)} does not fit {self.serializer!r}")

    def _write(self, value: Any, problem: str) -> bytes:
        try:
            return self.serializer.dumps(value)
        except Exception as exc:
            raise SerializationError(f"{problem} ({exc})") from exc

    def _read(self, data: bytes, what: str) -> Any:
        try:
            return self.serializer.loads(data)
        except Exception as exc:
            size = f"{len(data)} bytes" if data else "empty"
            raise SerializationError(f"{self}: {what} ({size}) cannot be read as {self.serializer!r} ({exc})") from exc

    def _expected(self) -> str:
        return f"an object of {_listed(self._names)}"


class _Record:
    """What a decorated function was decorated as.

    Invariant: `function` is the function that holds the record itself, not one that `functools.wraps` gave it to.
    """

    __slots__ = ("function", "signatures")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.signatures: list[Signature] = []


def remember(function: Callable[..., Any], signature: Signature, *, instead_of: Signature | None = None) -> None:
    """Leave a signature with its function, for callers; `signature_of` finds it.

    Built-in functions and bound methods have no room for it: they can be called by their names only.
    """
    record = getattr(function, _ATTRIBUTE, None)
    if not isinstance(record, _Record) or record.function is not function:
        record = _Record(function)
        try:
            setattr(function, _ATTRIBUTE, record)
        except (AttributeError, TypeError):
            return
    kept = [each for each in record.signatures if each is not instead_of]
    same = any(each.name == signature.name and each.serializer is signature.serializer for each in kept)
    record.signatures = kept if same else [*kept, signature]


def signature_of(function: Callable[..., Any], name: FunctionName | None = None) -> Signature:
    """The signature that a function, or what it wraps, was decorated with.

    Args:
        function: a decorated function.
        name: the name to call it by, where it has several, or another one than it was decorated with.

    Raises:
        TypeError: it was never decorated, or under several names and none of them was asked for.
    """
    record = getattr(function, _ATTRIBUTE, None)
    if not isinstance(record, _Record):
        raise TypeError(f"expected the name of a function, or one decorated with @abilities.function, got {function!r}")
    signatures = record.signatures
    for signature in signatures:
        if signature.name == name or (name is None and len(signatures) == 1):
            return signature
    if len(signatures) == 1 and name is not None:
        return signatures[0].renamed(name)
    names = _listed([repr(each.name)[2:-1] for each in signatures])
    raise TypeError(f"{function!r} has several names, {names}: choose with client.with_options(name=...)")


def _kind(value: object) -> str:
    return type(value).__name__


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))
