"""One call of one function as a worker makes it, through its serializer and in its cancel scope, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar, cast, overload

import attrs
import trio

from ..client import JobStatus
from ..errors import JobFailed, JobRaised
from ..names import FunctionName, JobHandle, function_name
from ..protocol import Decoder, PacketType, split_arguments
from ..signature import Injected, Signature, signature_of
from ..transport import PacketLink
from ..worker import Abilities, Job, Middleware
from ..worker.ability import Ability
from ..worker.execution import execute, open_places
from ..worker.options import check_lifespan, check_process
from ..worker.parameters import RunIn
from .runloop import RunLoopWatcher

__all__ = ["CallReport", "Caller", "call"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Job = TypeVar("_Job", bound=Injected)

_HANDLE: Final = JobHandle(b"H:call:1")


@attrs.frozen(kw_only=True)
class CallReport(Generic[_T]):
    """What came of one call.

    Attributes:
        result: what `Client.run` gives: what the function returned or, as a list, what it yielded, after a round trip
            through its serializer; by name, the bytes of it.
        data: each part that was sent ahead of the end (WORK_DATA), as bytes.
        status: each status that was sent.
        warnings: each warning that was sent, as bytes.
    """

    result: _T
    data: tuple[bytes, ...] = ()
    status: tuple[JobStatus, ...] = ()
    warnings: tuple[bytes, ...] = ()


@attrs.frozen(kw_only=True)
class _Options:
    """What a caller makes up for, besides the server."""

    lifespan: object = None
    middleware: tuple[Middleware, ...] = ()
    run_in: RunIn | None = None


class _Recorder:
    """Stands in for the worker's connection; keeps what is sent."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._packets: list[tuple[int, list[bytes]]] = []

    def send(self, *packets: bytes) -> None:
        for packet in packets:
            self._packets += [(kind, split_arguments(kind, body)) for kind, body in self._decoder.feed(packet)]

    async def wait_writable(self) -> None:
        """Nobody is slow here; `Job` has a checkpoint of its own."""

    def payloads(self, wanted: PacketType) -> list[bytes]:
        """What follows the handle in the packets of one type."""
        return [b"\0".join(fields[1:]) for kind, fields in self._packets if kind == wanted]

    def status(self) -> tuple[JobStatus, ...]:
        return tuple(
            JobStatus(int(fields[1]), int(fields[2]))
            for kind, fields in self._packets
            if kind == PacketType.WORK_STATUS
        )


