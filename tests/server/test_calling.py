"""The thread in which the store is called."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial

import pytest
import trio
import trio.testing

from gearman_trio.server.calling import Answer, Caller
from gearman_trio.transport import Pump, pump_available

name: ContextVar[str] = ContextVar("name", default="nobody")


async def pumped(ask: Callable[[Caller], object]) -> None:
    """Ask something of a caller whose answers come through a pump, and let go of both."""
    pump = Pump(lambda: None, lambda: None)
    caller = Caller("test")
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump.run, name="the pump")
            with caller.listening(pump):
                done = trio.Event()
                ask(caller)
                caller.begin(threading.get_ident, lambda _: done.set())
                await done.wait()
            nursery.cancel_scope.cancel()
    finally:
        caller.close()
        pump.close()


async def test_a_call_is_made_in_another_thread_and_always_the_same() -> None:
    caller = Caller("the store's")
    threads = [await caller.call(threading.current_thread) for _ in range(3)]
    caller.close()
    await trio.to_thread.run_sync(threads[0].join, 10)

    assert [threads[0]] * 3 == threads
    assert ("the store's", True, False) == (threads[0].name, threads[0].daemon, threads[0].is_alive())


async def test_what_a_call_raises_is_raised() -> None:
    caller = Caller("test")
    with pytest.raises(ZeroDivisionError):
        await caller.call(lambda: 1 // 0)
    assert 7 == await caller.call(lambda: 7)
    caller.close()


async def test_calls_see_the_context_of_the_first() -> None:
    name.set("somebody")
    caller = Caller("test")
    assert "somebody" == await caller.call(name.get)
    caller.close()


async def test_one_call_is_made_at_a_time_in_order() -> None:
    caller = Caller("test")
    going_on = threading.Event()
    made: list[int] = []
    answered: list[int] = []
    done = trio.Event()

    def told(number: int, answer: Answer[None]) -> None:
        answer.take()
        answered.append(number)
        if number == 2:
            done.set()

    caller.begin(going_on.wait, lambda _: None)
    for number in range(3):
        caller.begin(partial(made.append, number), partial(told, number))
    assert ([], []) == (made, answered)
    going_on.set()
    await done.wait()
    caller.close()

    assert ([0, 1, 2], [0, 1, 2]) == (made, answered)


async def test_a_call_that_is_cancelled_is_not_waited_for_and_one_behind_it_not_made() -> None:
    caller = Caller("test")
    going_on = threading.Event()
    made: list[str] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(caller.call, going_on.wait)
        # Trio begins tasks in any order.
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(caller.call, partial(made.append, "behind"))
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert not going_on.is_set()
    going_on.set()
    assert [] == await caller.call(made.copy)
    caller.close()


async def test_closing_lets_the_calls_end_that_were_asked_for() -> None:
    caller = Caller("test")
    thread = await caller.call(threading.current_thread)
    going_on = threading.Event()
    made: list[str] = []
    caller.begin(going_on.wait, lambda _: None)
    caller.begin(partial(made.append, "last"), lambda _: None)
    caller.close()
    going_on.set()
    await trio.to_thread.run_sync(thread.join, 10)

    assert (["last"], False) == (made, thread.is_alive())


async def test_one_that_was_never_asked_for_anything_has_no_thread() -> None:
    before = threading.active_count()
    caller = Caller("test")
    caller.close()

    assert before >= threading.active_count()


def test_an_answer_that_comes_after_the_end_of_trio_is_dropped() -> None:
    going_on = threading.Event()
    threads: list[threading.Thread] = []

    async def main() -> None:
        caller = Caller("test")
        threads.append(await caller.call(threading.current_thread))
        caller.begin(going_on.wait, lambda _: None)
        caller.close()

    trio.run(main)
    going_on.set()
    threads[0].join(10)

    assert not threads[0].is_alive()


@pytest.mark.skipif(not pump_available, reason="without the epoll of Linux there is no pump to answer through")
async def test_answers_come_through_the_pump() -> None:
    tasks: list[str] = []

    def note(answer: Answer[int]) -> None:
        tasks.append(f"{answer.take()} in {trio.lowlevel.current_task().name}")

    def ask(caller: Caller) -> None:
        caller.begin(lambda: 1, note)
        caller.begin(lambda: 2, note)

    await pumped(ask)

    assert ["1 in the pump", "2 in the pump"] == tasks


@pytest.mark.skipif(not pump_available, reason="without the epoll of Linux there is no pump to answer through")
async def test_an_answer_that_comes_when_the_pump_is_gone_comes_all_the_same() -> None:
    pump = Pump(lambda: None, lambda: None)
    caller = Caller("test")
    going_on = threading.Event()
    done = trio.Event()
    with caller.listening(pump):
        # Nobody runs the pump.
        caller.begin(int, lambda _: None)
        caller.begin(going_on.wait, lambda _: done.set())
    pump.close()
    going_on.set()
    await done.wait()
    assert 5 == await caller.call(lambda: 5)
    caller.close()
