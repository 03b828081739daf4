"""Packets to bytes and back, against bytes written by hand."""

from __future__ import annotations

import pytest

from gearman_trio.protocol import (
    TEXT,
    Decoder,
    PacketType,
    encode_request,
    encode_response,
    split_arguments,
)

from .golden import REQUESTS, RESPONSES, Golden

BOTH = [(False, golden) for golden in REQUESTS] + [(True, golden) for golden in RESPONSES]
NEXT = {False: b"\0REQ\0\0\0\x10\0\0\0\x01x", True: b"\0RES\0\0\0\x11\0\0\0\x01x"}
NEXT_TYPE = {False: PacketType.ECHO_REQ, True: PacketType.ECHO_RES}

every_packet = pytest.mark.parametrize(
    ("responses", "golden"),
    BOTH,
    ids=[f"{'RES' if responses else 'REQ'}-{golden.name}" for responses, golden in BOTH],
)


def packet(golden: Golden) -> tuple[int, bytes]:
    return PacketType[golden.name], golden.data[12:]


@every_packet
def test_encoded(responses: bool, golden: Golden) -> None:
    encode = encode_response if responses else encode_request

    assert golden.data == encode(PacketType[golden.name], *golden.fields)


@every_packet
def test_decoded_whole(responses: bool, golden: Golden) -> None:
    decoder = Decoder(responses=responses)

    assert [packet(golden)] == decoder.feed(golden.data)
    assert (0, None) == (decoder.buffered, decoder.failure)


@every_packet
def test_decoded_byte_by_byte(responses: bool, golden: Golden) -> None:
    decoder = Decoder(responses=responses)
    pieces = [decoder.feed(golden.data[index : index + 1]) for index in range(len(golden.data))]

    assert [[]] * (len(golden.data) - 1) + [[packet(golden)]] == pieces
    assert (0, None) == (decoder.buffered, decoder.failure)


@every_packet
def test_decoded_with_the_next_packet_behind_it_cut_anywhere(responses: bool, golden: Golden) -> None:
    stream = golden.data + NEXT[responses]
    expected = [packet(golden), (NEXT_TYPE[responses], b"x")]
    decoders = [Decoder(responses=responses) for _ in stream]

    assert [expected] * len(stream) == [
        decoder.feed(stream[:cut]) + decoder.feed(stream[cut:]) for cut, decoder in enumerate(decoders)
    ]


@every_packet
def test_fields_are_split_as_they_were_joined(responses: bool, golden: Golden) -> None:
    kind, body = packet(golden)

    assert list(golden.fields) == split_arguments(kind, body)


def test_the_example_of_the_protocol_document() -> None:
    """The conversation about "reverse", from both ends, as the document prints it."""
    requests = bytes.fromhex(
        "00524551 00000001 00000007 72657665727365"
        "00524551 00000009 00000000"
        "00524551 00000004 00000000"
        "00524551 00000007 0000000d 72657665727365 00 00 74657374"
        "00524551 00000009 00000000"
        "00524551 0000000d 0000000c 483a6c61703a31 00 74736574"
    )
    responses = bytes.fromhex(
        "00524553 0000000a 00000000"
        "00524553 00000008 00000007 483a6c61703a31"
        "00524553 00000006 00000000"
        "00524553 0000000b 00000014 483a6c61703a31 00 72657665727365 00 74657374"
        "00524553 0000000d 0000000c 483a6c61703a31 00 74736574"
    )

    assert [
        (PacketType.CAN_DO, b"reverse"),
        (PacketType.GRAB_JOB, b""),
        (PacketType.PRE_SLEEP, b""),
        (PacketType.SUBMIT_JOB, b"reverse\0\0test"),
        (PacketType.GRAB_JOB, b""),
        (PacketType.WORK_COMPLETE, b"H:lap:1\0tset"),
    ] == Decoder().feed(requests)
    assert [
        (PacketType.NO_JOB, b""),
        (PacketType.JOB_CREATED, b"H:lap:1"),
        (PacketType.NOOP, b""),
        (PacketType.JOB_ASSIGN, b"H:lap:1\0reverse\0test"),
        (PacketType.WORK_COMPLETE, b"H:lap:1\0tset"),
    ] == Decoder(responses=True).feed(responses)


def test_packets_and_lines_are_told_apart_by_their_first_byte() -> None:
    stream = b"status\r\n" + b"\0REQ\0\0\0\x10\0\0\0\x02a\n" + b"version\n\n"

    assert [
        (TEXT, b"status"),
        (PacketType.ECHO_REQ, b"a\n"),
        (TEXT, b"version"),
        (TEXT, b""),
    ] == Decoder().feed(stream)
