"""The loop's side of a worker: grabs one job at a time and hands it to the thread that called `GearmanWorker.work`.

The rules of grabbing are those of `gearman_trio.worker.grabbing`, with one slot.  It is given back when the thread
asks for the next job, not when the job's result is sent: so nothing is grabbed for a thread that may be about to
stop.

On each connection the greeting is SET_CLIENT_ID, RESET_ABILITIES, CAN_DO for each function, and ECHO_REQ, whose
answer proves that the server works.  The farewell is ECHO_REQ once more: its answer proves that every result has
arrived.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import attrs
import trio

from ...blocking.loop import Loop
from ...errors import RemoteProtocolError
from ...protocol import PACKETS, PacketType, encode_request, split_arguments
from ...transport import UNREACHABLE, Backoff, PacketLink, dialer
from ...worker.grabbing import Seat, Slots
from .connection import GearmanConnection

__all__ = ["Assigned", "Greeting", "ServerSaid", "Station", "Unreachable", "open_station"]

_log = logging.getLogger(__name__)

#: How long a server may take to accept a connection, and again to answer the greeting or the farewell.
_ANSWER_SECONDS: Final = 10.0

_GREETING: Final = b"gearman_trio: abilities sent"
_FAREWELL: Final = b"gearman_trio: results sent"

_REQUESTS: Final = {kind: encode_request(kind) for kind in (PacketType.GRAB_JOB_UNIQ, PacketType.PRE_SLEEP)}


@attrs.frozen(kw_only=True)
class Greeting:
    """What a worker tells each server of itself.

    Attributes:
        client_id: how it wants to be called, if it does.
        functions: what it can do.
    """

    client_id: bytes | None
    functions: Sequence[bytes]

    def packets(self) -> list[bytes]:
        """The greeting without its ECHO_REQ; it may be repeated at any time."""
        identity = [] if self.client_id is None else [encode_request(PacketType.SET_CLIENT_ID, self.client_id)]
        return [
            *identity,
            encode_request(PacketType.RESET_ABILITIES),
            *(encode_request(PacketType.CAN_DO, function) for function in self.functions),
        ]


@attrs.frozen(eq=False, kw_only=True)
class Assigned:
    """A job for the thread.

    Attributes:
        connection: from which it came.
        link: over which what becomes of it is sent.
        handle: of the job.
        function: of the job.
        unique: of the job, if the server said it.
        workload: of the job.
    """

    connection: GearmanConnection
    link: PacketLink = attrs.field(repr=False)
    handle: bytes
    function: bytes
    unique: bytes | None
    workload: bytes = attrs.field(repr=False)


@attrs.frozen
class ServerSaid:
    """A job server sent ERROR."""

    code: str
    text: str


@attrs.frozen
class Unreachable:
    """No job server is connected, and each was tried."""

    causes: tuple[str, ...]


Event = Assigned | ServerSaid | Unreachable


class Station:
    """What the connections of one worker share, and what its thread asks for.

    The mutable state: the greeting, the events that the thread has not taken, whether it has a job, and whether
    there is a greeting that waits for its end.
    """

    def __init__(self, loop: Loop[Station], connections: Sequence[GearmanConnection], greeting: Greeting) -> None:
        self.loop = loop
        self.greeting = greeting
        self.slots = Slots(1)
        self.lines = [_Line(self, connection) for connection in connections]
        self._events: deque[Assigned | ServerSaid] = deque()
        self._busy = False
        self._stale = False
        self._changed = trio.Event()

    async def next(self) -> Event:
        """Wait for something to do. The job that was taken before is over, as far as grabbing goes."""
        if self._busy:
            self._busy = False
            if self._stale:
                await self.greet(self.greeting)
            self.slots.job_ended()
        while True:
            if self._events:
                # Nothing is awaited between here and the caller, so no event is lost to a timeout.
                event = self._events.popleft()
                self._busy = isinstance(event, Assigned)
                return event
            if all(line.failure for line in self.lines):
                return Unreachable(tuple(f"{line.connection.address()}: {line.failure}" for line in self.lines))
            self._changed = trio.Event()
            await self._changed.wait()

    async def send(self, assigned: Assigned, packets: Sequence[bytes]) -> bool:
        """Send what becomes of a job, and wait until the system has it; give whether there was a connection."""
        assigned.link.send(*packets)
        await assigned.link.wait_writable()
        # The task that writes has its turn before this one has it twice.
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        return not assigned.link.ended

    async def greet(self, greeting: Greeting) -> None:
        """Tell every server something new, after the job that runs: gearmand would give it to another worker."""
        self.greeting = greeting
        self._stale = self._busy
        if self._busy:
            return
        for line in self.lines:
            line.repeat_greeting()
        # A server does not wake those who slept when they learned something.
        await self.poll()

    async def poll(self) -> None:
        """Ask every server that sleeps whether it has a job: a wake-up may have been lost. Does not wait."""
        for line in self.lines:
            line.seat.poll()

    async def leave(self) -> None:
        """Wait until every server has what was sent to it."""
        self.slots.drain()
        async with trio.open_nursery() as nursery:
            for line in self.lines:
                nursery.start_soon(line.say_farewell)

    def put(self, event: Assigned | ServerSaid) -> None:
        """Have the thread take an event."""
        self._events.append(event)
        self.change()

    def change(self) -> None:
        """Have the thread look again."""
        self._changed.set()


class _Line:
    """One job server of a worker, connected again whenever the connection is lost.

    The mutable state: the link while there is one, the seat of this connection, and why the server cannot be reached.

    Attributes:
        connection: says where the server is.
        seat: its place at the slots.
        failure: why it could not be reached the last time; empty before that, and while it is connected.
    """

    def __init__(self, station: Station, connection: GearmanConnection) -> None:
        self._station = station
        self._link: PacketLink | None = None
        self._greeted = trio.Event()
        self._left = trio.Event()
        self.connection = connection
        self.seat = Seat(station.slots, self._ask)
        self.failure = ""

    async def run(self) -> None:
        """Serve until cancelled."""
        backoff = Backoff()
        self.connection.probe = lambda: self._link is not None and self._greeted.is_set()
        try:
            while True:
                reason = await self._serve()
                if self._greeted.is_set():
                    _log.warning("server=%s lost: %s", self.connection.address(), reason)
                    backoff.reset()
                else:
                    self.failure = reason
                    self._station.change()
                await trio.sleep(backoff.next_wait())
        finally:
            self.connection.probe = None

    def repeat_greeting(self) -> None:
        if self._link is not None:
            self._link.send(*self._station.greeting.packets())

    async def say_farewell(self) -> None:
        """Wait until the server has read everything, for a while."""
        if self._link is None or not self._greeted.is_set():
            return
        self._link.send(encode_request(PacketType.ECHO_REQ, _FAREWELL))
        with trio.move_on_after(_ANSWER_SECONDS):
            await self._left.wait()

    async def _serve(self) -> str:
        """Connect, and stay until the connection ends; give the reason."""
        self._greeted = trio.Event()
        self._left = trio.Event()
        self.seat = Seat(self._station.slots, self._ask)
        reason = f"no answer within {_ANSWER_SECONDS:g} s"
        try:
            with trio.move_on_after(_ANSWER_SECONDS) as scope:
                connect = dialer(self._station.loop.watching(None), self.connection.ssl_context())
                self._link = link = PacketLink(await connect(self.connection.address()))
                link.send(*self._station.greeting.packets(), encode_request(PacketType.ECHO_REQ, _GREETING))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._stay, scope)
                    reason = await link.run(self._receive)
                    nursery.cancel_scope.cancel()
        except UNREACHABLE as exc:
            reason = str(exc.__cause__ or exc) or repr(exc)
        finally:
            self._link = None
            self.seat.close()
            self._left.set()
        return reason

    async def _stay(self, scope: trio.CancelScope) -> None:
        await self._greeted.wait()
        scope.deadline = float("inf")

    def _receive(self, packets: list[tuple[int, bytes]]) -> None:
        for kind, body in packets:
            self._take(kind, body)

    def _take(self, kind: int, body: bytes) -> None:
        match kind:
            case PacketType.JOB_ASSIGN_UNIQ:
                handle, function, unique, workload = split_arguments(kind, body)
                self._assigned(handle, function, unique, workload)
            case PacketType.JOB_ASSIGN:
                handle, function, workload = split_arguments(kind, body)
                self._assigned(handle, function, None, workload)
            case PacketType.NO_JOB:
                self.seat.no_job()
            case PacketType.NOOP:
                self.seat.noop()
            case PacketType.ECHO_RES if body == _GREETING:
                self._greeted.set()
                self.failure = ""
                _log.info("server=%s connected", self.connection.address())
                self.seat.open()
            case PacketType.ECHO_RES:
                self._left.set()
            case PacketType.ERROR:
                code, text = split_arguments(kind, body)
                self._station.put(ServerSaid(code.decode("utf-8", "replace"), text.decode("utf-8", "replace")))
            case _:
                name = PACKETS[kind].type.name if kind in PACKETS else f"a packet of type {kind}"
                raise RemoteProtocolError(f"{name} was sent to a worker")

    def _assigned(self, handle: bytes, function: bytes, unique: bytes | None, workload: bytes) -> None:
        assert self._link is not None
        self.seat.assigned()
        self._station.put(
            Assigned(
                connection=self.connection,
                link=self._link,
                handle=handle,
                function=function,
                unique=unique,
                workload=workload,
            )
        )

    def _ask(self, kind: PacketType) -> None:
        if self._link is not None:
            self._link.send(_REQUESTS[kind])


@asynccontextmanager
async def open_station(
    loop: Loop[Station], *, connections: Sequence[GearmanConnection], greeting: Greeting
) -> AsyncIterator[Station]:
    """A station for the length of a block; a job that has not ended then goes back to its server."""
    station = Station(loop, connections, greeting)
    async with trio.open_nursery() as nursery:
        for line in station.lines:
            nursery.start_soon(line.run)
        yield station
        nursery.cancel_scope.cancel(reason="the worker was closed")
