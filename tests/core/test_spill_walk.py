"""Random use of a broker that spills: whatever happens, every job comes out, once, with its workload."""

from __future__ import annotations

from random import Random

import pytest

from .invariants import check_invariants
from .spilling import SpillingWire
from .wire import WirePeer


class Walk:
    """Random calls of a broker, after which every job must come out with its workload."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.wire = SpillingWire(worker_wakeup=self.random.choice([0, 1]), store_foreground=self.random.random() < 0.5)
        self.client = self.wire.peer()
        self.workers: list[WirePeer] = []
        self.expected: dict[bytes, bytes] = {}
        self.workloads: list[bytes] = []

    def step(self) -> None:
        random = self.random
        [self.submit, self.submit, self.grab, self.grab, self.fetch, self.fail, self.sleep, self.leave, self.cancel][
            random.randrange(9)
        ]()
        check_invariants(self.wire.broker)

    def submit(self) -> None:
        size = self.random.choice([0, 50, 101, 500, 101, 500, 101, 500, 101, 6_000_000])
        packet = self.random.choice(["SUBMIT_JOB_BG", "SUBMIT_JOB_HIGH_BG", "SUBMIT_JOB_LOW_BG"])
        workload = b"%d " % len(self.workloads) + b"x" * size
        self.workloads.append(workload)
        self.client.send(packet, self.random.choice([b"f", b"g"]), b"", workload)
        self.wire.commit()
        ((_, *fields),) = self.client.read()
        self.expected[fields[0]] = workload

    def worker(self) -> WirePeer:
        if len(self.workers) < 3:
            self.workers.append(self.wire.worker(b"f", b"g"))
        return self.random.choice(self.workers)

    def grab(self) -> None:
        worker = self.worker()
        worker.send("GRAB_JOB")
        self.complete(worker)

    def complete(self, worker: WirePeer) -> None:
        for reply in worker.read():
            if reply[0] == "JOB_ASSIGN":
                handle, _, workload = reply[1:]
                assert self.expected.pop(handle) == workload
                worker.send("WORK_COMPLETE", handle, b"")
        self.wire.commit()

    def fetch(self) -> None:
        self.wire.fetch()
        for worker in self.workers:
            self.complete(worker)

    def fail(self) -> None:
        if self.random.random() < 0.5:
            self.wire.fail()
        else:
            self.wire.broker.not_fetched()

    def sleep(self) -> None:
        self.worker().send("PRE_SLEEP")

    def leave(self) -> None:
        if self.workers and self.random.random() < 0.3:
            worker = self.workers.pop()
            self.complete(worker)
            worker.leave()

    def cancel(self) -> None:
        if self.expected and self.random.random() < 0.3:
            handle = self.random.choice(list(self.expected))
            assert self.wire.peer().line(b"cancel job " + handle) == b"OK\r\n"
            del self.expected[handle]
            self.wire.commit()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_every_job_comes_out(seed: int) -> None:
    walk = Walk(seed)
    for _ in range(120):
        walk.step()
    while walk.wire.broker.has_wanted():
        walk.fetch()
    for _ in range(len(walk.expected)):
        walk.grab()
        while walk.wire.broker.has_wanted():
            walk.fetch()

    assert {} == walk.expected
    assert {} == walk.wire.stored
    assert (0, 0, 0) == (*walk.wire.broker.spilled(), walk.wire.broker._registry.held_bytes)
