"""The broker with a store against the naive model: commits that are late, fail, or are not known to have failed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from gearman_trio.core import Batch, Policy, StoredJob
from gearman_trio.testing import DurableModelBroker

from .test_stateful import GRABS, MALFORMED, POLICIES, THOROUGH, BrokerMachine, rules_of, slots, walk
from .wire import Wire


class SpillingWire(Wire):
    """Workloads come from the store at once, so that the model need not know that some are there alone."""

    def __init__(self, policy: Policy, store: dict[int, StoredJob]) -> None:
        super().__init__(policy)
        self._store = store

    def received(self) -> None:
        while self.broker.has_wanted():
            rows = self.broker.take_wanted()
            assert [] == self.broker.fetched({row: self._store[row].workload for row in rows}, self.now)


class DurableMachine(BrokerMachine):
    """A broker, its model, and a store that does as the rules say.

    Attributes:
        flying: the batch that is being committed.
        store: the jobs that are stored, by their row.
    """

    model: DurableModelBroker

    def __init__(self) -> None:
        super().__init__()
        self.flying: Batch | None = None
        self.store: dict[int, StoredJob] = {}

    @initialize(policy=st.fixed_dictionaries({name: st.sampled_from(values) for name, values in POLICIES.items()}))
    def start(self, policy: dict[str, Any]) -> None:
        # The model counts every workload as held.
        limited = policy["max_held_bytes"] or policy["max_held_bytes_per_function"]
        self.wire = SpillingWire(Policy(**policy, durable=True, spill_bytes=0 if limited else 1000), self.store)
        self.model = DurableModelBroker(**policy)
        self.model.peers = []

    # The store

    @precondition(lambda self: self.flying is None)
    @rule()
    def begin_commit(self) -> None:
        if self.flying is None:
            self.flying = self.take()

    @precondition(lambda self: self.flying is not None)
    @rule()
    def commit(self) -> None:
        if self.flying is not None:
            self.apply(self.flying)
            self.wire.broker.committed(self.flying.number, self.wire.now)
            self.model.committed(self.flying.number)
            self.flying = None

    @rule()
    def commit_all(self) -> None:
        self.commit()
        self.begin_commit()
        self.commit()

    @precondition(lambda self: self.flying is not None)
    @rule(applied=st.booleans())
    def fail_to_commit(self, applied: bool) -> None:
        """The commit is tried again with what came meanwhile; it may have been done all the same."""
        if self.flying is None:
            return
        if applied:
            self.apply(self.flying)
        later = self.take()
        if later is not None:
            later.put_before(self.flying)
            self.flying = later

    @rule()
    def refuse(self) -> None:
        self.wire.broker.refuse("the store is gone")
        self.model.refuse()

    # Packets whose answer a rule reads

    @rule(slot=slots, packet=st.sampled_from(MALFORMED))
    def send_nonsense(self, slot: int, packet: tuple[str, bytes]) -> None:
        if not self.model.holds(self.pair(slot)[1]):
            super().send_nonsense(slot, packet)

    @rule(slot=slots, packet=st.sampled_from(GRABS))
    def grab(self, slot: int, packet: str) -> None:
        if not self.model.holds(self.pair(slot)[1]):
            super().grab(slot, packet)

    # What must hold

    def compare_the_store(self) -> None:
        """What must not be lost is stored; and nothing else, once everything is committed."""
        live = {job.handle for job in self.model.jobs if job.stored and not job.commit}
        stored = {job.handle for job in self.store.values()}
        assert live <= stored
        if self.flying is None and not self.wire.broker.has_unstored():
            assert live == stored
        committing = {job.handle for job in self.model.jobs if job.state == "committing"}
        assert len(committing) == sum(function.committing for function in self.wire.broker.functions())

    @invariant()
    def compare_what_there_is(self) -> None:
        super().compare_what_there_is()
        self.compare_the_store()

    def compare_what_the_others_heard(self) -> None:
        self.wire.broker.take_touched()
        for peer, twin in self.peers.values():
            heard = [("ERROR", reply[1:][0]) if reply[0] == "ERROR" else reply for reply in peer.read()]
            assert self.model.take_heard(twin) == heard
            assert self.model.holds(twin) == peer.end.held

    def take(self) -> Batch | None:
        batch = self.wire.broker.take_batch()
        if batch is not None:
            assert batch.number == self.model.batch
            self.model.take()
        return batch

    def apply(self, batch: Batch) -> None:
        self.store.update({job.row: job for job in batch.adds})
        for row, attempts, error in batch.updates:
            if row in self.store:
                self.store[row] = self.store[row]._replace(attempts=attempts, error=error)
        for row in batch.removes:
            self.store.pop(row, None)


TestDurableBroker = pytest.mark.slow(DurableMachine.TestCase)
TestDurableBroker.settings = settings(max_examples=THOROUGH or 25, stateful_step_count=100 if THOROUGH else 50)


@pytest.mark.parametrize("seed", range(THOROUGH or 30))
def test_random_walk(seed: int) -> None:
    machine = DurableMachine()
    rules = rules_of(machine)
    rules[machine.begin_commit] = (6, [])
    rules[machine.commit] = (6, [])
    rules[machine.commit_all] = (3, [])
    rules[machine.fail_to_commit] = (3, [[False, True]])
    rules[machine.refuse] = (1, [])
    walk(machine, rules, seed, 250)
    machine.commit_all()
    machine.compare_what_was_heard()
    machine.compare_the_store()
