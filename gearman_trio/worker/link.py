"""One job server of a worker, for ever: connect, serve, lose the connection, wait, connect again.

A worker has one link, and so one connection, to each server for each group of its functions (`groups`); how the server
stands with the worker is the sum of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from itertools import count
from typing import Final

import trio

from ..transport import UNREACHABLE, Address, Backoff, Connect, why_unreachable
from .connection import ANSWER_SECONDS, Connection, Crew
from .groups import Group
from .job import printable

__all__ = ["ServerLink", "Standing"]

logger = logging.getLogger(__name__)

#: Numbers all connections of the process, to tell them apart in the log.
_numbers: Final = count(1)


class _State(Enum):
    """What became last of a connection to a server, or of all of them; the number says how bad that is."""

    NEW = 0
    CONNECTED = 1
    LEFT = 2
    LOST = 3
    UNREACHABLE = 4


class Standing:
    """How one server stands with a worker, over all links to it, and what the log says of that.

    A line is written where it changes, not at each attempt of each link: a server is connected when all its links are,
    and as bad as the worst of what happened since.

    The mutable state is the links, and what the log said last.
    """

    def __init__(self, address: Address, *, on_change: Callable[[], None]) -> None:
        """Make the standing of a server without links.

        Args:
            address: where the server is.
            on_change: called when `connected` may have changed.
        """
        self.address = address
        self._on_change = on_change
        self._links: list[ServerLink] = []
        self._state = _State.NEW

    @property
    def connected(self) -> bool:
        """Whether the server knows all the worker's abilities now."""
        return all(link.connected for link in self._links)

    def _join(self, link: ServerLink) -> None:
        self._links.append(link)

    def _link_changed(self, state: _State, level: int, message: str, arguments: tuple[object, ...]) -> None:
        """Log a change of the whole; what only repeats it is for those who debug."""
        if state is _State.CONNECTED:
            news = self.connected and self._state is not state
        else:
            news = state.value > self._state.value
        if news:
            self._state = state
        logger.log(level if news else logging.DEBUG, message, *arguments)
        self._on_change()


class ServerLink:
    """Keeps one connection of a worker to one server.

    The mutable state is what became last of the connection, the connection if there is one, and whether the
    worker drains.
    """

    def __init__(self, crew: Crew, group: Group, standing: Standing, connect: Connect) -> None:
        """Make a link that does nothing before `run`.

        Args:
            crew: what the connection shares with the others of its worker.
            group: the functions that it is for.
            standing: of the server.
            connect: opens a stream to it.
        """
        self._crew = crew
        self._group = group
        self._standing = standing
        self._connect = connect
        self._client = None if crew.client is None else crew.client.with_options(server=standing.address)
        self._state = _State.NEW
        self._connection: Connection | None = None
        self._draining = False
        # Around whatever is waited for while there is no connection; draining cancels it.
        self._pause = trio.CancelScope()
        self._backoff = Backoff()
        #: The server as the log shows it.
        self._shown = str(standing.address)
        if group.quota is not None:
            self._shown += "".join(f" function={printable(name)}" for name in group.abilities)
        standing._join(self)

    @property
    def connected(self) -> bool:
        """Whether the server knows the abilities of the group now."""
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
                return await self._connect(self._standing.address)
            except UNREACHABLE as exc:
                reason = why_unreachable(exc)
        if not self._draining:
            self._change(_State.UNREACHABLE, "server=%s cannot connect: %s", self._shown, reason)
        return None

    async def _serve(self, stream: trio.abc.Stream) -> float | None:
        """Serve one stream; give the seconds to stay away from the server, where a job asked for that."""
        number = next(_numbers)

        def registered() -> None:
            self._backoff.reset()
            self._change(_State.CONNECTED, "conn=%d server=%s connected", number, self._shown)

        connection = Connection(self._crew, self._group, stream, number, on_registered=registered, client=self._client)
        self._connection = connection
        if self._draining:
            connection.drain()
        try:
            reason = await connection.run()
        finally:
            self._connection = None
        if connection.retry_after is not None and not self._draining:
            wait = connection.retry_after
            self._change(_State.LEFT, "conn=%d server=%s left for %g s: %s", number, self._shown, wait, reason)
            return wait
        state = _State.LOST if connection.registered else _State.UNREACHABLE
        what = "lost" if connection.registered else "cannot connect"
        self._change(state, "conn=%d server=%s %s: %s", number, self._shown, what, reason)
        return None

    def _change(self, state: _State, message: str, *arguments: object) -> None:
        self._state = state
        bad = state in {_State.LOST, _State.UNREACHABLE} and not self._draining
        self._standing._link_changed(state, logging.WARNING if bad else logging.INFO, message, arguments)
