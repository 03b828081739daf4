"""A client of the administrative text protocol."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import trio

from ..errors import ConfigError, RemoteProtocolError, ServerError, ServersUnavailable
from ..names import function_name
from ..transport import UNREACHABLE, Address, Connect, Tls, dialer, parse_address, why_unreachable
from .activity import ConnectionActivityRow, FunctionActivityRow, RunningJobRow
from .rows import ConnectionRow, FunctionJobRow, FunctionRow, JobRow, LimitRow, PriorityRow

__all__ = ["AdminClient", "open_admin"]

_RECEIVE_BYTES = 65536

#: A row is a handle, or a function name and some numbers; a client ID or a list of abilities can be long.
_MAX_LINE_BYTES = 1024 * 1024


#: What gearmand 2.2 puts before a unique ID in ``show unique jobs``.
_HANDLE = re.compile(r"\A\S+:\d+\t")


class AdminClient:
    """Asks one job server, one question at a time; tasks that ask at once wait for each other.

    Every method raises `ServerError` where the server answers ``ERR``, with the code ``"ERR"`` where it gives none,
    `RemoteProtocolError` where it answers something that cannot be understood, and `ServersUnavailable` where the
    connection has ended.  Methods with arguments raise `ConfigError`, before anything is sent, where the text protocol
    cannot carry one: words with blanks, line ends or control characters.

    Cancellation: an answer may be left half read, so a cancelled question ends the connection.  While a question only
    waits for those before it, nothing is lost.
    """

    def __init__(self, stream: trio.abc.Stream, address: Address) -> None:
        self._stream = stream
        self._address = address
        self._buffer = bytearray()
        # Guards the stream between a question and the end of its answer.
        self._turn = trio.Lock()

    async def status(self) -> list[FunctionRow]:
        """Jobs and workers of each function."""
        return [FunctionRow.parse(line) for line in await self._table(b"status")]

    async def priority_status(self) -> list[PriorityRow]:
        """Queued jobs of each function, by priority."""
        return [PriorityRow.parse(line) for line in await self._table(b"prioritystatus")]

    async def workers(self) -> list[ConnectionRow]:
        """Every connection of the server, this one too."""
        return [ConnectionRow.parse(line) for line in await self._table(b"workers")]

    async def jobs(self) -> list[JobRow]:
        """Every live job."""
        return [JobRow.parse(line) for line in await self._table(b"show jobs")]

    async def unique_jobs(self) -> list[str]:
        """The unique ID of every live job, empty ones too; gearmand 2.2 gives handles with them, which are left out."""
        return [_HANDLE.sub("", line, count=1) for line in await self._table(b"show unique jobs")]

    async def cancel(self, handle: str | bytes) -> None:
        """End a job; its clients hear WORK_FAIL. An unknown job is a `ServerError` with the code ``UNKNOWN_JOB``."""
        await self._value(b"cancel job " + _word(handle))

    async def create_function(self, name: str | bytes) -> None:
        """List a function although it has neither jobs nor workers."""
        await self._value(b"create function " + _word(function_name(name)))

    async def drop_function(self, name: str | bytes) -> None:
        """Forget a function that has neither jobs nor workers."""
        await self._value(b"drop function " + _word(function_name(name)))

    async def maxqueue(self, name: str | bytes, *sizes: int) -> None:
        """Limit a function's queue: no size for no limit, one for all priorities, or three for high, normal, low.

        A size of 0 is no limit.
        """
        if len(sizes) not in {0, 1, 3} or min(sizes, default=0) < 0:
            raise ConfigError(f"maxqueue: expected no size, one or three, of at least 0, got {sizes!r}")
        await self._value(b" ".join([b"maxqueue", _word(function_name(name)), *(b"%d" % size for size in sizes)]))

    async def limits(self, name: str | bytes | None = None) -> list[LimitRow]:
        """What `maxqueue` said, of one function or of all that have a limit. Of this server alone.

        An unknown function is a `ServerError`, as for the other methods that name one.
        """
        command = b"show maxqueue" if name is None else b"show maxqueue " + _word(function_name(name))
        return [LimitRow.parse(line) for line in await self._table(command)]

    async def function_jobs(
        self,
        name: str | bytes,
        *,
        state: Literal["committing", "fetching", "queued", "running", "scheduled"] | None = None,
        priority: Literal["high", "normal", "low"] | None = None,
        unique: str | bytes | None = None,
        older: float | None = None,
        younger: float | None = None,
        limit: int | None = None,
    ) -> list[FunctionJobRow]:
        """The jobs of a function in the order of their handles. Of this server alone.

        Args:
            name: of the function.
            state: only jobs in this state.
            priority: only jobs of this priority.
            unique: only jobs with this unique ID, written as the rows have it.
            older: only jobs that were submitted at least so many seconds ago.
            younger: only jobs that were submitted less than so many seconds ago.
            limit: at most so many jobs.

        Raises:
            ConfigError: a number of seconds is not one, from 0 on.
        """
        words = [b"list jobs", _word(function_name(name))]
        words += [b"state=" + _word(state)] if state is not None else []
        words += [b"priority=" + _word(priority)] if priority is not None else []
        words += [b"unique=" + (_word(unique) if unique else b"")] if unique is not None else []
        words += [b"older=" + _ms(older)] if older is not None else []
        words += [b"younger=" + _ms(younger)] if younger is not None else []
        words += [b"limit=%d" % limit] if limit is not None else []
        return [FunctionJobRow.parse(line) for line in await self._table(b" ".join(words))]

    async def function_activity(self) -> list[FunctionActivityRow]:
        """What each function has, and what became of its jobs. Of this server alone."""
        return [FunctionActivityRow.parse(line) for line in await self._table(b"show functions")]

    async def running_jobs(self) -> list[RunningJobRow]:
        """Every job that a worker holds. Of this server alone."""
        return [RunningJobRow.parse(line) for line in await self._table(b"show running")]

    async def connection_activity(self) -> list[ConnectionActivityRow]:
        """Every connection of the server with what it does, this one too. Of this server alone."""
        return [ConnectionActivityRow.parse(line) for line in await self._table(b"show connections")]

    async def pause_function(self, name: str | bytes) -> None:
        """Give no worker a job of a function any more; jobs are taken, and running ones go on. Of this server alone."""
        await self._value(b"pause function " + _word(function_name(name)))

    async def resume_function(self, name: str | bytes) -> None:
        """Undo `pause_function`. Of this server alone."""
        await self._value(b"resume function " + _word(function_name(name)))

    async def paused_functions(self) -> list[str]:
        """The functions that are paused. Of this server alone."""
        return await self._table(b"show paused")

    async def purge_function(self, name: str | bytes) -> int:
        """End every queued and scheduled job of a function; clients hear WORK_FAIL. Of this server alone.

        Returns:
            how many jobs that were.

        Cancellation: jobs are ended in portions, and those that were not stay.
        """
        return await self._number(b"purge function " + _word(function_name(name)))

    async def shut_down(self, *, graceful: bool = True) -> None:
        """Stop the server, when running jobs have ended or at once; only over an administrators' listener."""
        await self._value(b"shutdown graceful" if graceful else b"shutdown")

    async def version(self) -> str:
        """The server's version."""
        return await self._value(b"version")

    async def process_id(self) -> int:
        """The process ID of the server, on its machine."""
        return await self._number(b"getpid")

    async def verbosity(self) -> str:
        """What the server logs, one of gearmand's level names."""
        return await self._value(b"verbose")

    async def _number(self, command: bytes) -> int:
        answer = await self._value(command)
        if not (answer.isascii() and answer.isdigit()):
            raise RemoteProtocolError(f"expected a number after {_shown(command)}, got {answer!r}")
        return int(answer)

    async def _value(self, command: bytes) -> str:
        async with self._question(command):
            line = await self._first_line(command)
        if line != "OK" and not line.startswith("OK "):
            raise RemoteProtocolError(f"expected OK after {_shown(command)}, got {line!r}")
        return line[3:]

    async def _table(self, command: bytes) -> list[str]:
        async with self._question(command):
            lines = []
            line = await self._first_line(command)
            while line != ".":
                lines.append(line)
                line = await self._line()
            return lines

    @asynccontextmanager
    async def _question(self, command: bytes) -> AsyncIterator[None]:
        """Send a command, for a block that reads the whole answer; where it does not, the connection ends."""
        async with self._turn:
            try:
                await self._stream.send_all(command + b"\n")
                yield
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                raise ServersUnavailable([f"{self._address}: {exc}"]) from exc
            except (trio.Cancelled, RemoteProtocolError):
                # What is still to come would be taken for the answer to the next question.
                await trio.aclose_forcefully(self._stream)
                raise

    async def _first_line(self, command: bytes) -> str:
        line = await self._line()
        if not line.startswith("ERR "):
            return line
        code, _, text = line[4:].partition(" ")
        if code != code.upper():
            # Some errors of gearmand have no code: "ERR function not found".
            code, text = "ERR", line[4:]
        raise ServerError(code, text.replace("+", " ") or f"the answer to {_shown(command)}")

    async def _line(self) -> str:
        buffer = self._buffer
        searched = 0
        while (end := buffer.find(b"\n", searched)) < 0:
            searched = len(buffer)
            if searched > _MAX_LINE_BYTES:
                raise RemoteProtocolError(f"{self._address} sent a line of over {_MAX_LINE_BYTES} bytes")
            data = await self._stream.receive_some(_RECEIVE_BYTES)
            if not data:
                raise ServersUnavailable([f"{self._address} closed the connection"])
            buffer += data
        line = buffer[:end].removesuffix(b"\r").decode("utf-8", "backslashreplace")
        del buffer[: end + 1]
        return line


