"""A client of the administrative text protocol."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from ..errors import RemoteProtocolError, ServerError, ServersUnavailable
from ..names import function_name
from ..transport import UNREACHABLE, Address, Connect, dialer, parse_address
from .rows import ConnectionRow, FunctionRow, JobRow, PriorityRow

__all__ = ["AdminClient", "open_admin"]

_RECEIVE_BYTES = 65536

#: A row is a handle, or a function name and some numbers; a client ID or a list of abilities can be long.
_MAX_LINE_BYTES = 1024 * 1024


class AdminClient:
    """Asks one job server, one question at a time; tasks that ask at once wait for each other.

    Every method raises `ServerError` where the server answers ``ERR``, `RemoteProtocolError` where it answers something
    that cannot be understood, and `ServersUnavailable` where the connection has ended.

    Cancellation: an answer may be left half read, so a cancelled question ends the connection.
    """

    def __init__(self, stream: trio.abc.Stream, address: Address) -> None:
        self._stream = stream
        self._address = address
        self._buffer = bytearray()
        # Guards the stream between a question and the end of its answer.
        self._turn = trio.Lock()

    async def status(self) -> list[FunctionRow]:
        """Jobs and workers of each function."""
        return [FunctionRow.parse(line) for line in await self._table("status")]

    async def priority_status(self) -> list[PriorityRow]:
        """Queued jobs of each function, by priority."""
        return [PriorityRow.parse(line) for line in await self._table("prioritystatus")]

    async def workers(self) -> list[ConnectionRow]:
        """Every connection of the server, this one too."""
        return [ConnectionRow.parse(line) for line in await self._table("workers")]

    async def jobs(self) -> list[JobRow]:
        """Every live job."""
        return [JobRow.parse(line) for line in await self._table("show jobs")]

    async def unique_jobs(self) -> list[str]:
        """The unique ID of every live job, empty ones too."""
        return await self._table("show unique jobs")

    async def cancel(self, handle: str | bytes) -> None:
        """End a job; its clients hear WORK_FAIL. An unknown job is a `ServerError` with the code ``UNKNOWN_JOB``."""
        await self._value(f"cancel job {_word(handle)}")

    async def create_function(self, name: str | bytes) -> None:
        """List a function although it has neither jobs nor workers."""
        await self._value(f"create function {_word(function_name(name))}")

    async def drop_function(self, name: str | bytes) -> None:
        """Forget a function that has neither jobs nor workers."""
        await self._value(f"drop function {_word(function_name(name))}")

    async def maxqueue(self, name: str | bytes, *sizes: int) -> None:
        """Limit a function's queue: no size for no limit, one size for all priorities, or three for high, normal, low."""
        await self._value(" ".join(["maxqueue", _word(function_name(name)), *map(str, sizes)]))

    async def version(self) -> str:
        """The server's version."""
        return await self._value("version")

    async def process_id(self) -> int:
        """The process ID of the server, on its machine."""
        return int(await self._value("getpid"))

    async def verbosity(self) -> str:
        """What the server logs, one of gearmand's level names."""
        return await self._value("verbose")

    async def _value(self, command: str) -> str:
        async with self._turn:
            line = await self._ask(command)
        if line != "OK" and not line.startswith("OK "):
            raise RemoteProtocolError(f"expected OK after {command!r}, got {line!r}")
        return line[3:]

    async def _table(self, command: str) -> list[str]:
        async with self._turn:
            lines = []
            line = await self._ask(command)
            while line != ".":
                lines.append(line)
                line = await self._line()
            return lines

    async def _ask(self, command: str) -> str:
        try:
            await self._stream.send_all(command.encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise ServersUnavailable([f"{self._address}: {exc}"]) from exc
        line = await self._line()
        if line.startswith("ERR "):
            code, _, text = line[4:].partition(" ")
            raise ServerError(code, text.replace("+", " "))
        return line

    async def _line(self) -> str:
        buffer = self._buffer
        searched = 0
        try:
            while (end := buffer.find(b"\n", searched)) < 0:
                searched = len(buffer)
                if searched > _MAX_LINE_BYTES:
                    raise RemoteProtocolError(f"{self._address} sent a line of over {_MAX_LINE_BYTES} bytes")
                data = await self._stream.receive_some(_RECEIVE_BYTES)
                if not data:
                    raise ServersUnavailable([f"{self._address} closed the connection"])
                buffer += data
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise ServersUnavailable([f"{self._address}: {exc}"]) from exc
        except trio.Cancelled:
            await trio.aclose_forcefully(self._stream)
            raise
        line = buffer[:end].rstrip(b"\r").decode("utf-8", "backslashreplace")
        del buffer[: end + 1]
        return line


def _word(value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
    if not text or any(character.isspace() for character in text):
        raise ServerError("INVALID_ARGUMENT", f"a name with blanks cannot be sent by the text protocol: {text!r}")
    return text


@asynccontextmanager
async def open_admin(
    server: str | Address = "127.0.0.1:4730",
    *,
    ssl_context: ssl.SSLContext | None = None,
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
        raise ServersUnavailable([f"{address}: {exc}"]) from exc
    async with stream:
        yield AdminClient(stream, address)
