"""The broker against the naive model, driven with the same calls, for as long as Hypothesis likes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gearman_trio.core import Policy
from gearman_trio.testing import ModelBroker, ModelPeer

from .invariants import check_invariants, check_tallies
from .wire import Reply, Wire, WirePeer

#: How many examples the profile `thorough` takes, else 0.
THOROUGH = settings().max_examples if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 0

SLOTS = range(4)
FUNCTIONS = [b"f", b"f", b"g", b"h"]
ANY_FUNCTIONS = [*[b"f", b"g", b"h"] * 4, b""]
UNIQUES = [*[b"", b"u", b"-"] * 4, b"v", b"x" * 65]
WORKLOADS = [b"", b"w", b"z" * 5000]
PLAIN = ["SUBMIT_JOB", "SUBMIT_JOB_HIGH", "SUBMIT_JOB_LOW", "SUBMIT_JOB_BG", "SUBMIT_JOB_HIGH_BG", "SUBMIT_JOB_LOW_BG"]
GRABS = ["GRAB_JOB", "GRAB_JOB_UNIQ", "GRAB_JOB_ALL"]
REPORTS: list[Reply] = [
    ("WORK_COMPLETE", b"r"),
    ("WORK_FAIL",),
    ("WORK_EXCEPTION", b"boom"),
    ("WORK_DATA", b"d"),
    ("WORK_WARNING", b""),
    ("WORK_STATUS", b"1", b"2"),
    ("WORK_STATUS", b"", b"9"),
]
MALFORMED = [
    ("WORK_STATUS", b"H:t:1\x001\0" + b"9" * 65),
    ("CAN_DO", b"f\0g"),
    ("CAN_DO_TIMEOUT", b"f"),
    ("CAN_DO_TIMEOUT", b"f\0soon"),
    ("CANT_DO", b"f\0f"),
    ("RESET_ABILITIES", b"f"),
    ("PRE_SLEEP", b"?"),
    ("GRAB_JOB", b"?"),
    ("SUBMIT_JOB", b"f\0u"),
    ("SUBMIT_JOB_EPOCH", b"f\0u\0never\0w"),
    ("SUBMIT_JOB_SCHED", b"f\0u\x0099\0\0\0\0\0w"),
    ("WORK_COMPLETE", b"H:x:1"),
    ("WORK_FAIL", b"H:t:1\0\0"),
    ("WORK_STATUS", b"H:t:1\x001"),
    ("GET_STATUS", b"H" * 65),
    ("OPTION_REQ", b"nonsense"),
    ("JOB_ASSIGN", b"H:t:1\0f\0w"),
    ("NOOP", b""),
]
TIMEOUTS_MS = [None, None, 0, 1000, 3000]
DELAYS = [-1.0, 0.0, 0.05, 2.0, 5.0]
STEPS = [0.05, 0.1, 1.0, 3.0]
COMMANDS = ["create", "drop", "limit", "lift", "pause", "resume", "resume", "purge", "drain"]
POLICIES: dict[str, list[Any]] = {
    "round_robin": [True, False],
    "global_priority": [True, False],
    "worker_wakeup": [1, 1, 1, 0, 2],
    "max_attempts": [0, 1, 2],
    "requeue_on_timeout": [True, False],
    "requeue_on_cant_do": [True, False, False],
    "max_jobs": [0, 0, 7],
    "max_jobs_per_function": [0, 0, 4],
    "max_held_bytes": [0, 0, 11_000],
    "max_held_bytes_per_function": [0, 0, 6000],
    "exceptions": [True, False, False],
}

slots = st.sampled_from(SLOTS)
functions = st.sampled_from(FUNCTIONS)
uniques = st.sampled_from(UNIQUES)
some_job = st.integers(0, 5)


class BrokerMachine(RuleBasedStateMachine):
    """Four places for connections; a rule that needs one that is not there connects it first."""

    def __init__(self) -> None:
        super().__init__()
        self.wire = Wire()
        self.model = ModelBroker()
        self.peers: dict[int, tuple[WirePeer, ModelPeer]] = {}
        self.dropped = False

    @initialize(policy=st.fixed_dictionaries({name: st.sampled_from(values) for name, values in POLICIES.items()}))
    def start(self, policy: dict[str, Any]) -> None:
        self.wire = Wire(Policy(**policy))
        self.model = ModelBroker(**policy)

    def pair(self, slot: int) -> tuple[WirePeer, ModelPeer]:
        if slot not in self.peers:
            self.peers[slot] = (self.wire.peer(), self.model.connect())
        return self.peers[slot]

    # Connections

    @rule(slot=slots)
    def disconnect(self, slot: int) -> None:
        if slot in self.peers:
            peer, twin = self.peers.pop(slot)
            peer.leave()
            self.model.disconnect(twin)

    @rule(slot=slots, packet=st.sampled_from(MALFORMED))
    def send_nonsense(self, slot: int, packet: tuple[str, bytes]) -> None:
        """It is answered with one ERROR and changes nothing; the option is set on the way."""
        peer, twin = self.pair(slot)
        (reply,) = peer.body(*packet)
        assert reply[0] == "ERROR"
        assert [("OPTION_RES", b"exceptions")] == peer.ask("OPTION_REQ", b"exceptions")
        twin.exceptions = True

    # Clients

    @rule(
        slot=slots,
        packet=st.sampled_from(PLAIN),
        function=st.sampled_from(ANY_FUNCTIONS),
        unique=uniques,
        workload=st.sampled_from(WORKLOADS),
    )
    def submit(self, slot: int, packet: str, function: bytes, unique: bytes, workload: bytes) -> None:
        peer, twin = self.pair(slot)
        peer.send(packet, function, unique, workload)
        self.model.submit(twin, packet, function, unique, workload)

    @rule(slot=slots, packet=st.sampled_from(PLAIN), function=functions)
    def submit_simply(self, slot: int, packet: str, function: bytes) -> None:
        self.submit(slot, packet, function, b"", b"w")

    @rule(slot=slots, function=functions, unique=uniques, delay=st.sampled_from(DELAYS))
    def submit_for_later(self, slot: int, function: bytes, unique: bytes, delay: float) -> None:
        peer, twin = self.pair(slot)
        epoch = b"%.9f" % max(0.0, self.wire.now + delay)
        peer.send("SUBMIT_JOB_EPOCH", function, unique, epoch, b"w")
        self.model.submit(twin, "SUBMIT_JOB_EPOCH", function, unique, b"w", run_at=float(epoch))

    @rule(slot=slots, function=functions, unique=uniques, background=st.booleans())
    def submit_reduce(self, slot: int, function: bytes, unique: bytes, background: bool) -> None:
        peer, twin = self.pair(slot)
        packet = "SUBMIT_REDUCE_JOB_BACKGROUND" if background else "SUBMIT_REDUCE_JOB"
        peer.send(packet, function, unique, b"r", b"", b"w")
        self.model.submit(twin, packet, function, unique, b"w", reducer=b"r")

    @rule(slot=slots, which=some_job, unique=uniques.filter(lambda unique: len(unique) <= 64))
    def ask_status(self, slot: int, which: int, unique: bytes) -> None:
        peer, twin = self.pair(slot)
        handle = self.handle(which)
        peer.send("GET_STATUS", handle)
        peer.send("GET_STATUS_UNIQUE", unique)
        self.model.get_status(twin, handle)
        self.model.get_status_unique(twin, unique)

    # Workers

    @rule(slot=slots, function=st.sampled_from(ANY_FUNCTIONS), timeout_ms=st.sampled_from(TIMEOUTS_MS))
    def can_do(self, slot: int, function: bytes, timeout_ms: int | None) -> None:
        peer, twin = self.pair(slot)
        if timeout_ms is None:
            peer.send("CAN_DO", function)
        else:
            peer.send("CAN_DO_TIMEOUT", function, b"%d" % timeout_ms)
        self.model.can_do(twin, function, timeout_ms or 0)

    @rule(slot=slots, function=st.sampled_from([b"f", b"g", b"h", None]))
    def cant_do(self, slot: int, function: bytes | None) -> None:
        peer, twin = self.pair(slot)
        if function is None:
            peer.send("RESET_ABILITIES")
            self.model.reset_abilities(twin)
        else:
            peer.send("CANT_DO", function)
            self.model.cant_do(twin, function)

    @rule(slot=slots)
    def pre_sleep(self, slot: int) -> None:
        peer, twin = self.pair(slot)
        peer.send("PRE_SLEEP")
        self.model.pre_sleep(twin)

    @rule(slot=slots, packet=st.sampled_from(GRABS))
    def grab(self, slot: int, packet: str) -> None:
        peer, twin = self.pair(slot)
        (reply,) = peer.ask(packet)
        self.model.grab(twin, packet, None if reply[0] == "NO_JOB" else reply[1:][0])
        expected = twin.heard.pop()
        assert expected == reply
        assert not twin.heard
        self.compare_what_the_others_heard()

    @rule(slot=slots, function=functions)
    def sleep_anew(self, slot: int, function: bytes) -> None:
        """As a worker does: register, find nothing or something, sleep."""
        self.can_do(slot, function, None)
        self.compare_what_was_heard()
        self.grab(slot, "GRAB_JOB")
        self.pre_sleep(slot)

    @rule(slot=slots, report=st.sampled_from(REPORTS), which=some_job)
    def report_own_job(self, slot: int, report: Reply, which: int) -> None:
        _, twin = self.pair(slot)
        running = self.model.running(twin)
        if running:
            self.send_report(slot, report, running[which % len(running)].handle)

    @rule(slot=slots, report=st.sampled_from(REPORTS), which=some_job)
    def report_any_job(self, slot: int, report: Reply, which: int) -> None:
        self.send_report(slot, report, self.handle(which))

    @rule(slot=slots, report=st.sampled_from(REPORTS))
    def report_last_job(self, slot: int, report: Reply) -> None:
        """Of jobs that the worker had, and was relieved of."""
        _, twin = self.pair(slot)
        handles = [*twin.released, *([twin.raised] if twin.raised else [])]
        if handles:
            self.send_report(slot, report, handles[-1])

    # Administration and time

    @rule(which=some_job)
    def cancel(self, which: int) -> None:
        handle = self.handle(which)
        expected = self.model.cancel(handle)
        assert (b"OK\r\n" if expected else b"ERR UNKNOWN_JOB\r\n") == self.administer(b"cancel job " + handle)

    @rule(
        function=functions,
        command=st.sampled_from(COMMANDS),
        size=st.integers(1, 4),
    )
    def administer_function(self, function: bytes, command: str, size: int) -> None:
        if command == "create":
            self.administer(b"create function " + function)
            self.model.create_function(function)
        elif command == "drop":
            self.dropped = True
            assert self.model.drop_function(function) == (b"OK\r\n" == self.administer(b"drop function " + function))
        elif command == "limit":
            self.administer(b"maxqueue %s %d %d" % (function, size + 2, size))
            self.model.max_queue(function, (size + 2, size, 0))
        elif command == "lift":
            self.administer(b"maxqueue " + function)
            self.model.max_queue(function, (0, 0, 0))
        elif command == "pause":
            self.administer(b"pause function " + function)
            self.model.pause(function)
        elif command == "resume":
            known = function in self.model.functions
            assert known == (b"OK\r\n" == self.administer(b"resume function " + function))
            self.model.resume(function)
        elif command == "purge":
            known = function in self.model.functions
            answer = b"OK %d\n" % self.model.purge(function) if known else b"ERR function not found\r\n"
            assert answer == self.administer(b"purge function " + function)
        elif len(self.model.jobs) > 5:
            # Seldom: nothing new happens afterwards.
            self.wire.broker.drain()
            self.model.draining = True

    @rule(seconds=st.sampled_from(STEPS))
    def pass_time(self, seconds: float) -> None:
        self.wire.advance(seconds)
        self.model.advance(seconds)

    # What must hold after each

    @invariant()
    def compare_what_was_heard(self) -> None:
        self.compare_what_the_others_heard()

    @invariant()
    def compare_what_there_is(self) -> None:
        check_invariants(self.wire.broker)
        if not self.dropped:
            check_tallies(self.wire.broker)
        assert self.model.status() == {
            function.name: (function.queued, function.running, function.scheduled, function.workers)
            for function in self.wire.broker.functions()
        }
        assert [(job.handle, job.background, job.attempts, job.progress) for job in self.model.jobs] == [
            (job.handle, job.background, job.attempts, (job.numerator, job.denominator))
            for job in self.wire.broker._registry.jobs.values()
        ]
        assert all(twin.sleeping == peer.end.sleeping for peer, twin in self.peers.values())
        assert self.model.next_deadline() == self.wire.broker.next_deadline() > self.wire.now

    # Helpers

    def compare_what_the_others_heard(self) -> None:
        # Of some, the rule has read the answer already.
        touched = [end for end in self.wire.broker.take_touched() if end.outbox]
        assert len(touched) == len(set(touched))
        assert {peer.end for peer, _ in self.peers.values() if peer.end.outbox} == set(touched)
        for peer, twin in self.peers.values():
            heard = [("ERROR", reply[1:][0]) if reply[0] == "ERROR" else reply for reply in peer.read()]
            assert twin.heard == heard
            twin.heard.clear()

    def handle(self, which: int) -> bytes:
        """One of the live jobs, or a handle of none."""
        jobs = self.model.jobs
        return jobs[-which].handle if 0 < which <= len(jobs) else b"H:t:%d" % (which + 1)

    def send_report(self, slot: int, report: Reply, handle: bytes) -> None:
        peer, twin = self.pair(slot)
        packet, rest = report[0], report[1:]
        peer.send(packet, handle, *rest)
        self.model.report(twin, packet, handle, *rest)

    def administer(self, line: bytes) -> bytes:
        """Over a connection of its own."""
        admin = self.wire.peer()
        answer = admin.line(line)
        admin.leave()
        return answer


TestBroker = pytest.mark.slow(BrokerMachine.TestCase)
TestBroker.settings = settings(max_examples=THOROUGH or 25, stateful_step_count=100 if THOROUGH else 50)


#: What a machine may do, how often, and with which arguments.
Rules = dict[Callable[..., None], tuple[int, list[Sequence[Any]]]]


def rules_of(machine: BrokerMachine) -> Rules:
    """Give every rule of a machine."""
    return {
        machine.disconnect: (2, [SLOTS]),
        machine.send_nonsense: (1, [SLOTS, MALFORMED]),
        machine.submit: (6, [SLOTS, PLAIN, ANY_FUNCTIONS, UNIQUES, WORKLOADS]),
        machine.submit_simply: (4, [SLOTS, PLAIN, FUNCTIONS]),
        machine.submit_for_later: (2, [SLOTS, FUNCTIONS, UNIQUES, DELAYS]),
        machine.submit_reduce: (1, [SLOTS, FUNCTIONS, UNIQUES, [False, True]]),
        machine.ask_status: (2, [SLOTS, range(6), UNIQUES[:-1]]),
        machine.can_do: (4, [SLOTS, ANY_FUNCTIONS, TIMEOUTS_MS]),
        machine.cant_do: (2, [SLOTS, [*FUNCTIONS, None]]),
        machine.pre_sleep: (3, [SLOTS]),
        machine.grab: (6, [SLOTS, GRABS]),
        machine.sleep_anew: (2, [SLOTS, FUNCTIONS]),
        machine.report_own_job: (6, [SLOTS, REPORTS, range(6)]),
        machine.report_any_job: (1, [SLOTS, REPORTS, range(6)]),
        machine.report_last_job: (1, [SLOTS, REPORTS]),
        machine.cancel: (1, [range(6)]),
        machine.administer_function: (1, [FUNCTIONS, COMMANDS[:-1], range(1, 5)]),
        machine.pass_time: (2, [STEPS]),
    }


def walk(machine: BrokerMachine, rules: Rules, seed: int, steps: int) -> None:
    """Take steps at random. It goes much further than Hypothesis in the same time, and cannot say why it fell."""
    random = Random(seed)
    machine.start({name: random.choice(values) for name, values in POLICIES.items()})
    # Some walks submit much and some little, so that some queues are full and some workers sleep.
    weights = [weight * random.choice([0.2, 1, 4]) for weight, _ in rules.values()]
    for take in random.choices(list(rules), weights, k=steps):
        take(*[random.choice(values) for values in rules[take][1]])
        machine.compare_what_was_heard()
        machine.compare_what_there_is()


@pytest.mark.parametrize("seed", range(THOROUGH or 30))
def test_random_walk(seed: int) -> None:
    machine = BrokerMachine()
    walk(machine, rules_of(machine), seed, 250)
