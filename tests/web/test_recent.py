"""What functions have done lately."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from gearman_trio import open_server
from gearman_trio.core import Dispatcher, FunctionStatistics, Policy
from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.web import History
from gearman_trio.web.recent import Recent


class Broker:
    """One with a worker for the function `f`."""

    def __init__(self) -> None:
        self._broker = Dispatcher(Policy(handle_prefix=b"H:t"))
        self._peer = self._broker.connect("")
        self._done = 0
        self._broker.receive(self._peer, encode_request(PacketType.CAN_DO, b"f"), 0.0)

    def work(self, count: int, now: float, seconds: float = 0.0) -> None:
        """Have jobs done that take so long; `now` is when they are."""
        for _ in range(count):
            self._done += 1
            handle = b"H:t:%d" % self._done
            begin = encode_request(PacketType.SUBMIT_JOB_BG, b"f", b"", b"") + encode_request(PacketType.GRAB_JOB)
            self._broker.receive(self._peer, begin, now - seconds)
            self._broker.receive(self._peer, encode_request(PacketType.WORK_COMPLETE, handle, b""), now)

    @property
    def function(self) -> FunctionStatistics:
        (function,) = self._broker.functions()
        return function


def test_without_notes_there_are_no_rates() -> None:
    broker, recent = Broker(), Recent()
    broker.work(1, 1.0, seconds=0.2)
    rates = recent.rates(broker.function, 1.0)

    assert (None, None, 1) == (rates.submitted, rates.ended, rates.ran.count)
    assert recent.due(0.0)


def test_rates_are_those_of_the_last_seconds() -> None:
    broker, recent = Broker(), Recent()
    broker.work(100, 1.0)
    recent.note([broker.function], 1.0)
    broker.work(30, 5.0)
    recent.note([broker.function], 6.0)
    broker.work(4, 7.0)
    rates = recent.rates(broker.function, 8.0)
    later = recent.rates(broker.function, 10.0)

    # The younger note is too young at 8.
    assert (34 / 7, 34 / 7) == (rates.submitted, rates.ended)
    assert (1.0, 1.0) == (later.submitted, later.ended)
    assert [False, True] == [recent.due(10.9), recent.due(11.0)]


def test_durations_are_those_of_the_last_minute() -> None:
    broker, recent = Broker(), Recent()
    broker.work(10, 0.0, seconds=100.0)
    for second in range(0, 65, 5):
        recent.note([broker.function], float(second))
    broker.work(1, 62.0, seconds=0.02)
    rates = recent.rates(broker.function, 65.0)

    assert 1 == rates.ran.count
    assert pytest.approx(0.0175) == rates.ran.quantile(0.5)


def test_durations_are_those_since_the_start_where_nothing_ran_lately() -> None:
    broker, recent = Broker(), Recent()
    broker.work(10, 100.0, seconds=100.0)
    recent.note([broker.function], 100.0)
    rates = recent.rates(broker.function, 110.0)

    assert (0.0, 10) == (rates.submitted, rates.ran.count)


def test_function_that_was_dropped_begins_anew() -> None:
    old, new, recent = Broker(), Broker(), Recent()
    old.work(10, 1.0)
    recent.note([old.function], 1.0)
    new.work(5, 9.0)

    assert 0.5 == recent.rates(new.function, 11.0).ended


async def test_history_follows_functions_and_tells_the_longest_lag(autojump_clock: trio.testing.MockClock) -> None:
    async with open_server(listeners=[], drain_seconds=0) as server, trio.open_nursery() as nursery:
        history = History(server)
        nursery.start_soon(history.run)
        async with server.open_client() as client:
            for _ in range(10):
                await trio.sleep(1)
                await client.submit("f", b"")
        (function,) = server.functions()
        rates = history.recent.rates(function, trio.current_time())
        nursery.cancel_scope.cancel()

    assert rates.submitted is not None
    assert 0.5 < rates.submitted <= 1.5
    assert 0.0 == history.lag
