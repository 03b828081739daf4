"""PRE_SLEEP and NOOP: enough workers are woken, no wake is lost, few come in vain."""

from __future__ import annotations

import pytest

from gearman_trio.core import Policy

from .wire import J1, J2, Wire, WirePeer

NOOP = [("NOOP",)]
NO_JOB = [("NO_JOB",)]


def woken(*workers: WirePeer) -> list[int]:
    """Give how many NOOPs each has got since the last look."""
    return [len([reply for reply in worker.read() if reply == ("NOOP",)]) for worker in workers]


# ---- sleep and wake ----


def test_a_sleeper_is_woken_by_a_job_of_its_function() -> None:
    wire = Wire()
    sleeper, other = wire.sleeper(b"f"), wire.sleeper(b"g")
    wire.background(b"f")

    assert [1, 0] == woken(sleeper, other)
    assert [("JOB_ASSIGN", J1, b"f", b"")] == sleeper.ask("GRAB_JOB")


def test_pre_sleep_with_a_job_waiting_is_answered_at_once() -> None:
    wire = Wire()
    wire.background(b"g")

    assert NOOP == wire.worker(b"f", b"g").ask("PRE_SLEEP")


def test_every_pre_sleep_with_a_job_waiting_is_answered() -> None:
    """Also where enough others were woken for it: they may be slow."""
    wire = Wire()
    wire.background(b"f")
    workers = [wire.worker(b"f") for _ in range(3)]

    assert [NOOP] * 3 == [worker.ask("PRE_SLEEP") for worker in workers]


def test_a_worker_that_does_not_sleep_gets_no_noop() -> None:
    wire = Wire()
    worker = wire.worker(b"f")
    wire.background(b"f")

    assert [0] == woken(worker)


def test_a_sleeper_is_woken_once() -> None:
    wire = Wire()
    sleeper = wire.sleeper(b"f")
    for _ in range(3):
        wire.background(b"f")

    assert [1] == woken(sleeper)


def test_sleeping_twice_is_sleeping_once() -> None:
    wire = Wire()
    sleeper = wire.sleeper(b"f")
    sleeper.send("PRE_SLEEP")
    wire.background(b"f")

    assert [1] == woken(sleeper)


def test_a_sleeper_that_grabs_unasked_does_not_sleep_any_more() -> None:
    wire = Wire()
    sleeper = wire.sleeper(b"f")
    sleeper.ask("GRAB_JOB")
    wire.background(b"f")

    assert [0] == woken(sleeper)


def test_a_sleeper_without_abilities_is_left_alone() -> None:
    wire = Wire()
    sleeper = wire.sleeper()
    wire.background(b"f")

    assert [0] == woken(sleeper)


# ---- how many ----


def test_one_sleeper_is_woken_for_each_job_longest_asleep_first() -> None:
    wire = Wire()
    sleepers = [wire.sleeper(b"f") for _ in range(4)]
    wire.background(b"f")

    assert [1, 0, 0, 0] == woken(*sleepers)

    wire.background(b"f")
    wire.background(b"f")

    assert [0, 1, 1, 0] == woken(*sleepers)


@pytest.mark.parametrize(("wakeup", "expected"), [(0, [1, 1, 1]), (2, [1, 1, 0]), (9, [1, 1, 1])])
def test_switch_how_many_are_woken(wakeup: int, expected: list[int]) -> None:
    wire = Wire(Policy(worker_wakeup=wakeup))
    sleepers = [wire.sleeper(b"f") for _ in range(3)]
    wire.background(b"f")

    assert expected == woken(*sleepers)


# ---- no wake is lost: each case of waking.py's theory ----


def two_sleepers(wire: Wire) -> tuple[WirePeer, WirePeer]:
    """Two sleepers of function f; the first also does g. A job of f has woken the first."""
    first, second = wire.sleeper(b"f", b"g"), wire.sleeper(b"f")
    wire.background(b"f", b"w")
    assert [1, 0] == woken(first, second)
    return first, second


