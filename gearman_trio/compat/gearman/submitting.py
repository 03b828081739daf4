"""The loop's side of a client: submits jobs, follows them, and puts what it hears where the caller's thread finds it.

Nothing of the program runs here, neither its encoders nor its subclasses: they are called where they always were, in
the thread that calls the client.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

import attrs
import trio

from ...blocking.loop import Loop
from ...client import Client, ForegroundJob, JobData, JobState, JobStatus, JobWarning, open_client
from ...errors import GearmanError, JobError, JobLost, JobRaised, ServerError, ServersUnavailable
from .connection import GearmanConnection
from .job import GearmanJobRequest

__all__ = [
    "Completed",
    "Created",
    "Failed",
    "Inbox",
    "Lost",
    "Refused",
    "Submission",
    "Submitter",
    "Unreachable",
    "Update",
    "open_submitter",
]

#: How long a server that could not be reached is tried after all others.
_AVOID_SECONDS: Final = 10.0

#: The interface keeps every update of a request in its lists, so that is where a limit would have to be.
_UNLIMITED: Final = sys.maxsize


@attrs.frozen(eq=False, kw_only=True)
class Submission:
    """One attempt to have a job done.

    Attributes:
        function: of the job.
        unique: of the job.
        workload: of the job.
        priority: of the job.
        background: whether nobody waits for its end.
        connections: the servers to try, in this order.
        loop: where it is followed; elsewhere, in the child of a fork say, nothing will be heard of it.
        request: whom the updates are for, if anybody keeps it; the loop does not look into it.
        accepted: set when the job server has answered, or cannot any more.
        ended: set when nothing more will be heard.
    """

    function: bytes
    unique: bytes
    workload: bytes = attrs.field(repr=False)
    priority: str
    background: bool
    connections: Sequence[GearmanConnection]
    loop: Loop[Submitter]
    request: weakref.ref[GearmanJobRequest]
    accepted: trio.Event = attrs.field(factory=trio.Event)
    ended: trio.Event = attrs.field(factory=trio.Event)


@attrs.frozen
class Created:
    """The job server has the job."""

    connection: GearmanConnection
    handle: bytes


@attrs.frozen
class Completed:
    """The job ended with a result."""

    result: bytes


@attrs.frozen
class Failed:
    """The job ended without a result, with the data of an exception perhaps."""

    exception: bytes | None


@attrs.frozen
class Lost:
    """The connection ended before the job did."""


@attrs.frozen
class Refused:
    """The job server answered ERROR."""

    code: str
    text: str


@attrs.frozen
class Unreachable:
    """No server could be reached."""

    causes: tuple[str, ...]


Update = Created | JobData | JobWarning | JobStatus | Completed | Failed | Lost | Refused | Unreachable

#: Updates in the order in which they came: the loop appends, the thread of the caller takes, and both are atomic.
Inbox = deque[tuple["Submission", Update]]


class Submitter:
    """The clients of one `GearmanClient`, one for each server that was needed.

    The mutable state: these clients, when a server could not be reached, and the inbox, which is the caller's.
    """

    def __init__(self, loop: Loop[Submitter], nursery: trio.Nursery, *, inbox: Inbox, options: Sequence[str]) -> None:
        self._loop = loop
        self._inbox = inbox
        self._nursery = nursery
        self._options = options
        self._clients: dict[GearmanConnection, Client] = {}
        # Guards the opening of a client, which two submissions must not both do.
        self._opening = trio.Lock()
        self._avoid_until: dict[GearmanConnection, float] = {}

    async def connect(self, connection: GearmanConnection) -> None:
        """Make sure that there is a connection now. Raises `ServersUnavailable`, or `ServerError`."""
        await (await self._client(connection)).echo(b"")

    async def begin(self, submissions: Sequence[Submission]) -> None:
        """Submit jobs, those for one server in their order. Does not wait for answers."""
        for submission in submissions:
            await self._warm_up(submission)
            self._nursery.start_soon(self._follow, submission)
            # Its packet is queued when this task goes on, before that of the next submission.
            await trio.lowlevel.checkpoint()

    async def wait(self, events: Sequence[trio.Event]) -> None:
        """Wait for all of them."""
        for event in events:
            await event.wait()

    async def status(self, connection: GearmanConnection, handle: bytes) -> JobState | None:
        """Ask how far a job is; ``None`` where the server cannot be asked."""
        try:
            return await (await self._client(connection)).status(handle)
        except GearmanError:
            return None

    async def _client(self, connection: GearmanConnection) -> Client:
        async with self._opening:
            client = self._clients.get(connection)
            if client is None:
                client = self._clients[connection] = await self._nursery.start(self._keep, connection)
            return client

    async def _keep(self, connection: GearmanConnection, task_status: trio.TaskStatus[Client]) -> None:
        """Keep a client open until the loop ends."""
        async with open_client(
            connection.address(),
            options=self._options,
            ssl_context=connection.ssl_context(),
            connect=self._loop.watching(None),
        ) as client:
            connection.probe = lambda: client.server is not None
            try:
                task_status.started(client)
                await trio.sleep_forever()
            finally:
                connection.probe = None

    async def _warm_up(self, submission: Submission) -> None:
        """Connect first: submissions that wait for a connection together do not keep their order."""
        first = self._in_turn(submission)[:1]
        for connection in first:
            try:
                client = await self._client(connection)
                if client.server is None:
                    await client.echo(b"")
            except (GearmanError, OSError):
                self._avoid(connection)

    async def _follow(self, submission: Submission) -> None:
        causes: list[str] = []
        try:
            for connection in self._in_turn(submission):
                try:
                    await self._submit(submission, connection)
                    return
                except ServersUnavailable as exc:
                    causes += exc.causes
                except OSError as exc:
                    causes.append(f"{connection.address()}: {exc}")
                self._avoid(connection)
            self._tell(submission, Unreachable(tuple(causes)))
        except ServerError as exc:
            self._tell(submission, Refused(exc.code, exc.text))
        except JobLost:
            self._tell(submission, Lost())
        except JobError as exc:
            self._tell(submission, Failed(exc.data if isinstance(exc, JobRaised) else None))
        finally:
            submission.accepted.set()
            submission.ended.set()

    async def _submit(self, submission: Submission, connection: GearmanConnection) -> None:
        client = await self._client(connection)
        if submission.background:
            handle = await client.submit(
                submission.function, submission.workload, priority=submission.priority, unique=submission.unique
            )
            self._tell(submission, Created(connection, handle))
            return
        async with client.stream(
            submission.function,
            submission.workload,
            priority=submission.priority,
            unique=submission.unique,
            max_unread_bytes=_UNLIMITED,
        ) as job:
            self._tell(submission, Created(connection, job.handle))
            submission.accepted.set()
            await self._watch(submission, job)

    async def _watch(self, submission: Submission, job: ForegroundJob) -> None:
        async for event in job:
            self._tell(submission, event)
        self._tell(submission, Completed(await job.result()))

    def _tell(self, submission: Submission, update: Update) -> None:
        self._inbox.append((submission, update))

    def _avoid(self, connection: GearmanConnection) -> None:
        self._avoid_until[connection] = monotonic() + _AVOID_SECONDS

    def _in_turn(self, submission: Submission) -> list[GearmanConnection]:
        """The servers of a submission, those last that could not be reached a moment ago."""
        now = monotonic()
        return sorted(submission.connections, key=lambda one: self._avoid_until.get(one, 0.0) > now)


@asynccontextmanager
async def open_submitter(loop: Loop[Submitter], *, inbox: Inbox, options: Sequence[str]) -> AsyncIterator[Submitter]:
    """A submitter for the length of a block; what it follows then is lost."""
    async with trio.open_nursery() as nursery:
        yield Submitter(loop, nursery, inbox=inbox, options=options)
        nursery.cancel_scope.cancel(reason="the client was closed")
