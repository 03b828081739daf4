"""A job server that answers administrative lines as a test says, over memory streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio
from trio.testing import memory_stream_pair

from gearman_trio import Address, AdminClient, open_admin

from ..patience import PATIENCE

__all__ = ["ScriptedServer", "open_scripted"]


class ScriptedServer:
    """The far end of the connection of an `AdminClient`, which reads whole lines."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._buffer = b""

    async def question(self) -> bytes:
        """The next line, without its end."""
        while b"\n" not in self._buffer:
            chunk = await self.stream.receive_some()
            if not chunk:
                raise EOFError(self._buffer)
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    async def answer(self, data: bytes, *, expected: bytes | None = None, piece: int = 0) -> None:
        """Answer the next question, in pieces of some length."""
        question = await self.question()
        assert expected in {None, question}
        for start in range(0, len(data), piece or max(1, len(data))):
            await self.stream.send_all(data[start : start + piece] if piece else data)

    async def closed(self) -> bool:
        """Whether the client has closed its end, with nothing more said."""
        return b"" == await self.stream.receive_some()


@asynccontextmanager
async def open_scripted() -> AsyncGenerator[tuple[AdminClient, ScriptedServer]]:
    """A client and the server that it is connected to."""
    ours, theirs = memory_stream_pair()

    async def connect(address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return theirs

    with trio.fail_after(PATIENCE):
        async with open_admin("scripted:1", connect=connect) as admin:
            yield admin, ScriptedServer(ours)
