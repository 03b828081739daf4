"""What was submitted to the job server of a test: recorded as it happens, and asserted on afterwards.

A submission counts when the job server has taken it, that is, when it has answered JOB_CREATED, whether or not that
answer arrives.  What it refused is not here.
"""

from __future__ import annotations

import datetime
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from ..client import Priority
from ..errors import ConfigError, RemoteProtocolError, SerializationError
from ..names import FunctionName, JobHandle, UniqueId, function_name, unique_id
from ..protocol import Decoder, PacketType, split_arguments
from ..signature import Signature, signature_of
from .tap import shortened

__all__ = ["Arguments", "SubmissionReader", "SubmittedJob", "WantedJob", "listed", "wanted_job"]

_P: Final = PacketType

#: Of each packet that submits a job: its priority, and whether it is a background job.
_SUBMISSIONS: Final = {
    _P.SUBMIT_JOB: (Priority.NORMAL, False),
    _P.SUBMIT_JOB_HIGH: (Priority.HIGH, False),
    _P.SUBMIT_JOB_LOW: (Priority.LOW, False),
    _P.SUBMIT_JOB_BG: (Priority.NORMAL, True),
    _P.SUBMIT_JOB_HIGH_BG: (Priority.HIGH, True),
    _P.SUBMIT_JOB_LOW_BG: (Priority.LOW, True),
    _P.SUBMIT_JOB_EPOCH: (Priority.NORMAL, True),
    _P.SUBMIT_JOB_SCHED: (Priority.NORMAL, True),
    _P.SUBMIT_REDUCE_JOB: (Priority.NORMAL, False),
    _P.SUBMIT_REDUCE_JOB_BACKGROUND: (Priority.NORMAL, True),
}

#: Other requests that the server answers, each with one packet, in their order among the submissions.
_ASKING: Final = frozenset({_P.GET_STATUS, _P.GET_STATUS_UNIQUE, _P.ECHO_REQ, _P.OPTION_REQ})
_ANSWERS: Final = frozenset({_P.STATUS_RES, _P.STATUS_RES_UNIQUE, _P.ECHO_RES, _P.OPTION_RES, _P.ERROR})

#: What a function was called with: by position, or by name.
Arguments = Sequence[Any] | Mapping[str, Any]

#: SUBMIT_JOB_EPOCH carries milliseconds, and what a float loses on the way is less.
_RUN_AT_TOLERANCE: Final = 0.001


@attrs.frozen(kw_only=True)
class SubmittedJob:
    """One submission that the job server took.

    Attributes:
        function: what is called.
        workload: the client's bytes.
        unique: the unique ID, empty where there was none.
        priority: high, normal or low.
        background: whether the client did not wait for the job's end.
        run_at: epoch seconds before which the job must not run; ``None`` for at once.
        reducer: of SUBMIT_REDUCE_JOB; else empty.
        handle: the job handle; submissions that coalesced have the same one.
        client: the name of the client in the test: ``"client-1"``.
    """

    function: FunctionName
    workload: bytes
    unique: UniqueId
    priority: Priority
    background: bool
    run_at: float | None
    reducer: bytes
    handle: JobHandle
    client: str

    def __str__(self) -> str:
        """One line of a failure message."""
        parts = [repr(self.function), f"workload={shortened(self.workload)}"]
        if self.unique:
            parts.append(f"unique={self.unique!r}")
        if self.priority is not Priority.NORMAL:
            parts.append(f"priority={self.priority.value!r}")
        parts.append("background" if self.background else "foreground")
        if self.run_at is not None:
            parts.append(f"run_at={self.run_at!r}")
        return f"{' '.join(parts)} (by {self.client})"


@attrs.frozen(kw_only=True)
class WantedJob:
    """What a submission must be to count; ``None`` for whatever it is.

    Attributes:
        function: what was called.
        workload: the bytes.
        arguments: what the function was called with, compared as values; needs the signature.
        signature: of a decorated function.
        unique: the unique ID.
        priority: high, normal or low.
        background: whether the client did not wait.
        run_at: epoch seconds.
    """

    function: FunctionName
    workload: bytes | None = None
    arguments: Arguments | None = None
    signature: Signature | None = None
    unique: UniqueId | None = None
    priority: Priority | None = None
    background: bool | None = None
    run_at: float | None = None

    def __str__(self) -> str:
        """The conditions, as a test would write them."""
        values = attrs.asdict(self, recurse=False, filter=attrs.filters.exclude("function", "signature"))
        given = [f"{name}={_shown(value)}" for name, value in values.items() if value is not None]
        return ", ".join([repr(self.function), *given])

    def matches(self, job: SubmittedJob) -> bool:
        """Whether a submission is one that is wanted."""
        pairs = [
            (self.function, job.function),
            (self.workload, job.workload),
            (self.unique, job.unique),
            (self.priority, job.priority),
            (self.background, job.background),
        ]
        return (
            all(wanted is None or wanted == got for wanted, got in pairs)
            and self._matches_time(job.run_at)
            and self._matches_arguments(job.workload)
        )

    def _matches_time(self, run_at: float | None) -> bool:
        if self.run_at is None:
            return True
        return run_at is not None and abs(run_at - self.run_at) <= _RUN_AT_TOLERANCE

    def _matches_arguments(self, workload: bytes) -> bool:
        """Compare values and not bytes, which depend on the order in which arguments were named."""
        signature, arguments = self.signature, self.arguments
        if signature is None or arguments is None:
            return True
        try:
            return signature.read_call(workload) == signature.read_call(_written(signature, arguments))
        except SerializationError:
            return False


