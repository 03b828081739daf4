"""The administrative client of this interface."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import trio

from ...admin import ConnectionRow, FunctionRow, JobRow
from ...blocking.loop import Loop
from ...blocking.portal import Portal
from ...client import open_client
from ...errors import GearmanError as AnyGearmanError
from ...errors import RemoteProtocolError
from ...transport import UNREACHABLE, Connect, dialer
from .connection import GearmanConnection
from .connection_manager import GearmanConnectionManager, task_name
from .errors import GearmanError, InvalidAdminClientState, ProtocolError, ServerUnavailable

__all__ = ["DEFAULT_ADMIN_CLIENT_TIMEOUT", "ECHO_STRING", "GearmanAdminClient"]

ECHO_STRING: Final = "gearman_trio: is anybody there?"
DEFAULT_ADMIN_CLIENT_TIMEOUT: Final = 10.0

_T = TypeVar("_T")


@asynccontextmanager
async def _open(loop: Loop[Connect]) -> AsyncIterator[Connect]:
    yield loop.watching(None)


class GearmanAdminClient(GearmanConnectionManager):
    """Asks one job server, over a new connection for each question.

    Every method raises `ServerUnavailable` where the server cannot be reached, `InvalidAdminClientState` where it
    does not answer within ``poll_timeout`` seconds, and `ProtocolError` where the answer makes no sense or says that
    the question was refused.
    """

    def __init__(
        self,
        host_list: Iterable[str | tuple[str, int] | dict[str, Any]] | None = None,
        poll_timeout: float = DEFAULT_ADMIN_CLIENT_TIMEOUT,
    ) -> None:
        """Take the job server.

        Args:
            host_list: as for `GearmanConnectionManager`, with one entry.
            poll_timeout: the seconds that each answer may take.

        Raises:
            GearmanError: there is more than one job server.
        """
        super().__init__(host_list=host_list)
        if len(self.connection_list) > 1:
            raise GearmanError(f"{type(self).__name__} asks one job server, got {self.connection_list!r}")
        self.poll_timeout = poll_timeout
        self._portal = Portal(_open, "administrative client")

    def shutdown(self) -> None:
        """Close every connection; the next call makes one again."""
        portal, self._portal = self._portal, Portal(_open, "administrative client")
        portal.close()

    def ping_server(self) -> float:
        """The seconds in which the job server sent something back."""
        connection = self._connection()

        async def echo(connect: Connect) -> bytes:
            context = connection.ssl_context()
            async with open_client(connection.address(), options=(), connect=connect, ssl_context=context) as client:
                return await client.echo(ECHO_STRING.encode())

        start = time.monotonic()
        answer = self._call(echo)
        if answer != ECHO_STRING.encode():
            raise InvalidAdminClientState(f"expected {ECHO_STRING!r} back, got {answer!r}")
        return time.monotonic() - start

    def get_status(self) -> tuple[dict[str, Any], ...]:
        """Each function as a dictionary: ``task``, ``queued`` (running ones included), ``running``, ``workers``."""
        return tuple(
            {"task": row.function, "queued": row.total, "running": row.running, "workers": row.workers}
            for row in self._rows("status", FunctionRow.parse)
        )

    def get_workers(self) -> tuple[dict[str, Any], ...]:
        """Each connection as a dictionary: ``file_descriptor``, ``ip``, ``client_id``, ``tasks``."""
        return tuple(
            {
                "file_descriptor": str(row.number),
                "ip": row.address,
                "client_id": row.client_id,
                "tasks": row.functions,
            }
            for row in self._rows("workers", ConnectionRow.parse)
        )

    def get_jobs(self) -> tuple[dict[str, Any], ...]:
        """Each job as a dictionary: ``handle``, and the numbers of its row as ``queued``, ``canceled``, ``enabled``.

        What they mean, in the words of gearmand: how often it was queued again, whether nobody waits for it any more,
        whether it is in a persistent queue.
        """
        return tuple(
            {"handle": row.handle, "queued": row.retries, "canceled": int(row.ignored), "enabled": int(row.stored)}
            for row in self._rows("show jobs", JobRow.parse)
        )

    def get_unique_jobs(self) -> tuple[dict[str, list[str]], ...]:
        """Each job as a dictionary: ``unique``, a list with the one unique ID."""
        return tuple({"unique": [line]} for line in self._table("show unique jobs"))

    def get_version(self) -> str:
        """The line in which the job server gives its version: ``"OK 1.1.20"``."""
        return self._line("version")

    def get_pid(self) -> str:
        """The line in which the job server gives its process ID: ``"OK 123"``."""
        return self._line("getpid")

    def send_maxqueue(self, task: Any, max_size: int) -> str:
        """Limit the queue of a function; gives ``"OK"``."""
        return self._line(f"maxqueue {_word(task_name(task))} {int(max_size)}")

    def cancel_job(self, handle: str | bytes) -> str:
        """End a job that no worker has; gives the answer: ``"OK"``, or a line that begins with ``"ERR "``."""
        return self._answer(f"cancel job {_word(handle)}")

    def send_shutdown(self, graceful: bool = True) -> None:
        """Ask the job server to end, after the jobs that run where that is `graceful`."""
        self._line("shutdown graceful" if graceful else "shutdown", may_close=True)

    def _rows(self, command: str, parse: Callable[[str], _T]) -> list[_T]:
        try:
            return [parse(line) for line in self._table(command)]
        except RemoteProtocolError as exc:
            raise ProtocolError(str(exc)) from exc

    def _table(self, command: str) -> list[str]:
        lines = self._ask(command, lambda line: line == "." or line.startswith("ERR "))
        if not lines or lines[-1] != ".":
            raise ProtocolError(f"expected a table after {command!r}, got {lines!r}")
        return lines[:-1]

    def _line(self, command: str, *, may_close: bool = False) -> str:
        line = self._answer(command, may_close=may_close)
        if line.startswith("ERR"):
            raise ProtocolError(f"{command!r} was refused: {line!r}")
        return line

    def _answer(self, command: str, *, may_close: bool = False) -> str:
        lines = self._ask(command, lambda _: True)
        if not lines and not may_close:
            raise ServerUnavailable(f"{self._connection().address()} closed the connection after {command!r}")
        return lines[0] if lines else ""

    def _ask(self, command: str, is_last: Callable[[str], bool]) -> list[str]:
        """Send a command; give the lines of its answer, up to the last one or the end of the connection."""
        connection = self._connection()

        async def ask(connect: Connect) -> list[str]:
            stream = await dialer(connect, connection.ssl_context())(connection.address())
            async with stream:
                await stream.send_all(command.encode("utf-8") + b"\n")
                return await _read_lines(stream, is_last)

        return self._call(ask)

    def _call(self, function: Callable[[Connect], Awaitable[_T]]) -> _T:
        try:
            return self._portal.call(function, self.poll_timeout)
        except TimeoutError:
            raise InvalidAdminClientState(f"no answer within {self.poll_timeout} second(s)") from None
        except (*UNREACHABLE, AnyGearmanError) as exc:
            raise ServerUnavailable(f"{self._connection().address()}: {exc.__cause__ or exc}") from exc

    def _connection(self) -> GearmanConnection:
        if not self.connection_list:
            raise ServerUnavailable("the administrative client has no job server")
        return self.connection_list[0]


async def _read_lines(stream: trio.abc.Stream, is_last: Callable[[str], bool]) -> list[str]:
    lines: list[str] = []
    rest = b""
    async for data in stream:
        *whole, rest = (rest + bytes(data)).split(b"\n")
        for line in whole:
            lines.append(line.removesuffix(b"\r").decode("utf-8", "backslashreplace"))
            if is_last(lines[-1]):
                return lines
    return lines


def _word(value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
    if not text or any(character <= " " for character in text):
        raise ProtocolError(f"expected a word without blanks, as the text protocol needs it, got {value!r}")
    return text
