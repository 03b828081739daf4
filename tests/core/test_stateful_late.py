"""A broker that wakes sleepers late, and its model, do the same whatever comes, whenever it is told to wake them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from gearman_trio.core import Policy
from gearman_trio.testing.model import ModelBroker
from gearman_trio.testing.records import ModelJob

from .test_stateful import POLICIES, THOROUGH, BrokerMachine, rules_of, walk
from .wire import Wire


class LateModelBroker(ModelBroker):
    """As its parent, but jobs wake nobody until they are told to.

    Attributes:
        due: the functions that got a job while they had sleepers, in that order.
    """

    def __init__(self, **policy: Any) -> None:
        super().__init__(**policy)
        self.due: list[bytes] = []

    def wake_due(self) -> None:
        """Wake sleepers until as many are awake for each function as it has queued jobs."""
        for function in self.due:
            self._balance(function)
        self.due.clear()

    def _queue(self, job: ModelJob) -> None:
        self._put(job, "queued")
        if any(name == job.function for _, name in self.sleeps) and job.function not in self.paused:
            self.due.append(job.function)


class LateMachine(BrokerMachine):
    """A runtime that deals with several packets before it lets the broker wake workers."""

    model: LateModelBroker

    @initialize(policy=st.fixed_dictionaries({name: st.sampled_from(values) for name, values in POLICIES.items()}))
    def start(self, policy: dict[str, Any]) -> None:
        policy["worker_wakeup"] = 1
        self.wire = Wire(Policy(**policy), wake_late=True)
        self.model = LateModelBroker(**policy)

    @rule()
    def wake_due(self) -> None:
        self.wire.broker.wake_due(self.wire.now)
        self.model.wake_due()


TestLateBroker = pytest.mark.slow(LateMachine.TestCase)
TestLateBroker.settings = settings(max_examples=THOROUGH or 25, stateful_step_count=100 if THOROUGH else 50)


@pytest.mark.parametrize("seed", range(THOROUGH or 30))
def test_random_walk(seed: int) -> None:
    machine = LateMachine()
    rules = rules_of(machine)
    rules[machine.wake_due] = (6, [])
    walk(machine, rules, seed, 250)
    machine.wake_due()
    machine.compare_what_was_heard()
