"""Going into the background, with the command waiting until it is known how that went."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

__all__ = ["Detachment", "detach"]


class Detachment:
    """The background process' line to the command that is waiting for it.

    Args:
        pipe: a file descriptor, which is closed when the command has been told.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe: int | None = pipe

    def ready(self) -> None:
        """Let the command end with 0, and let go of its terminal."""
        with open(os.devnull, "r+b", buffering=0) as nothing:
            for stream in (0, 1, 2):
                os.dup2(nothing.fileno(), stream)
        self._tell(0)

    def failed(self, code: int) -> None:
        """Let the command end with an exit code; the reason is on its standard error, which is still shared."""
        self._tell(code)

    def _tell(self, code: int) -> None:
        if self._pipe is None:
            return
        # Whoever gave the command up does not hear it.
        with suppress(BrokenPipeError):
            os.write(self._pipe, bytes([code]))
        os.close(self._pipe)
        self._pipe = None


def detach() -> Detachment:
    """Go on in a background process: a session of its own, without a terminal, a child of init.

    The process that called this does not return from it. It waits until the one in the background is ready, or has
    failed, and ends with the exit code that it is told; with 1 if the other one just ends. The working directory stays
    as it is, so that relative paths keep their meaning, as with gearmand.

    Must be called before there are threads, and before Trio runs, for neither survives a fork.
    """
    # What is buffered would be written by every process.
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        # No byte: the other process has ended without a word.
        os._exit(ord(os.read(reader, 1) or b"\1"))
    os.close(reader)
    os.setsid()
    # The leader of a session could get a terminal by opening one; its child cannot.
    if os.fork():
        os._exit(0)
    return Detachment(writer)
