"""One job server of a worker, for ever: connect, serve, lose the connection, wait, connect again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from itertools import count
from typing import Final

import trio

from ..transport import UNREACHABLE, Address, Backoff, Connect, why_unreachable
from .connection import ANSWER_SECONDS, Connection, Crew

__all__ = ["ServerLink"]

logger = logging.getLogger(__name__)

#: Numbers all connections of the process, to tell them apart in the log.
_numbers: Final = count(1)


class _State(Enum):
    """What the log said last of a server; a line is written where it changes, not at each attempt."""

    NEW = "new"
    CONNECTED = "connected"
    LOST = "lost"
    LEFT = "left"
    UNREACHABLE = "cannot connect"


class ServerLink:
    """Keeps one worker connected to one server.

    The mutable state is what the log said last of the server, the connection if there is one, and whether the
    worker drains.
    """

    def __init__(self, crew: Crew, address: Address, connect: Connect, *, on_change: Callable[[], None]) -> None:
        """Make a link that does nothing before `run`.

        Args:
            crew: what the connection shares with the others of its worker.
            address: where the server is.
            connect: opens a stream to it.
            on_change: called when `connected` has changed.
        """
        self.address = address
        self._crew = crew
        self._connect = connect
        self._on_change = on_change
        self._client = None if crew.client is None else crew.client.with_options(server=address)
        self._state = _State.NEW
        self._connection: Connection | None = None
        self._draining = False
        # Around whatever is waited for while there is no connection; draining cancels it.
        self._pause = trio.CancelScope()
        self._backoff = Backoff()

    @property
    def connected(self) -> bool:
        """Whether the server knows the worker's abilities now."""
        return self._connection is not None and self._state is _State.CONNECTED

    def drain(self) -> None:
        """Make `run` return once the jobs of this server have ended; never waits.

        The slots must be draining already.
        """
        self._draining = True
        self._pause.cancel(reason="the worker drains")
        if self._connection is not None:
            self._connection.drain()

    async def run(self) -> None:
        """Serve until `drain`.

        Cancellation: closes the connection at once; the server requeues the jobs that were running.
        """
        while not self._draining:
            stream = await self._open_stream()
            retry_after = None if stream is None else await self._serve(stream)
            if not self._draining:
                wait = self._backoff.next_wait() if retry_after is None else retry_after
                with trio.move_on_after(wait) as self._pause:
                    await trio.sleep_forever()

    async def _open_stream(self) -> trio.abc.Stream | None:
        """Connect, unless that fails or the worker drains first."""
        reason = f"no connection within {ANSWER_SECONDS:g} s"
        with trio.move_on_after(ANSWER_SECONDS) as self._pause:
            try:
                return await self._connect(self.address)
            except UNREACHABLE as exc:
                reason = why_unreachable(exc)
        if not self._draining:
            self._change(_State.UNREACHABLE, "server=%s cannot connect: %s", self.address, reason)
        return None

    async def _serve(self, stream: trio.abc.Stream) -> float | None:
        """Serve one stream; give the seconds to stay away from the server, where a job asked for that."""
        number = next(_numbers)

        def registered() -> None:
            self._backoff.reset()
            self._change(_State.CONNECTED, "conn=%d server=%s connected", number, self.address)

        connection = Connection(self._crew, stream, number, on_registered=registered, client=self._client)
        self._connection = connection
        if self._draining:
            connection.drain()
        try:
            reason = await connection.run()
        finally:
            self._connection = None
        if connection.retry_after is not None and not self._draining:
            wait = connection.retry_after
            self._change(_State.LEFT, "conn=%d server=%s left for %g s: %s", number, self.address, wait, reason)
            return wait
        state = _State.LOST if connection.registered else _State.UNREACHABLE
        self._change(state, "conn=%d server=%s %s: %s", number, self.address, state.value, reason)
        return None

    def _change(self, state: _State, message: str, *arguments: object) -> None:
        """Log a change of state; what only repeats the state is for those who debug."""
        level = logging.DEBUG
        if state is not self._state:
            bad = state in {_State.LOST, _State.UNREACHABLE} and not self._draining
            level = logging.WARNING if bad else logging.INFO
        self._state = state
        logger.log(level, message, *arguments)
        self._on_change()
