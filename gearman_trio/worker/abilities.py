"""The functions that a worker can do, and how programs add them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeVar, overload

import attrs

from ..errors import ConfigError
from ..names import FunctionName, function_name
from ..serializers import BYTES, Serializer
from ..signature import remember
from .ability import Ability, make_ability
from .job import printable
from .parameters import RunIn, kind_of
from .partitioning import Partitioning

__all__ = ["Abilities"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Abilities(Partitioning):
    """A set of functions, filled by a decorator.

    ::

        abilities = Abilities()

        @abilities.function(timeout=30)
        async def reverse(workload: bytes) -> bytes:
            return workload[::-1]

    A worker takes the functions that are there when it is opened; those that are added later it does not
    know.  Those of another module join by `include`.

    Args:
        serializer: carries the values of each function that is not given one of its own.
        namespace: stands before the name of each function, as it is: ``"images."`` makes ``resize``
            ``images.resize``.

    Raises:
        ConfigError: the serializer lacks a member, or the namespace cannot be sent.
    """

    def __init__(self, *, serializer: Serializer = BYTES, namespace: str | bytes = b"") -> None:
        self._by_name: dict[FunctionName, Ability] = {}
        self._serializer = _checked(serializer)
        self._namespace: Final = function_name(namespace) if namespace else b""

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
        self,
        /,
        *,
        name: str | bytes | None = None,
        timeout: float | None = None,
        serializer: Serializer | None = None,
        run_in: RunIn | None = None,
        max_running: int | None = None,
    ) -> Callable[[_Function], _Function]: ...

    def function(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | bytes | None = None,
        timeout: float | None = None,
        serializer: Serializer | None = None,
        run_in: RunIn | None = None,
        max_running: int | None = None,
    ) -> Callable[..., Any]:
        """Add a function; as a decorator with or without arguments. The function itself stays as it is.

        What can be added:

        * an ``async def`` function, which runs as a Trio task;
        * an ``async def`` function that yields: each item is sent to the clients at once (WORK_DATA), and the
          end is an empty result;
        * a plain function, which runs in a thread. A thread cannot be stopped: at the job's timeout, and
          wherever else the job is cancelled, the worker goes on without it, and it keeps its place among the
          worker's ``concurrency`` threads until it returns.

        A plain function can run elsewhere, by ``run_in``.  ``"process"`` is for what computes: Python runs one thread
        of a process at a time, but processes beside each other.  Such a function is at the top of a module, or in a
        class there, and takes values only, neither the job nor what the lifespan gave.  At its timeout, and wherever
        else the job is cancelled, its process is killed; a process that dies fails its job (`ProcessDied`).  ``"task"``
        is for what returns at once, as a look into a table: the function is called on the event loop, where everything
        else waits until it returns, and no timeout can end it.

        The serializer makes the workload into values for the function's parameters, and its result into bytes.
        With `BYTES`, which is what `Abilities` take by default, the first positional parameter, if there is
        one, takes the workload, and the result is bytes-like, or ``None`` for an empty one; `TEXT` does the
        same with ``str``.  With `JSON` a function may have any parameters; where there is one, the workload is
        its value, and where there are several, an object by their names.

        One more parameter may take the job: annotated `Job` in async functions, `ThreadJob` in plain ones, or
        named ``job`` without annotation.  Let it be the first one: there type checkers can leave it out of
        calls through `Client.run`.  A parameter annotated with a class that derives from `Injected` takes what the
        ``lifespan`` of `open_worker` gave.

        A function may end its job in another way than with a result: it raises `Fail`, `Retry` or `Shutdown`.

        Whatever else a function raises fails the job, and so does a workload that its serializer cannot read: it is
        logged with its traceback and sent as WORK_EXCEPTION (``b"ValueError: the message"``) and WORK_FAIL.

        Args:
            function: the function, where the decorator is used without arguments.
            name: what clients call it, the function's own name by default; the namespace comes before it.
            timeout: the seconds that one job of it may run; ``None`` means without limit. At the end of that
                time the function is cancelled, and the job fails.
            serializer: carries its values, instead of that of the abilities.
            run_in: where it runs: ``"task"``, which is what async functions do, ``"thread"``, which is what plain ones
                do by default, or ``"process"``.  Processes need trio-parallel: ``pip install gearman-trio[processes]``.
            max_running: how many jobs of it may run at once in one worker, whatever the worker's ``concurrency``.

        Raises:
            ConfigError: the name cannot be sent or is taken, the timeout or ``max_running`` is not a positive number,
                the function cannot run there, or it has parameters or a result that the worker cannot fill or send;
                the message names it.
        """
        decorate = partial(
            self._decorate, name=name, timeout=timeout, serializer=serializer, run_in=run_in, max_running=max_running
        )
        return decorate if function is None else decorate(function)

    def include(self, other: Abilities, *, prefix: str | bytes = b"") -> None:
        """Add all functions of other abilities, with their timeouts and serializers; later additions do not count.

        ::

            abilities = Abilities()
            abilities.include(images.abilities, prefix="images.")

        Their names are then the namespace of these abilities, the prefix, and the names that they have there.
        Calls like ``client.run(images.resize, ...)`` go by the new name from now on.  A client that has not
        imported this module cannot know that; a ``namespace`` of the other abilities is known to everyone.

        Raises:
            ConfigError: a name is taken, in which case nothing was added, or cannot be sent.
        """
        added = [
            attrs.evolve(ability, signature=ability.signature.renamed(self._named(ability.name, prefix)))
            for ability in other
        ]
        for ability in added:
            self._refuse_taken(ability.name, ability.function)
        for ability, before in zip(added, list(other), strict=True):
            self._by_name[ability.name] = ability
            remember(ability.function, ability.signature, instead_of=before.signature)

    def _decorate(
        self,
        function: Callable[..., Any],
        *,
        name: str | bytes | None,
        timeout: float | None,
        serializer: Serializer | None,
        run_in: RunIn | None,
        max_running: int | None,
    ) -> Callable[..., Any]:
        if not callable(function):
            raise ConfigError(f"abilities.function: expected a function, got {function!r}; give the name as name=")
        if name is None:
            name = getattr(function, "__name__", None)
            if name is None:
                raise ConfigError(f"abilities.function: {function!r} has no name of its own; give one as name=")
        wire_name = self._named(name)
        shown = f"function {printable(wire_name)!r}"
        self._refuse_taken(wire_name, function)
        if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
            raise ConfigError(f"{shown}: timeout must be a positive number of seconds or None, got {timeout!r}")
        if max_running is not None and max_running < 1:
            raise ConfigError(f"{shown}: max_running must be a number from 1 on or None, got {max_running!r}")
        serializer = self._serializer if serializer is None else _checked(serializer)
        made = make_ability(function, wire_name, serializer, kind=kind_of(function, run_in, shown))
        ability = attrs.evolve(made, timeout=timeout, max_running=max_running)
        self._by_name[wire_name] = ability
        remember(function, ability.signature)
        return function

    def _named(self, name: str | bytes, prefix: str | bytes = b"") -> FunctionName:
        """The name of a function over the wire, checked in its parts and as a whole."""
        before = function_name(prefix) if prefix else b""
        return function_name(self._namespace + before + function_name(name))

    def _refuse_taken(self, name: FunctionName, function: Callable[..., Any]) -> None:
        there = self._by_name.get(name)
        if there is not None:
            raise ConfigError(
                f"function {printable(name)!r}: these abilities have a function of that name already, "
                f"{_place(there.function)}; {_place(function)} needs another one"
            )


def _checked(serializer: Serializer) -> Serializer:
    if not isinstance(serializer, Serializer):
        raise ConfigError(f"serializer: expected an object with structured, dumps and loads, got {serializer!r}")
    return serializer


def _place(function: Callable[..., Any]) -> str:
    """Where a function was written, as far as it tells."""
    name = getattr(function, "__qualname__", None)
    return repr(function) if name is None else f"{getattr(function, '__module__', '?')}.{name}"
