"""One connection of a worker to one job server, from its greeting to its end.

The greeting is SET_CLIENT_ID, CAN_DO or CAN_DO_TIMEOUT for each ability, and ECHO_REQ: as the server works
through a connection in order, ECHO_RES proves that it knows the abilities.  Only then the connection takes
part in grabbing, so a server that accepts connections but is otherwise dead never keeps a slot from the
others.  The farewell is ECHO_REQ once more: its answer proves that the server has taken every result.  It is said
where the worker drains, and where a job is to be tried again (`Retry`), once nothing is under way any more.

In between it is asked of a server that has been quiet for a while: a server that has died without closing the
connection is known by its silence after a question, and by nothing else.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Final

import attrs
import trio

from ..client import Client
from ..errors import RemoteProtocolError
from ..names import ClientId, FunctionName, JobHandle
from ..protocol import PACKETS, PacketType, codec, encode_request, split_arguments
from ..transport import PacketLink
from .execution import Ending, Executor
from .grabbing import Seat, Slots
from .groups import Group
from .job import Job, printable

__all__ = ["ANSWER_SECONDS", "TIMEOUT_MARGIN_SECONDS", "Connection", "Crew"]

logger = logging.getLogger(__name__)

#: How much later than the worker the server lets a job time out.  gearmand gives a job whose time is over to
#: the next worker, again and again; the worker's own limit comes first and fails it, if the WORK_FAIL has
#: this much time to arrive.
TIMEOUT_MARGIN_SECONDS: Final = 1.0

#: How long a server may take to accept a connection, and again to answer the greeting, or anything else. It is for
#: servers that hang, not for slow ones: long enough for a TLS handshake with a machine that swaps.
ANSWER_SECONDS: Final = 30.0

#: How often a connection is looked at.  So a server that does not answer is given up between one and one and a half
#: `ANSWER_SECONDS` after it was asked, without a clock being read for each job.
_LOOK_SECONDS: Final = ANSWER_SECONDS / 2

_GREETING: Final = b"gearman_trio: abilities sent"
_PROBE: Final = b"gearman_trio: still there?"
_FAREWELL: Final = b"gearman_trio: results sent"

_GRABS: Final = (PacketType.GRAB_JOB_UNIQ, PacketType.GRAB_JOB_ALL)
#: Their large workloads are received apart from the rest, so that they are not copied.
_APART: Final = codec.argument_patterns([PacketType.JOB_ASSIGN, PacketType.JOB_ASSIGN_UNIQ, PacketType.JOB_ASSIGN_ALL])
_REQUESTS: Final = {kind: encode_request(kind) for kind in (*_GRABS, PacketType.PRE_SLEEP)}


@attrs.frozen(kw_only=True, eq=False)
class Crew:
    """What all connections of one worker share.

    Attributes:
        client_id: how the worker is called in the server's tables.
        poll_interval: the seconds after which a server that is silent is asked for a job again.
        executor: runs the jobs.
        slots: says when to grab.
        on_shutdown: called when a job asked for the end of the worker.
        lifespan: what the worker's lifespan gave.
        cancel_lost: whether the jobs of a connection that is lost are cancelled.
        client: of all servers of the worker, where it has partitions.
    """

    client_id: ClientId
    poll_interval: float
    executor: Executor
    slots: Slots
    on_shutdown: Callable[[], None]
    lifespan: object = None
    cancel_lost: bool = True
    client: Client | None = None


class Connection:
    """Serves one stream.

    The mutable state is the seat at the slots, once the server knows the abilities; the jobs that came over
    this connection and still run; whether one of them is to be tried again; how many probes are unanswered; and why
    the connection ended.

    Attributes:
        retry_after: the seconds to stay away from the server when the connection has ended, where a job is to be
            tried again; else ``None``.
    """

    def __init__(
        self,
        crew: Crew,
        group: Group,
        stream: trio.abc.Stream,
        number: int,
        *,
        on_registered: Callable[[], None],
        client: Client | None = None,
    ) -> None:
        """Take over a stream.

        Args:
            crew: what the connection shares with the others of its worker.
            group: the functions that the server is told of here.
            stream: the stream; `run` closes it.
            number: stands for the connection in the log.
            on_registered: called once, when the server knows the abilities.
            client: of the same job server, where the worker has partitions.
        """
        self._crew = crew
        self._group = group
        self._link = PacketLink(stream, apart=_APART)
        # The large workload of the assignment that follows.
        self._opaque = b""
        self._number = number
        self._on_registered = on_registered
        self._client = client
        self._registered = trio.Event()
        self._seat = Seat(crew.slots, self._ask, group.quota)
        self._jobs: set[Job] = set()
        self._scope = trio.CancelScope()
        self._farewell_said = trio.Event()
        self._probes = 0
        self._reason = ""
        self.retry_after: float | None = None

    @property
    def registered(self) -> bool:
        """Whether the server has known the abilities at some time during this connection."""
        return self._registered.is_set()

    async def run(self) -> str:
        """Serve until the connection ends; give the reason why it did.

        Its jobs are cancelled then, unless the worker lets them finish, for the server gives them to other workers;
        this does not wait for them to end.

        Cancellation: closes the connection at once.
        """
        self._link.send(*self._greeting())
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch)
                    nursery.start_soon(self._watch_answers)
                    nursery.start_soon(self._watch_farewell)
                    self._reason = await self._link.run(self._receive)
                    nursery.cancel_scope.cancel(reason="the connection ended")
        finally:
            self._seat.close()
            for job in self._jobs:
                job.lost = True
                if self._crew.cancel_lost:
                    job.scope.cancel(reason="the connection to the job server was lost")
        if self._jobs:
            fate = "cancelled" if self._crew.cancel_lost else "that finish for nobody"
            return f"{self._reason}; running jobs {fate}: {len(self._jobs)}"
        return self._reason

    def drain(self) -> None:
        """End the connection as soon as nothing is under way on it; never waits.

        The slots must be draining already.
        """
        if self.registered:
            self._leave_if_idle()
        else:
            self._end("the worker drains")

    def _greeting(self) -> list[bytes]:
        packets = [encode_request(PacketType.SET_CLIENT_ID, self._crew.client_id)]
        for ability in self._group.abilities.values():
            if ability.timeout is None:
                packets.append(encode_request(PacketType.CAN_DO, ability.name))
            else:
                timeout_ms = math.ceil((ability.timeout + TIMEOUT_MARGIN_SECONDS) * 1000)
                packets.append(encode_request(PacketType.CAN_DO_TIMEOUT, ability.name, b"%d" % timeout_ms))
        packets.append(encode_request(PacketType.ECHO_REQ, _GREETING))
        return packets

    async def _watch(self) -> None:
        """Give up a server that does not answer the greeting; later, grab now and then, as a NOOP may be lost."""
        with trio.move_on_after(ANSWER_SECONDS):
            await self._registered.wait()
        if not self.registered:
            self._end_unanswered()
        while True:
            await trio.sleep(self._crew.poll_interval)
            self._seat.poll()

    async def _watch_answers(self) -> None:
        """Give up a server that leaves a question unanswered while no byte moves; ask one that is quiet.

        A server that died without a word would keep the slots of what it was asked for, and the jobs that it gave,
        until TCP gives it up, which takes minutes, or for ever behind a proxy that lives on.
        """
        await self._registered.wait()
        asked, silent, moved = False, 0, self._link.moved_bytes
        while True:
            await trio.sleep(_LOOK_SECONDS)
            # What goes out counts as well: a question may have to wait behind a large result.
            silent = silent + 1 if moved == self._link.moved_bytes else 0
            moved = self._link.moved_bytes
            if self._seat.grabs or self._probes:
                if asked and silent >= 2:
                    self._end_unanswered()
                elif not asked:
                    # Some time since the last look.
                    asked, silent = True, 0
            elif silent >= 2:
                self._probes += 1
                self._link.send(encode_request(PacketType.ECHO_REQ, _PROBE))
                asked, silent = True, 0
            else:
                asked = False

    async def _watch_farewell(self) -> None:
        await self._farewell_said.wait()
        await trio.sleep(ANSWER_SECONDS)
        self._end_unanswered()

    def _receive(self, packets: list[tuple[int, bytes]]) -> None:
        for kind, body in packets:
            self._take(kind, body)

    def _take(self, kind: int, body: bytes) -> None:
        match kind:
            case PacketType.JOB_ASSIGN_UNIQ:
                handle, function, unique, workload = split_arguments(kind, body)
                self._assigned(handle, function, workload, unique=unique)
            case PacketType.JOB_ASSIGN:
                handle, function, workload = split_arguments(kind, body)
                self._assigned(handle, function, workload)
            case PacketType.JOB_ASSIGN_ALL:
                handle, function, unique, reducer, workload = split_arguments(kind, body)
                self._assigned(handle, function, workload, unique=unique, reducer=reducer)
            case PacketType.NO_JOB:
                self._seat.no_job()
                self._leave_if_idle()
            case PacketType.NOOP:
                self._seat.noop()
            case PacketType.ECHO_RES:
                self._echoed(body)
            case codec.OPAQUE:
                self._opaque = body
            case PacketType.ERROR:
                code, text = split_arguments(kind, body)
                self._error(code, text)
            case _:
                name = PACKETS[kind].type.name if kind in PACKETS else f"a packet of type {kind}"
                raise RemoteProtocolError(f"{name} was sent to a worker")

    def _assigned(
        self, handle: bytes, function: bytes, workload: bytes, *, unique: bytes = b"", reducer: bytes = b""
    ) -> None:
        ability = self._group.abilities.get(FunctionName(function))
        if ability is None:
            # Not failed: the server requeues it when the connection ends, for a worker that can do it.
            raise RemoteProtocolError(f"a job was assigned for {function!r}, which was never said to be done here")
        self._seat.assigned()
        if not workload:
            workload, self._opaque = self._opaque, b""
        job = Job(
            handle=JobHandle(handle),
            function=ability.name,
            unique=unique,
            workload=workload,
            reducer=reducer,
            link=self._link,
            connection=self._number,
            lifespan=self._crew.lifespan,
            client=self._client,
        )
        # A set, not a table by handle: a server whose own limit has come gives the same job again while the
        # old run ends.
        self._jobs.add(job)
        self._crew.executor.start(ability, job, self._job_ended)

    def _job_ended(self, job: Job, ending: Ending) -> None:
        # The result and the next grab.
        with self._link.together():
            self._link.send(*ending.packets)
            self._jobs.discard(job)
            if ending.retry_after is not None:
                # Nothing is sent for the job: the server queues it again when the connection ends.
                self.retry_after = max(ending.retry_after, self.retry_after or 0.0)
                self._seat.leave()
            if ending.shutdown:
                self._crew.on_shutdown()
            self._crew.slots.job_ended(self._group.quota)
            self._leave_if_idle()

    def _echoed(self, token: bytes) -> None:
        if token == _GREETING and not self.registered:
            self._registered.set()
            self._on_registered()
            self._seat.open()
        elif token == _FAREWELL and self._farewell_said.is_set():
            self._end("the worker drained" if self._crew.slots.draining else "a job is to be tried again")
        elif token == _PROBE and self._probes:
            self._probes -= 1
        else:
            raise RemoteProtocolError("ECHO_RES without ECHO_REQ")

    def _error(self, code: bytes, text: bytes) -> None:
        # gearmand 1.1.20 says JOB_NOT_FOUND to the WORK_FAIL after a WORK_EXCEPTION, and to results that come
        # too late.
        level = logging.DEBUG if code == b"JOB_NOT_FOUND" else logging.WARNING
        logger.log(level, "conn=%d the job server said ERROR %s: %s", self._number, printable(code), printable(text))

    def _ask(self, kind: PacketType) -> None:
        if self._client is not None and kind is PacketType.GRAB_JOB_UNIQ:
            # The one grab whose answer names the reducer.  It is JOB_ASSIGN_ALL; gearmand gives jobs without a reducer
            # as JOB_ASSIGN_UNIQ all the same (gearmand server.cc, GEARMAN_COMMAND_GRAB_JOB_ALL).
            kind = PacketType.GRAB_JOB_ALL
        self._link.send(_REQUESTS[kind])

    def _leave_if_idle(self) -> None:
        """Say farewell, once, if the connection is to end and nothing more can come of it."""
        if not (self._crew.slots.draining or self.retry_after is not None):
            return
        if not self._jobs and not self._seat.grabs and not self._farewell_said.is_set():
            self._farewell_said.set()
            self._link.send(encode_request(PacketType.ECHO_REQ, _FAREWELL))

    def _end_unanswered(self) -> None:
        self._end(f"the job server did not answer within {ANSWER_SECONDS:g} s")

    def _end(self, reason: str) -> None:
        self._reason = reason
        self._scope.cancel(reason=reason)
