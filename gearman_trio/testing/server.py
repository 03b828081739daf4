"""The job server of a test: reached by streams in memory, stopped and started at will, asked whether it has work."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

import trio

from ..server import Server, ServerOptions, serve

__all__ = ["MemoryServer"]


class MemoryServer:
    """A job server without listeners that can be replaced by a new one.

    The mutable state is the server that runs, if one does, and its cancel scope.

    Attributes:
        crashed: whether a server ended by an error of its own.
    """

    def __init__(self, nursery: trio.Nursery, options: ServerOptions, epoch: float) -> None:
        self._nursery = nursery
        self._options = options
        # Epoch seconds minus those of Trio's clock.
        self._epoch_offset = epoch - trio.current_time()
        self._server: Server | None = None
        self._scope = trio.CancelScope()
        self.crashed = False

    @property
    def running(self) -> Server:
        """The server that runs.

        Raises:
            RuntimeError: none does.
        """
        if self._server is None:
            raise RuntimeError("the job server is down")
        return self._server

    def time(self) -> float:
        """Epoch seconds, which go with Trio's clock."""
        return self._epoch_offset + trio.current_time()

    async def start(self) -> None:
        """Run a new server in the nursery."""
        self._server = await self._nursery.start(self._run)

    async def stop(self) -> None:
        """Stop the server hard, and wait until it has ended."""
        server = self.running
        self._server = None
        self._scope.cancel(reason="the test stops the job server")
        await server.wait_ended()

    def connect(self, stream: trio.abc.Stream) -> None:
        """Serve a stream until it ends.

        Raises:
            ConnectionRefusedError: no server runs.
        """
        if self._server is None:
            raise ConnectionRefusedError("the job server is down")
        self._nursery.start_soon(self._serve_stream, self._server, stream)

    def verdict(self, coming: Collection[bytes], *, scheduled: bool) -> str | None:
        """Whether the jobs are done.

        Args:
            coming: functions for which a worker will come back.
            scheduled: whether jobs with a time to run at count.

        Returns:
            ``""`` where no job is queued or running; the functions whose queued jobs no worker can do, for a message;
            ``None`` where jobs go on, or the server is down.
        """
        if self._server is None:
            return None
        functions = self._server.statistics().functions
        stuck = [each for each in functions if each.queued and not each.workers and each.name not in coming]
        if stuck:
            return ", ".join(f"{each.name!r} ({each.queued} queued)" for each in stuck)
        going_on = any(each.queued or each.running or (scheduled and each.scheduled) for each in functions)
        return None if going_on else ""

    async def _run(self, task_status: trio.TaskStatus[Server]) -> None:
        try:
            with trio.CancelScope() as self._scope:
                await serve(listeners=[], options=self._options, epoch_clock=self.time, task_status=task_status)
        except Exception:
            self.crashed = True
            raise
        finally:
            # A test may drain it.
            self._server = None

    async def _serve_stream(self, server: Server, stream: trio.abc.Stream) -> None:
        # It closes the stream, and raises only where it has stopped, or is about to.
        with suppress(RuntimeError):
            await server.handle_stream(stream)
