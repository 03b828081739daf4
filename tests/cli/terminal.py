"""A terminal for a command to write to, and for a test to read."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from .commands import Output

__all__ = ["Terminal", "open_terminal"]


@attrs.frozen
class Terminal:
    """The user's end of a terminal."""

    stream: trio.lowlevel.FdStream

    @asynccontextmanager
    async def kept(self, screen: Output) -> AsyncIterator[None]:
        """Keep what is written to the terminal during a block."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(screen.keep, self.stream)
            yield
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_terminal() -> AsyncIterator[tuple[Terminal, int]]:
    """A terminal of 80 columns, for a block: the user's end, and the file for the command."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    attributes = termios.tcgetattr(theirs)
    # Line ends come as they are written.
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    try:
        async with trio.lowlevel.FdStream(ours) as stream:
            yield Terminal(stream), theirs
    finally:
        os.close(theirs)
