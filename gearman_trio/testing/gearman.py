"""A whole Gearman in memory: job server, workers and clients for the length of a test, without a socket.

Time is Trio's.  Under a mocked clock (`trio.testing.MockClock`, pytest-trio's ``autojump_clock``) hours pass at once:
time-outs, back-off and jobs with a time to run at come true when nothing else is left to do.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import Any, Final

import trio

from ..admin import AdminClient, open_admin
from ..client import Client, Priority, open_client
from ..server import Server, ServerOptions
from ..worker import Abilities, Worker, open_worker
from .line import IN_MEMORY, Line
from .runloop import RunLoopWatcher
from .server import MemoryServer
from .submissions import Arguments, SubmissionReader, SubmittedJob, listed, wanted_job
from .tap import ProtocolTap
from .wire import Direction

__all__ = ["Gearman", "open_gearman"]

#: Handles begin with it, unless a test says otherwise: the name of the machine says nothing in a test.
_HANDLE_PREFIX: Final = "H:test"

#: Without time limits on peers, or a clock that jumps would stop at every look at them.
_OPTIONS: Final = ServerOptions(handle_prefix=_HANDLE_PREFIX, packet_seconds=inf, unread_seconds=inf)

#: How long a worker waits for a job before it asks again: no wake-up is ever lost here, and each time that it asks is
#: one more stop for a mocked clock on its way.
_POLL_INTERVAL_SECONDS: Final = 86400.0

#: Whose connection is meant.
Party = Client | Worker | AdminClient | Line


class Gearman:
    """A job server in memory, and all that a test does with it; `open_gearman` and the fixture ``gearman`` give it.

    The mutable state is the job server, the lines to it, the workers that are open, and what was submitted.
    """

    def __init__(self, server: MemoryServer, watcher: RunLoopWatcher) -> None:
        self._memory_server = server
        self._watcher = watcher
        self._lines: list[Line] = []
        self._parties: dict[Party, Line] = {}
        self._workers: dict[Line, frozenset[bytes]] = {}
        self._submitted: list[SubmittedJob] = []

    # ---- taking part -----------------------------------------------------------------------------------------

    @property
    def server(self) -> Server:
        """The job server; after `restart_server` another one.

        Raises:
            RuntimeError: it is being restarted.
        """
        return self._memory_server.running

    def time(self) -> float:
        """The epoch seconds of the job server's clock, which goes with Trio's: ``run_at=gearman.time() + 3600``."""
        return self._memory_server.time()

    @asynccontextmanager
    async def client(self, **arguments: Any) -> AsyncGenerator[Client]:
        """A client of the job server; the arguments are those of `open_client`, but for servers, TLS and ``connect``.

        Leaving the block ends the faults of its connection.
        """
        line = self.line(f"client-{self._count('client')}")
        arguments = {"client_id": line.name, "epoch_clock": self.time, **arguments}
        async with open_client(IN_MEMORY, connect=line.connect, **arguments) as client:
            self._parties[client] = line
            try:
                yield client
            finally:
                line.resume()

    @asynccontextmanager
    async def worker(self, abilities: Abilities, *, concurrency: int = 1, **arguments: Any) -> AsyncGenerator[Worker]:
        """A worker of the job server, any number at once; the arguments are those of `open_worker`, as for `client`.

        Its ``poll_interval`` is a day where the test does not say otherwise, because no wake-up is lost in memory.

        The block is entered when the server knows the abilities and no task has anything more to do, so that each run
        of a test begins alike.  Leaving it ends the faults of its connection and then drains the worker, so that jobs
        that run come to their end.
        """
        line = self.line(f"worker-{self._count('worker')}")
        arguments = {"client_id": line.name, "poll_interval": _POLL_INTERVAL_SECONDS, **arguments}
        self._workers[line] = frozenset(ability.name for ability in abilities)
        try:
            async with open_worker(
                abilities, IN_MEMORY, concurrency=concurrency, connect=line.connect, **arguments
            ) as worker:
                self._parties[worker] = line
                await self._watcher.wait_all_blocked()
                try:
                    yield worker
                finally:
                    line.resume()
        finally:
            del self._workers[line]

    @asynccontextmanager
    async def admin(self) -> AsyncGenerator[AdminClient]:
        """An administrative client of the job server."""
        line = self.line(f"admin-{self._count('admin')}")
        async with open_admin(IN_MEMORY, connect=line.connect) as admin:
            self._parties[admin] = line
            try:
                yield admin
            finally:
                line.resume()

    def line(self, name: str) -> Line:
        """A line for a client or worker that is opened by other means, or for a bare stream; see `Line`."""
        line = Line(name, partial(SubmissionReader, submitted=self._submitted), self._memory_server.connect)
        self._lines.append(line)
        return line

    # ---- what was submitted ----------------------------------------------------------------------------------

    @property
    def submitted(self) -> tuple[SubmittedJob, ...]:
        """Every submission that the job server took, in that order; those before `restart_server` too."""
        return tuple(self._submitted)

    def assert_submitted(
        self,
        function: str | bytes | Callable[..., Any],
        *,
        workload: bytes | None = None,
        arguments: Arguments | None = None,
        unique: str | bytes | None = None,
        priority: Priority | str | None = None,
        background: bool | None = None,
        run_at: float | datetime.datetime | None = None,
        count: int | None = None,
    ) -> list[SubmittedJob]:
        """Assert that jobs were submitted; give those that match.

        Args:
            function: what was called: its name, or the decorated function.
            workload: the bytes of the job; this and what follows is not looked at where it is ``None``.
            arguments: what a decorated function was called with: a tuple by position, or a ``dict`` by name.
            unique: the unique ID.
            priority: ``"high"``, ``"normal"`` or ``"low"``.
            background: whether the client did not wait for the job's end.
            run_at: when it was to run, to a millisecond.
            count: how many must match; at least one where it is ``None``.

        Raises:
            AssertionError: it was not so; the message lists what was submitted.
            ConfigError, SerializationError, TypeError: what is looked for cannot be submitted at all.
        """
        __tracebackhide__ = True
        wanted = wanted_job(
            function,
            workload=workload,
            arguments=arguments,
            unique=unique,
            priority=priority,
            background=background,
            run_at=run_at,
        )
        found = [job for job in self._submitted if wanted.matches(job)]
        if len(found) != count if count is not None else not found:
            expected = "at least 1" if count is None else count
            raise AssertionError(f"expected {expected} of {wanted}; found {len(found)}\n{listed(self._submitted)}")
        return found

    def assert_not_submitted(self, function: str | bytes | Callable[..., Any] | None = None, **conditions: Any) -> None:
        """Assert that no such job was submitted, or none at all.

        Args:
            function: as for `assert_submitted`; ``None`` for every function.
            conditions: the further arguments of `assert_submitted`, but for ``count``.

        Raises:
            AssertionError: it was; the message lists what was submitted.
        """
        __tracebackhide__ = True
        if function is not None:
            self.assert_submitted(function, **conditions, count=0)
        elif self._submitted:
            raise AssertionError(f"expected no submission; found {len(self._submitted)}\n{listed(self._submitted)}")

    # ---- letting the queue run -------------------------------------------------------------------------------

    async def run_until_empty(self, *, scheduled: bool = False) -> None:
        """Wait until no job is queued or running, nothing is on its way, and no task has anything to do.

        Workers do the jobs; this only waits, and asks nobody again and again.  Under a mocked clock the time that jobs
        take passes at once.  Put it into `trio.fail_after` where a job may hang, for a mocked clock goes on for ever.

        Args:
            scheduled: whether jobs with a time to run at are waited for, too.

        Raises:
            AssertionError: jobs are queued that no worker can do; the message names them.

        Cancellation: nothing is lost.
        """
        __tracebackhide__ = True
        while True:
            # No task is on its way to submit something, and no clock can jump meanwhile.
            await self._watcher.wait_all_blocked()
            stuck = self._verdict(scheduled=scheduled)
            if stuck:
                raise AssertionError(f"jobs are queued for which there is no worker: {stuck}")
            if stuck is not None:
                return
            await self._watcher.wait_until(lambda: self._verdict(scheduled=scheduled) is not None)

    def _verdict(self, *, scheduled: bool) -> str | None:
        """See `MemoryServer.verdict`; bytes that are on their way may be jobs."""
        if any(line.moving for line in self._lines):
            return None
        # A worker that has lost its connection comes back.
        coming = frozenset().union(*self._workers.values())
        return self._memory_server.verdict(coming, scheduled=scheduled)

    # ---- looking at the wire, and breaking it ----------------------------------------------------------------

    def tap(self, party: Party) -> ProtocolTap:
        """What went over the connections of a client or worker, from the beginning."""
        return self._line(party).tap

    def transcript(self, *, last: int | None = None) -> str:
        """What went over every line, one after the other; of each all packets, or the last few."""
        return "\n\n".join(line.tap.transcript(last=last) for line in self._lines)

    async def drop(self, party: Party) -> None:
        """Lose the connection of a client or worker, as if it had been reset: what was on its way is gone.

        This returns when both ends have noticed.

        A client's calls end with `JobLost`, whose `may_have_run` is true where the submission had left the client; a
        question ends with `ServersUnavailable`.  It connects again for its next call.  A worker's running jobs are
        cancelled, the job server requeues them, and the worker connects again after a short wait.
        """
        self._line(party).drop()
        await self._watcher.wait_all_blocked()

    def refuse(self, party: Party) -> None:
        """Refuse new connections until `resume`; the present one goes on, unless it is dropped.

        A client's calls end with `ServersUnavailable`; a worker tries again, after longer and longer waits.
        """
        self._line(party).refuse()

    def stall(self, party: Party) -> None:
        """Let nothing arrive, in either direction, until `resume`: a network that swallows packets for a while.

        Nobody sees an error.  A client's calls wait, so put them into `trio.move_on_after`; a worker's results wait,
        and the job server takes its jobs for running.  New connections are not made either; client and worker give up
        waiting for one after a while.
        """
        self._line(party).stall()

    def delay(self, party: Party, seconds: float) -> None:
        """Let bytes take this long to arrive, in either direction, until `resume`; nothing overtakes anything."""
        self._line(party).delay(seconds)

    def cut(self, party: Party, *, after_bytes: int, direction: Direction | str = Direction.SENT) -> None:
        """Lose the connection once so many more bytes went one way, most likely in the middle of a packet.

        Those bytes arrive; what goes the other way at that time is gone.  At 0 the connection is lost as soon as
        anything is sent that way.  What a client or worker sees is what `drop` says.  With ``direction="received"`` a
        client may lose the answer to a submission that the job server took: it sees `JobLost` with `may_have_run`, and
        the job is in `submitted`.

        Args:
            party: whose connection; if it has none now, the next one.
            after_bytes: counted from now on.
            direction: ``"sent"`` for what the client or worker sends, ``"received"`` for what it receives.
        """
        self._line(party).cut(after_bytes=after_bytes, direction=direction)

    def resume(self, party: Party) -> None:
        """End `stall`, `refuse`, `delay`, and every `cut` that has not happened; what was stalled arrives."""
        self._line(party).resume()

    async def restart_server(self, *, down: float = 0.1) -> None:
        """Stop the job server hard, and start a new one with the same options after `down` seconds.

        As queues are in memory, all jobs are gone, queued, scheduled and running ones.  Clients see what `drop` says,
        and `ServersUnavailable` until the new server is there.  Workers cancel their jobs and connect again by
        themselves; `Worker.wait_ready` waits for that.

        Cancellation: the server stays down.
        """
        await self._memory_server.stop()
        await trio.sleep(down)
        await self._memory_server.start()

    def _count(self, kind: str) -> int:
        return 1 + sum(line.name.startswith(f"{kind}-") for line in self._lines)

    def _line(self, party: Party) -> Line:
        line = party if isinstance(party, Line) else self._parties.get(party)
        if line is None or line not in self._lines:
            raise ValueError(f"expected a client, worker, admin or line of this gearman, got {party!r}")
        return line


@asynccontextmanager
async def open_gearman(*, options: ServerOptions | None = None, epoch: float | None = None) -> AsyncGenerator[Gearman]:
    """A Gearman in memory for the length of a block.

    ::

        async with open_gearman() as gearman, gearman.worker(abilities), gearman.client() as client:
            assert await client.run("reverse", b"abc") == b"cba"

    Args:
        options: of the job server.
        epoch: what its wall clock says at the beginning, in epoch seconds; it goes on with Trio's clock. ``None`` for
            the real time, so that ``run_at=time.time() + 60`` means what it says in the first moment.

    Cancellation, and the end of the block: the server stops hard; jobs that are left are gone.
    """
    failure: BaseException | None = None
    server: MemoryServer | None = None
    try:
        async with trio.open_nursery() as nursery:
            server = MemoryServer(
                nursery,
                _OPTIONS if options is None else options,
                time.time() if epoch is None else epoch,
            )
            with RunLoopWatcher() as watcher:
                nursery.start_soon(watcher.hold_clock)
                await server.start()
                try:
                    yield Gearman(server, watcher)
                except BaseException as exc:
                    failure = exc
                    raise
                finally:
                    nursery.cancel_scope.cancel()
    except BaseExceptionGroup:
        # What the block raised must come out as the block raised it, not in the group of this function's own nursery.
        if failure is None or server is None or server.crashed:
            raise
    if failure is not None:
        raise failure
