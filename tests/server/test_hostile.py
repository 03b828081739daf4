"""Hostile peers: each ends with one log line, and the others never notice."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from gearman_trio.protocol import Decoder, PacketType, encode_request, encode_response, split_arguments
from gearman_trio.protocol.codec import MAX_LINE_BYTES
from gearman_trio.server import Server, ServerOptions

from .raw import closing_lines, connect, open_bystanders, open_tcp_server, reset_on_close, until

P = PacketType

#: What a client and worker in one sends: binary and text, with a job that it leaves queued and one that it runs.
SESSION = b"".join(
    [
        encode_request(P.CAN_DO, b"f"),
        encode_request(P.PRE_SLEEP),
        encode_request(P.SUBMIT_JOB, b"f", b"u", b"fg"),
        encode_request(P.SUBMIT_JOB_BG, b"f", b"-", b"bg"),
        encode_request(P.GRAB_JOB_UNIQ),
        b"version\n",
        encode_request(P.ECHO_REQ, b"end"),
    ]
)


def header(kind: int, size: int, magic: bytes = b"\0REQ") -> bytes:
    return magic + kind.to_bytes(4, "big") + size.to_bytes(4, "big")


async def tell(server: Server, *pieces: bytes, by_reset: bool = False) -> None:
    """Send pieces, then leave without reading anything."""
    async with connect(server) as peer:
        # The server may have had enough before the last piece.
        with suppress(trio.BrokenResourceError):
            for piece in pieces:
                await peer.stream.send_all(piece)
                await trio.lowlevel.checkpoint()
        if by_reset:
            reset_on_close(peer)


async def provoke(server: Server, data: bytes) -> bytes:
    """Send what ends the connection; give all that comes until it does."""
    async with connect(server) as peer:
        with suppress(trio.BrokenResourceError):
            await peer.stream.send_all(data)
        return await peer.receive_all()


def errors(data: bytes) -> list[bytes]:
    """The codes of the ERROR packets that came."""
    packets = Decoder(responses=True).feed(data)
    return [split_arguments(kind, body)[0] for kind, body in packets if kind == P.ERROR]


async def after(server: Server, caplog: pytest.LogCaptureFixture, connections: int) -> None:
    """Wait until only the bystanders are left, and see one closing line for each connection that has ended."""
    await until(lambda: len(server.statistics().peers) == 2 and len(closing_lines(caplog)) >= connections)
    lines = closing_lines(caplog)
    assert connections == len(lines)
    assert connections == len({line.partition(" ")[0] for line in lines})


# ---- what ends a connection --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\0GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\0" * 10,
        b"\0REX" + bytes(8),
        b"\0RE\0",
        b"\0" + bytes([255]) * 100,
        b"a" * (MAX_LINE_BYTES + 1),
        b"status " * 10_000,
        encode_request(P.ECHO_REQ, b"fine") + b"\0nonsense",
    ],
    ids=["http after nul", "nuls", "magic", "magic cut", "binary", "line", "long line", "after a good packet"],
)
async def test_stream_that_makes_no_sense_is_closed_with_an_error(
    driver: str, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    async with open_tcp_server() as server, open_bystanders(server):
        received = await provoke(server, data)

        assert [b"INVALID_PACKET"] == errors(received)
        await after(server, caplog, 1)


async def test_packet_over_the_limit_is_refused_by_its_header(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_server(ServerOptions(max_packet_bytes=1000)) as server, open_bystanders(server):
        assert [b"INVALID_PACKET"] == errors(await provoke(server, header(P.ECHO_REQ, 1001)))
        async with connect(server) as peer:
            await peer.send(P.ECHO_REQ, bytes(1000))
            await peer.expect(P.ECHO_RES, bytes(1000))
        await after(server, caplog, 2)
        assert "announced 1001 bytes; at most 1000 are taken" in caplog.text


# ---- what is answered with an error and goes on ------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (header(0, 0), b"INVALID_COMMAND"),
        (header(99, 3) + b"abc", b"INVALID_COMMAND"),
        (header(0xFFFFFFFF, 0), b"INVALID_COMMAND"),
        (header(P.JOB_CREATED, 1) + b"h", b"INVALID_COMMAND"),
        (header(P.NOOP, 0), b"INVALID_COMMAND"),
        (encode_response(P.ECHO_RES, b"x"), b"INVALID_MAGIC"),
        (header(P.SUBMIT_JOB, 1) + b"f", b"INVALID_PACKET"),
        (header(P.SUBMIT_JOB, 3) + b"f\0u", b"INVALID_PACKET"),
        (encode_request(P.SUBMIT_JOB, b"", b"", b""), b"INVALID_FUNCTION_NAME"),
        (encode_request(P.SUBMIT_JOB, b"f" * 513, b"", b""), b"ARGUMENT_TOO_LARGE"),
        (encode_request(P.SUBMIT_JOB, b"f", b"u" * 65, b""), b"ARGUMENT_TOO_LARGE"),
        (encode_request(P.CAN_DO, b"f" * 513), b"ARGUMENT_TOO_LARGE"),
        (encode_request(P.CAN_DO_TIMEOUT, b"f", b"soon"), b"INVALID_ARGUMENT"),
        (encode_request(P.SUBMIT_JOB_EPOCH, b"f", b"", b"tomorrow", b""), b"INVALID_ARGUMENT"),
        (encode_request(P.GET_STATUS, b"h" * 65), b"ARGUMENT_TOO_LARGE"),
        (encode_request(P.SET_CLIENT_ID, b"c" * 10_000), b"ARGUMENT_TOO_LARGE"),
        (encode_request(P.WORK_COMPLETE, b"H:not:1", b"mine"), b"JOB_NOT_FOUND"),
        (header(P.WORK_COMPLETE, 5) + b"H:x:1", b"INVALID_PACKET"),
        (header(P.WORK_STATUS, 5) + b"H:x:1", b"INVALID_PACKET"),
        (encode_request(P.OPTION_REQ, b"everything"), b"UNKNOWN_OPTION"),
    ],
    ids=[
        "type 0",
        "unknown type",
        "largest type",
        "answer with a field",
        "answer without",
        "magic of an answer",
        "one field of three",
        "two fields of three",
        "no function",
        "long function",
        "long unique ID",
        "long ability",
        "timeout in words",
        "epoch in words",
        "long handle",
        "long client ID",
        "unknown job",
        "result without a field",
        "status without numbers",
        "unknown option",
    ],
)
async def test_packet_that_makes_no_sense_is_answered_with_an_error(
    driver: str, caplog: pytest.LogCaptureFixture, data: bytes, code: bytes
) -> None:
    async with open_tcp_server() as server, open_bystanders(server):
        async with connect(server) as peer:
            await peer.stream.send_all(data)
            kind, fields = await peer.receive()
            # Nothing of it is taken for the beginning of the next packet.
            await peer.synchronize()

            assert (P.ERROR, code) == (kind, fields[0])
        await after(server, caplog, 1)


async def test_jobs_of_others_cannot_be_completed_and_none_twice(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_server() as server, open_bystanders(server):
        async with connect(server) as client, connect(server) as worker, connect(server) as thief:
            await worker.can_do(b"f")
            handle = await client.submit(b"f", b"")
            await worker.grab()
            for packet in (P.WORK_COMPLETE, P.WORK_DATA, P.WORK_EXCEPTION, P.WORK_WARNING):
                await thief.send(packet, handle, b"stolen")
                kind, (code, _) = await thief.receive()
                assert (P.ERROR, b"JOB_NOT_FOUND") == (kind, code)
            await worker.send(P.WORK_COMPLETE, handle, b"real")
            await worker.send(P.WORK_COMPLETE, handle, b"again")
            kind, (code, _) = await worker.receive()
            assert (P.ERROR, b"JOB_NOT_FOUND") == (kind, code)

            await client.expect(P.WORK_COMPLETE, handle, b"real")
            # Nothing but the echo has come.
            await client.synchronize()
        await after(server, caplog, 3)


async def test_newline_in_a_client_id_cannot_forge_a_row(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_server() as server, open_bystanders(server):
        async with connect(server) as liar, connect(server) as admin:
            await liar.send(P.SET_CLIENT_ID, b"x : f\n99 6.6.6.6 root : everything\n.\n")
            await liar.send(P.CAN_DO, b"f\n.\n")
            await liar.synchronize()
            rows = (await admin.ask(b"workers")).split(b"\n")

            assert [b".", b""] == rows[4:]
            assert not any(row.startswith(b"99 ") for row in rows)
        await after(server, caplog, 2)


# ---- what never comes whole --------------------------------------------------------------------------------


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("kind", [P.ECHO_REQ, P.SUBMIT_JOB, 99])
async def test_header_that_announces_4_gib_costs_no_memory(
    driver: str, caplog: pytest.LogCaptureFixture, kind: int
) -> None:
    async with open_tcp_server() as server, open_bystanders(server) as bystanders:
        before = resident_bytes()
        async with connect(server) as first, connect(server) as second:
            for peer in (first, second):
                await peer.stream.send_all(header(kind, 0xFFFFFFFF))
            await bystanders.work()
            for peer in (first, second):
                await peer.stream.send_all(b"a little of it")
            await bystanders.work()

            assert resident_bytes() - before < 16_000_000
        await after(server, caplog, 2)


@pytest.mark.slow
@pytest.mark.parametrize("by_reset", [False, True])
async def test_peer_that_vanishes_between_any_two_bytes_is_forgotten(
    driver: str, caplog: pytest.LogCaptureFixture, by_reset: bool
) -> None:
    async with open_tcp_server() as server, open_bystanders(server):
        for length in range(len(SESSION) + 1):
            await tell(server, SESSION[:length], by_reset=by_reset)
        await after(server, caplog, len(SESSION) + 1)

        for function in server.statistics().functions:
            own = 1 if function.name == b"bystander" else 0
            assert (own, 0, 0) == (function.workers, function.running, function.scheduled)


@pytest.mark.slow
async def test_session_cut_anywhere_means_the_same(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_server() as server, open_bystanders(server):
        for cut in range(0, len(SESSION), 3):
            async with connect(server) as peer:
                await peer.stream.send_all(SESSION[:cut])
                await trio.lowlevel.checkpoint()
                await peer.stream.send_all(SESSION[cut:])
                received = bytearray()
                while not received.endswith(b"\0\0\0\x03end"):
                    received += await peer.stream.receive_some(65536)

            assert b"ERROR" not in received
            assert 2 == received.count(b"\0RES\0\0\0\x08")
        await after(server, caplog, len(range(0, len(SESSION), 3)))


async def test_half_packets_that_stall_disturb_nobody(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_server() as server, open_bystanders(server) as bystanders:
        halves = [b"\0", b"\0RE", header(P.SUBMIT_JOB, 10), header(P.SUBMIT_JOB, 10) + b"f\0", b"stat"]
        streams = [await trio.open_tcp_stream("127.0.0.1", server.addresses[0].port) for _ in halves]
        for stream, half in zip(streams, halves, strict=True):
            await stream.send_all(half)
        await until(lambda: len(server.statistics().peers) == 2 + len(halves))
        await bystanders.work()
        for stream in streams:
            await trio.aclose_forcefully(stream)
        await after(server, caplog, len(halves))


@pytest.mark.slow
async def test_quick_connects_and_disconnects(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_server() as server, open_bystanders(server) as bystanders:
        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(knock, server, number)
            await bystanders.work()
        await after(server, caplog, 200)


async def knock(server: Server, number: int) -> None:
    async with connect(server) as peer:
        if number % 4 == 1:
            await peer.stream.send_all(b"\0REQ")
        if number % 4 == 2:
            await peer.synchronize()
        if number % 4 == 3:
            reset_on_close(peer)


async def test_client_that_leaves_before_its_answer_takes_its_job_along(
    driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_tcp_server() as server, open_bystanders(server):
        await tell(server, encode_request(P.SUBMIT_JOB, b"f", b"", b"w"), by_reset=True)
        await tell(server, encode_request(P.SUBMIT_JOB, b"f", b"", b"w"))
        await after(server, caplog, 2)

        assert [0] == [function.queued for function in server.statistics().functions if function.name == b"f"]


async def test_worker_that_grabs_and_vanishes_gives_its_job_to_the_next(
    driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_tcp_server() as server, open_bystanders(server):
        async with connect(server) as client, connect(server) as good:
            handle = await client.submit(b"f", b"w")
            for by_reset in (True, False, True):
                await tell(
                    server,
                    encode_request(P.CAN_DO, b"f") + encode_request(P.GRAB_JOB),
                    encode_request(P.WORK_DATA, handle, b"a part")[:20],
                    by_reset=by_reset,
                )
            await until(lambda: len(closing_lines(caplog)) == 3)
            await good.can_do(b"f")
            assert (handle, b"w") == await good.grab()
            await good.send(P.WORK_COMPLETE, handle, b"done")
            await client.expect(P.WORK_COMPLETE, handle, b"done")
        await after(server, caplog, 5)
