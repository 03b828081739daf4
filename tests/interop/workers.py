"""Workers of every kind with the same abilities: PHP's, Perl's and pygearman's as processes, ours in this one.

| function | what it does |
|---|---|
| reverse, echo, empty | give the workload backwards, as it is, nothing |
| unique | gives the unique ID of the job (not Perl's, which grabs without it) |
| chunks | sends three WORK_DATA, the last one empty, before its result |
| warn | sends a WORK_WARNING |
| progress | sends WORK_STATUS 1/4 to 4/4 |
| fail, raise | WORK_FAIL, WORK_EXCEPTION |
| hold | WORK_STATUS 1/2, waits for the file that the workload names, 2/2, result |
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import trio

from gearman_trio.worker import Abilities, Job, open_worker

from ..peers import require_perl_module, require_php_extension, require_python_package
from .programs import PEERS, Program, open_program

__all__ = ["FOREIGN_WORKERS", "RAISED", "WORKERS", "open_foreign_worker", "open_worker_of", "our_abilities"]

FOREIGN_WORKERS = ("php", "perl", "pygearman")
WORKERS = (*FOREIGN_WORKERS, "ours")

#: What each kind of worker sends as WORK_EXCEPTION; Perl freezes its exceptions with Storable.
RAISED = {
    "php": b"boom\0\n",
    "perl": b"\x05\x0b\n\x05boom\n",
    "pygearman": b"boom\0\n",
    "ours": b"ValueError: boom",
}


def our_abilities() -> Abilities:
    abilities = Abilities()

    @abilities.function
    async def reverse(workload: bytes) -> bytes:
        return workload[::-1]

    @abilities.function
    def echo(workload: bytes) -> bytes:
        return workload

    @abilities.function
    async def empty() -> None:
        pass

    @abilities.function
    async def unique(job: Job) -> bytes:
        return job.unique

    @abilities.function
    async def chunks(job: Job) -> bytes:
        for chunk in (b"one\0", b"two\n", b""):
            await job.data(chunk)
        return b"end"

    @abilities.function
    async def generated() -> AsyncIterator[bytes]:
        yield b"one\0"
        yield b"two\n"

    @abilities.function
    async def warn(job: Job) -> bytes:
        await job.warning(b"careful\0\n")
        return b"warned"

    @abilities.function
    async def progress(job: Job) -> bytes:
        for done in range(1, 5):
            await job.status(done, 4)
        return b"done"

    @abilities.function
    async def fail(job: Job) -> None:
        job.scope.cancel()
        await trio.lowlevel.checkpoint()

    @abilities.function(name="raise")
    async def raise_() -> None:
        raise ValueError("boom")

    @abilities.function
    async def hold(workload: bytes, job: Job) -> bytes:
        await job.status(1, 2)
        while not await trio.Path(workload.decode()).exists():  # noqa: ASYNC110 as the foreign workers do it
            await trio.sleep(0.005)
        await job.status(2, 2)
        return b"released"

    return abilities


@asynccontextmanager
async def open_foreign_worker(kind: str, port: int, *functions: str) -> AsyncGenerator[Program]:
    """A foreign worker in a process of its own for a block, with some of its abilities or all of them."""
    async with open_program(*_command(kind), str(port), *functions) as program:
        yield program


@asynccontextmanager
async def open_worker_of(kind: str, port: int) -> AsyncGenerator[None]:
    """A worker of one of the `WORKERS` for a block; ours has grabbed before, a foreign one may still start."""
    if kind == "ours":
        async with open_worker(our_abilities(), f"127.0.0.1:{port}", concurrency=10):
            yield
    else:
        async with open_foreign_worker(kind, port):
            yield


def _command(kind: str) -> list[str]:
    match kind:
        case "php":
            return [require_php_extension("gearman"), str(PEERS / "worker.php")]
        case "perl":
            return [require_perl_module("Gearman::Worker"), str(PEERS / "worker.pl")]
        case "pygearman":
            return [require_python_package("gearman"), str(PEERS / "pygearman_worker.py")]
    raise ValueError(kind)
