"""What the decoder takes, keeps and refuses; what the encoder refuses."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearman_trio.errors import LocalProtocolError, RemoteProtocolError
from gearman_trio.protocol import (
    MAX_PACKET_BYTES,
    PACKETS,
    TEXT,
    WRONG_MAGIC,
    Decoder,
    PacketType,
    Sender,
    codec,
    encode_request,
    encode_response,
    split_arguments,
)
from gearman_trio.protocol.codec import MAX_LINE_BYTES, OPAQUE, argument_patterns, pack_size, response_prefix

P = PacketType


def header(kind: int, size: int, magic: bytes = b"\0REQ") -> bytes:
    return magic + pack_size(kind) + pack_size(size)


def feed_pieces(decoder: Decoder, stream: bytes, size: int) -> list[tuple[int, bytes]]:
    """Feed a stream in pieces; memory never grows above what was received."""
    packets = []
    for start in range(0, len(stream), size):
        packets += decoder.feed(stream[start : start + size])
        assert decoder.buffered <= start + size
    return packets


# ---- limits ----


def test_a_header_that_announces_4_gib_reserves_nothing() -> None:
    decoder = Decoder()

    assert [] == decoder.feed(header(P.ECHO_REQ, MAX_PACKET_BYTES))
    assert (12, None) == (decoder.buffered, decoder.failure)


def test_memory_grows_with_the_bytes_received() -> None:
    decoder = Decoder()
    decoder.feed(header(P.ECHO_REQ, MAX_PACKET_BYTES))
    decoder.feed(b"x" * 1000)

    assert 1012 == decoder.buffered


def test_a_body_of_the_limit_is_taken() -> None:
    decoder = Decoder(max_packet_bytes=5)

    assert [(P.ECHO_REQ, b"12345")] == decoder.feed(header(P.ECHO_REQ, 5) + b"12345")
    assert decoder.failure is None


def test_a_body_above_the_limit_is_refused_from_its_header() -> None:
    decoder = Decoder(max_packet_bytes=5)

    assert [] == decoder.feed(header(P.ECHO_REQ, 6))
    assert "a packet of type 16 announced 6 bytes; at most 5 are taken" == str(decoder.failure)
    assert 0 == decoder.buffered


def test_packets_before_a_refused_one_are_given() -> None:
    decoder = Decoder(max_packet_bytes=5)

    assert [(P.PRE_SLEEP, b"")] == decoder.feed(header(P.PRE_SLEEP, 0) + header(P.ECHO_REQ, 6))
    assert isinstance(decoder.failure, RemoteProtocolError)


def test_nothing_is_kept_or_given_after_a_failure() -> None:
    decoder = Decoder(max_packet_bytes=5)
    decoder.feed(header(P.ECHO_REQ, 6))

    assert [] == decoder.feed(header(P.PRE_SLEEP, 0))
    assert 0 == decoder.buffered


def test_the_limit_holds_for_packets_of_the_wrong_direction() -> None:
    decoder = Decoder(max_packet_bytes=5)
    decoder.feed(header(P.ECHO_RES, 6, b"\0RES"))

    assert decoder.failure is not None


@pytest.mark.parametrize("size", [65_523, 65_524, 65_525, 65_536, 200_000])
@pytest.mark.parametrize("piece", [4096, 65_536, 300_000])
def test_large_bodies_come_whole_with_what_follows_them(size: int, piece: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    stream = header(P.ECHO_REQ, size) + body[:size] + header(P.PRE_SLEEP, 0) + b"status\n" + header(P.ECHO_REQ, 9)
    decoder = Decoder()

    assert [(P.ECHO_REQ, body[:size]), (P.PRE_SLEEP, b""), (TEXT, b"status")] == feed_pieces(decoder, stream, piece)
    assert 12 == decoder.buffered


def receive_in_place(decoder: Decoder, body: bytes, start: int, piece: int) -> None:
    """Write the rest of a body into the room that a decoder has for it, at most `piece` bytes at a time."""
    whole = False
    while not whole:
        room = decoder.room()
        assert room is not None
        with room:
            count = min(len(room), piece)
            room[:count] = body[start : start + count]
        start += count
        whole = decoder.filled(count)
        assert 12 + start == decoder.buffered
    assert len(body) == start


@pytest.mark.parametrize("piece", [1, 3000, 10_000_000])
@pytest.mark.parametrize("first", [0, 1, 76_000])
def test_large_body_received_in_place_is_given_by_the_next_feed(first: int, piece: int) -> None:
    body = bytes(range(256)) * 300
    decoder = Decoder()
    decoder.feed(header(P.ECHO_REQ, len(body)) + body[:first])

    receive_in_place(decoder, body, first, piece)

    assert [(P.ECHO_REQ, body), (P.PRE_SLEEP, b"")] == decoder.feed(header(P.PRE_SLEEP, 0))
    assert (0, None) == (decoder.buffered, decoder.room())


def test_room_grows_until_the_body_is_whole() -> None:
    body = bytes(range(256)) * 8000
    decoder = Decoder()
    decoder.feed(header(P.ECHO_REQ, len(body)) + body[:70_000])

    receive_in_place(decoder, body, 70_000, 10_000_000)

    assert [(P.ECHO_REQ, body)] == decoder.feed(b"")


def test_body_may_come_in_place_and_by_feeding_in_turn() -> None:
    body = bytes(range(256)) * 300
    decoder = Decoder()
    decoder.feed(header(P.ECHO_REQ, len(body)))
    with decoder.room() or pytest.fail("expected room") as room:
        room[:10_000] = body[:10_000]
    assert not decoder.filled(10_000)
    assert [] == decoder.feed(body[10_000:20_000])

    receive_in_place(decoder, body, 20_000, 10_000)

    assert [(P.ECHO_REQ, body)] == decoder.feed(b"")


def test_small_bodies_have_no_room_of_their_own() -> None:
    decoder = Decoder()
    decoder.feed(header(P.ECHO_REQ, 65_536))

    assert decoder.room() is None


@pytest.mark.parametrize(
    ("received", "room"), [(0, 65_536), (1000, 64_536), (100_000, 1_500_000), (10_000_000, 67_108_864)]
)
def test_room_is_for_a_small_multiple_of_what_came(received: int, room: int) -> None:
    """However much was announced."""
    decoder = Decoder()
    decoder.feed(header(P.ECHO_REQ, MAX_PACKET_BYTES) + bytes(received))

    place = decoder.room()

    assert place is not None
    assert room == len(place)


WORKLOAD = bytes(range(256)) * 300


def apart(*kinds: P) -> Decoder:
    return Decoder(apart=argument_patterns(kinds))


@pytest.mark.parametrize("piece", [1000, 16_395, 16_396, 65_536])
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (P.SUBMIT_JOB, b"f\0u\0"),
        (P.SUBMIT_JOB_BG, b"\0\0"),
        (P.SUBMIT_JOB_EPOCH, b"f\0u\0" + b"123\0"),
        (P.SUBMIT_JOB_SCHED, b"f\0u\0" + b"1\0" * 5),
        (P.SUBMIT_REDUCE_JOB, b"f\0u\0r\0"),
        (P.SUBMIT_REDUCE_JOB_BACKGROUND, b"f\0u\0r\0\0"),
    ],
)
def test_the_last_field_comes_apart_where_it_is_large(kind: P, arguments: bytes, piece: int) -> None:
    # Its own beginning must not pass for libgearman's empty aggregate.
    workload = b"w" + WORKLOAD
    decoder = apart(kind)
    stream = header(kind, len(arguments + workload)) + arguments + workload + header(P.PRE_SLEEP, 0)

    assert [(OPAQUE, workload), (kind, arguments), (P.PRE_SLEEP, b"")] == feed_pieces(decoder, stream, piece)
    assert (0, None) == (decoder.buffered, decoder.failure)


def test_the_last_field_is_received_in_place_once_its_beginning_is_known() -> None:
    arguments = b"f\0u\0"
    decoder = apart(P.SUBMIT_JOB)
    stream = header(P.SUBMIT_JOB, len(arguments) + len(WORKLOAD)) + arguments + WORKLOAD
    assert [] == decoder.feed(stream[:10_000])
    assert (10_000, None) == (decoder.buffered, decoder.room())
    decoder.feed(stream[10_000:20_000])
    begun = decoder.begun

    receive_in_place(decoder, stream[12:], 20_000 - 12, 5000)

    assert [(OPAQUE, WORKLOAD), (P.SUBMIT_JOB, arguments)] == decoder.feed(b"")
    assert 1 == begun


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (P.SUBMIT_JOB, b"f" * 17_000 + b"\0u\0" + WORKLOAD),
        (P.SUBMIT_JOB, b"no nul" * 20_000),
        # Where the arguments end just where the search does, an aggregate may follow or not.
        (P.SUBMIT_REDUCE_JOB, b"f" * 16_379 + b"\0u\0r\0" + WORKLOAD),
        (P.ECHO_REQ, WORKLOAD),
        (P.WORK_COMPLETE, b"H:x:1\0" + WORKLOAD),
    ],
    ids=["long argument", "no arguments", "arguments to the end", "none in the table", "not asked for"],
)
def test_a_large_body_comes_whole_otherwise(kind: P, body: bytes) -> None:
    decoder = apart(P.SUBMIT_JOB, P.SUBMIT_REDUCE_JOB)

    assert [(kind, body), (P.PRE_SLEEP, b"")] == feed_pieces(
        decoder, header(kind, len(body)) + body + header(P.PRE_SLEEP, 0), 3000
    )


def test_a_small_body_comes_whole() -> None:
    body = b"f\0u\0" + b"w" * 60_000

    assert [(P.SUBMIT_JOB, body)] == feed_pieces(apart(P.SUBMIT_JOB), header(P.SUBMIT_JOB, len(body)) + body, 5000)


def test_a_large_last_field_is_in_memory_once() -> None:
    size = 20_000_000
    decoder = apart(P.SUBMIT_JOB)
    tracemalloc.start()
    try:
        decoder.feed(header(P.SUBMIT_JOB, 4 + size) + b"f\0u\0" + bytes(100_000))
        left = size - 100_000
        while left:
            with decoder.room() or pytest.fail("expected room") as room:
                count = min(len(room), left)
            decoder.filled(count)
            left -= count
        packets = decoder.feed(b"")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size == len(packets[0][1])
    assert peak < 1.1 * size


def test_a_large_body_with_the_wrong_magic_is_told_apart_too() -> None:
    stream = header(P.ECHO_RES, 70_000, b"\0RES") + b"x" * 70_000

    assert [(WRONG_MAGIC, b"x" * 70_000)] == feed_pieces(Decoder(), stream, 4096)


# ---- magic and type ----


def test_the_other_directions_magic_is_told_and_skipped() -> None:
    decoder = Decoder()
    stream = header(P.ECHO_RES, 1, b"\0RES") + b"x" + header(P.PRE_SLEEP, 0)

    assert [(WRONG_MAGIC, b"x"), (P.PRE_SLEEP, b"")] == decoder.feed(stream)


def test_a_request_to_a_client_is_the_wrong_magic() -> None:
    assert [(WRONG_MAGIC, b"")] == Decoder(responses=True).feed(header(P.NOOP, 0))


@pytest.mark.parametrize("stream", [b"\0GET", b"\0RE\0", b"\0\0\0\0", b"\0R\n", b"\0REX" + b"\0" * 8])
@pytest.mark.parametrize("piece", [1, 20])
def test_an_unknown_magic_is_refused_as_soon_as_it_shows(stream: bytes, piece: int) -> None:
    decoder = Decoder()

    assert [] == feed_pieces(decoder, stream, piece)
    assert str(decoder.failure).startswith("expected the magic b'\\x00REQ', got ")
    assert 0 == decoder.buffered


@pytest.mark.parametrize("kind", [0, 5, 43, 2**31, 2**32 - 1])
def test_types_that_the_table_does_not_know_are_given_as_they_are(kind: int) -> None:
    """Above all, a packet of type 0 is no administrative line."""
    assert [(kind, b"status")] == Decoder().feed(header(kind, 6) + b"status")
    assert kind not in {TEXT, WRONG_MAGIC}


# ---- lines ----


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("piece", [1, 3, 100])
def test_lines_end_in_lf_or_crlf_and_come_in_pieces(end: bytes, piece: int) -> None:
    stream = b"status" + end + end + b"maxqueue f 1" + end

    assert [(TEXT, b"status"), (TEXT, b""), (TEXT, b"maxqueue f 1")] == feed_pieces(Decoder(), stream, piece)


def test_a_line_and_its_end_in_two_sends() -> None:
    decoder = Decoder()

    assert [[], [(TEXT, b"version")]] == [decoder.feed(b"version"), decoder.feed(b"\n")]


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_lines_and_packets_mix_in_any_pieces(piece: int) -> None:
    stream = b"status\r\n" + header(P.ECHO_REQ, 3) + b"\0\na" + b"version\n" + header(P.GRAB_JOB, 0) + b"x\n"

    assert [
        (TEXT, b"status"),
        (P.ECHO_REQ, b"\0\na"),
        (TEXT, b"version"),
        (P.GRAB_JOB, b""),
        (TEXT, b"x"),
    ] == feed_pieces(Decoder(), stream, piece)


@pytest.mark.parametrize("piece", [1000, 100_000])
def test_a_line_of_the_limit_is_taken(piece: int) -> None:
    line = b"x" * MAX_LINE_BYTES

    assert [(TEXT, line)] == feed_pieces(Decoder(), line + b"\n", piece)


@pytest.mark.parametrize("piece", [1000, 100_000])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_above_the_limit_is_refused(piece: int, end: bytes) -> None:
    decoder = Decoder()

    assert [] == feed_pieces(decoder, b"x" * (MAX_LINE_BYTES + 1) + end, piece)
    assert str(decoder.failure).startswith("a line of over 8192 bytes that begins with b'xxxx")
    assert 0 == decoder.buffered


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n", b"\xff"])
def test_a_client_takes_no_text(garbage: bytes) -> None:
    decoder = Decoder(responses=True, text=False)

    assert [] == decoder.feed(garbage)
    assert f"expected a packet, got {garbage!r}" == str(decoder.failure)


# ---- any stream ----

names = st.binary(max_size=20).map(lambda data: data.replace(b"\0", b"_"))
requests = st.sampled_from([spec for spec in PACKETS.values() if spec.senders != Sender.SERVER]).flatmap(
    lambda spec: st.tuples(
        st.just(int(spec.type)),
        st.tuples(*[names for _ in spec.arguments], *([st.binary(max_size=40)] if spec.opaque else [])),
    )
)
lines = st.binary(min_size=1, max_size=20).map(lambda data: b"x" + data.replace(b"\n", b"").rstrip(b"\r"))
items = st.one_of(
    requests.map(lambda item: ((item[0], b"\0".join(item[1])), encode_request(item[0], *item[1]))),
    lines.map(lambda line: ((TEXT, line), line + b"\n")),
)


@given(st.lists(items, max_size=12), st.lists(st.integers(0, 500), max_size=12))
def test_any_sequence_cut_anywhere_decodes_to_itself(
    sequence: list[tuple[tuple[int, bytes], bytes]], cuts: list[int]
) -> None:
    stream = b"".join(data for _, data in sequence)
    decoder = Decoder()
    edges = [0, *sorted(cuts), len(stream)]
    pieces = [decoder.feed(stream[start:end]) for start, end in pairwise(edges)]

    assert [packet for packet, _ in sequence] == [packet for piece in pieces for packet in piece]
    assert (0, None) == (decoder.buffered, decoder.failure)


@given(requests)
def test_fields_are_split_as_they_were_joined(request: tuple[int, tuple[bytes, ...]]) -> None:
    kind, fields = request

    assert list(fields) == split_arguments(kind, encode_request(kind, *fields)[12:])


@given(
    st.lists(st.binary(max_size=30) | st.sampled_from([b"\0REQ", b"\0RES", header(7, 3), b"\n"]), max_size=20),
    st.booleans(),
    st.booleans(),
)
def test_no_bytes_raise_or_are_kept_twice(pieces: list[bytes], responses: bool, text: bool) -> None:
    decoder = Decoder(responses=responses, text=text, max_packet_bytes=1000)
    received = 0
    for piece in pieces:
        received += len(piece)
        given_bytes = sum(len(body) for _, body in decoder.feed(piece))

        assert decoder.buffered + given_bytes <= received


@given(st.integers(0, 50), st.binary(max_size=60))
def test_splitting_any_body_gives_the_tables_fields_or_blames_the_peer(kind: int, body: bytes) -> None:
    try:
        fields = split_arguments(kind, body)
    except RemoteProtocolError:
        return

    assert len(PACKETS[kind].fields) == len(fields)


# ---- fields ----


def test_a_body_of_nothing_but_nuls_is_not_split_into_all_its_fields() -> None:
    body = bytes(5_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError, match=r"CAN_DO_TIMEOUT takes 2 fields .*, got 5000001"):
            split_arguments(P.CAN_DO_TIMEOUT, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # What is behind the last field that could be told is one copy.
    assert peak < 6_000_000


@pytest.mark.parametrize("kind", [P.CAN_DO, P.WORK_FAIL, P.GET_STATUS, P.OPTION_REQ])
def test_one_nul_after_the_last_argument_is_passed_over(kind: int) -> None:
    assert [b"name"] == split_arguments(kind, b"name\0")


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (P.GRAB_JOB, b"x", "GRAB_JOB takes 0 fields, got 1"),
        (P.CAN_DO, b"f\0\0", "CAN_DO takes 1 fields (function), got 3"),
        (P.WORK_STATUS, b"H\x001", "WORK_STATUS takes 3 fields (handle, numerator, denominator), got 2"),
        (P.WORK_COMPLETE, b"H", "WORK_COMPLETE takes 2 fields (handle, result), got 1"),
        (P.SUBMIT_JOB, b"f\0u", "SUBMIT_JOB takes 3 fields (function, unique, workload), got 2"),
        (77, b"", "unknown packet type 77"),
    ],
)
def test_wrong_fields_are_the_peers_fault(kind: int, body: bytes, message: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        split_arguments(kind, body)

    assert message == str(caught.value)


# ---- encoding ----


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (77, (), "unknown packet type 77"),
        (P.NOOP, (), "NOOP is not sent with the magic b'\\x00REQ'"),
        (P.JOB_CREATED, (b"H",), "JOB_CREATED is not sent with the magic b'\\x00REQ'"),
        (P.CAN_DO, (), "CAN_DO takes 1 fields (function), got 0"),
        (P.GRAB_JOB, (b"x",), "GRAB_JOB takes 0 fields, got 1"),
        (P.CAN_DO, (b"a\0b",), "CAN_DO: function must not hold a NUL, got b'a\\x00b'"),
        (P.SUBMIT_JOB, (b"f", b"\0", b"w"), "SUBMIT_JOB: unique must not hold a NUL, got b'\\x00'"),
    ],
)
def test_nonsense_is_not_sent(kind: int, fields: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_request(kind, *fields)

    assert message == str(caught.value)


def test_a_server_does_not_send_requests() -> None:
    with pytest.raises(LocalProtocolError, match="GRAB_JOB is not sent with the magic"):
        encode_response(P.GRAB_JOB)


@pytest.mark.skipif(not codec.__file__.endswith(".py"), reason="the limit is compiled in, and 4 GiB are too many")
def test_a_body_that_the_size_field_cannot_tell_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gearman_trio.protocol.codec.MAX_PACKET_BYTES", 3)

    with pytest.raises(LocalProtocolError, match="ECHO_REQ of 4 bytes; the protocol carries 3"):
        encode_request(P.ECHO_REQ, b"1234")


def test_a_prefix_with_size_and_body_is_a_response() -> None:
    assert encode_response(P.ECHO_RES, b"abc") == response_prefix(P.ECHO_RES) + pack_size(3) + b"abc"
