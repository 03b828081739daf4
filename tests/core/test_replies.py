"""What is written into outboxes."""

from __future__ import annotations

import pytest

from gearman_trio.core.function import Function
from gearman_trio.core.job import NORMAL, Job
from gearman_trio.core.peer import Peer
from gearman_trio.core.replies import send_assignment, send_error, send_packet
from gearman_trio.core.tally import Traffic
from gearman_trio.protocol import Decoder, PacketType, encode_response
from gearman_trio.protocol.codec import response_prefix


def peer() -> Peer:
    return Peer(1, "", Decoder(), [], {}, Traffic())


@pytest.mark.parametrize(("size", "pieces"), [(0, 1), (4095, 1), (4096, 2), (100_000, 2)])
def test_large_bodies_are_pieces_of_their_own(size: int, pieces: int) -> None:
    end = peer()
    send_packet(end, response_prefix(PacketType.ECHO_RES), b"x" * size)

    assert pieces == len(end.outbox)
    assert encode_response(PacketType.ECHO_RES, b"x" * size) == b"".join(end.outbox)


@pytest.mark.parametrize(
    ("grab", "packet", "fields"),
    [
        (PacketType.GRAB_JOB, PacketType.JOB_ASSIGN, (b"h", b"f")),
        (PacketType.GRAB_JOB_UNIQ, PacketType.JOB_ASSIGN_UNIQ, (b"h", b"f", b"u")),
        (PacketType.GRAB_JOB_ALL, PacketType.JOB_ASSIGN_ALL, (b"h", b"f", b"u", b"r")),
    ],
)
@pytest.mark.parametrize("size", [0, 4095, 4096, 100_000])
def test_an_assignment_of_any_size(grab: int, packet: int, fields: tuple[bytes, ...], size: int) -> None:
    end = peer()
    job = Job(b"h", Function(b"f"), b"u", b"x" * size, NORMAL)
    job.reducer = b"r"
    send_assignment(end, grab, job)

    assert encode_response(packet, *fields, b"x" * size) == b"".join(end.outbox)


def test_an_error_has_a_code_and_a_text_without_a_nul_at_its_end() -> None:
    end = peer()
    send_error(end, "CODE", "käse \udcff")

    assert [b"\0RES\0\0\0\x13\0\0\0\x11CODE\0k\xc3\xa4se \\udcff"] == end.outbox
