"""The client for threads."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from copy import copy
from types import TracebackType
from typing import Any

from .. import client as _async
from ..client import ClientStatistics, JobState, Priority, open_client
from ..client.connectors import known_server
from ..client.options import DEFAULT_OPTIONS, Resubmit
from ..client.routing import check_routing
from ..names import client_id as check_client_id
from ..protocol import MAX_PACKET_BYTES
from ..transport import Address, Connect, Tls, parse_address
from .caller import Workload
from .loop import Loop, checked_timeout
from .many import ManyCaller
from .portal import Portal

__all__ = ["Client"]


class Client(ManyCaller):
    """A client of a job server as plain calls, for any number of threads at once.

    ::

        with Client("host:4730") as client:
            client.run("reverse", b"!dlrow olleH", timeout=10)

    All threads share one connection, which the first call makes, and a background thread that runs Trio.  The methods
    are those of `gearman_trio.Client`: the same arguments, results and errors.

    Timeouts: each method takes ``timeout``, the seconds that the call may take, connecting included; ``None`` is
    without limit.  A call of a decorated function has it as an option (`with_options`).  After them it raises
    `TimeoutError`.  What was sent stays with the job server: a job goes on, and what comes for it is dropped.  The
    client and its connection stay usable.  A `KeyboardInterrupt` in the calling thread does the same.

    Forks: the parent's client goes on.  In the child the same object makes a thread and a connection of its own at
    its first call; a job that was being watched is not watched there.

    Resource handling: `close`, or the end of the ``with`` block, ends the connection and the thread.  A client that is
    forgotten does so when it is collected or the interpreter exits; neither waits for anything.  Once closed it stays
    closed.
    """

    def __init__(
        self,
        *servers: str | Address,
        routing: str = "failover",
        resubmit: Resubmit = "never",
        client_id: str | None = None,
        options: Sequence[str] = ("exceptions",),
        max_packet_bytes: int = MAX_PACKET_BYTES,
        ssl_context: Tls | None = None,
        connect: Connect | None = None,
    ) -> None:
        """Make a client that connects when it is first used; the arguments are those of `gearman_trio.open_client`.

        Raises:
            ConfigError: an address, the client ID, `routing` or `resubmit` cannot be used. An option that cannot be
            sent is found at the first use.
        """
        check_routing(routing)
        self._options = DEFAULT_OPTIONS.changed(resubmit=resubmit)
        addresses = [parse_address(server) if isinstance(server, str) else server for server in servers]
        if client_id is not None:
            check_client_id(client_id)
        options = options if isinstance(options, str) else tuple(options)

        def open_(loop: Loop[_async.Client]) -> AbstractAsyncContextManager[_async.Client]:
            return open_client(
                *addresses,
                routing=routing,
                resubmit=resubmit,
                client_id=client_id,
                options=options,
                max_packet_bytes=max_packet_bytes,
                ssl_context=ssl_context,
                connect=loop.watching(connect),
            )

        self._servers = tuple(addresses) or (parse_address("127.0.0.1"),)
        self._portal = Portal(open_, "client")
        self._view = _itself
        self._timeout = None

    def __enter__(self) -> Client:
        self._portal.loop()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and the thread; may be called again.

        Calls that still wait in other threads get `JobLost` or `ServersUnavailable`, later calls `ServersUnavailable`.
        """
        self._portal.close()

    @property
    def server(self) -> Address | None:
        """The job server that this client is connected to now."""

        async def ask(client: _async.Client) -> Address | None:
            return self._view(client).server

        return self._portal.call(ask) if self._portal.open else None

    def statistics(self) -> ClientStatistics:
        """What this client is doing now; looks at every job under way."""

        async def ask(client: _async.Client) -> ClientStatistics:
            return self._view(client).statistics()

        return self._portal.call(ask)

    def with_options(
        self,
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        run_at: float | datetime.datetime | None = None,
        delay: float | None = None,
        server: str | Address | None = None,
        name: str | bytes | None = None,
        max_unread_bytes: int | None = None,
        resubmit: Resubmit | None = None,
        timeout: float | None = None,
    ) -> Client:
        """This client with other options for its calls, as `gearman_trio.Client.with_options`.

        ::

            client.with_options(timeout=10).run(count_words, "a cat")

        It is a view, made in a moment, of the same connection and thread: closing the one closes the other.

        Args:
            priority: as there.
            unique: as there.
            run_at: as there.
            delay: as there.
            server: as there.
            name: as there.
            max_unread_bytes: as there.
            resubmit: as there.
            timeout: the seconds that a call may take which does not say otherwise.  A call of a decorated function
                cannot, for all its arguments are the function's.

        Raises:
            ConfigError: an option cannot be used, or the server is none of this client's.
        """
        view = copy(self)
        changes: dict[str, Any] = {
            "priority": priority,
            "unique": unique,
            "run_at": run_at,
            "delay": delay,
            "name": name,
            "max_unread_bytes": max_unread_bytes,
            "resubmit": resubmit,
        }
        # Only to find mistakes here instead of at the first call.
        view._options = self._options.changed(**changes)
        address = None if server is None else known_server(server, self._servers)
        view._timeout = self._limit(checked_timeout(timeout))
        if address is not None or view._options is not self._options:
            outer = self._view
            view._view = lambda client: outer(client).with_options(**changes, server=address)
        return view

    def status(self, handle: str | bytes, *, timeout: float | None = None) -> JobState:
        """Ask how far a job is, by its handle. Raises as `gearman_trio.Client.status`."""
        return self._portal.call(lambda client: self._view(client).status(handle), self._limit(timeout))

    def status_by_unique(self, unique: str | bytes, *, timeout: float | None = None) -> JobState:
        """Ask how far a job is, by its unique ID. Raises as `gearman_trio.Client.status_by_unique`."""
        return self._portal.call(lambda client: self._view(client).status_by_unique(unique), self._limit(timeout))

    def echo(self, workload: Workload, *, timeout: float | None = None) -> bytes:
        """Have the job server send bytes back. Raises as `gearman_trio.Client.echo`."""
        return self._portal.call(lambda client: self._view(client).echo(workload), self._limit(timeout))

    def set_option(self, name: str, *, timeout: float | None = None) -> None:
        """Ask the job server for an option. Raises as `gearman_trio.Client.set_option`."""
        self._portal.call(lambda client: self._view(client).set_option(name), self._limit(timeout))


def _itself(client: _async.Client) -> _async.Client:
    return client
