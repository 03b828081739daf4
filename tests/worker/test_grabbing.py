"""The rules of grabbing, by plain calls."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearman_trio.errors import RemoteProtocolError
from gearman_trio.protocol import PacketType
from gearman_trio.worker.grabbing import Phase, Quota, Seat, Slots

GRAB = PacketType.GRAB_JOB_UNIQ
SLEEP = PacketType.PRE_SLEEP


def opened(slots: Slots, quota: Quota | None = None) -> tuple[Seat, list[PacketType]]:
    sent: list[PacketType] = []
    seat = Seat(slots, sent.append, quota)
    seat.open()
    return seat, sent


def test_a_server_is_asked_when_it_knows_the_abilities() -> None:
    slots = Slots(1)
    sent: list[PacketType] = []
    seat = Seat(slots, sent.append)

    assert [] == sent

    seat.open()

    assert [GRAB] == sent
    assert 0 == slots.free


def test_no_job_sends_to_sleep_and_gives_the_slot_back() -> None:
    slots = Slots(1)
    seat, sent = opened(slots)

    seat.no_job()

    assert [GRAB, SLEEP] == sent
    assert (1, Phase.ASLEEP) == (slots.free, seat.phase)


def test_noop_wakes_a_sleeper() -> None:
    seat, sent = opened(Slots(1))
    seat.no_job()

    seat.noop()

    assert [GRAB, SLEEP, GRAB] == sent


def test_job_takes_the_slot_and_its_end_grabs_again() -> None:
    slots = Slots(1)
    seat, sent = opened(slots)

    seat.assigned()

    assert ([GRAB], 0) == (sent, slots.free)

    slots.job_ended()

    assert [GRAB, GRAB] == sent


def test_each_job_widens_the_window_until_all_slots_are_taken() -> None:
    slots = Slots(6)
    seat, sent = opened(slots)
    grabs = [seat.grabs]

    while seat.grabs:
        seat.assigned()
        grabs.append(seat.grabs)

    assert [1, 2, 3, 3, 2, 1, 0] == grabs
    assert [GRAB] * 6 == sent


def test_jobs_that_end_together_are_followed_by_as_many_grabs() -> None:
    slots = Slots(3)
    seat, sent = opened(slots)
    for _ in range(3):
        seat.assigned()
    sent.clear()

    for _ in range(3):
        slots.job_ended()

    assert ([GRAB] * 3, 3) == (sent, seat.grabs)


def test_sleep_comes_once_after_the_last_answer() -> None:
    slots = Slots(9)
    seat, sent = opened(slots)
    for _ in range(3):
        seat.assigned()
    assert 4 == seat.grabs
    sent.clear()

    for _ in range(3):
        seat.no_job()

    assert ([], Phase.EMPTY) == (sent, seat.phase)

    seat.noop()
    seat.no_job()

    assert ([SLEEP], Phase.ASLEEP, 6) == (sent, seat.phase, slots.free)


def test_sleeper_is_asked_once_at_first() -> None:
    slots = Slots(9)
    seat, sent = opened(slots)
    seat.assigned()
    seat.no_job()
    seat.no_job()
    sent.clear()

    seat.noop()

    assert [GRAB] == sent


def test_job_after_no_job_makes_hungry_again() -> None:
    """It came to the server between the answers to two grabs."""
    slots = Slots(9)
    seat, sent = opened(slots)
    seat.assigned()
    seat.no_job()
    sent.clear()

    seat.assigned()

    assert ([GRAB, GRAB], Phase.HUNGRY) == (sent, seat.phase)


def test_wide_window_leaves_the_others_their_turn() -> None:
    slots = Slots(8)
    first, _ = opened(slots)
    second, _ = opened(slots)
    while first.grabs or second.grabs:
        for seat in (first, second):
            if seat.grabs:
                seat.assigned()
    for _ in range(8):
        slots.job_ended()

    assert (4, 4) == (first.grabs, second.grabs)


def test_seat_that_leaves_asks_nothing_more_but_takes_what_comes() -> None:
    slots = Slots(3)
    seat, sent = opened(slots)
    seat.assigned()
    sent.clear()

    seat.leave()
    seat.assigned()
    seat.no_job()
    slots.job_ended()
    seat.poll()

    assert ([], 2, Phase.OUTSIDE) == (sent, slots.free, seat.phase)


def test_more_slots_are_filled_one_grab_after_the_other() -> None:
    slots = Slots(3)
    seat, sent = opened(slots)

    assert [GRAB] == sent

    seat.assigned()
    seat.assigned()
    seat.assigned()

    assert [GRAB] * 3 == sent
    assert 0 == slots.free


def test_noop_while_grabbing_changes_nothing() -> None:
    """It is older than the answer to the grab, which comes behind it on the same stream."""
    seat, sent = opened(Slots(1))

    seat.noop()

    assert [GRAB] == sent

    seat.no_job()

    assert [GRAB, SLEEP] == sent


def test_noop_right_behind_no_job_wakes() -> None:
    """The server answers PRE_SLEEP with NOOP if a job came between NO_JOB and PRE_SLEEP."""
    seat, sent = opened(Slots(1))

    seat.no_job()
    seat.noop()
    seat.noop()

    assert [GRAB, SLEEP, GRAB] == sent


def test_busy_worker_asks_nobody_and_late_noop_is_kept_for_later() -> None:
    slots = Slots(1)
    sleeper, sleeper_sent = opened(slots)
    sleeper.no_job()
    busy, _ = opened(slots)
    busy.assigned()

    sleeper.noop()
    sleeper.noop()

    assert [GRAB, SLEEP] == sleeper_sent

    slots.job_ended()

    assert 1 == sleeper.grabs + busy.grabs


def test_servers_take_turns() -> None:
    slots = Slots(1)
    first, _ = opened(slots)
    second, _ = opened(slots)
    third, _ = opened(slots)
    turns = []

    for _ in range(6):
        (asked,) = [seat for seat in (first, second, third) if seat.grabs]
        turns.append(asked)
        asked.assigned()
        slots.job_ended()

    assert [first, second, third] * 2 == turns


def test_slot_of_one_server_is_given_to_the_next_when_it_has_no_job() -> None:
    slots = Slots(1)
    first, first_sent = opened(slots)
    _, second_sent = opened(slots)

    assert ([GRAB], []) == (first_sent, second_sent)

    first.no_job()

    assert ([GRAB, SLEEP], [GRAB]) == (first_sent, second_sent)


def test_poll_grabs_for_a_sleeper_only() -> None:
    slots = Slots(2)
    seat, sent = opened(slots)

    seat.poll()
    seat.no_job()
    seat.poll()
    seat.poll()

    assert [GRAB, SLEEP, GRAB] == sent


@pytest.mark.parametrize("end", [Seat.close, Seat.no_job])
def test_slot_of_an_unanswered_grab_comes_back(end: Callable[[Seat], None]) -> None:
    slots = Slots(1)
    seat, _ = opened(slots)

    end(seat)

    assert 1 == slots.free


def test_end_of_a_connection_leaves_the_slots_of_its_jobs_taken() -> None:
    slots = Slots(2)
    seat, sent = opened(slots)
    seat.assigned()

    seat.close()

    assert 1 == slots.free

    slots.job_ended()

    assert 2 == slots.free
    assert [GRAB, GRAB] == sent


def test_closed_seat_leaves_the_line() -> None:
    slots = Slots(1)
    first, _ = opened(slots)
    second, second_sent = opened(slots)

    second.close()
    first.no_job()

    assert [] == second_sent
    assert 1 == slots.free


@pytest.mark.parametrize("event", [Seat.assigned, Seat.no_job])
@pytest.mark.parametrize("phase", [Phase.ASLEEP, Phase.HUNGRY, Phase.OUTSIDE])
def test_answer_without_a_question_is_an_error(event: Callable[[Seat], None], phase: Phase) -> None:
    slots = Slots(1)
    sent: list[PacketType] = []
    seat = Seat(slots, sent.append)
    seat.phase = phase

    with pytest.raises(RemoteProtocolError, match=phase.value):
        event(seat)

    assert ([], 1) == (sent, slots.free)


def test_draining_asks_nobody_any_more() -> None:
    slots = Slots(2)
    seat, sent = opened(slots)
    other, other_sent = opened(slots)
    other.no_job()

    slots.drain()
    other.noop()
    seat.assigned()
    slots.job_ended()

    assert ([GRAB], [GRAB, SLEEP]) == (sent, other_sent)


def test_draining_worker_is_not_sent_to_sleep() -> None:
    slots = Slots(1)
    seat, sent = opened(slots)

    slots.drain()
    seat.no_job()

    assert [GRAB] == sent
    assert (1, Phase.HUNGRY) == (slots.free, seat.phase)


# ---- quotas ------------------------------------------------------------------------------------------------------


def test_no_more_is_asked_for_than_the_quota_has() -> None:
    slots, quota = Slots(9), Quota(2)
    seat, sent = opened(slots, quota)
    seat.assigned()
    seat.assigned()

    assert ([GRAB] * 2, 0, 7) == (sent, quota.free, slots.free)

    slots.job_ended(quota)

    assert ([GRAB] * 3, 0, 7) == (sent, quota.free, slots.free)


def test_seat_without_quota_left_stands_aside_for_the_others() -> None:
    slots, quota = Slots(2), Quota(1)
    limited, limited_sent = opened(slots, quota)
    limited.assigned()
    other, other_sent = opened(slots)
    other.assigned()

    slots.job_ended()

    assert ([GRAB], [GRAB] * 2) == (limited_sent, other_sent)


def test_seat_that_stood_aside_has_its_turn_when_its_job_ends() -> None:
    slots, quota = Slots(1), Quota(1)
    limited, limited_sent = opened(slots, quota)
    other, other_sent = opened(slots)
    limited.assigned()
    slots.job_ended(quota)
    assert ([GRAB], [GRAB]) == (limited_sent, other_sent)

    other.assigned()
    slots.job_ended()

    assert ([GRAB] * 2, [GRAB]) == (limited_sent, other_sent)


def test_servers_share_a_quota_in_turn() -> None:
    slots, quota = Slots(9), Quota(1)
    first, second = opened(slots, quota)[0], opened(slots, quota)[0]
    turns = []

    for _ in range(4):
        (asked,) = [seat for seat in (first, second) if seat.grabs]
        turns.append(asked)
        asked.assigned()
        slots.job_ended(quota)

    assert [first, second] * 2 == turns


def test_no_job_gives_its_part_of_the_quota_to_the_next_server() -> None:
    slots, quota = Slots(9), Quota(1)
    first, first_sent = opened(slots, quota)
    _, second_sent = opened(slots, quota)

    first.no_job()

    assert ([GRAB, SLEEP], [GRAB]) == (first_sent, second_sent)


def test_seat_whose_jobs_run_is_not_sent_to_sleep_and_heeds_no_noop() -> None:
    """Asleep it would take wake-ups that another worker could serve."""
    slots, quota = Slots(9), Quota(1)
    seat, sent = opened(slots, quota)
    seat.assigned()

    seat.noop()
    seat.poll()

    assert ([GRAB], Phase.HUNGRY) == (sent, seat.phase)


@pytest.mark.parametrize("end", [Seat.close, Seat.leave])
def test_seat_that_stands_aside_can_leave(end: Callable[[Seat], None]) -> None:
    slots, quota = Slots(9), Quota(1)
    seat, sent = opened(slots, quota)
    seat.assigned()

    end(seat)
    slots.job_ended(quota)

    assert ([GRAB], 9, 1) == (sent, slots.free, quota.free)


def test_draining_leaves_those_aside_where_they_are() -> None:
    slots, quota = Slots(9), Quota(1)
    seat, sent = opened(slots, quota)
    seat.assigned()

    slots.drain()
    slots.job_ended(quota)

    assert ([GRAB], 9, 1) == (sent, slots.free, quota.free)


@given(
    concurrency=st.integers(1, 4),
    sizes=st.lists(st.none() | st.integers(1, 3), min_size=1, max_size=2),
    steps=st.lists(
        st.tuples(st.sampled_from(["no_job", "assigned", "noop", "poll", "end", "leave", "drain"]), st.integers(0, 3))
    ),
)
def test_quotas_add_up_whatever_happens(
    concurrency: int, sizes: list[int | None], steps: list[tuple[str, int]]
) -> None:
    slots = Slots(concurrency)
    quotas = [None if size is None else Quota(size) for size in sizes]
    # Two servers for each function.
    seats = [Seat(slots, lambda kind: None, quota) for quota in quotas * 2]
    running = [0] * len(seats)
    for seat in seats:
        seat.open()
    for step, number in steps:
        index = number % len(seats)
        seat = seats[index]
        if step == "end":
            if running[index]:
                running[index] -= 1
                slots.job_ended(seat.quota)
        elif step == "drain":
            slots.drain()
        elif step in {"noop", "poll", "leave"}:
            getattr(seat, step)()
        elif seat.grabs:
            running[index] += step == "assigned"
            getattr(seat, step)()

        assert concurrency == slots.free + sum(each.grabs for each in seats) + sum(running)
        for quota, size in zip(quotas, sizes, strict=True):
            if quota is not None:
                used = sum(each.grabs + jobs for each, jobs in zip(seats, running, strict=True) if each.quota is quota)
                assert size == quota.free + used
                assert quota.free == 0 or not quota.aside or slots.draining
        # Nobody who could be asked waits.
        for each in seats:
            could = slots.free and (each.quota is None or each.quota.free) and not slots.draining
            assert not could or each.phase is not Phase.HUNGRY or each.grabs == each.window


@given(
    concurrency=st.integers(1, 4),
    steps=st.lists(st.tuples(st.sampled_from(["no_job", "assigned", "noop", "poll", "end"]), st.integers(0, 2))),
)
def test_slots_add_up_whatever_happens(concurrency: int, steps: list[tuple[str, int]]) -> None:
    slots = Slots(concurrency)
    asked = [0, 0, 0]
    running = 0

    def sender(index: int) -> Callable[[PacketType], None]:
        def send(kind: PacketType) -> None:
            asked[index] += kind is GRAB

        return send

    seats = [Seat(slots, sender(index)) for index in range(3)]
    for seat in seats:
        seat.open()
    for step, index in steps:
        seat = seats[index]
        if step == "end":
            if running:
                running -= 1
                slots.job_ended()
        elif step in {"noop", "poll"}:
            getattr(seat, step)()
        elif seat.grabs:
            running += step == "assigned"
            asked[index] -= 1
            getattr(seat, step)()

        assert concurrency == slots.free + sum(asked) + running
        assert asked == [seat.grabs for seat in seats]
        # Nobody waits while a slot is free, and nobody sleeps of whom something was asked.
        for seat in seats:
            assert slots.free == 0 or seat.phase is not Phase.HUNGRY or seat.grabs == seat.window
            assert seat.phase is not Phase.ASLEEP or seat.grabs == 0
            assert seat.grabs <= seat.window or seat.phase is Phase.EMPTY