def wanted_job(
    function: str | bytes | Callable[..., Any],
    *,
    workload: bytes | None,
    arguments: Arguments | None,
    unique: str | bytes | None,
    priority: Priority | str | None,
    background: bool | None,
    run_at: float | datetime.datetime | None,
) -> WantedJob:
    """Take what a test wrote.

    Raises:
        ConfigError: a name cannot be one, or arguments were given for a function that was never decorated.
        SerializationError: the arguments do not fit the function's serializer.
        TypeError: the arguments are not those that the function takes.
    """
    if isinstance(function, str | bytes):
        if arguments is not None:
            raise ConfigError(f"arguments: {function!r} is a name; give the decorated function, or workload=")
        signature, name = None, function_name(function)
    else:
        signature = signature_of(function)
        name = signature.name
        if arguments is not None:
            _written(signature, arguments)
    return WantedJob(
        function=name,
        workload=workload,
        arguments=arguments,
        signature=signature,
        unique=None if unique is None else unique_id(unique),
        priority=None if priority is None else Priority(priority),
        background=background,
        run_at=run_at.timestamp() if isinstance(run_at, datetime.datetime) else run_at,
    )


def _written(signature: Signature, arguments: Arguments) -> bytes:
    if isinstance(arguments, Mapping):
        return signature.write_call((), arguments)
    return signature.write_call(tuple(arguments), {})


def listed(jobs: Sequence[SubmittedJob]) -> str:
    """Submissions as a failure message lists them."""
    if not jobs:
        return "nothing was submitted"
    return "\n".join(["submitted, in this order:", *(f"{number:3}. {job}" for number, job in enumerate(jobs, 1))])


def _shown(value: object) -> str:
    return shortened(value) if isinstance(value, bytes) else repr(str(value) if isinstance(value, str) else value)


class SubmissionReader:
    """Watches the job server's end of one wire, and appends to a list what is submitted there.

    The mutable state is what has been asked and not answered, in order: a submission, or ``None`` for a question.
    """

    def __init__(self, client: str, submitted: list[SubmittedJob]) -> None:
        self._client = client
        self._submitted = submitted
        self._requests = Decoder()
        self._answers = Decoder(responses=True)
        self._open: deque[tuple[int, list[bytes]] | None] = deque()

    def sent(self, data: bytes) -> None:
        """See `wire.Watcher`."""
        for kind, body in self._requests.feed(data):
            if kind in _SUBMISSIONS:
                try:
                    self._open.append((kind, split_arguments(kind, body)))
                except RemoteProtocolError:
                    # The server answers it with an ERROR.
                    self._open.append(None)
            elif kind in _ASKING:
                self._open.append(None)

    def received(self, data: bytes) -> None:
        """See `wire.Watcher`."""
        for kind, body in self._answers.feed(data):
            if kind == _P.JOB_CREATED and self._open:
                submission = self._open.popleft()
                if submission is not None:
                    self._submitted.append(_read(submission[0], submission[1], JobHandle(body), self._client))
            elif kind in _ANSWERS and self._open:
                self._open.popleft()

    def ended(self, *, lost: bool) -> None:
        """See `wire.Watcher`."""


def _read(kind: int, fields: list[bytes], handle: JobHandle, client: str) -> SubmittedJob:
    priority, background = _SUBMISSIONS[_P(kind)]
    reduces = kind in {_P.SUBMIT_REDUCE_JOB, _P.SUBMIT_REDUCE_JOB_BACKGROUND}
    return SubmittedJob(
        function=FunctionName(fields[0]),
        unique=UniqueId(fields[1]),
        workload=fields[-1],
        priority=priority,
        background=background,
        run_at=float(fields[2]) if kind == _P.SUBMIT_JOB_EPOCH else None,
        reducer=fields[2] if reduces else b"",
        handle=handle,
        client=client,
    )
