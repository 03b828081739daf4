"""What the tests of the test kit share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from gearman_trio import JSON, TEXT, Abilities, Job, ThreadJob


@pytest.fixture
def abilities() -> Abilities:
    made = Abilities()

    @made.function
    async def reverse(workload: bytes) -> bytes:
        return workload[::-1]

    @made.function(timeout=600)
    async def grow(workload: bytes) -> bytes:
        """Take as many seconds as the workload says."""
        await trio.sleep(float(workload))
        return b"grown"

    @made.function
    async def report(workload: bytes, job: Job) -> bytes:
        """Send one of everything."""
        await job.status(1, 2)
        await job.data(b"part of ")
        await job.warning("careful")
        return workload

    @made.function
    async def count(workload: bytes) -> AsyncIterator[bytes]:
        for number in range(int(workload)):
            yield b"%d," % number

    @made.function
    def in_thread(workload: bytes, job: ThreadJob) -> bytes:
        job.status(3, 4)
        return workload * 2

    @made.function
    async def fail(workload: bytes) -> None:
        raise ValueError(workload.decode())

    @made.function(serializer=JSON)
    async def area(width: int, height: int = 1) -> int:
        return width * height

    @made.function(serializer=TEXT)
    async def letters(text: str) -> AsyncIterator[str]:
        for letter in text:
            yield letter

    return made
