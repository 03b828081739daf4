"""What holds a worker process to its supervisor: a pair of sockets, and lines of text over it.

The supervisor orders, in lines of one word:

    drain     grab no more jobs, finish what runs, end
    stop      give back what runs, end
    report    say how it goes

The process answers with reports, each a line of JSON: when it begins to look for its job servers, when it becomes ready
or unready, and when it is asked.

The end of the line, in either direction, means that the other side is gone: the kernel closes sockets whichever way a
process ends.  A process without a supervisor drains, so that none is left over that nobody looks after.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import attrs
import trio

from ..errors import ConfigError

__all__ = ["Leash", "Report", "read_lines"]

logger = logging.getLogger(__name__)

#: Tells a worker process its number and the file descriptor of its end: "2:7".
VARIABLE: Final = "GEARMAN_TRIO_LEASH"

#: More than any report takes; asked for at once.
_RECEIVE_BYTES: Final = 65536


@attrs.frozen(kw_only=True)
class Report:
    """How it goes with one worker.

    Attributes:
        ready: whether a job server knows its abilities, and it takes jobs.
        running: how many jobs it runs now.
        servers: what each of its job servers is, "connected" or "not connected", by address.
    """

    ready: bool
    running: int
    servers: dict[str, str]

    def encode(self) -> bytes:
        """As a line."""
        return json.dumps(attrs.asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Report:
        """From a line that `encode` made."""
        return cls(**json.loads(line))


async def read_lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    """Give each whole line as it comes, until the other side is gone."""
    pending = b""
    while True:
        try:
            data = await stream.receive_some(_RECEIVE_BYTES)
        except trio.BrokenResourceError:
            return
        if not data:
            return
        *lines, pending = (pending + bytes(data)).split(b"\n")
        for line in lines:
            yield line


class Leash:
    """The process's end.

    The mutable state is whether the next report is due.

    Attributes:
        number: which of the supervisor's processes this is, from 1 on.
    """

    def __init__(self, number: int, ours: socket.socket) -> None:
        self.number = number
        self._socket = ours
        self._due = trio.Event()

    @classmethod
    def from_environment(cls) -> Leash | None:
        """The leash that the supervisor left for this process, if there is one; only the first call finds it.

        Raises:
            ConfigError: what the environment says is no leash.
        """
        value = os.environ.pop(VARIABLE, None)
        if value is None:
            return None
        try:
            number, descriptor = map(int, value.split(":"))
            ours = socket.socket(fileno=descriptor)
            # Programs that the functions start have no part in it.
            ours.set_inheritable(False)
            return cls(number, ours)
        except (ValueError, OSError) as exc:
            raise ConfigError(f"{VARIABLE} is set for worker processes by their supervisor, got {value!r}") from exc

    def __str__(self) -> str:
        """What the process's lines in the log begin with."""
        return f"process={self.number} pid={os.getpid()}"

    def report(self) -> None:
        """Let a report be sent soon; never waits."""
        self._due.set()

    async def obey(
        self, report: Callable[[], Report], *, drain: Callable[[], Awaitable[None]], stop: Callable[[], None]
    ) -> None:
        """Follow the supervisor's orders, and report, for ever.

        Args:
            report: gives what is to be said.
            drain: ends things gracefully; runs as a task. Called once.
            stop: ends things at once.
        """
        async with (
            trio.SocketStream(trio.socket.from_stdlib_socket(self._socket)) as stream,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._send_reports, stream, report)
            draining = False
            async for line in read_lines(stream):
                if line == b"report":
                    self.report()
                elif line == b"stop":
                    stop()
                elif line == b"drain" and not draining:
                    draining = True
                    nursery.start_soon(drain)
            if not draining:
                logger.warning("the supervisor is gone: finishing what runs")
                nursery.start_soon(drain)

    async def _send_reports(self, stream: trio.SocketStream, report: Callable[[], Report]) -> None:
        try:
            while True:
                await self._due.wait()
                self._due = trio.Event()
                await stream.send_all(report().encode())
        except trio.BrokenResourceError:
            # The supervisor is gone, as the one who reads finds out.
            return
