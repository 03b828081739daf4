"""What a running function sees of its job.

A function that runs on Trio (``async def``) gets a `Job`, whose methods are awaited.  A plain function runs
in a thread, where nothing can be awaited, and gets a `ThreadJob`: the same names, as ordinary calls.
"""

from __future__ import annotations

import operator
from typing import Any, Final

import attrs
import trio

from ..client import Client
from ..errors import LocalProtocolError
from ..names import FunctionName, JobHandle
from ..protocol import PacketType, encode_request
from ..signature import Injected
from ..transport import PacketLink

__all__ = ["BytesLike", "Job", "ThreadJob", "printable", "to_bytes"]

#: What can stand for bytes: results, items of a generator, data and warnings of a job.
BytesLike = bytes | bytearray | memoryview

_EXPECTED: Final = "expected bytes, bytearray or memoryview"


def to_bytes(value: object, doing: str) -> bytes:
    """A bytes-like value as bytes.

    Args:
        value: what a stranger's function gave.
        doing: how it gave it, to begin the error message with: ``"function b'resize' returned"``.

    Raises:
        TypeError: it is not bytes-like; the message names its type, never its value, which may be a secret.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    hint = " (encode it first)" if isinstance(value, str) else ""
    raise TypeError(f"{doing} {type(value).__name__}, {_EXPECTED}{hint}")


def printable(name: bytes) -> str:
    """A name from the wire for a line of the log: ASCII, with everything else (line ends too) escaped."""
    return repr(name)[2:-1]


@attrs.define(eq=False, kw_only=True)
class Job(Injected):
    """One job while its function runs.

    Its methods queue a packet on the connection to the job server and wait only while more than a megabyte
    waits there to be sent.  They are checkpoints; where one is cancelled, its packet was not queued.  Once
    the connection is lost they do nothing, for the server has given the job to another worker by then.

    Attributes:
        handle: the job handle, given by the server.
        function: the name of the function as the client called it.
        unique: the unique ID, empty where the client gave none (or the server did not tell).
        workload: the client's bytes.
        reducer: the name of the reducer, empty but for jobs of SUBMIT_REDUCE_JOB that the server gave as
            JOB_ASSIGN_ALL.
        scope: the cancel scope that the function runs in. Its deadline is the function's timeout, and can be
            moved; if it is cancelled, the job fails.
        ended: whether the job's last packet has been queued, after which nothing can be sent for it any more.
        lost: whether the connection that the job came from has ended, so that its result would reach nobody.
        lifespan: what the worker's lifespan gave, ``None`` without one.
    """

    handle: JobHandle
    function: FunctionName
    unique: bytes = b""
    workload: bytes = attrs.field(default=b"", repr=False)
    reducer: bytes = b""
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, repr=False)
    ended: bool = False
    lost: bool = False
    lifespan: Any = attrs.field(default=None, repr=False)
    _link: PacketLink = attrs.field(repr=False)
    _connection: int = 0
    # Of the job server that the job came from, where the worker has partitions.
    _client: Client | None = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        """The ids that every line of the log about this job begins with."""
        handle, function = printable(self.handle), printable(self.function)
        return f"conn={self._connection} handle={handle} function={function}"

    async def status(self, numerator: int, denominator: int) -> None:
        """Tell the clients how far the job has come: WORK_STATUS.

        Raises:
            TypeError: a number is not a whole one.
            LocalProtocolError: a number is negative, or the job has ended.
        """
        numbers = operator.index(numerator), operator.index(denominator)
        if min(numbers) < 0:
            raise LocalProtocolError(f"WORK_STATUS: expected numbers from 0 on, got {numerator!r}/{denominator!r}")
        await self._send(PacketType.WORK_STATUS, b"%d" % numbers[0], b"%d" % numbers[1])

    async def data(self, chunk: BytesLike) -> None:
        """Give the clients a part of the result ahead of its end: WORK_DATA.

        Raises:
            TypeError: the chunk is not bytes-like.
            LocalProtocolError: the job has ended.
        """
        await self._send(PacketType.WORK_DATA, to_bytes(chunk, "job.data() got"))

    async def warning(self, text: str | BytesLike) -> None:
        """Warn the clients of something: WORK_WARNING, with ``str`` sent as UTF-8.

        Raises:
            TypeError: the text is neither ``str`` nor bytes-like.
            LocalProtocolError: the job has ended.
        """
        if isinstance(text, str):
            text = text.encode("utf-8", "backslashreplace")
        await self._send(PacketType.WORK_WARNING, to_bytes(text, "job.warning() got"))

    async def _send(self, kind: PacketType, *fields: bytes) -> None:
        # Everything is decided after the waits: what was cancelled or has ended meanwhile is not sent.
        packet = encode_request(kind, self.handle, *fields)
        await trio.lowlevel.checkpoint()
        await self._link.wait_writable()
        if self.ended:
            raise LocalProtocolError(f"{kind.name}: job {printable(self.handle)} has ended")
        self._link.send(packet)


@attrs.frozen(eq=False)
class ThreadJob(Injected):
    """One job as a plain function sees it, in its thread: as `Job`, but its methods are not awaited.

    They work in the thread that the worker called the function in, not in threads that the function starts
    itself.  A thread cannot be stopped from outside: where the job has run into its timeout or was cancelled,
    the worker goes on without the thread, and the next call of a method here raises `trio.Cancelled` to end
    it. Let it pass, as ``except Exception`` does.
    """

    _job: Job

    @property
    def handle(self) -> JobHandle:
        """The job handle, given by the server."""
        return self._job.handle

    @property
    def function(self) -> FunctionName:
        """The name of the function as the client called it."""
        return self._job.function

    @property
    def unique(self) -> bytes:
        """The unique ID, empty where the client gave none."""
        return self._job.unique

    @property
    def workload(self) -> bytes:
        """The client's bytes."""
        return self._job.workload

    @property
    def reducer(self) -> bytes:
        """The name of the reducer, empty but for jobs of SUBMIT_REDUCE_JOB."""
        return self._job.reducer

    def status(self, numerator: int, denominator: int) -> None:
        """Tell the clients how far the job has come: `Job.status`.

        Raises:
            trio.Cancelled: the worker has given the job up; so do all methods here.
        """
        trio.from_thread.check_cancelled()
        trio.from_thread.run(self._job.status, numerator, denominator)

    def data(self, chunk: BytesLike) -> None:
        """Give the clients a part of the result ahead of its end: `Job.data`."""
        trio.from_thread.check_cancelled()
        trio.from_thread.run(self._job.data, chunk)

    def warning(self, text: str | BytesLike) -> None:
        """Warn the clients of something: `Job.warning`."""
        trio.from_thread.check_cancelled()
        trio.from_thread.run(self._job.warning, text)
