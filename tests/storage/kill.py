"""The kill test: a load whose books say which jobs were acknowledged and which were done, over servers that get killed.

A client submits background jobs and notes every one that is acknowledged; workers do jobs and note every one.  The
server is killed in the middle of it, and started again.  At the end every acknowledged job must have been done.

A job is done twice where its worker lost the server before the job's end was stored: it was running at the kill, or its
result was on the way.  A worker is not told when its result has been stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import NoReturn

import attrs
import trio

from gearman_trio.protocol import PacketType

from ..cli.commands import open_command
from ..patience import PATIENCE
from ..server.raw import RawPeer
from .databases import Database

__all__ = ["Books", "kill_again_and_again"]

P = PacketType

_WORKERS = 4
_DEPTH = 50

#: About how many jobs come between two kills, and how many may wait before workers come.
_BACKLOG = 500


@attrs.define
class Books:
    """Who was told what.

    Attributes:
        submitted: how many jobs were sent.
        acknowledged: the workloads of those that were acknowledged; each is different.
        handles: workload by handle.
        done: how often each was done.
        kills: how often the server was killed.
        database_kills: how often the server of its store was, too.
        lost: acknowledged jobs that nobody did; as long as servers live, those that nobody has done yet.
    """

    submitted: int = 0
    acknowledged: set[bytes] = attrs.field(factory=set)
    handles: dict[bytes, bytes] = attrs.field(factory=dict)
    done: Counter[bytes] = attrs.field(factory=Counter)
    kills: int = 0
    database_kills: int = 0
    lost: set[bytes] = attrs.field(factory=set)
    _changed: trio.Event = attrs.field(factory=trio.Event)

    @property
    def twice(self) -> int:
        """How many runs there were beyond the first of each job."""
        return self.done.total() - len(self.done)

    def note_acknowledged(self, workload: bytes) -> None:
        """A job was acknowledged, perhaps after it was done."""
        self.acknowledged.add(workload)
        if workload not in self.done:
            self.lost.add(workload)
        self._note()

    def note_done(self, workload: bytes) -> None:
        """A job was done."""
        self.done[workload] += 1
        self.lost.discard(workload)
        self._note()

    async def wait_acknowledged(self, count: int) -> None:
        """Wait until so many jobs have been acknowledged in all."""
        with trio.fail_after(PATIENCE):
            while len(self.acknowledged) < count:
                await self._changed.wait()

    async def wait_done(self) -> None:
        """Wait until every acknowledged job has been done."""
        with trio.fail_after(PATIENCE):
            while self.lost:
                await self._changed.wait()

    def _note(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class _ServerGone(Exception):
    pass


class _Peer(RawPeer):
    """A peer whose server may be killed at any moment."""

    async def receive(self) -> tuple[PacketType, list[bytes]]:
        try:
            return await super().receive()
        except (AssertionError, trio.BrokenResourceError) as exc:
            raise _ServerGone from exc

    async def send(self, kind: PacketType, *fields: bytes) -> None:
        try:
            await super().send(kind, *fields)
        except trio.BrokenResourceError as exc:
            raise _ServerGone from exc


async def _submit(peer: RawPeer, books: Books) -> NoReturn:
    """Keep some jobs under way until the server is gone."""
    sent: list[bytes] = []
    while True:
        while len(sent) < _DEPTH:
            books.submitted += 1
            workload = b"%d\0" % books.submitted + b"x" * (books.submitted % 300)
            sent.append(workload)
            await peer.send(P.SUBMIT_JOB_BG, b"f", b"%d" % books.submitted, workload)
        kind, fields = await peer.receive()
        assert P.JOB_CREATED == kind, fields
        assert fields[0] not in books.handles, f"{fields[0]!r} was given twice"
        workload = sent.pop(0)
        books.handles[fields[0]] = workload
        books.note_acknowledged(workload)


async def _work(peer: RawPeer, books: Books) -> NoReturn:
    """Do jobs until the server is gone."""
    await peer.send(P.CAN_DO, b"f")
    while True:
        await peer.send(P.GRAB_JOB)
        kind, fields = await peer.receive()
        if kind == P.NO_JOB:
            await peer.send(P.PRE_SLEEP)
            assert P.NOOP == (await peer.receive())[0]
            continue
        if kind == P.NOOP:
            continue
        assert P.JOB_ASSIGN == kind, fields
        handle, _, workload = fields
        assert books.handles.get(handle, workload) == workload, f"{handle!r} names another job now"
        books.note_done(workload)
        await peer.send(P.WORK_COMPLETE, handle, b"")


async def _until_gone(port: int, run: Callable[[RawPeer, Books], Awaitable[NoReturn]], books: Books) -> None:
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return
    try:
        await run(_Peer(stream), books)
    except _ServerGone:
        pass
    finally:
        await trio.aclose_forcefully(stream)


async def kill_again_and_again(url: str, rounds: int, seed: int, database: Database | None = None) -> Books:
    """Load servers with one store and kill them; then let one live until all is done.

    Args:
        url: of the store.
        rounds: how many servers are killed.
        seed: of the random numbers that say when.
        database: the server that keeps the store; it is killed too in every second round, before the job server or
            after it.
    """
    random = Random(seed)
    books = Books()
    command = ["serve", "--listen", "127.0.0.1:0", "--store", url]
    for number in range(rounds):
        async with open_command(*command) as server, trio.open_nursery() as nursery:
            port = await server.wait_port()
            nursery.start_soon(_until_gone, port, _submit, books)
            enough = len(books.acknowledged) + random.randrange(1, 2 * _BACKLOG)
            # In some rounds the workers come when there is a backlog, in some when all is done, in some never.
            workers_at = len(books.acknowledged) + random.randrange(0, 2 * _BACKLOG)
            await books.wait_acknowledged(min(enough, workers_at))
            if workers_at < enough:
                for _ in range(_WORKERS):
                    nursery.start_soon(_until_gone, port, _work, books)
                await books.wait_acknowledged(enough)
            victims: list[Database | trio.Process] = [server.process]
            if database is not None and number % 2:
                victims.append(database)
                random.shuffle(victims)
            for victim in victims:
                victim.kill()
            books.kills += 1
        if database is not None and number % 2:
            books.database_kills += 1
            await trio.to_thread.run_sync(database.start)
    async with open_command(*command) as server, trio.open_nursery() as nursery:
        port = await server.wait_port()
        for _ in range(_WORKERS):
            nursery.start_soon(_until_gone, port, _work, books)
        await books.wait_done()
        nursery.cancel_scope.cancel()
    return books
