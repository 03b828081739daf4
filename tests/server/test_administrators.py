"""Listeners for administrators, shutdown, and answers so long that they come in pieces between everybody else's."""

from __future__ import annotations

import pytest
import trio

from gearman_trio import Listen, Server, open_admin
from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.server import ServerOptions

from .raw import Bystanders, RawPeer, connect, join, open_bystanders, open_memory_server, open_tcp_server, until

P = PacketType

BOTH = ["127.0.0.1:0", Listen("127.0.0.1:0", admin=True)]
ADMIN = 1


async def submit_many(peer: RawPeer, count: int) -> None:
    """Submit background jobs, and read what is answered."""
    one = encode_request(P.SUBMIT_JOB_BG, b"many", b"", b"")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.stream.send_all, one * count)
        for _ in range(count):
            assert P.JOB_CREATED == (await peer.receive())[0]


# ---- who may what ------------------------------------------------------------------------------------------


async def test_administrators_commands_exist_on_their_listener_alone(driver: str) -> None:
    async with open_tcp_server(listen=BOTH) as server, connect(server) as peer, connect(server, index=ADMIN) as admin:
        assert b"ERR UNKNOWN_COMMAND Unknown+server+commandshutdown\r\n" == await peer.ask(b"shutdown")
        assert b"ERR UNKNOWN_COMMAND Unknown+server+commandclients\r\n" == await peer.ask(b"clients")
        await peer.submit(b"f", b"")

        assert b"f\t\t-\t1\n.\n" == await admin.ask(b"jobs")
        assert b"127.0.0.1\n\tf\t\t-\n127.0.0.1\n.\n" == await admin.ask(b"clients")


async def test_stream_of_ones_own_may_be_an_administrator_s() -> None:
    async with open_memory_server() as (server, nursery):
        peer = join(server, nursery, admin=True)

        assert b".\n" == await peer.ask(b"jobs")


async def test_graceful_shutdown_waits_for_running_jobs(driver: str) -> None:
    async with (
        open_tcp_server(listen=BOTH) as server,
        connect(server) as client,
        connect(server) as worker,
        connect(server, index=ADMIN) as admin,
    ):
        await worker.can_do(b"f")
        handle = await client.submit(b"f", b"")
        await worker.grab()

        assert b"OK\r\n" == await admin.ask(b"shutdown graceful")
        await worker.synchronize()
        await worker.send(P.WORK_COMPLETE, handle, b"r")
        await client.expect(P.WORK_COMPLETE, handle, b"r")
        await server.wait_ended()


async def test_shutdown_waits_for_nobody(driver: str) -> None:
    async with (
        open_tcp_server(listen=BOTH) as server,
        connect(server) as client,
        connect(server) as worker,
        connect(server, index=ADMIN) as admin,
    ):
        await worker.can_do(b"f")
        await client.submit(b"f", b"")
        await worker.grab()

        assert b"OK\r\n" == await admin.ask(b"shutdown")
        assert b"" == await admin.receive_all()
        await server.wait_ended()


# ---- long answers ------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_others_are_served_between_the_pieces_of_a_long_answer(driver: str) -> None:
    async with open_tcp_server() as server, open_bystanders(server) as bystanders, connect(server) as admin:
        await submit_many(admin, 20_000)
        before = server.statistics().counters.completed
        rows = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, bystanders, server, before + 3)
            await admin.stream.send_all(b"show jobs\n")
            while not rows.endswith(b"\n.\n"):
                rows += await admin.stream.receive_some(65536)

        assert 20_001 == rows.count(b"\n")


async def work(bystanders: Bystanders, server: Server, enough: int) -> None:
    """Do jobs from end to end until so many are done."""
    while server.statistics().counters.completed < enough:
        await bystanders.work()


async def test_long_answer_waits_for_its_reader(driver: str) -> None:
    """It is made as it is read; what else the peer asked for comes behind it."""
    async with open_tcp_server() as server, connect(server) as admin, open_bystanders(server) as bystanders:
        await admin.stream.send_all(b"".join(b"create function %0500d\n" % number for number in range(20_000)))
        created = bytearray()
        while len(created) < 4 * 20_000:
            created += await admin.stream.receive_some(65536)
        await admin.stream.send_all(b"status\nversion\n")
        await until(lambda: server.statistics().peers[0].outbox_bytes > 0)
        for _ in range(3):
            await bystanders.work()
        most = server.statistics().peers[0].outbox_bytes
        answer = bytearray()
        while b"\n.\nOK " not in answer[-40:]:
            answer += await admin.stream.receive_some(65536)

        assert 0 < most < 2_000_000
        assert 20_000 * 507 < len(answer)


async def test_administrator_who_asks_and_leaves(driver: str) -> None:
    async with open_tcp_server() as server, open_bystanders(server):
        async with connect(server) as admin:
            await submit_many(admin, 3000)
            await admin.stream.send_all(b"show jobs\n" * 10)
        await until(lambda: len(server.statistics().peers) == 2)


async def test_peer_cut_off_behind_a_long_answer_is_closed() -> None:
    """What others send it counts too, and it need not say another word."""
    options = ServerOptions(outbox_limit_bytes=10**9)
    async with (
        open_tcp_server(options) as server,
        connect(server) as deaf,
        connect(server) as worker,
        open_admin(server.addresses[0]) as admin,
    ):
        await worker.can_do(b"f")
        handle = await deaf.submit(b"f", b"")
        await worker.grab()
        await deaf.stream.send_all(b"".join(b"create function %0500d\n" % number for number in range(20_000)))
        await until(lambda: server.totals().functions > 20_000)
        await deaf.stream.send_all(b"status\n")
        await until(lambda: server.statistics().peers[0].outbox_bytes > 0)
        for _ in range(70):
            await worker.send(P.WORK_DATA, handle, bytes(1_000_000))
            await worker.synchronize()
        await until(lambda: len(server.statistics().peers) == 2)
        await admin.version()
