"""What libgearman's workers really say to our server and hear from it, read off the wire by a relay in between."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio

from gearman_trio.client import open_client
from gearman_trio.protocol import Decoder, PacketType, encode_request
from gearman_trio.worker import Abilities, open_worker

from ..patience import PATIENCE
from ..peers import require
from .clients import pattern, shown
from .programs import open_program
from .workers import open_foreign_worker

pytestmark = pytest.mark.interop

#: Every packet that a grab or its answer could be.
GRABS = {"GRAB_JOB", "GRAB_JOB_UNIQ", "GRAB_JOB_ALL", "JOB_ASSIGN", "JOB_ASSIGN_UNIQ", "JOB_ASSIGN_ALL"}

LARGE = pattern(10 * 1024 * 1024)


@asynccontextmanager
async def open_relay(port: int, heard: set[str]) -> AsyncGenerator[int]:
    """Pass bytes between workers and a server for a block, and note the names of the packets; gives the port."""

    async def pass_on(source: trio.SocketStream, target: trio.SocketStream, decoder: Decoder) -> None:
        # Either side may be killed while there is still something to be passed on.
        with contextlib.suppress(trio.BrokenResourceError):
            async for chunk in source:
                heard.update(PacketType(kind).name for kind, _ in decoder.feed(bytes(chunk)))
                await target.send_all(chunk)

    async def relay(worker: trio.SocketStream) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", port) as server, trio.open_nursery() as nursery:
            nursery.start_soon(pass_on, worker, server, Decoder())
            nursery.start_soon(pass_on, server, worker, Decoder(responses=True))

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, relay, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_the_tool_takes_job_assign_all(port: int) -> None:
    heard: set[str] = set()

    async with open_relay(port, heard) as relay, open_client(f"127.0.0.1:{port}") as client:
        command = [require("gearman"), "-w", "-h", "127.0.0.1", "-p", str(relay), "-f", "wc", "--", "wc", "-c"]
        async with open_program(*command):
            with trio.fail_after(PATIENCE):
                results = [await client.run("wc", workload, unique="u") for workload in (LARGE, b"\0\n\0", b"")]

    assert [b"10485760\n", b"3\n", b"0\n"] == results
    assert {"GRAB_JOB_ALL", "JOB_ASSIGN_ALL"} == heard & GRABS


async def test_phps_worker_takes_job_assign_all(port: int) -> None:
    heard: set[str] = set()

    async with (
        open_relay(port, heard) as relay,
        open_foreign_worker("php", relay, "unique", "echo"),
        open_client(f"127.0.0.1:{port}") as client,
    ):
        with trio.fail_after(PATIENCE):
            uniques = [await client.run("unique", LARGE, unique="u-1"), await client.run("unique", b"w")]
            echo = await client.run("echo", pattern(256), unique="-")

    assert [b"u-1", b"", shown(pattern(256))] == [*uniques, shown(echo)]
    assert {"GRAB_JOB_ALL", "JOB_ASSIGN_ALL"} == heard & GRABS


async def test_phps_worker_hands_the_parts_of_a_reduce_job_to_the_reducer(port: int) -> None:
    """The name of the reducer reaches libgearman, which then submits each WORK_DATA and the result as a job to it.

    PHP cannot put the reduced parts together again (that takes an aggregator in C), so the result is empty.
    """
    abilities = Abilities()
    reduced: list[bytes] = []

    @abilities.function
    async def reducer(workload: bytes) -> bytes:
        reduced.append(workload)
        return workload

    async with (
        open_worker(abilities, f"127.0.0.1:{port}"),
        open_foreign_worker("php", port, "chunks"),
        await trio.open_tcp_stream("127.0.0.1", port) as client,
    ):
        fields = (b"chunks", b"u", b"reducer", b"", b"w")
        await client.send_all(encode_request(PacketType.SUBMIT_REDUCE_JOB, *fields))
        decoder = Decoder(responses=True)
        packets: list[tuple[int, bytes]] = []
        with trio.fail_after(PATIENCE):
            while len(packets) < 2:
                packets += decoder.feed(bytes(await client.receive_some()))

    created, complete = packets
    assert [b"end", b"one\0", b"two\n"] == sorted(part for part in reduced if part)
    assert (PacketType.JOB_CREATED, PacketType.WORK_COMPLETE) == (created[0], complete[0])
    assert created[1] + b"\0" == complete[1]
