"""A large body on its way, received into the memory in which it is handed on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import Final

__all__ = ["LargeBody", "room_maker"]

#: How much room there is where nothing has come yet.
_FIRST_BYTES: Final = 65536

#: How many times as much room there is as has come, and how much more at most: who announces much and sends little
#: must not cost much, and who sends a megabyte should have it received into one place from the beginning.
_TIMES: Final = 16
_AHEAD_BYTES: Final = 67_108_864


class LargeBody:
    """The body of one packet, or its last field, and room for what is still to come of it.

    `BytesIO` lets go of its memory as `bytes` without copying it, where nobody else looks into it.

    Attributes:
        kind: the type of the packet.
        arguments: what came before this part of the body, and is kept apart from it; ``b""`` where this is all of it.
        size: how many bytes were announced.
        received: how many of them have come.
    """

    __slots__ = ("_file", "_view", "arguments", "kind", "received", "size")

    def __init__(self, kind: int, arguments: bytes, size: int, data: bytes) -> None:
        """Begin with `data`, which is less than the whole."""
        self.kind = kind
        self.arguments = arguments
        self.size = size
        self.received = len(data)
        # In one expression, so that nobody else has the memory, and `BytesIO` writes right into it.
        self._file = BytesIO(room_maker()(self._reach()))
        self._view = self._file.getbuffer()
        self._view[: len(data)] = data

    @property
    def whole(self) -> bool:
        """Whether all of it has come."""
        return self.received == self.size

    def room(self) -> memoryview:
        """Where the next bytes belong. To be let go of before anything else is done with the body.

        Raises:
            MemoryError: there is no more; the body is of no further use then.
        """
        if self.received == len(self._view) and not self.whole:
            self._view.release()
            self._file.seek(self._reach() - 1)
            self._file.write(b"\0")
            self._view = self._file.getbuffer()
        return self._view[self.received :]

    def add(self, data: bytes) -> int:
        """Take what belongs to the body from the beginning of `data`; give how much that is."""
        taken = 0
        while taken < len(data) and not self.whole:
            with self.room() as room:
                count = min(len(room), len(data) - taken)
                room[:count] = data[taken : taken + count]
            taken += count
            self.received += count
        return taken

    def take(self) -> bytes:
        """All of it; the object is of no further use."""
        self._view.release()
        return self._file.getvalue()

    def _reach(self) -> int:
        """How far the room is to go, from the beginning of the body."""
        received = self.received
        return min(self.size, max(_FIRST_BYTES, min(received * _TIMES, received + _AHEAD_BYTES)))


@cache
def room_maker() -> Callable[[int], bytes]:
    """What makes room for so many bytes, whatever it holds: to clear it would be as much work as to copy it again.

    `PyBytes_FromStringAndSize` without a string does that, as the C API has it; without ctypes the room is cleared.
    """
    try:
        from ctypes import PYFUNCTYPE, c_char_p, c_ssize_t, py_object, pythonapi  # noqa: PLC0415 - few need it
    except ImportError:
        return bytes
    # Not the attribute of that name: it is shared with the whole program, and so is what it is told to take.
    make = PYFUNCTYPE(py_object, c_char_p, c_ssize_t)(("PyBytes_FromStringAndSize", pythonapi))
    return lambda size: make(None, size)
