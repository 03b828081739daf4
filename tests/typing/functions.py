"""Functions as programs decorate them, for the type checkers to look at."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from gearman_trio import BYTES, JSON, TEXT, Abilities, Job, ThreadJob

abilities = Abilities(serializer=JSON, namespace="typed.")
raw = Abilities()


@abilities.function
async def count(text: str) -> int:
    return len(text)


@abilities.function(timeout=5)
async def resize(job: Job, image: str, width: int = 100, *, crop: bool = False) -> dict[str, int]:
    return {image: width}


@abilities.function(name="square", serializer=JSON)
def in_thread(number: float) -> float:
    return number**2


@abilities.function
def in_thread_with_job(job: ThreadJob, number: int) -> list[int]:
    return [number]


@abilities.function
async def squares(n: int) -> AsyncIterator[int]:
    yield n


@abilities.function(serializer=TEXT)
async def lines(job: Job, text: str) -> AsyncGenerator[str]:
    yield text


def longest(lengths: list[int]) -> int:
    return max(lengths)


async def joined(texts: list[str]) -> str:
    return " ".join(texts)


@abilities.partition(aggregate=longest)
async def longest_word(text: str, *, most: int = 10) -> AsyncIterator[str]:
    yield text


@abilities.partition(aggregate=joined, concurrency=5)
async def numbers_joined(job: Job, count: int) -> AsyncIterator[float]:
    yield count


@abilities.function
def as_text(number: float) -> str:
    return str(number)


@abilities.function
async def length_with_job(job: Job, text: str) -> int:
    return len(text)


@raw.partition(aggregate=b"".join)
async def raw_lines(workload: bytes) -> AsyncIterator[bytes]:
    yield workload


@abilities.function
async def nothing() -> None: ...


@abilities.function
async def job_at_the_end(text: str, job: Job | None = None) -> int:
    return len(text)


@abilities.function
async def job_by_keyword(text: str, *, job: Job) -> int:
    return len(text)


@raw.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


@raw.function
async def raw_with_job(job: Job, chunk: bytes) -> bytes:
    return chunk


@raw.function
async def raw_parts(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


@raw.function(serializer=BYTES)
def reverse_in_thread(workload: bytes, job: ThreadJob | None = None) -> bytes:
    return workload[::-1]
