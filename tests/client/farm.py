"""Several job servers in memory that do every job themselves, and can be taken down."""

from __future__ import annotations

from collections import Counter

import trio

from gearman_trio.protocol import PacketType
from gearman_trio.transport import Address

from .scripted_server import ScriptedConnection, ScriptedServer

__all__ = ["Farm"]

P = PacketType

_BACKGROUND = {P.SUBMIT_JOB_BG, P.SUBMIT_JOB_HIGH_BG, P.SUBMIT_JOB_LOW_BG, P.SUBMIT_JOB_EPOCH}


class Farm:
    """What `open_client` connects to: `connect` is its argument. A result is the host's name and the workload.

    Attributes:
        tried: every address that a client connected to, in order.
        down: hosts that refuse connections.
        silent: hosts that take connections and jobs, but never answer.
        held: hosts that take jobs and give them handles, but do not end them.
        refused: functions whose submission gets an ERROR.
        jobs: the unique IDs of the jobs that came to each host.
        options: how often each host was asked for each option.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._server = ScriptedServer()
        self._streams: dict[str, list[trio.abc.Stream]] = {}
        self._numbers = Counter[str]()
        self.tried: list[str] = []
        self.down: set[str] = set()
        self.silent: set[str] = set()
        self.held: set[str] = set()
        self.refused: set[bytes] = set()
        self.jobs: dict[str, list[bytes]] = {}
        self.options = Counter[tuple[str, bytes]]()

    async def connect(self, address: Address) -> trio.abc.Stream:
        """What the client calls for a stream."""
        self.tried.append(address.host)
        if address.host in self.down:
            await trio.lowlevel.checkpoint()
            raise ConnectionRefusedError("nobody listens")
        stream = await self._server.connect(address)
        connection = await self._server.accept()
        self._streams.setdefault(address.host, []).append(connection.stream)
        self._nursery.start_soon(self._serve, connection)
        return stream

    async def kill(self, host: str) -> None:
        """Lose all connections to a host, and take no more."""
        self.down.add(host)
        for stream in self._streams.pop(host, []):
            await stream.aclose()

    async def _serve(self, connection: ScriptedConnection) -> None:
        host = connection.address.host
        if host in self.silent:
            return
        try:
            while True:
                await self._answer(host, connection, *await connection.receive())
        except (AssertionError, trio.ClosedResourceError, trio.BrokenResourceError):
            pass

    async def _answer(self, host: str, connection: ScriptedConnection, kind: PacketType, fields: list[bytes]) -> None:
        if kind == P.OPTION_REQ:
            self.options[host, fields[0]] += 1
            await connection.send(P.OPTION_RES, fields[0])
        elif kind == P.ECHO_REQ:
            await connection.send(P.ECHO_RES, host.encode())
        elif kind == P.GET_STATUS_UNIQUE:
            await connection.send(P.STATUS_RES_UNIQUE, fields[0], b"1", b"0", b"0", b"0", b"1")
        elif fields[0] in self.refused:
            await connection.send(P.ERROR, b"QUEUE_ERROR", b"full")
        else:
            self._numbers[host] += 1
            handle = b"H:%s:%d" % (host.encode(), self._numbers[host])
            self.jobs.setdefault(host, []).append(fields[1])
            await connection.send(P.JOB_CREATED, handle)
            if kind not in _BACKGROUND and host not in self.held:
                await connection.send(P.WORK_COMPLETE, handle, host.encode() + b":" + fields[-1])