def _word(value: str | bytes) -> bytes:
    word = value.encode("utf-8") if isinstance(value, str) else value
    if not word or any(byte <= 32 or byte == 127 for byte in word):
        raise ConfigError(
            f"expected a word without blanks and control characters, as the text protocol needs it, got {value!r}"
        )
    return word


def _ms(seconds: float) -> bytes:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ConfigError(f"expected a number of seconds from 0 on, got {seconds!r}")
    return b"%d" % round(seconds * 1000)


def _shown(command: bytes) -> str:
    return repr(command.decode("utf-8", "backslashreplace"))


@asynccontextmanager
async def open_admin(
    server: str | Address = "127.0.0.1:4730",
    *,
    ssl_context: Tls | None = None,
    connect: Connect | None = None,
) -> AsyncIterator[AdminClient]:
    """Connect to a job server to ask and steer it, for the length of a block.

    Raises:
        ServersUnavailable: it cannot be reached.
        ConfigError: the address cannot be read.
    """
    address = server if isinstance(server, Address) else parse_address(server)
    try:
        stream = await dialer(connect, ssl_context)(address)
    except UNREACHABLE as exc:
        raise ServersUnavailable([f"{address}: {why_unreachable(exc)}"]) from exc
    async with stream:
        yield AdminClient(stream, address)
