"""The way of one client or worker to the job server of a test, over all of its connections."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import trio

from ..errors import ConfigError
from ..transport import Address
from .tap import ProtocolTap, TappedConnection
from .wire import Direction, Faults, Watcher, Wire

__all__ = ["IN_MEMORY", "Line"]

#: Stands for the job server of a test where an address is asked for.
IN_MEMORY: Final = Address("in-memory")


class Line:
    """What connects one client or worker to the job server, and what a test may do to it.

    `Gearman.line` makes one; `connect` is for the argument of that name of `open_client`, `open_worker` and
    `open_admin`, or gives a bare stream to speak the protocol over.

    The mutable state is the faults, and the wires that have not ended.

    Attributes:
        name: in transcripts, and as the client of a `SubmittedJob`.
        tap: what went over the line, from its beginning.
    """

    def __init__(self, name: str, watch: Callable[[str], Watcher], serve: Callable[[trio.abc.Stream], None]) -> None:
        self.name = name
        self.tap = ProtocolTap(name)
        self._watch = watch
        self._serve = serve
        self._faults = Faults()
        self._wires: set[Wire] = set()
        self._changed = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"<Line {self.name}>"

    @property
    def moving(self) -> bool:
        """Whether bytes are on their way that will arrive by themselves."""
        return any(wire.moving for wire in self._wires)

    async def connect(self, address: Address = IN_MEMORY) -> trio.abc.Stream:
        """A new connection to the job server of the test, whatever the address is.

        Raises:
            OSError: the job server is down, or the line refuses connections.

        Resource handling: the caller closes the stream.
        """
        await trio.lowlevel.checkpoint()
        with trio.CancelScope(deadline=trio.current_time() + self._faults.delay):
            if self._faults.delay:
                await trio.sleep_forever()
        while self._faults.stalled:
            await self._changed.park()
        if self._faults.refusing:
            raise ConnectionRefusedError(f"{self.name}: the test refuses the connection")
        connection = TappedConnection(self.tap)
        wire = Wire(self._faults, connection, self._watch(self.name), self._wires.discard)
        self._serve(wire.far)
        self._wires.add(wire)
        connection.begin()
        return wire.near

    def drop(self) -> None:
        """Lose the connection, and whatever is on its way; see `Gearman.drop`."""
        for wire in tuple(self._wires):
            wire.lose()

    def refuse(self) -> None:
        """Refuse new connections; see `Gearman.refuse`."""
        self._faults.refusing = True

    def stall(self) -> None:
        """Let nothing arrive; see `Gearman.stall`."""
        self._faults.stalled = True

    def delay(self, seconds: float) -> None:
        """Let bytes take time to arrive; see `Gearman.delay`.

        Raises:
            ConfigError: it is not a number of seconds from 0 on.
        """
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ConfigError(f"delay: expected seconds from 0 on, got {seconds!r}")
        self._faults.delay = seconds

    def cut(self, *, after_bytes: int, direction: Direction | str = Direction.SENT) -> None:
        """Lose the connection after so many more bytes; see `Gearman.cut`.

        Raises:
            ConfigError: the number is below 0, or the direction is neither ``"sent"`` nor ``"received"``.
        """
        if after_bytes < 0:
            raise ConfigError(f"after_bytes: expected a number from 0 on, got {after_bytes!r}")
        if direction not in {*Direction}:
            raise ConfigError(f"direction: expected 'sent' or 'received', got {direction!r}")
        self._faults.cuts[Direction(direction)] = after_bytes

    def resume(self) -> None:
        """End `stall`, `refuse`, `delay`, and every `cut` that has not happened."""
        self._faults.stalled = False
        self._faults.refusing = False
        self._faults.delay = 0.0
        self._faults.cuts.clear()
        self._changed.unpark_all()
        for wire in tuple(self._wires):
            wire.wake()
