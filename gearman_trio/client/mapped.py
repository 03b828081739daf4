"""Foreground jobs that no task waits for: each is told of by the session, and tells its mapping when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..errors import ConfigError, GearmanError
from ..protocol import PacketType
from ..signature import Signature, signature_of
from .connector import Connection
from .mapping import Place
from .options import CallOptions
from .session import ForegroundRequest
from .submission import ForegroundTemplate

__all__ = ["MappedFunction", "MappedJob"]

# Plain ints: they are compared for every packet.
_JOB_CREATED: Final = int(PacketType.JOB_CREATED)
_WORK_DATA: Final = int(PacketType.WORK_DATA)


class MappedFunction:
    """What is called for each item of a mapping.

    The mutable state is what is made at the first item and serves all others.
    """

    def __init__(self, function: str | bytes | Callable[..., Any], options: CallOptions) -> None:
        self._function = function
        self._options = options
        self._template: ForegroundTemplate | None = None
        self._signature: Signature | None = None

    def begin(self, connection: Connection, item: Any, on_end: Callable[[Place[Any]], None]) -> MappedJob:
        """Submit a job for an item; never waits.

        Raises:
            SerializationError, ConfigError, LocalProtocolError, TypeError: as `Client.run` does.
        """
        template = self._template or self._prepare()
        signature = self._signature
        workload = item if signature is None else signature.write_call((item,), {})
        job = MappedJob(signature, on_end)
        connection.request(template.packet(workload), job)
        return job

    def _prepare(self) -> ForegroundTemplate:
        options, function = self._options, self._function
        if options.run_at is not None or options.delay is not None:
            raise ConfigError("run_at and delay: only a job in the background can start later; use submit")
        if not isinstance(function, str | bytes):
            self._signature = signature_of(function, options.name)
            function = self._signature.name
        self._template = ForegroundTemplate(function, options.priority, options.unique)
        return self._template


class MappedJob(ForegroundRequest):
    """A foreground job of a mapping; its result is read when the consumer takes it.

    The mutable state is what came for the job, and whether that is all.
    """

    __slots__ = ("_error", "_on_end", "_parts", "_result", "_signature", "ended")

    def __init__(self, signature: Signature | None, on_end: Callable[[Place[Any]], None]) -> None:
        super().__init__(_JOB_CREATED)
        self._signature = signature
        self._on_end = on_end
        self._parts: list[bytes] | None = None
        self._result = b""
        self._error: GearmanError | None = None
        self.ended = False

    def answered(self, fields: list[bytes]) -> None:
        """The job exists, which nobody waits for."""

    def progressed(self, kind: int, payload: bytes) -> None:
        """Keep data, pass over the rest."""
        if kind == _WORK_DATA:
            if self._parts is None:
                self._parts = []
            self._parts.append(payload)

    def completed(self, result: bytes) -> None:
        """Keep the result, and tell."""
        self._result = result
        self.ended = True
        self._on_end(self)

    def failed(self, error: GearmanError) -> None:
        """Keep the error, and tell."""
        self._error = error
        self.ended = True
        self._on_end(self)

    def abandon(self) -> None:
        """Nobody waits for the job any longer."""
        self.abandoned = True

    def outcome(self) -> Any:
        """What `Client.run` gives for the job, or raise what it raises."""
        if self._error is not None:
            # The error's traceback holds this frame: without these lines the two would keep each other alive.
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error
        signature = self._signature
        if signature is None:
            return self._result if self._parts is None else b"".join([*self._parts, self._result])
        if signature.streams:
            parts = [*(self._parts or []), *([self._result] if self._result else [])]
            return [signature.read_result(part) for part in parts]
        if self._parts is None or signature.serializer.structured:
            # What came before the end of one value made of others is no part of that value.
            return signature.read_result(self._result)
        return signature.read_result(b"".join([*self._parts, self._result]))
