"""The tap: what went over a connection, as records and as a transcript."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from gearman_trio import Abilities, Address, open_client
from gearman_trio.protocol import PacketType, encode_request, encode_response
from gearman_trio.testing import Gearman, ProtocolTap, TappedPacket
from gearman_trio.testing.tap import shortened

P = PacketType


async def test_every_packet_of_a_client_is_there_in_order(gearman: Gearman, abilities: Abilities) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        await client.run("report", b"report")
        tap = gearman.tap(client)

        assert ["SET_CLIENT_ID", "OPTION_REQ", "SUBMIT_JOB"] == tap.names("sent")
        assert [
            "OPTION_RES",
            "JOB_CREATED",
            "WORK_STATUS",
            "WORK_DATA",
            "WORK_WARNING",
            "WORK_COMPLETE",
        ] == tap.names("received")
        assert 9 == len(tap.names())
        (submission,) = [packet for packet in tap if packet.name == "SUBMIT_JOB"]
        assert {"function": b"report", "unique": b"", "workload": b"report"} == submission.fields


async def test_packets_have_trios_time(gearman: Gearman, abilities: Abilities, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        await client.run("grow", b"100")
        last = gearman.tap(client)[-1]

    assert ("WORK_COMPLETE", 100.0) == (last.name, round(last.time, 6))


def test_transcript_has_one_line_a_packet() -> None:
    packet = TappedPacket(
        name="SUBMIT_JOB", direction=None, fields={"function": b"f", "workload": b"x" * 100}, time=1.5, connection=2
    )

    assert str(packet) == "     1.500 #2 -- SUBMIT_JOB function=b'f' workload=b'" + "x" * 60 + "'... (100 bytes)"


def test_short_bytes_are_shown_whole() -> None:
    assert "b'abc\\x00'" == shortened(b"abc\0")


async def test_transcript_counts_idle_rounds(gearman: Gearman, abilities: Abilities, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities, poll_interval=30) as worker:
        await trio.sleep(1000)
        tap = gearman.tap(worker)
        transcript = tap.transcript()

        assert tap.names().count("GRAB_JOB_UNIQ") > 30
        assert 1 == transcript.count("GRAB_JOB_UNIQ")
        assert f"   990.000 ... the same {tap.names().count('GRAB_JOB_UNIQ') - 1} times more" in transcript
        assert transcript == str(tap)
        assert transcript in repr(tap)


async def test_transcript_can_be_the_last_lines(gearman: Gearman, abilities: Abilities) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        await client.run("reverse", b"abc")
        lines = gearman.tap(client).transcript(last=2).splitlines()

    assert "client-1: 7 packets" == lines[0]
    assert "..." == lines[1]
    assert ["JOB_CREATED", "WORK_COMPLETE"] == [line.split()[3] for line in lines[2:]]


async def test_cleared_tap_shows_what_comes_next(gearman: Gearman) -> None:
    async with gearman.client() as client:
        await client.echo(b"one")
        tap = gearman.tap(client)
        tap.clear()
        await client.echo(b"two")

        assert ["ECHO_REQ", "ECHO_RES"] == [packet.name for packet in tap[:]]


async def test_connections_are_told_apart(gearman: Gearman) -> None:
    async with gearman.client() as client:
        await client.echo(b"one")
        await gearman.drop(client)
        await client.echo(b"two")
        events = [(packet.connection, packet.name) for packet in gearman.tap(client) if packet.direction is None]

    assert [(1, "connected"), (1, "lost"), (2, "connected")] == events


async def test_packet_that_did_not_come_whole_is_told(gearman: Gearman) -> None:
    line = gearman.line("raw")
    stream = await line.connect()
    await stream.send_all(encode_request(P.ECHO_REQ, b"abc")[:5])
    await stream.aclose()

    assert ["connected", "part", "closed"] == [packet.name for packet in line.tap]
    assert {"bytes": b"5"} == line.tap[1].fields


async def test_what_is_no_packet_is_told(gearman: Gearman) -> None:
    line = gearman.line("raw")
    async with await line.connect() as stream:
        await stream.send_all(encode_request(P.CAN_DO, b"f")[:-1] + b"f" + encode_response(P.NOOP) + b"\0BAD")
        names = [(packet.name, sorted(packet.fields)) for packet in line.tap]

    assert [
        ("connected", []),
        ("CAN_DO", ["function"]),
        ("garbage", ["body", "reason"]),
        ("garbage", ["reason"]),
    ] == names


async def test_packets_that_make_no_sense_are_shown_whole(gearman: Gearman) -> None:
    line = gearman.line("raw")
    async with await line.connect() as stream:
        await stream.send_all(b"\0REQ\0\0\0\x63\0\0\0\1x")
        await stream.send_all(b"\0REQ\0\0\0\x07\0\0\0\1x")

        assert [("type 99", {"body": b"x"}), ("SUBMIT_JOB", {"body": b"x"})] == [
            (packet.name, packet.fields) for packet in line.tap[1:]
        ]


async def test_administrative_lines_are_shown(gearman: Gearman) -> None:
    async with gearman.admin() as admin:
        await admin.version()

        assert ["TEXT", "TEXT"] == gearman.tap(admin).names()
        assert {"line": b"version"} == gearman.tap(admin)[1].fields


async def test_tap_forgets_the_oldest(autojump_clock: MockClock) -> None:
    tap = ProtocolTap(max_packets=10)
    connection = tap.connected()
    for number in range(100):
        connection.sent(encode_request(P.ECHO_REQ, b"%d" % number))

        assert len(tap) <= 10

    assert b"99" == tap[-1].fields["workload"]
    assert "peer: 101 packets" == tap.transcript(last=0).splitlines()[0]


async def test_tap_goes_between_a_client_and_any_server(nursery: trio.Nursery) -> None:
    """Here the server is a memory stream, and breaks."""
    tap = ProtocolTap("mine")
    peers: list[trio.abc.Stream] = []

    async def connect(address: Address) -> trio.abc.Stream:
        ours, theirs = memory_stream_pair()
        peers.append(theirs)
        return ours

    async with open_client("a", "b", connect=tap.connect(connect), options=()) as client:
        nursery.start_soon(answer_one_echo, peers)
        await client.echo(b"abc")

    assert ["connected", "ECHO_REQ", "ECHO_RES", "closed"] == [packet.name for packet in tap]


async def answer_one_echo(peers: list[trio.abc.Stream]) -> None:
    await trio.testing.wait_all_tasks_blocked()
    await peers[0].receive_some()
    await peers[0].send_all(encode_response(P.ECHO_RES, b"abc"))


async def test_tap_sees_a_loss() -> None:
    tap = ProtocolTap()
    ours, theirs = memory_stream_pair()

    async def connect(address: Address) -> trio.abc.Stream:
        return ours

    stream = await tap.connect(connect)(Address("a"))
    await stream.wait_send_all_might_not_block()
    await theirs.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"\0REQ")
    await stream.aclose()
    await stream.aclose()

    assert ["connected", "part", "lost"] == [packet.name for packet in tap]


async def test_unknown_direction_is_refused(gearman: Gearman) -> None:
    with pytest.raises(ValueError, match="sideways"):
        gearman.line("raw").tap.names("sideways")


async def test_connections_at_the_same_time_are_told_apart() -> None:
    """Half a packet on one of them, then something on the other."""
    tap = ProtocolTap()
    first, second = tap.connected(), tap.connected()
    packet = encode_request(P.ECHO_REQ, b"first")
    first.sent(packet[:10])
    second.sent(encode_request(P.GRAB_JOB))
    first.sent(packet[10:])
    second.ended(lost=False)
    first.ended(lost=True)

    assert [
        ("connected", 1),
        ("connected", 2),
        ("GRAB_JOB", 2),
        ("ECHO_REQ", 1),
        ("closed", 2),
        ("lost", 1),
    ] == [(packet.name, packet.connection) for packet in tap]


async def test_a_worker_with_partitions_has_two_connections(gearman: Gearman) -> None:
    abilities = Abilities()

    def join(parts: list[bytes]) -> bytes:
        return b"".join(parts)

    @abilities.partition(aggregate=join)
    async def split(workload: bytes) -> AsyncIterator[bytes]:
        yield workload

    @abilities.function
    async def same(workload: bytes) -> bytes:
        return workload

    async with gearman.worker(abilities, concurrency=2) as worker, gearman.client() as client:
        assert b"w" == await client.map_reduce(split, same, b"w")
        names = {(packet.name, packet.connection) for packet in gearman.tap(worker)}

    assert {("CAN_DO", 1), ("WORK_COMPLETE", 1), ("SUBMIT_JOB", 2), ("WORK_COMPLETE", 2)} <= names
    assert ("GRAB_JOB_ALL", 2) not in names