class Caller:
    """Calls functions as a worker does, and gives their results and all they sent: `call` is one.

    ::

        report = await call(resize, image, width=100)
        report = await call(abilities, resize, image, width=100)
        report = await call(abilities, "reverse", b"abc")
        report = await call.with_options(lifespan=prices)(price_of, "tea")

    Arguments and result go through the serializer, so that what cannot be sent is found.  A function runs where it was
    decorated to run, in a task, thread or process; a mocked clock stands still while it is in one of the latter.
    """

    def __init__(self, options: _Options | None = None) -> None:
        self._options = options or _Options()

    def with_options(
        self, *, lifespan: object = None, middleware: Sequence[Middleware] = (), run_in: RunIn | None = None
    ) -> Caller:
        """Give a caller that makes up for more of the worker.

        Args:
            lifespan: what the worker's lifespan would give.
            middleware: as `open_worker` takes it.
            run_in: where the function runs, instead of where it was decorated to run: ``"thread"`` for one of
                ``"process"``, say, to have it in the reach of a debugger, or of what the test has patched.

        Raises:
            ConfigError: on the call, where the function cannot run there.
        """
        return Caller(_Options(lifespan=lifespan, middleware=tuple(middleware), run_in=run_in))

    @overload
    async def __call__(
        self, target: Abilities, function: str | bytes, /, workload: bytes = b"", *, unique: bytes = b""
    ) -> CallReport[bytes]: ...
    @overload
    async def __call__(
        self, target: Abilities, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> CallReport[Any]: ...
    @overload
    async def __call__(
        self, target: Callable[Concatenate[_Job, _P], AsyncIterator[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> CallReport[list[_T]]: ...
    @overload
    async def __call__(
        self, target: Callable[Concatenate[_Job, _P], Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> CallReport[_T]: ...
    @overload
    async def __call__(
        self, target: Callable[Concatenate[_Job, _P], _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> CallReport[_T]: ...
    @overload
    async def __call__(
        self, target: Callable[_P, AsyncIterator[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> CallReport[list[_T]]: ...
    @overload
    async def __call__(
        self, target: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> CallReport[_T]: ...
    @overload
    async def __call__(self, target: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> CallReport[_T]: ...
    async def __call__(self, target: Any, /, *args: Any, **kwargs: Any) -> CallReport[Any]:
        """Call a function.

        Args:
            target: a function that was decorated with `Abilities.function`; or abilities, and then the function or its
                name.  Only with the abilities the timeout is that of the ability; without, there is none.
            args: the function's arguments, without its job; by name, the workload as bytes.
            kwargs: the function's arguments; by name, ``unique``, the unique ID that the job shows.

        Raises:
            JobRaised: the function raised, and the data is what a client would get; the log has the traceback.
            JobFailed: it ran into its timeout, or cancelled its own scope.
            SerializationError: an argument or the result does not fit the serializer, as a client would find.
            ConfigError: it takes something of a lifespan that was not given, or cannot run where it should.
            TypeError: the function takes other arguments, or was not decorated.
            LookupError: the abilities have no such function.

        Cancellation: the function is cancelled.
        """
        if not isinstance(target, Abilities):
            return await self._typed(self._ability(target), args, kwargs)
        function, *rest = args
        if callable(function):
            # A function may have been included in several abilities, each time under another name.
            ability = _found(
                target, lambda each: each.function is function or each.name == signature_of(function).name, function
            )
            return await self._typed(ability, tuple(rest), kwargs)
        name = function_name(function)
        return await self._raw(_found(target, lambda each: each.name == name, function), *rest, **kwargs)

    async def _raw(self, ability: Ability, workload: bytes = b"", *, unique: bytes = b"") -> CallReport[bytes]:
        recorder, result = await self._execute(ability, workload, unique)
        return _report(recorder, b"".join([*recorder.payloads(PacketType.WORK_DATA), result]))

    async def _typed(self, ability: Ability, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallReport[Any]:
        signature = ability.signature
        recorder, last = await self._execute(ability, signature.write_call(args, kwargs))
        data = recorder.payloads(PacketType.WORK_DATA)
        if signature.streams:
            parts = [*data, last] if last else data
            return _report(recorder, [signature.read_result(part) for part in parts])
        whole = last if signature.serializer.structured else b"".join([*data, last])
        return _report(recorder, signature.read_result(whole))

    async def _execute(self, ability: Ability, workload: bytes, unique: bytes = b"") -> tuple[_Recorder, bytes]:
        """Run the function; give what it sent and the payload of its WORK_COMPLETE."""
        options = self._options
        if options.run_in not in {None, ability.kind.run_in}:
            ability = attrs.evolve(self._ability(ability.function, ability.signature), timeout=ability.timeout)
        check_lifespan([ability], options.lifespan)
        check_process(ability)
        recorder = _Recorder()
        job = Job(
            handle=_HANDLE,
            function=FunctionName(ability.name),
            unique=unique,
            workload=workload,
            link=cast("PacketLink", recorder),
            lifespan=options.lifespan,
        )
        async with open_places(1, processes=ability.target is not None) as places:
            with RunLoopWatcher() as watcher:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(watcher.hold_clock)
                    ending = await execute(ability, job, places, middleware=options.middleware)
                    nursery.cancel_scope.cancel()
        job.ended = True
        recorder.send(*ending.packets)
        for raised in recorder.payloads(PacketType.WORK_EXCEPTION):
            raise JobRaised(_HANDLE, raised)
        for result in recorder.payloads(PacketType.WORK_COMPLETE):
            return recorder, result
        raise JobFailed(_HANDLE)

    def _ability(self, function: Callable[..., Any], signature: Signature | None = None) -> Ability:
        """What a worker would have of a decorated function, but for what only its abilities know."""
        signature = signature or signature_of(function)
        abilities = Abilities(serializer=signature.serializer)
        run_in = self._options.run_in or cast("RunIn", signature.run_in)
        abilities.function(name=signature.name, run_in=run_in)(function)
        (ability,) = abilities
        return ability


#: Calls a function as a worker does; `Caller` says more.
call: Final = Caller()


def _report(recorder: _Recorder, result: _T) -> CallReport[_T]:
    return CallReport(
        result=result,
        data=tuple(recorder.payloads(PacketType.WORK_DATA)),
        status=recorder.status(),
        warnings=tuple(recorder.payloads(PacketType.WORK_WARNING)),
    )


def _found(abilities: Abilities, wanted: Callable[[Ability], bool], function: object) -> Ability:
    for ability in abilities:
        if wanted(ability):
            return ability
    raise LookupError(f"expected a function of {abilities!r}, got {function!r}")
