"""A whole Gearman system at work on real files: a job server, workers, and a client in one process, over TCP.

For every file below a folder there is a job that counts lines and words and takes a SHA-256; beside them run a slow
job that reports its progress, a job that fails on purpose, and a pair of submissions that coalesce.  At the end
everything is computed once more without Gearman and compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, Protocol

import attrs
import trio

from .client import Client, JobStatus, open_client
from .errors import JobRaised
from .server import Server, open_server
from .worker import Abilities, Job, open_worker

__all__ = ["DemoResult", "FileCount", "Totals", "Watcher", "count_file", "find_files", "run_demo"]

_WORKERS: Final = 4
_JOBS_A_WORKER: Final = 4

#: Enough to keep every worker busy, few enough that latency means something.
_IN_FLIGHT: Final = 2 * _WORKERS * _JOBS_A_WORKER

_SLOW_STEPS: Final = 20
_SLOW_STEP_SECONDS: Final = 0.05


@attrs.frozen
class FileCount:
    """What is told of one file.

    Attributes:
        lines: newline characters.
        words: runs of bytes between white space.
        size: bytes.
        sha256: of the contents, in hexadecimal.
    """

    lines: int
    words: int
    size: int
    sha256: str


@attrs.frozen
class Totals:
    """What is told of all files together.

    Attributes:
        files: how many were read.
        unreadable: how many could not be read.
        lines: sum over all files.
        words: likewise.
        size: likewise, in bytes.
        sha256: of all files' digests, in the order of their paths.
    """

    files: int
    unreadable: int
    lines: int
    words: int
    size: int
    sha256: str

    @classmethod
    def of(cls, counts: Iterable[FileCount | None]) -> Totals:
        """Add up; ``None`` stands for a file that could not be read."""
        read: list[FileCount] = []
        unreadable = 0
        digest = hashlib.sha256()
        for count in counts:
            if count is None:
                unreadable += 1
            else:
                read.append(count)
                digest.update(count.sha256.encode())
        return cls(
            files=len(read),
            unreadable=unreadable,
            lines=sum(count.lines for count in read),
            words=sum(count.words for count in read),
            size=sum(count.size for count in read),
            sha256=digest.hexdigest(),
        )


@attrs.frozen(kw_only=True)
class DemoResult:
    """How the demo went.

    Attributes:
        by_gearman: the totals that the jobs gave.
        directly: the totals without Gearman.
        latencies: seconds from submission to result, one for each file.
        seconds: from the first submission of a file to the last result.
        raised: what the failing job was reported to have raised.
        status_updates: how often the client saw how far the slow job was; of two that come at once it sees the newer.
        progress: how far the slow job was at last; 1.0 is done.
        pair_results: what the two coalesced submissions gave.
        pair_runs: how often the function of the coalesced submissions ran.
    """

    by_gearman: Totals
    directly: Totals
    latencies: list[float]
    seconds: float
    raised: str
    status_updates: int
    progress: float
    pair_results: tuple[bytes, bytes]
    pair_runs: int

    @property
    def checks(self) -> dict[str, bool]:
        """What must hold, and whether it does."""
        return {
            "totals agree with a direct computation": self.by_gearman == self.directly,
            "the failing job raised": self.raised == "ValueError: this job fails on purpose",
            "the slow job told its progress": self.progress == 1.0,
            "the coalesced pair ran once": self.pair_runs == 1 and self.pair_results == (b"144", b"144"),
        }


class Watcher(Protocol):
    """Who wants to see the demo's progress."""

    def started(self, address: str, workers: int, files: int) -> None:
        """The server listens, the workers are ready, and so many files are to be counted."""

    def counted(self, files: int) -> None:
        """So many files are done."""

    def slow(self, status: JobStatus) -> None:
        """The slow job has told how far it is."""


def find_files(folder: Path | None) -> list[Path]:
    """Every regular file below a folder, in the order of their paths; without a folder, Python's own sources.

    Raises:
        NotADirectoryError: there is no such folder.
    """
    if folder is not None:
        if not folder.is_dir():
            raise NotADirectoryError(f"expected a folder that exists, got {str(folder)!r}")
        return sorted(_walk(folder, skip=()))
    library = Path(sysconfig.get_path("stdlib"))
    return sorted(
        path for path in _walk(library, skip=("site-packages", "dist-packages", "__pycache__")) if path.suffix == ".py"
    )


def _walk(folder: Path, skip: Sequence[str]) -> Iterable[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in skip]
        for name in names:
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                yield path


