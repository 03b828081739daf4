"""Functions that tell, and end, the process that they run in."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from gearman_trio import TEXT, Abilities, Injected, Job, Shutdown
from gearman_trio.worker import CallNext

abilities = Abilities(namespace="here.")
wanting = Abilities(serializer=TEXT)


@abilities.function
async def pid() -> bytes:
    return b"%d" % os.getpid()


@abilities.function
async def hold(workload: bytes) -> bytes:
    """Connect to the port that the workload names, which shows that the job runs, and end when a byte comes."""
    async with await trio.open_tcp_stream("127.0.0.1", int(workload)) as stream:
        return bytes(await stream.receive_some(1)) + b" from %d" % os.getpid()


@abilities.function
async def leave(workload: bytes) -> None:
    os._exit(int(workload))


@abilities.function
async def enough() -> None:
    raise Shutdown


@abilities.function
async def block(workload: bytes) -> None:
    """Say so as `hold` does, and then let nothing else happen in this process."""
    async with await trio.open_tcp_stream("127.0.0.1", int(workload)):
        time.sleep(1000)  # noqa: ASYNC251 that is what it is about


class Greeting(Injected):
    """What `wanting` wants."""

    def __init__(self, text: str) -> None:
        self.text = text


@asynccontextmanager
async def greeting() -> AsyncIterator[Greeting]:
    yield Greeting("Hello")


@wanting.function
async def greet(greeting: Greeting, name: str) -> str:
    return f"{greeting.text}, {name}"


async def shout(job: Job, call_next: CallNext) -> bytes:
    return (await call_next()).upper()


async def underline(job: Job, call_next: CallNext) -> bytes:
    return await call_next() + b" _"
