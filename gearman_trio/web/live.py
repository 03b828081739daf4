"""What changes, once a second, for pages that are open: one answer is made for all of them, and none for nobody.

An event is a JSON object: ``server`` as `/api/v1/server` has it, and of functions and workers those that are new or
have changed since the event before, and the keys of those that have gone.  The first event of a stream is whole, and so
is one after a pause, which a slow reader has.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from heapq import nlargest
from typing import Any, Final

import attrs
import trio

from ..core import FunctionStatistics, PeerStatistics
from ..server import Server
from .history import History
from .snapshot import function_value, server_value, worker_value

__all__ = ["Live"]

#: How long after one event the next one follows.
_INTERVAL_SECONDS: Final = 1.0

#: More rows than this are of no use on a page; the busiest are shown, and the JSON interface has all, in pages.
_ROWS: Final = 1000

_Rows = dict[str, dict[str, Any]]


@attrs.define(kw_only=True)
class Frame:
    """One second: what is so, and the events that tell it. It changes when the event is made that few need.

    Attributes:
        tick: the number of the second, by Trio's clock.
        functions: the rows by the names of the functions.
        workers: the rows by the numbers of the connections.
        rest: what else events tell.
        changes: an event with what has changed since the second before; empty where nobody has seen that.
    """

    tick: int
    functions: _Rows
    workers: _Rows
    rest: dict[str, Any]
    changes: bytes
    _whole: bytes = attrs.field(default=b"", init=False)

    @property
    def whole(self) -> bytes:
        """An event with everything. Only who comes anew needs it, and it takes longer than all else."""
        if not self._whole:
            self._whole = _event("whole", {**self.rest, **_difference({}, self.functions, {}, self.workers)})
        return self._whole


class Live:
    """The events of a server.

    Args:
        server: whose.
        history: knows what its functions have done lately.
    """

    def __init__(self, server: Server, history: History) -> None:
        self._server = server
        self._history = history
        # The last that was made; whoever needs that of a later second makes it.
        self._frame: Frame | None = None

    def events(self) -> AsyncIterator[bytes]:
        """Server-sent events for one reader, without end. It may be dropped at any time."""
        return _Reader(self)

    def current(self) -> Frame:
        """What is so in this second."""
        tick = int(trio.current_time() / _INTERVAL_SECONDS)
        if self._frame is None or self._frame.tick != tick:
            self._frame = self._make(tick, self._frame)
        return self._frame

    def _make(self, tick: int, before: Frame | None) -> Frame:
        statistics = self._server.statistics()
        now, clock = statistics.time, statistics.epoch - statistics.time
        rates = self._history.recent.rates
        rows = [function_value(each, rates(each, now), clock) for each in _busiest(statistics.functions)]
        functions = {row["function"]: row for row in rows}
        able = [peer for peer in statistics.peers if peer.abilities]
        workers = {str(peer.number): worker_value(peer, clock) for peer in _busiest_workers(able)}
        rest = {
            "time": statistics.epoch,
            "server": {**server_value(self._server, statistics), "lag_seconds": self._history.lag},
            "functions_left_off": len(statistics.functions) - len(functions),
            "workers_left_off": len(able) - len(workers),
        }
        return Frame(
            tick=tick,
            functions=functions,
            workers=workers,
            rest=rest,
            changes=b""
            if before is None or before.tick != tick - 1
            else _event("changes", {**rest, **_difference(before.functions, functions, before.workers, workers)}),
        )


class _Reader:
    """One stream. No generator, for nobody closes those that an application leaves behind."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._seen = -1

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> bytes:
        # Seconds begin at the same time for all readers, so that they share a frame.
        await trio.sleep_until((self._seen + 1) * _INTERVAL_SECONDS)
        frame = self._live.current()
        event = frame.changes if self._seen == frame.tick - 1 and frame.changes else frame.whole
        self._seen = frame.tick
        return event


def _busiest(functions: list[FunctionStatistics]) -> list[FunctionStatistics]:
    if len(functions) <= _ROWS:
        return functions
    return nlargest(_ROWS, functions, key=lambda f: (f.stalled, f.queued + f.running))


def _busiest_workers(workers: list[PeerStatistics]) -> list[PeerStatistics]:
    if len(workers) <= _ROWS:
        return workers
    return nlargest(_ROWS, workers, key=lambda peer: peer.running)


def _difference(functions: _Rows, functions_now: _Rows, workers: _Rows, workers_now: _Rows) -> dict[str, Any]:
    return {
        "functions": [row for key, row in functions_now.items() if functions.get(key) != row],
        "functions_gone": [key for key in functions if key not in functions_now],
        "workers": [row for key, row in workers_now.items() if workers.get(key) != row],
        "workers_gone": [int(key) for key in workers if key not in workers_now],
    }


def _event(name: str, content: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), json.dumps(content, separators=(",", ":")).encode())