def test_the_woken_worker_grabs_a_job_of_another_function() -> None:
    wire = Wire()
    first, second = two_sleepers(wire)
    wire.background(b"g", b"", "SUBMIT_JOB_HIGH_BG")

    assert [("JOB_ASSIGN", J2, b"g", b"")] == first.ask("GRAB_JOB")
    assert [1] == woken(second)


def test_the_woken_worker_leaves() -> None:
    wire = Wire()
    first, second = two_sleepers(wire)
    first.leave()

    assert [1] == woken(second)


def test_the_woken_worker_sleeps_again() -> None:
    wire = Wire()
    first, second = two_sleepers(wire)

    assert NOOP == first.ask("PRE_SLEEP")
    assert [1] == woken(second)


@pytest.mark.parametrize("packet", [("CANT_DO", b"f"), ("RESET_ABILITIES",)])
def test_the_woken_worker_gives_up_the_ability(packet: tuple[str, *tuple[bytes, ...]]) -> None:
    wire = Wire()
    first, second = two_sleepers(wire)
    first.send(*packet)

    assert [1] == woken(second)


def test_the_woken_worker_gives_up_another_ability() -> None:
    wire = Wire()
    first, second = two_sleepers(wire)
    first.send("CANT_DO", b"g")

    assert [0] == woken(second)
    assert [("JOB_ASSIGN", J1, b"f", b"w")] == first.ask("GRAB_JOB")


def test_the_woken_worker_does_nothing_for_too_long() -> None:
    wire = Wire(Policy(wake_seconds=0.5))
    first, second = two_sleepers(wire)

    assert 0.5 == wire.broker.next_deadline()

    wire.advance(0.499)

    assert [0, 0] == woken(first, second)

    wire.advance(0.001)

    assert [0, 1] == woken(first, second)
    assert 1.0 == wire.broker.next_deadline()


def test_a_late_grab_after_the_next_was_woken_takes_nothing_from_it() -> None:
    wire = Wire()
    first, second = two_sleepers(wire)
    wire.advance(1)
    first.ask("GRAB_JOB")
    wire.background(b"f")

    assert [1] == woken(second)
    assert [("JOB_ASSIGN", J2, b"f", b"")] == second.ask("GRAB_JOB")


def test_all_sleepers_are_tried_in_turn() -> None:
    wire = Wire()
    sleepers = [wire.sleeper(b"f") for _ in range(3)]
    wire.background(b"f")
    rounds = [woken(*sleepers)]
    for _ in range(4):
        wire.advance(0.1)
        rounds.append(woken(*sleepers))

    assert [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]] == rounds
    assert float("inf") == wire.broker.next_deadline()


def test_the_job_is_cancelled_before_the_woken_worker_comes() -> None:
    wire = Wire()
    first, second = two_sleepers(wire)
    second.line(b"cancel job " + J1)

    assert NO_JOB == first.ask("GRAB_JOB")
    assert [0] == woken(second)

    first.send("PRE_SLEEP")
    wire.background(b"f")

    assert [0, 1] == woken(first, second)


def test_somebody_else_takes_the_job_before_the_woken_worker_comes() -> None:
    wire = Wire()
    first, second = two_sleepers(wire)
    wire.worker(b"f").ask("GRAB_JOB")

    assert NO_JOB == first.ask("GRAB_JOB")
    assert [0] == woken(second)


def test_a_grabbed_job_ends_the_wait() -> None:
    wire = Wire()
    first, second = two_sleepers(wire)
    first.ask("GRAB_JOB")

    assert float("inf") == wire.broker.next_deadline()

    wire.advance(10)

    assert [0] == woken(second)


def test_a_sleeper_leaves_without_a_trace() -> None:
    wire = Wire()
    first, second = wire.sleeper(b"f"), wire.sleeper(b"f")
    first.leave()
    wire.background(b"f")

    assert [1] == woken(second)


# ---- abilities of sleepers ----


def test_a_sleeper_learns_a_function_that_has_a_job() -> None:
    wire = Wire()
    sleeper = wire.sleeper(b"f")
    wire.background(b"g")

    assert NOOP == sleeper.ask("CAN_DO", b"g")


