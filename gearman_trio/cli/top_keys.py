"""Keys of a terminal, one by one, without Enter and without echo."""

from __future__ import annotations

import os
import re
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import trio

__all__ = ["decode_keys", "read_keys", "single_keys"]

#: What terminals send for keys that are no characters (xterm's, and the Linux console's where it differs).
_SEQUENCES: Final = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x1b[F": "end",
    "\x1bOF": "end",
    "\x1b[4~": "end",
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "backspace",
    "\x08": "backspace",
}

_KEY: Final = re.compile(r"\x1b(?:\[[0-9;?]*[@-~]|O.)?|.", re.DOTALL)

_READ_BYTES: Final = 1024


def decode_keys(data: bytes) -> list[str]:
    """The keys of what came at once: characters, or names such as ``"up"``; what has none is left out."""
    keys = []
    for found in _KEY.findall(data.decode("utf-8", "replace")):
        key = _SEQUENCES.get(found, found)
        if len(key) == 1 and not key.isprintable():
            continue
        if not key.startswith("\x1b"):
            keys.append(key)
    return keys


@contextmanager
def single_keys(fd: int) -> Iterator[None]:
    """Have a terminal give keys at once, and not show them; Ctrl-C is a signal still."""
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd, termios.TCSANOW)
        yield
    finally:
        # A terminal that has gone needs nothing any more.
        with suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


async def read_keys() -> AsyncIterator[str]:
    """The keys pressed at standard input, until it ends."""
    fd = sys.stdin.fileno()
    while True:
        await trio.lowlevel.wait_readable(fd)
        try:
            data = os.read(fd, _READ_BYTES)
        except OSError:
            # The terminal has gone.
            return
        if not data:
            return
        for key in decode_keys(data):
            yield key