def count_file(path: str) -> FileCount:
    """Read and count one file.

    Raises:
        OSError: it cannot be read.
    """
    data = Path(path).read_bytes()
    return FileCount(data.count(b"\n"), len(data.split()), len(data), hashlib.sha256(data).hexdigest())


def _make_abilities() -> tuple[Abilities, Callable[[], int]]:
    """The functions of the demo's workers, and how often the coalesced one has run."""
    abilities = Abilities()
    squared: list[int] = []

    @abilities.function(name="count")
    def count(workload: bytes) -> bytes:
        return json.dumps(attrs.astuple(count_file(os.fsdecode(workload)))).encode()

    @abilities.function(name="slow", timeout=60)
    async def slow(job: Job) -> bytes:
        for step in range(_SLOW_STEPS):
            await trio.sleep(_SLOW_STEP_SECONDS)
            await job.status(step + 1, _SLOW_STEPS)
        return b"done"

    @abilities.function(name="fail")
    async def fail() -> bytes:
        raise ValueError("this job fails on purpose")

    @abilities.function(name="square")
    async def square(workload: bytes) -> bytes:
        squared.append(1)
        await trio.sleep(0.2)
        return b"%d" % int(workload) ** 2

    return abilities, lambda: len(squared)


class _Demo:
    """The client's side, and what it has seen so far."""

    def __init__(self, client: Client, watcher: Watcher) -> None:
        self.client = client
        self.watcher = watcher
        self.latencies: list[float] = []
        self.raised = ""
        self.status_updates = 0
        self.progress = 0.0
        self.pair: list[bytes] = []

    async def count_all(self, files: Sequence[Path]) -> list[FileCount | None]:
        counts: list[FileCount | None] = [None] * len(files)
        places = iter(range(len(files)))

        async def keep_counting() -> None:
            for place in places:
                counts[place] = await self._count(files[place])
                self.watcher.counted(len(self.latencies))

        async with trio.open_nursery() as nursery:
            for _ in range(_IN_FLIGHT):
                nursery.start_soon(keep_counting)
        return counts

    async def _count(self, path: Path) -> FileCount | None:
        begun = trio.current_time()
        try:
            result = await self.client.run("count", os.fsencode(path))
        except JobRaised:
            return None
        finally:
            self.latencies.append(trio.current_time() - begun)
        return FileCount(*json.loads(result))

    async def run_slow(self) -> None:
        async with self.client.stream("slow") as job:
            async for event in job:
                if isinstance(event, JobStatus):
                    self.status_updates += 1
                    self.progress = event.fraction
                    self.watcher.slow(event)

    async def run_failing(self) -> None:
        try:
            await self.client.run("fail")
        except JobRaised as exc:
            self.raised = exc.data.decode()

    async def run_pair(self) -> None:
        async def one() -> None:
            self.pair.append(await self.client.run("square", b"12", unique="twelve", priority="high"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one)
            nursery.start_soon(one)


async def run_demo(files: Sequence[Path], watcher: Watcher) -> DemoResult:
    """Start a job server and workers, do the work, compare; nothing is left running, also when this is cancelled."""
    abilities, pair_runs = _make_abilities()
    async with AsyncExitStack() as stack:
        server: Server = await stack.enter_async_context(open_server(port=0))
        for number in range(_WORKERS):
            await stack.enter_async_context(
                open_worker(
                    abilities, server.url, concurrency=_JOBS_A_WORKER + 1, client_id=f"demo-worker-{number + 1}"
                )
            )
        client = await stack.enter_async_context(open_client(server.url, client_id="demo-client"))
        watcher.started(str(server.addresses[0]), _WORKERS, len(files))
        demo = _Demo(client, watcher)
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(demo.run_slow)
            nursery.start_soon(demo.run_failing)
            nursery.start_soon(demo.run_pair)
            counts = await demo.count_all(files)
            seconds = trio.current_time() - begun
    return DemoResult(
        by_gearman=Totals.of(counts),
        directly=await trio.to_thread.run_sync(_count_directly, files),
        latencies=demo.latencies,
        seconds=seconds,
        raised=demo.raised,
        status_updates=demo.status_updates,
        progress=demo.progress,
        pair_results=(demo.pair[0], demo.pair[1]),
        pair_runs=pair_runs(),
    )


def _count_directly(files: Sequence[Path]) -> Totals:
    counts: list[FileCount | None] = []
    for path in files:
        try:
            counts.append(count_file(str(path)))
        except OSError:
            counts.append(None)
    return Totals.of(counts)
