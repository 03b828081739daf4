import hashlib
from collections.abc import AsyncIterator

import trio

import gearman_trio

abilities = gearman_trio.Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


@abilities.function
def sha256(workload: bytes) -> bytes:
    return hashlib.sha256(workload).hexdigest().encode() + b"\n"


@abilities.function(timeout=60)
async def count(workload: bytes, job: gearman_trio.Job) -> AsyncIterator[bytes]:
    end = int(workload)
    for number in range(1, end + 1):
        await trio.sleep(0.3)
        yield b"%d\n" % number
        await job.status(number, end)
