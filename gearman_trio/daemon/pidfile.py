"""The file that tells the process ID to whoever wants to send a signal."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import ConfigError

__all__ = ["PidFile"]


class PidFile:
    """A file that holds the ID of this process, and a line end, while it is needed.

    A file that names another process which runs is never overwritten; one that names none is. The file is there whole
    or not at all, and two processes that start at once do not both get it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self) -> None:
        """Look whether the file can be had, for an error before anything else is done.

        Raises:
            ConfigError: it names a running process.
        """
        owner = self._owner()
        if owner is not None and owner != os.getpid() and _runs(owner):
            raise ConfigError(f"--pid-file: {str(self._path)!r} names process {owner}, which is running")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the file for a block.

        Raises:
            ConfigError: it names a running process, or cannot be written.
        """
        try:
            with _locked(self._path.parent):
                self.check()
                draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
                draft.write_text(f"{os.getpid()}\n")
                # At once: a process manager that waits for the file reads it as soon as it is there.
                draft.replace(self._path)
        except OSError as exc:
            raise ConfigError(f"--pid-file: {str(self._path)!r} cannot be written: {exc.strerror}") from exc
        try:
            yield
        finally:
            # Another process may have taken it, where this one's user could not be seen to run.
            if self._owner() == os.getpid():
                with suppress(OSError):
                    self._path.unlink()

    def _owner(self) -> int | None:
        """The process that the file names; ``None`` if there is no file, or no number in it."""
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return None


def _runs(process: int) -> bool:
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        # Another user's.
        return True
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes that do the same out of a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
