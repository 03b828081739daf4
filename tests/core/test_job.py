"""The transitions of a job."""

from __future__ import annotations

from itertools import product

import pytest

from gearman_trio.core.function import Function
from gearman_trio.core.job import EVENTS, NORMAL, STATES, TRANSITIONS, Job

ALLOWED = {(before, event): after for before, event, after, _ in TRANSITIONS}
IMPOSSIBLE = sorted(set(product(range(len(STATES)), range(len(EVENTS)))) - set(ALLOWED))


def job(state: int) -> Job:
    made = Job(b"H:t:1", Function(b"f"), b"", b"", NORMAL)
    made.state = state
    return made


def test_transitions_in_words() -> None:
    expected = """
        new -postpone-> scheduled
        new -enqueue-> queued
        new -commit-> committing
        committing -postpone-> scheduled
        committing -enqueue-> queued
        committing -finish-> finished
        scheduled -enqueue-> queued
        scheduled -finish-> finished
        queued -assign-> running
        queued -fetch-> fetching
        queued -finish-> finished
        fetching -assign-> running
        fetching -requeue-> queued
        fetching -finish-> finished
        running -requeue-> queued
        running -finish-> finished
    """

    assert expected.split("\n")[1:-1] == [
        f"        {STATES[before]} -{EVENTS[event]}-> {STATES[after]}" for before, event, after, _ in TRANSITIONS
    ]


@pytest.mark.parametrize(("before", "event"), sorted(ALLOWED))
def test_allowed_event_changes_the_state(before: int, event: int) -> None:
    moved = job(before)
    moved.move(event)

    assert ALLOWED[before, event] == moved.state


@pytest.mark.parametrize(("before", "event"), IMPOSSIBLE)
def test_any_other_event_cannot_happen(before: int, event: int) -> None:
    with pytest.raises(AssertionError, match=f"{EVENTS[event]} of a {STATES[before]} job"):
        job(before).move(event)


def test_representation_names_handle_function_and_state() -> None:
    assert "<Job b'H:t:1' b'f' new>" == repr(job(0))
