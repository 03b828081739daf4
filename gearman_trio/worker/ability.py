"""One function of a worker: how it is called, and how its result becomes bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from ..names import FunctionName
from ..serializers import BYTES, Serializer
from ..signature import Partition, Signature
from .control import Shutdown
from .job import Job, ThreadJob, printable, to_bytes
from .parameters import Kind, Role, Slot, result_is_none, slots_of, value_signature
from .targets import Target, target_of

__all__ = ["Ability", "make_ability"]


@attrs.frozen(kw_only=True)
class Ability:
    """One function of a worker.

    Attributes:
        signature: what clients call it, and how its values travel.
        function: the decorated function itself.
        kind: how it runs.
        timeout: the seconds that it may run, or ``None``.
        max_running: how many jobs of it may run at once in one worker, or ``None``.
        target: where a process finds it, if it runs in one.
    """

    signature: Signature
    function: Callable[..., Any]
    kind: Kind
    timeout: float | None = None
    max_running: int | None = None
    target: Target | None = None
    _positional: tuple[Slot, ...]
    _by_keyword: tuple[Slot, ...]
    # Whether it takes the workload as it is and nothing else: the shortest way for the commonest function.
    _plain: bool = attrs.field(init=False)

    @_plain.default
    def _takes_the_workload_alone(self) -> bool:
        roles = [slot.role for slot in (*self._positional, *self._by_keyword)]
        return self.signature.serializer is BYTES and roles == [Role.VALUE]

    @property
    def lifespans(self) -> list[type]:
        """The classes that the value of the worker's lifespan must be of for this function."""
        slots = (*self._positional, *self._by_keyword)
        return [slot.wanted for slot in slots if slot.role is Role.LIFESPAN and slot.wanted is not None]

    @property
    def partition(self) -> Partition[..., Any, Any, Any] | None:
        """How its jobs are split and put together, where a client names a reducer."""
        return self.function if isinstance(self.function, Partition) else None

    @property
    def name(self) -> FunctionName:
        """What clients call it."""
        return self.signature.name

    def bind(self, job: Job) -> Callable[[], Any]:
        """The function with its arguments for this job, to be called without any.

        Raises:
            SerializationError: the workload cannot be read.
        """
        if self._plain:
            return partial(self.function, job.workload)
        return self.bound(job.workload, ThreadJob(job) if self.kind is Kind.THREAD else job, job.lifespan)

    def bound(self, workload: bytes, job: Job | ThreadJob | None = None, lifespan: Any = None) -> Callable[[], Any]:
        """As `bind`, from the parts of a job."""
        values = self.signature.read_call(workload)

        def value_of(slot: Slot) -> Any:
            if slot.role is Role.JOB:
                return job
            if slot.role is Role.LIFESPAN:
                return lifespan
            return values.get(slot.parameter.name, slot.parameter.default)

        arguments = [value_of(slot) for slot in self._positional]
        if not self._by_keyword:
            return partial(self.function, *arguments)
        keywords = {slot.parameter.name: value_of(slot) for slot in self._by_keyword}
        return partial(self.function, *arguments, **keywords)

    def written(self, value: object, verb: str) -> bytes:
        """The bytes of a result or item; bytes as they are need no serializer.

        Args:
            value: what the function gave.
            verb: how it gave it, ``"returned"`` or ``"yielded"``.

        Raises:
            Shutdown: that is what it returned.
            TypeError, SerializationError: the value does not fit.
        """
        if isinstance(value, Shutdown) and verb == "returned":
            raise value
        if self.signature.serializer is not BYTES:
            return self.signature.write_result(value, verb)
        if value is None and verb == "returned":
            return b""
        return to_bytes(value, f"function {printable(self.name)!r} {verb}")


def make_ability(function: Callable[..., Any], name: FunctionName, serializer: Serializer, *, kind: Kind) -> Ability:
    """Look at a function.

    Raises:
        ConfigError: it has parameters or a result that the worker cannot fill or send, or no process could find it.
    """
    shown = f"function {printable(name)!r}"
    slots = slots_of(function, kind, serializer, shown)
    signature = Signature(
        name=name,
        serializer=serializer,
        parameters=value_signature(slots),
        streams=kind is Kind.GENERATOR,
        returns_none=result_is_none(function, kind, serializer, shown),
        run_in=kind.run_in,
    )
    return Ability(
        signature=signature,
        function=function,
        kind=kind,
        target=target_of(function, name, serializer, shown) if kind is Kind.PROCESS else None,
        positional=tuple(slot for slot in slots if slot.parameter.kind is not slot.parameter.KEYWORD_ONLY),
        by_keyword=tuple(slot for slot in slots if slot.parameter.kind is slot.parameter.KEYWORD_ONLY),
    )
