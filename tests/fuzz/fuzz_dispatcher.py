# Invariant: whatever bytes some peers send, in whatever pieces and however they come and go, the broker never raises;
# stays in order (tests/core/invariants.py); keeps, of what it could not yet read, no more than it was sent, and nothing
# of a peer that it has given up or that has left; answers with whole packets and lines; and a client and a worker that
# behave get their job done, untouched by all of that.
"""Feed the broker mutated conversations.

    python tests/fuzz/fuzz_dispatcher.py --seconds 60 --seed 1

Every iteration has a seed of its own; after a failure run that one alone with ``--first N --iterations 1``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from struct import Struct

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from gearman_trio.core import Dispatcher, Peer, Policy
from gearman_trio.protocol import PACKETS, PacketType, Sender, encode_request, encode_response, split_arguments
from tests.core.invariants import check_invariants

__all__ = ["run"]

P = PacketType

#: A name that no mutation of the corpus makes.
BYSTANDERS = b"the-bystanders-own-function"


def packets(*rows: tuple[int, *tuple[bytes, ...]]) -> bytes:
    return b"".join(encode_request(row[0], *row[1:]) for row in rows)


#: Valid conversations, one side each; handles are those that the first jobs get.
CORPUS = [
    packets((P.CAN_DO, b"f"), (P.CAN_DO, b"g"), (P.GRAB_JOB,), (P.PRE_SLEEP,), (P.GRAB_JOB_UNIQ,), (P.GRAB_JOB_ALL,)),
    packets((P.CAN_DO_TIMEOUT, b"f", b"50"), (P.GRAB_JOB,), (P.WORK_STATUS, b"H:t:1", b"1", b"2"), (P.PRE_SLEEP,)),
    packets((P.CAN_DO, b"f"), (P.GRAB_JOB,), (P.WORK_DATA, b"H:t:1", b"d"), (P.WORK_COMPLETE, b"H:t:1", b"r")),
    packets((P.CAN_DO, b"g"), (P.GRAB_JOB_ALL,), (P.WORK_WARNING, b"H:t:2", b"w"), (P.WORK_FAIL, b"H:t:2")),
    packets((P.CAN_DO, b"g"), (P.GRAB_JOB,), (P.WORK_EXCEPTION, b"H:t:3", b"boom"), (P.WORK_FAIL, b"H:t:3")),
    packets(
        (P.CAN_DO, b"f"), (P.PRE_SLEEP,), (P.CANT_DO, b"f"), (P.CAN_DO, b"g"), (P.RESET_ABILITIES,), (P.ALL_YOURS,)
    ),
    packets(
        (P.SUBMIT_JOB, b"f", b"u", b"w"), (P.SUBMIT_JOB_HIGH, b"g", b"-", b"w"), (P.SUBMIT_JOB_LOW, b"f", b"", b"")
    ),
    packets((P.SUBMIT_JOB_BG, b"f", b"u", b"w"), (P.SUBMIT_JOB_HIGH_BG, b"g", b"", b"w" * 5000)),
    packets((P.SUBMIT_JOB_LOW_BG, b"f", b"-", b"\0\n"), (P.SUBMIT_JOB_EPOCH, b"f", b"u", b"1.5", b"w")),
    packets((P.SUBMIT_JOB_SCHED, b"f", b"v", b"*/5", b"", b"1-7", b"", b"", b"w"), (P.GET_STATUS_UNIQUE, b"v")),
    packets(
        (P.SUBMIT_REDUCE_JOB, b"f", b"u", b"r", b"", b"w"), (P.SUBMIT_REDUCE_JOB_BACKGROUND, b"g", b"", b"r", b"", b"")
    ),
    packets((P.OPTION_REQ, b"exceptions"), (P.ECHO_REQ, b"\0\xff"), (P.GET_STATUS, b"H:t:1"), (P.SET_CLIENT_ID, b"me")),
    b"status\nprioritystatus\r\nworkers\nshow jobs\nshow unique jobs\ncancel job H:t:1\ncancel job H:t:2\r\n",
    b"maxqueue f 3\nmaxqueue g 1 2 3\ncreate function h\ndrop function h\nversion\ngetpid\nverbose\nnonsense\n\n",
    b"pause function f\nshow paused\nshow maxqueue\nlist jobs f limit=2\nresume function f\npurge function g\njobs\n",
    b"\0RES\0\0\0\x06\0\0\0\0" + packets((P.ECHO_REQ, b"x")) + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
]

#: What mutations put in: magics, sizes, ends, names, numbers.
TOKENS = [
    *[b"\0REQ", b"\0RES", b"\0", b"\n", b"\r\n", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x01", b"\x7f\xff\xff\xff"],
    *[b"f", b"g", b"H:t:1", b"H:t:2", b"-", b"u", b"exceptions", b"99999999999999999999", b"x" * 70, b"y" * 600],
]


def mutate(random: Random, data: bytes) -> bytes:
    """Change a conversation in one place."""
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.choice([0, 1, 2, 4, 12, 40]))
    kind = random.randrange(6)
    if kind == 0:
        return data[:start] + bytes(random.randrange(256) for _ in range(end - start)) + data[end:]
    if kind == 1:
        return data[:start] + data[end:]
    if kind == 2:
        return data[:end] + data[start:]
    if kind == 3:
        return data[:start] + random.choice(TOKENS) + data[end:]
    if kind == 4:
        return data[:start] + random.choice(CORPUS) + data[end:]
    return data[:start]


def conversation(random: Random) -> bytes:
    data = b"".join(random.choices(CORPUS, k=random.randint(1, 4)))
    for _ in range(random.choice([0, 0, 1, 1, 2, 5])):
        data = mutate(random, data)
    return data


class Bystanders:
    """A client and a worker that behave. They take one step at a time, and know what each must bring."""

    def __init__(self, broker: Dispatcher) -> None:
        self._broker = broker
        self._client = broker.connect("client")
        self._worker = broker.connect("worker")
        self._handle = b""
        self._steps = [self._register, self._submit, self._grab, self._report, self._complete]

    def step(self, now: float) -> bool:
        """Take the next step; say whether there was one."""
        if self._steps:
            self._steps.pop(0)(now)
        return bool(self._steps)

    def _send(self, peer: Peer, packet: bytes, now: float) -> None:
        self._broker.receive(peer, packet, now)

    def _heard(self, peer: Peer, *expected: bytes) -> None:
        heard = b"".join(peer.take_outbox())
        assert b"".join(expected) == heard, f"a bystander heard {heard!r}"

    def _register(self, now: float) -> None:
        self._send(self._worker, packets((P.CAN_DO, BYSTANDERS), (P.PRE_SLEEP,)), now)
        self._heard(self._worker)

    def _submit(self, now: float) -> None:
        # A number far from theirs, so that no hostile peer cancels the job by chance.
        registry = self._broker._registry
        number, registry._next_handle = registry._next_handle, 7_310_442_958_113
        self._send(self._client, packets((P.SUBMIT_JOB, BYSTANDERS, b"", b"workload\0")), now)
        registry._next_handle = number
        self._handle = b"H:t:7310442958113"
        self._heard(self._client, encode_response(P.JOB_CREATED, self._handle))
        self._heard(self._worker, encode_response(P.NOOP))

    def _grab(self, now: float) -> None:
        self._send(self._worker, packets((P.GRAB_JOB,)), now)
        self._heard(self._worker, encode_response(P.JOB_ASSIGN, self._handle, BYSTANDERS, b"workload\0"))

    def _report(self, now: float) -> None:
        self._send(self._worker, packets((P.WORK_DATA, self._handle, b"part")), now)
        self._heard(self._client, encode_response(P.WORK_DATA, self._handle, b"part"))

    def _complete(self, now: float) -> None:
        self._send(self._worker, packets((P.WORK_COMPLETE, self._handle, b"result")), now)
        self._heard(self._client, encode_response(P.WORK_COMPLETE, self._handle, b"result"))
        self._heard(self._worker)


class Hostile:
    """A peer with a conversation to send, in pieces."""

    def __init__(self, broker: Dispatcher, random: Random) -> None:
        self.peer = broker.connect("hostile")
        self._broker = broker
        self._random = random
        self._data = conversation(random)
        self._sent = 0
        self._heard = bytearray()

    def step(self, now: float) -> bool:
        """Send the next piece, or leave; say whether it is still there."""
        if self._sent >= len(self._data) or self._random.random() < 0.02:
            self.leave(now)
            return False
        end = self._sent + self._random.choice([1, 3, 12, 13, 50, 1000, 10_000])
        self._broker.receive(self.peer, self._data[self._sent : end], now)
        self._sent = min(end, len(self._data))
        assert self.peer.decoder.buffered <= self._sent
        if self.peer.failure:
            assert self.peer.decoder.buffered == 0
        return True

    def leave(self, now: float) -> None:
        """Leave; what it was sent must be whole."""
        check_answers(b"".join(self.peer.take_outbox()))
        self._broker.disconnect(self.peer, now)


def check_answers(data: bytes) -> None:
    """Raise AssertionError where this is anything but whole packets of a server and whole lines."""
    position = 0
    while position < len(data):
        if data[position]:
            position = data.index(b"\n", position) + 1
            continue
        assert position + 12 <= len(data), "answered with half a header"
        magic, kind, size = Struct(">4sII").unpack_from(data, position)
        assert magic == b"\0RES", f"answered with the magic {magic!r}"
        assert PACKETS[kind].may_send(Sender.SERVER)
        body = data[position + 12 : position + 12 + size]
        assert len(body) == size
        split_arguments(kind, body)
        position += 12 + size


def run_once(random: Random) -> None:
    """One broker, its bystanders, and some hostile peers."""
    broker = Dispatcher(
        Policy(
            handle_prefix=b"H:t",
            max_packet_bytes=random.choice([100, 10_000, 2**32 - 1]),
            round_robin=random.random() < 0.7,
            worker_wakeup=random.choice([0, 1, 1, 2]),
            max_attempts=random.choice([0, 2]),
            requeue_on_timeout=random.random() < 0.3,
        )
    )
    bystanders = Bystanders(broker)
    hostile = [Hostile(broker, random) for _ in range(4)]
    now = 0.0
    while hostile:
        peer = random.choice(hostile)
        if not peer.step(now):
            hostile.remove(peer)
        if random.random() < 0.1:
            now += random.choice([0.01, 0.1, 1.0, 60.0])
            broker.expire(now)
        if random.random() < 0.1:
            check_invariants(broker)
            bystanders.step(now)
    while bystanders.step(now):
        pass
    check_invariants(broker)
    assert [peer.address for peer in broker.peers()] == ["client", "worker"]
    assert all(job.background for job in broker._registry.jobs.values()), "a foreground job outlived its client"


def run(seed: int, *, iterations: int | None = None, seconds: float | None = None, first: int = 0) -> int:
    """Run until so many iterations are done or so much time is over; give how many were done."""
    ends = None if seconds is None else time.monotonic() + seconds
    done = 0
    while (iterations is None or done < iterations) and (ends is None or time.monotonic() < ends):
        try:
            run_once(Random(f"{seed}/{first + done}"))
        except BaseException as exc:
            exc.add_note(f"python tests/fuzz/fuzz_dispatcher.py --seed {seed} --first {first + done} --iterations 1")
            raise
        done += 1
    return done


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="Feed the broker mutated conversations.")
    parser.add_argument("--seconds", type=float, help="stop after so many seconds")
    parser.add_argument("--iterations", type=int, help="stop after so many iterations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="begin with iteration N")
    options = parser.parse_args(arguments)
    seconds = options.seconds if options.seconds or options.iterations else 10.0
    done = run(options.seed, iterations=options.iterations, seconds=seconds, first=options.first)
    sys.stdout.write(f"{done} iterations, no finding\n")


if __name__ == "__main__":
    main(sys.argv[1:])
