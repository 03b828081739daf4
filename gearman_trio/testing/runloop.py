"""What Trio's run loop is told about a test: conditions to wait for, and what runs elsewhere while time stands still.

Trio calls an instrument each time that it has run all tasks that can go on, before it waits for what comes next or lets
a mocked clock jump.  Whoever waits for a condition has it looked at then, and nobody has to ask again and again.

`trio.testing` brings in pytest where that is installed, so it is imported only where it is used.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from ..worker.processes import active_process_count

__all__ = ["RunLoopWatcher"]

#: How long, in real seconds, nothing may happen before what runs elsewhere is counted again.
_CUSHION_SECONDS: Final = 0.002


class RunLoopWatcher(trio.abc.Instrument):
    """Waits for conditions, and holds a clock while threads and processes run.

    The mutable state is the conditions that tasks wait for, and whether the clock is held.
    """

    def __init__(self) -> None:
        self._waits: dict[trio.Event, Callable[[], bool]] = {}
        self._others_run = trio.Event()
        self._count_others: Callable[[], int] = int

    def __enter__(self) -> RunLoopWatcher:
        """Watch the present run of Trio, for the length of a block."""
        from trio.testing import active_thread_count

        self._count_others = lambda: active_thread_count() + active_process_count()
        trio.lowlevel.add_instrument(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        trio.lowlevel.remove_instrument(self)

    async def wait_all_blocked(self) -> None:
        """Wait until no task can go on at once; a mocked clock stands still meanwhile."""
        from trio.testing import wait_all_tasks_blocked

        await wait_all_tasks_blocked()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds at a moment when all tasks that could go on have done so.

        Args:
            condition: cheap, without side effects, and must not raise.
        """
        event = trio.Event()
        self._waits[event] = condition
        try:
            await event.wait()
        finally:
            del self._waits[event]

    def before_io_wait(self, timeout: float) -> None:
        """See `trio.abc.Instrument`."""
        for event, condition in self._waits.items():
            if condition():
                event.set()
        if self._count_others() and not self._others_run.is_set():
            self._others_run.set()

    async def hold_clock(self) -> None:
        """Keep a mocked clock from jumping while a thread or process runs, which takes real time. Runs until cancelled.

        Trio lets such a clock jump only while no task is in `trio.testing.wait_all_tasks_blocked`.
        """
        from trio.testing import MockClock, wait_all_tasks_blocked

        if not isinstance(trio.lowlevel.current_clock(), MockClock):
            return
        while True:
            await self._others_run.wait()
            while self._count_others():
                await wait_all_tasks_blocked(_CUSHION_SECONDS)
            self._others_run = trio.Event()
