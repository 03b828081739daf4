"""Clients of every kind behind one face: PHP's, Perl's and pygearman's as processes, ours in this one.

A foreign client reads a JSON object a line (``{"do": "run", "jobs": [...]}``, ``submit``, ``status``, ...) and answers
each with a line of JSON.  Workloads travel in base64, or as ``@N`` for `pattern(N)`; data over 1024 bytes comes back
as its digest, see `shown`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from gearman_trio.client import Client, JobData, JobStatus, JobWarning, open_client
from gearman_trio.errors import JobFailed, JobRaised

from ..patience import PATIENCE
from ..peers import require_perl_module, require_php_extension, require_python_package
from .programs import PEERS, Program, open_program

__all__ = ["CLIENTS", "ForeignClient", "OurClient", "Outcome", "Submission", "open_client_of", "pattern", "shown"]

CLIENTS = ("php", "perl", "pygearman", "ours")


def pattern(size: int) -> bytes:
    """Bytes of every value, in turn."""
    return (bytes(range(256)) * (size // 256 + 1))[:size]


def shown(data: bytes) -> bytes:
    """Data as an outcome has it: itself, or where it is large its digest."""
    return data if len(data) <= 1024 else f"sha256 {hashlib.sha256(data).hexdigest()} of {len(data)}".encode()


@attrs.frozen
class Submission:
    """A job to be."""

    function: str
    workload: bytes = b""
    unique: str = ""
    priority: str = "normal"

    def as_json(self) -> dict[str, str]:
        large = len(self.workload) > 1024 and self.workload == pattern(len(self.workload))
        text = f"@{len(self.workload)}" if large else base64.b64encode(self.workload).decode()
        return {"function": self.function, "workload": text, "unique": self.unique, "priority": self.priority}


@attrs.frozen
class Outcome:
    """What a client heard of a job; of several statuses the last, since not every client tells all of them."""

    end: str
    result: bytes = b""
    data: tuple[bytes, ...] = ()
    warnings: tuple[bytes, ...] = ()
    progress: tuple[int, int] | None = None


class ForeignClient:
    """A client in a process of its own."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def ask(self, do: str, **step: object) -> Any:
        with trio.fail_after(PATIENCE):
            await self._program.send_line(json.dumps({"do": do, **step}).encode())
            return json.loads(await self._program.read_line())

    async def run(self, *submissions: Submission) -> list[Outcome]:
        """Run jobs at once, to their end."""
        answers = await self.ask("run", jobs=[submission.as_json() for submission in submissions])
        return [
            Outcome(
                end=answer["end"],
                result=base64.b64decode(answer["result"]),
                data=tuple(base64.b64decode(data) for data in answer["data"]),
                warnings=tuple(base64.b64decode(warning) for warning in answer["warnings"]),
                progress=answer["progress"] and tuple(answer["progress"]),
            )
            for answer in answers
        ]

    async def submit(self, submission: Submission) -> str:
        """Submit a background job and give its handle."""
        handle: str = await self.ask("submit", jobs=[submission.as_json()])
        return handle

    async def status(self, handle: str) -> list[int]:
        """Known, running, numerator, denominator of a job that this client submitted."""
        status: list[int] = await self.ask("status", handle=handle)
        return status


class OurClient:
    """Our client, in this process."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def run(self, *submissions: Submission) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}

        async def watch(number: int, submission: Submission) -> None:
            outcomes[number] = await self._watch(submission)

        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for number, submission in enumerate(submissions):
                    nursery.start_soon(watch, number, submission)
        return [outcomes[number] for number in range(len(submissions))]

    async def submit(self, submission: Submission) -> str:
        with trio.fail_after(PATIENCE):
            handle = await self.client.submit(
                submission.function,
                submission.workload,
                unique=submission.unique or None,
                priority=submission.priority,
            )
        return handle.decode()

    async def status(self, handle: str) -> list[int]:
        with trio.fail_after(PATIENCE):
            state = await self.client.status(handle)
        return [int(state.known), int(state.running), state.numerator, state.denominator]

    async def _watch(self, submission: Submission) -> Outcome:
        data: list[bytes] = []
        warnings: list[bytes] = []
        progress = None
        end, result = "complete", b""
        try:
            async with self.client.stream(
                submission.function,
                submission.workload,
                unique=submission.unique or None,
                priority=submission.priority,
            ) as job:
                async for event in job:
                    match event:
                        case JobData():
                            data.append(shown(event.data))
                        case JobWarning():
                            warnings.append(shown(event.data))
                        case JobStatus():
                            progress = (event.numerator, event.denominator)
                result = shown(await job.result())
        except JobFailed:
            end = "fail"
        except JobRaised as error:
            end, result = "exception", error.data
        return Outcome(end, result, tuple(data), tuple(warnings), progress)


@asynccontextmanager
async def open_client_of(kind: str, port: int) -> AsyncGenerator[ForeignClient | OurClient]:
    """A client of one of the `CLIENTS` for a block."""
    if kind == "ours":
        async with open_client(f"127.0.0.1:{port}") as client:
            yield OurClient(client)
    else:
        async with open_program(*_command(kind), str(port)) as program:
            yield ForeignClient(program)


def _command(kind: str) -> list[str]:
    match kind:
        case "php":
            return [require_php_extension("gearman"), str(PEERS / "client.php")]
        case "perl":
            return [require_perl_module("Gearman::Client"), str(PEERS / "client.pl")]
        case "pygearman":
            return [require_python_package("gearman"), str(PEERS / "pygearman_client.py")]
    raise ValueError(kind)