def test_a_sleeper_learns_a_function_that_gets_a_job() -> None:
    wire = Wire()
    sleeper = wire.sleeper(b"f")
    sleeper.send("CAN_DO", b"g")
    wire.background(b"g")

    assert [1] == woken(sleeper)


def test_a_sleeper_gives_up_a_function_and_sleeps_on_for_the_others() -> None:
    wire = Wire()
    sleeper = wire.sleeper(b"f", b"g")
    sleeper.send("CANT_DO", b"f")
    wire.background(b"f")

    assert [0] == woken(sleeper)

    wire.background(b"g")

    assert [1] == woken(sleeper)


@pytest.mark.parametrize("packet", [("CANT_DO", b"f"), ("RESET_ABILITIES",)])
def test_a_sleeper_that_has_given_up_everything_still_sleeps(packet: tuple[str, *tuple[bytes, ...]]) -> None:
    """It waits for NOOP, whatever it says about its abilities in the meantime."""
    wire = Wire()
    sleeper = wire.sleeper(b"f")
    sleeper.send(*packet)
    wire.background(b"f")
    wire.background(b"g")

    assert [0] == woken(sleeper)
    assert NOOP == sleeper.ask("CAN_DO", b"g")


def test_a_sleeper_of_many_functions_is_woken_for_one() -> None:
    wire = Wire()
    sleeper, other = wire.sleeper(b"f", b"g"), wire.sleeper(b"g")
    wire.background(b"f")
    wire.background(b"g")

    assert [1, 1] == woken(sleeper, other)


# ---- late wakes ----


def test_late_a_job_that_a_worker_grabs_in_the_meantime_wakes_nobody() -> None:
    wire = Wire(wake_late=True)
    sleeper, worker = wire.sleeper(b"f"), wire.worker(b"f")
    wire.background(b"f")

    assert [("JOB_ASSIGN", J1, b"f", b"")] == worker.ask("GRAB_JOB")
    wire.broker.wake_due(wire.now)
    assert [0] == woken(sleeper)


def test_late_jobs_that_nobody_grabs_wake_as_many_sleepers_and_once() -> None:
    wire = Wire(wake_late=True)
    sleepers = [wire.sleeper(b"f") for _ in range(3)]
    wire.background(b"f")
    wire.background(b"f")

    assert [0, 0, 0] == woken(*sleepers)
    wire.broker.wake_due(wire.now)
    assert [1, 1, 0] == woken(*sleepers)
    wire.broker.wake_due(wire.now)
    assert [0, 0, 0] == woken(*sleepers)


def test_late_a_worker_that_was_woken_already_counts_for_the_next_job() -> None:
    wire = Wire(wake_late=True)
    slow, other, worker = wire.sleeper(b"f"), wire.sleeper(b"f"), wire.worker(b"f")
    wire.background(b"f")
    wire.broker.wake_due(wire.now)
    worker.send("GRAB_JOB")
    wire.background(b"f")
    wire.broker.wake_due(wire.now)

    assert [1, 0] == woken(slow, other)


def test_late_a_paused_function_wakes_nobody_until_it_goes_on() -> None:
    wire = Wire(wake_late=True)
    sleeper, administrator = wire.sleeper(b"f"), wire.peer()
    wire.background(b"f")
    administrator.line(b"pause function f")
    wire.broker.wake_due(wire.now)

    assert [0] == woken(sleeper)
    administrator.line(b"resume function f")
    assert [1] == woken(sleeper)


@pytest.mark.parametrize(("worker_wakeup", "expected"), [(2, [1, 1, 0]), (0, [1, 1, 1])])
def test_late_means_at_once_where_several_are_woken_for_each_job(worker_wakeup: int, expected: list[int]) -> None:
    wire = Wire(Policy(worker_wakeup=worker_wakeup), wake_late=True)
    sleepers = [wire.sleeper(b"f") for _ in range(3)]
    wire.background(b"f")

    assert expected == woken(*sleepers)
