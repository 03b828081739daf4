"""What comes in one round is dealt with as a whole: jobs go to the workers that are awake before others are woken."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.transport.pump import pump_available

from .raw import RawPeer, open_tcp_server

pytestmark = pytest.mark.skipif(not pump_available, reason="there is no epoll")

P = PacketType


def write(peer: RawPeer, *packets: bytes) -> None:
    """Send without a checkpoint, over a kind of socket whose other end is readable as soon as this returns."""
    assert isinstance(peer.stream, trio.SocketStream)
    os.write(peer.stream.socket.fileno(), b"".join(packets))


@asynccontextmanager
async def open_peer(path: Path) -> AsyncGenerator[RawPeer]:
    async with await trio.open_unix_socket(str(path)) as stream:
        yield RawPeer(stream)


async def test_jobs_go_to_workers_that_grab_in_the_same_round_and_the_rest_wakes_sleepers(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with (
        open_tcp_server(listen=[f"unix:{path}"]),
        open_peer(path) as worker,
        open_peer(path) as sleeper,
        open_peer(path) as other,
        open_peer(path) as client,
    ):
        await worker.can_do(b"f")
        for one in (sleeper, other):
            await one.can_do(b"f")
            await one.sleep()
        # The grab comes first, and is answered with what comes after it.
        write(worker, encode_request(P.GRAB_JOB))
        write(client, *[encode_request(P.SUBMIT_JOB_BG, b"f", b"", b"%d" % number) for number in range(2)])

        kind, (_, function, workload) = await worker.receive()
        assert (P.JOB_ASSIGN, b"f", b"0") == (kind, function, workload)
        await sleeper.expect(P.NOOP)
        await other.synchronize()
