"""Operations of the codec and the dispatcher, so many times over: OPERATION COUNT are the arguments.

Run under a tool that counts instructions, with two counts: what differs is what the operations take.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from gearman_trio.core import Dispatcher, Policy
from gearman_trio.protocol import Decoder, PacketType, encode_request, split_arguments

_WORKLOAD = b"x" * 32
_SUBMISSION = encode_request(PacketType.SUBMIT_JOB, b"function", b"", _WORKLOAD)
_BACKGROUND = encode_request(PacketType.SUBMIT_JOB_BG, b"function", b"", _WORKLOAD)
_GRAB = encode_request(PacketType.GRAB_JOB_UNIQ)


def encode(count: int) -> None:
    """Encode a submission."""
    for _ in range(count):
        encode_request(PacketType.SUBMIT_JOB, b"function", b"unique", _WORKLOAD)


def decode(count: int) -> None:
    """Decode a submission that came in one piece with nine others."""
    decoder = Decoder()
    batch = _SUBMISSION * 10
    for _ in range(count // 10):
        decoder.feed(batch)


def split(count: int) -> None:
    """Split the body of a submission into its fields."""
    body = _SUBMISSION[12:]
    for _ in range(count):
        split_arguments(PacketType.SUBMIT_JOB, body)


def run_job(count: int) -> None:
    """A foreground job from its submission to WORK_COMPLETE, replies included."""
    broker = Dispatcher(Policy())
    client, worker = broker.connect("client"), broker.connect("worker")
    broker.receive(worker, encode_request(PacketType.CAN_DO, b"function"), 0.0)
    for _ in range(count):
        broker.receive(client, _SUBMISSION, 0.0)
        (created,) = client.take_outbox()
        handle = created[12:]
        broker.receive(worker, _GRAB, 0.0)
        worker.take_outbox()
        broker.receive(worker, encode_request(PacketType.WORK_COMPLETE, handle, _WORKLOAD), 0.0)
        client.take_outbox()


def enqueue_job(count: int) -> None:
    """A background job that stays in its queue."""
    broker = Dispatcher(Policy())
    client = broker.connect("client")
    for _ in range(count):
        broker.receive(client, _BACKGROUND, 0.0)
        client.take_outbox()


OPERATIONS: dict[str, Callable[[int], None]] = {
    operation.__name__: operation for operation in (encode, decode, split, run_job, enqueue_job)
}


def main() -> None:
    """Do the operation that the command line names."""
    # The moment of a collection is no property of an operation.
    gc.disable()
    OPERATIONS[sys.argv[1]](int(sys.argv[2]))


if __name__ == "__main__":
    main()
