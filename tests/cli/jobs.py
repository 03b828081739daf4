"""The functions of the test workers; ``gearman-trio worker tests.cli.jobs:abilities`` runs them too."""

from __future__ import annotations

from collections.abc import AsyncIterator

import trio

from gearman_trio import Abilities, Job

abilities = Abilities()
empty = Abilities()
not_abilities = "text"


class Holder:
    """Something with abilities inside."""

    abilities = abilities


@abilities.function(name="reverse")
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


@abilities.function(name="boom")
async def boom() -> bytes:
    raise ValueError("no such thing")


@abilities.function(name="talk")
async def talk(workload: bytes, job: Job) -> AsyncIterator[bytes]:
    """Each byte as a part of its own, with a warning and a status in between."""
    for number in range(len(workload)):
        await job.status(number + 1, len(workload))
        await job.warning(f"[b]careful[/b] :smile: {number} " + "long " * 30)
        yield workload[number : number + 1]


@abilities.function(name="hold")
async def hold(workload: bytes) -> bytes:
    """Connect to the port that the workload names, which shows that the job runs, and end when a byte comes."""
    async with await trio.open_tcp_stream("127.0.0.1", int(workload)) as stream:
        return bytes(await stream.receive_some(1))
