"""The errors of gearman_trio, one tree.

    GearmanError
    ├── ProtocolError
    │   ├── LocalProtocolError        we were asked to send nonsense
    │   └── RemoteProtocolError       the peer sent nonsense
    ├── ServerError(code, text)       the job server answered ERROR
    ├── ServersUnavailable(causes)    no job server could be reached
    ├── JobError(handle)
    │   ├── JobFailed                 the worker (or the job server) failed the job
    │   ├── JobRaised(data)           the worker sent WORK_EXCEPTION
    │   └── JobLost                   the connection ended before the job did
    ├── SerializationError            a value does not fit its serializer, or cannot be read by it
    ├── ProcessDied(exit_code)        the process in which a worker ran a function ended before the function did
    ├── ProcessRaised(kind, message)  a function in such a process raised what could not be brought to the worker
    ├── StorageError                  a store of jobs cannot be opened, read or written
    └── ConfigError                   an option or argument has a value that cannot be used

Where several submissions of a pipeline fail, they are raised together: `PipelineError` is an exception group of these.

The split of protocol errors by blame follows h11. There are no time-out errors: callers use Trio's cancel scopes.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

__all__ = [
    "ConfigError",
    "GearmanError",
    "JobError",
    "JobFailed",
    "JobLost",
    "JobRaised",
    "LocalProtocolError",
    "ProcessDied",
    "ProcessRaised",
    "ProtocolError",
    "RemoteProtocolError",
    "SerializationError",
    "ServerError",
    "ServersUnavailable",
    "StorageError",
]


class GearmanError(Exception):
    """The base of every error that this package raises on purpose."""


class ProtocolError(GearmanError):
    """The Gearman protocol was, or would have been, broken."""


class LocalProtocolError(ProtocolError):
    """This side was asked to send something that the protocol cannot carry."""


class RemoteProtocolError(ProtocolError):
    """The other side sent something that the protocol does not allow."""


class ServerError(GearmanError):
    """The job server answered with an ERROR packet.

    Attributes:
        code: the server's code, for example ``"QUEUE_ERROR"``.
        text: the server's explanation.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class ServersUnavailable(GearmanError):
    """No job server could be reached.

    Attributes:
        causes: what went wrong with each server, one entry an address, in the order in which they were tried.
    """

    def __init__(self, causes: Sequence[str]) -> None:
        super().__init__("no job server could be reached: " + "; ".join(causes))
        self.causes = tuple(causes)


class JobError(GearmanError):
    """A job did not end with a result.

    Attributes:
        handle: the job handle, or ``None`` where the server had not yet given one.
    """

    def __init__(self, handle: bytes | None, message: str) -> None:
        name = "a job without a handle" if handle is None else f"job {handle.decode('ascii', 'backslashreplace')}"
        super().__init__(f"{name} {message}")
        self.handle = handle


class JobFailed(JobError):
    """The job ended with WORK_FAIL."""

    def __init__(self, handle: bytes | None) -> None:
        super().__init__(handle, "failed")


class JobRaised(JobError):
    """The job ended with WORK_EXCEPTION.

    Attributes:
        data: what the worker said of the exception, opaque bytes.
    """

    def __init__(self, handle: bytes | None, data: bytes) -> None:
        super().__init__(handle, f"raised {data.decode('utf-8', 'backslashreplace')}")
        self.data = data


class JobLost(JobError):
    """The connection to the job server ended before the job did.

    Attributes:
        may_have_run: false only where the job cannot have reached a worker, because it was never sent whole.
    """

    def __init__(self, handle: bytes | None, *, may_have_run: bool, reason: str = "") -> None:
        message = "was lost with its connection"
        if reason:
            message += f" ({reason})"
        super().__init__(handle, message + ("; it may have run" if may_have_run else "; it did not run"))
        self.may_have_run = may_have_run


class SerializationError(GearmanError):
    """A value does not fit the serializer that should carry it, or what came cannot be read by it.

    Where it is raised for an argument, nothing was sent.
    """


class ProcessDied(GearmanError):
    """The process in which a worker ran a function ended before the function did.

    It was killed, by the system for want of memory perhaps, or it crashed.  Only its own job fails by that.

    Attributes:
        exit_code: of the process; the negative number of a signal that ended it; ``None`` where it is not known.
    """

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"the process that ran the function {self._how()}"

    def _how(self) -> str:
        if self.exit_code is None:
            return "died"
        if self.exit_code >= 0:
            return f"ended with exit code {self.exit_code}"
        try:
            name = signal.Signals(-self.exit_code).name
        except ValueError:
            name = f"signal {-self.exit_code}"
        return f"was killed by {name}"


class ProcessRaised(GearmanError):
    """A function in a process raised an exception that could not be brought to the worker as it is.

    It cannot be pickled, or it is no `Exception`, as `SystemExit`.

    Attributes:
        kind: the name of its class.
        message: its text.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class StorageError(GearmanError):
    """A store of jobs cannot be opened, read or written; the message names it and says why."""


class ConfigError(GearmanError, ValueError):
    """An option or argument has a value that cannot be used; the message names it and what is allowed."""
