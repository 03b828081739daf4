"""A job server in a process of its own, and everything at once that peers may do to it.

After it memory is back to where it was, a client and a worker that behave have noticed nothing, and the log has one
line for the beginning and one for the end of each connection, and no other but those about what was refused.
"""

from __future__ import annotations

import logging
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from gearman_trio.protocol import PacketType, encode_request

from ..patience import PATIENCE
from .raw import Bystanders, RawPeer, reset_on_close, until

logger = logging.getLogger(__name__)

P = PacketType

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]

PROGRAM = """
import ctypes, gc, logging, resource, signal, sys
import trio
from gearman_trio import ServerOptions, serve

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
descriptors = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

class Mallinfo2(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo2

async def main():
    async with trio.open_nursery() as nursery:
        server = await nursery.start(lambda **status: serve(port=0, options=ServerOptions(), **status))
        with trio.open_signal_receiver(signal.SIGUSR1) as asked:
            print(server.addresses[0].port, flush=True)
            async for _ in asked:
                # What waits to be collected, and what the allocator keeps for later, is not in use.
                gc.collect()
                libc.malloc_trim(0)
                with open("/proc/self/statm") as file:
                    pages = int(file.read().split()[1])
                system = libc.mallinfo2()
                allocated = system.uordblks + system.hblkhd
                print(pages * resource.getpagesize(), sys.getallocatedblocks(), allocated, flush=True)

trio.run(main)
"""

#: How many connections do nothing at a time, and how many file descriptors that takes on each side.
IDLE = 5000
DESCRIPTORS = IDLE + 1000

#: How many connections come and go, and how often everything is done. `nox -s hostile` lets a hundred thousand come,
#: which takes minutes.
COMING_AND_GOING = int(os.environ.get("GEARMAN_TRIO_HOSTILE_CONNECTIONS", "1000"))
ROUNDS = int(os.environ.get("GEARMAN_TRIO_HOSTILE_ROUNDS", "1"))

#: What a client and worker in one sends; it is cut after each of its bytes.
SESSION = b"".join(
    [
        encode_request(P.CAN_DO, b"f"),
        encode_request(P.PRE_SLEEP),
        encode_request(P.SUBMIT_JOB, b"f", b"u", b"fg"),
        encode_request(P.GRAB_JOB_UNIQ),
        b"version\n",
        encode_request(P.ECHO_REQ, b"end"),
    ]
)


@attrs.frozen
class Memory:
    """What a process has.

    Attributes:
        resident: bytes, those among them that are free but in between others.
        blocks: how many small things the interpreter has.
        allocated: how many bytes of the system's allocator are in use, which the large things come from.
    """

    resident: int
    blocks: int
    allocated: int


@attrs.frozen
class Process:
    """A job server in a process of its own."""

    process: trio.Process
    port: int
    log: Path

    async def memory(self) -> Memory:
        """What is in use now."""
        self.process.send_signal(signal.SIGUSR1)
        return Memory(*map(int, (await read_line(self.process)).split()))

    def lines(self) -> list[str]:
        """What it has logged."""
        return self.log.read_text(encoding="utf-8").splitlines()

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator[RawPeer]:
        """A peer over TCP."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        try:
            yield RawPeer(stream)
        finally:
            await trio.aclose_forcefully(stream)

    async def wait_connections(self, count: int) -> None:
        """Wait until it has only so many connections."""
        async with self.connect() as admin:
            with trio.fail_after(PATIENCE):
                while (await admin.ask(b"workers")).count(b"\n") != count + 2:
                    # The answer is the event; the next question may follow at once.
                    await trio.lowlevel.checkpoint()


async def read_line(process: trio.Process) -> bytes:
    """The next line that a process writes."""
    assert process.stdout is not None
    line = b""
    while not line.endswith(b"\n"):
        line += await process.stdout.receive_some()
    return line


@asynccontextmanager
async def open_process(folder: Path, *, descriptors: int) -> AsyncGenerator[Process]:
    """A server with a limit of file descriptors; it must live to the end of the block, and is stopped then."""
    log = folder / "log"
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(descriptors)]
    with log.open("wb") as errors:
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, stderr=errors)
    try:
        yield Process(process, int(await read_line(process)), log)
        assert process.poll() is None
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        if process.stdout is not None:
            await trio.aclose_forcefully(process.stdout)


@asynccontextmanager
async def open_bystanders(server: Process) -> AsyncGenerator[Bystanders]:
    """A client and a worker that do jobs for as long as the block goes on."""
    async with server.connect() as client, server.connect() as worker:
        await worker.can_do(b"bystander")
        await worker.sleep()
        bystanders = Bystanders(client, worker)
        await bystanders.work()
        yield bystanders
        await bystanders.work()


# ---- what peers do -----------------------------------------------------------------------------------------


async def send_garbage(server: Process) -> int:
    dice = random.Random(4730)
    for _ in range(50):
        async with server.connect() as peer:
            with suppress(trio.BrokenResourceError):
                await peer.stream.send_all(b"\0" + dice.randbytes(dice.randrange(20_000)))
            await peer.receive_all()
    return 50


async def leave_at_every_byte(server: Process) -> int:
    for end in range(len(SESSION)):
        async with server.connect() as peer:
            await peer.stream.send_all(SESSION[:end])
            if end % 2:
                reset_on_close(peer)
    return len(SESSION)


async def stall_in_packets(server: Process) -> int:
    async with AsyncExitStack() as stack:
        for size in range(100):
            peer = await stack.enter_async_context(server.connect())
            await peer.stream.send_all((b"\0REQ\0\0\0\x10\xff\xff\xff\xff" + bytes(100_000))[: 1 + size * 700])
    return 100


async def read_slowly(server: Process) -> int:
    """Clients of results of 10 MB, which read a little of them."""
    async with server.connect() as worker, AsyncExitStack() as stack:
        await worker.can_do(b"large")
        for _ in range(5):
            client = await stack.enter_async_context(server.connect())
            await client.submit(b"large", b"")
            handle, _ = await worker.grab()
            await worker.send(P.WORK_COMPLETE, handle, bytes(10_000_000))
            await worker.synchronize()
            for _ in range(3):
                await client.stream.receive_some(1000)
    return 6


async def come_and_go(server: Process) -> int:
    for number in range(COMING_AND_GOING):
        socket.create_connection(("127.0.0.1", server.port)).close()
        if number % 100 == 0:
            # So that a listener's queue does not overflow, where the kernel would let the next ones wait for seconds.
            async with server.connect() as peer:
                await peer.synchronize()
    return COMING_AND_GOING + len(range(0, COMING_AND_GOING, 100))


async def idle(server: Process, bystanders: Bystanders) -> int:
    with ExitStack() as stack:
        for number in range(IDLE):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            if number % 500 == 0:
                await bystanders.work()
    return IDLE


async def do_everything(server: Process, bystanders: Bystanders) -> int:
    """Give the number of connections that were made."""
    connections = 0
    for fault in (send_garbage, leave_at_every_byte, stall_in_packets, read_slowly, come_and_go):
        connections += await fault(server)
        await bystanders.work()
    connections += await idle(server, bystanders)
    await server.wait_connections(2)
    return connections + 1


async def test_memory_is_back_and_nobody_noticed(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, DESCRIPTORS)), hard))
    try:
        with trio.fail_after(ROUNDS * (120 + COMING_AND_GOING / 100)):
            async with open_process(tmp_path, descriptors=DESCRIPTORS) as server, open_bystanders(server) as bystanders:
                before = await server.memory()
                connections, after = 0, []
                for _ in range(ROUNDS):
                    connections += await do_everything(server, bystanders)
                    after.append(await server.memory())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    logger.info("%d connections; before %r, after %r", connections, before, after)
    # Of large things, the slow readers alone had 50 MB.
    assert after[-1].blocks <= 1.1 * before.blocks, (before, after)
    assert after[-1].allocated <= before.allocated + 2_000_000, (before, after)
    # What the interpreter keeps for later it needs but once.
    assert after[-1].resident <= 1.1 * after[0].resident, (before, after)
    assert {"INFO"} == {line.split(" ", 1)[0] for line in server.lines()}
    about = [re.fullmatch(r"INFO conn=(\d+) (opened|closed).*", line) for line in server.lines()]
    events = Counter(match.groups() for match in about if match)
    assert len(about) == len(events)
    # Of the bystanders and those that counted connections, some had not ended.
    assert connections <= len({number for number, _ in events}) <= connections + 2
    assert connections - 2 <= len([1 for _, event in events if event == "closed"]) <= connections + 2


async def test_missing_descriptors_disturb_only_those_who_come_too_late(tmp_path: Path) -> None:
    with trio.fail_after(PATIENCE):
        async with open_process(tmp_path, descriptors=100) as server, open_bystanders(server) as bystanders:
            async with AsyncExitStack() as stack:
                for _ in range(150):
                    await stack.enter_async_context(server.connect())
                await until(partial(said, server, "cannot accept"))
                for _ in range(20):
                    await bystanders.work()
            # There is room again, and those who waited are served.
            async with server.connect() as late:
                await late.synchronize()
            await server.wait_connections(2)

    assert 1 == len([line for line in server.lines() if "cannot accept" in line])
    assert ["WARNING cannot accept connections for a while: Too many open files"] == [
        line for line in server.lines() if not line.startswith("INFO conn=")
    ]


def said(server: Process, text: str) -> bool:
    return any(text in line for line in server.lines())
