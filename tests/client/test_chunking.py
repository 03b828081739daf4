"""`Client.run_chunks`: where it cuts, what it cuts, and what it keeps in memory."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair

from gearman_trio import TEXT, Abilities, Job
from gearman_trio.client import Client
from gearman_trio.client.chunking import Cutter
from gearman_trio.errors import ConfigError, JobRaised, SerializationError
from gearman_trio.testing import Gearman

abilities = Abilities()

TEXT_OF_LINES = b"one\ntwo\nthree\nfour\nfive"


@abilities.function
async def echo(chunk: bytes) -> bytes:
    return chunk


@abilities.function
async def slow_first(job: Job, chunk: bytes) -> bytes:
    """The first chunk takes longest."""
    await trio.sleep(10 if chunk.startswith(b"one") else 1)
    return chunk.upper()


@abilities.function
async def lines(chunk: bytes) -> AsyncIterator[bytes]:
    for line in chunk.splitlines():
        yield line


@abilities.function
def checked(chunk: bytes) -> bytes:
    if b"two" in chunk:
        raise ValueError("two")
    return chunk


@abilities.function(serializer=TEXT)
async def as_text(chunk: str) -> str:
    return chunk


@pytest.fixture
async def client(gearman: Gearman) -> AsyncIterator[Client]:
    async with gearman.worker(abilities, concurrency=100), gearman.client() as client:
        yield client


async def read(results: AsyncIterator[Any]) -> list[Any]:
    return [result async for result in results]


# ---- cutting ---------------------------------------------------------------------------------------------------------


def cut(pieces: list[bytes], chunk_bytes: int, separator: bytes | None) -> list[bytes]:
    cutter = Cutter(chunk_bytes, separator)
    chunks: list[bytes] = []
    for piece in pieces:
        cutter.put(piece)
        while (chunk := cutter.take()) is not None:
            chunks.append(chunk)
    while (chunk := cutter.take(last=True)) is not None:
        chunks.append(chunk)
    return chunks


@given(st.lists(st.binary(max_size=30), max_size=10), st.integers(1, 12))
def test_chunks_of_equal_size(pieces: list[bytes], size: int) -> None:
    whole = b"".join(pieces)

    assert [whole[at : at + size] for at in range(0, len(whole), size)] == cut(pieces, size, None)


@given(
    st.lists(st.lists(st.sampled_from([b"a", b"-", b"+"]), max_size=20).map(b"".join), max_size=10),
    st.integers(1, 12),
    st.sampled_from([b"-", b"-+", b"--", b"-+-"]),
)
def test_chunks_that_end_with_a_separator(pieces: list[bytes], size: int, separator: bytes) -> None:
    """Whatever the pieces are, the chunks are those of the whole, told by the rule itself."""
    rest, expected = b"".join(pieces), []
    while len(rest) >= size:
        found = rest.rfind(separator, 0, size)
        found = rest.find(separator) if found < 0 else found
        if found < 0:
            break
        expected.append(rest[: found + len(separator)])
        rest = rest[found + len(separator) :]

    assert expected + [rest] * bool(rest) == cut(pieces, size, separator)


def test_lines_larger_than_a_chunk_are_not_torn() -> None:
    assert [b"ab\n", b"abcdefgh\n", b"a\nb\n", b"cde"] == cut([b"ab\nabcdefgh\na\n", b"b\ncde"], 4, b"\n")


def test_a_large_piece_is_cut_without_another_copy_of_it() -> None:
    piece = bytes(10_000_000)
    cutter = Cutter(1000, None)
    cutter.put(piece)
    assert 1000 == len(cutter.take() or b"")
    assert len(cutter._buffer) < 1000


def test_searching_a_long_line_does_not_begin_anew_with_each_piece() -> None:
    cutter = Cutter(10, b"\r\n")
    for _ in range(100):
        cutter.put(b"x" * 9 + b"\r")
        assert cutter.take() is None
        assert cutter._searched >= len(cutter._buffer) - 10
    cutter.put(b"\n")
    assert 1001 == len(cutter.take() or b"")


@pytest.mark.parametrize(
    ("size", "separator", "error", "message"),
    [
        (0, None, ConfigError, "chunk_bytes: expected a number from 1 on, got 0"),
        (1, b"", ConfigError, "separator: expected at least one byte"),
        (1, "\n", TypeError, "separator: expected bytes or None, got str"),
    ],
)
async def test_arguments_that_are_refused(
    client: Client, size: int, separator: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        async with client.run_chunks("echo", b"", chunk_bytes=size, separator=separator):
            pytest.fail("opened")


# ---- sources ---------------------------------------------------------------------------------------------------------


def whole_pieces() -> list[bytes]:
    return [TEXT_OF_LINES[at : at + 3] for at in range(0, len(TEXT_OF_LINES), 3)]


async def async_pieces() -> AsyncIterator[bytes]:
    for piece in whole_pieces():
        yield piece


@pytest.mark.parametrize(
    "source",
    [
        TEXT_OF_LINES,
        bytearray(TEXT_OF_LINES),
        memoryview(TEXT_OF_LINES),
        io.BytesIO(TEXT_OF_LINES),
        whole_pieces(),
        iter(whole_pieces()),
        [memoryview(TEXT_OF_LINES)],
        async_pieces(),
    ],
    ids=["bytes", "bytearray", "memoryview", "file", "list", "iterator", "views", "async"],
)
async def test_sources(client: Client, source: Any) -> None:
    async with client.run_chunks(echo, source, chunk_bytes=10, separator=b"\n") as results:
        assert [b"one\ntwo\n", b"three\n", b"four\nfive"] == await read(results)


async def test_files_by_path_and_open_ones(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(TEXT_OF_LINES)

    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        async with await trio.open_file(path, "rb") as trios:
            for source in (path, str(path), trio.Path(path), file, raw, trios):
                async with client.run_chunks("echo", source, chunk_bytes=10) as results:
                    assert [b"one\ntwo\nth", b"ree\nfour\nf", b"ive"] == await read(results)
        assert not file.closed


async def test_a_stream(client: Client) -> None:
    ours, theirs = memory_stream_pair()
    async with client.run_chunks("echo", theirs, chunk_bytes=4) as results:
        await ours.send_all(b"abcdef")
        assert b"abcd" == await anext(results)
        await ours.send_all(b"gh")
        await ours.aclose()
        assert [b"efgh"] == await read(results)


async def test_an_empty_source(client: Client, gearman: Gearman) -> None:
    async with client.run_chunks("echo", [b"", b""]) as results:
        assert [] == await read(results)

    gearman.assert_not_submitted()


async def test_empty_pieces_are_passed_over(client: Client) -> None:
    async with client.run_chunks("echo", [b"", b"ab", b"", b"c"], chunk_bytes=2) as results:
        assert [b"ab", b"c"] == await read(results)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (5, "expected a path, a file open for reading bytes, bytes, a stream or an iterable of bytes, got int"),
        (["text"], r"expected pieces of bytes, got str \(open the file in binary mode\)"),
        ([1], "expected pieces of bytes, got int"),
        (io.StringIO("text"), r"expected pieces of bytes, got str \(open the file in binary mode\)"),
    ],
)
async def test_sources_that_cannot_be_cut(client: Client, source: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        async with client.run_chunks("echo", source) as results:
            await read(results)


async def test_a_file_that_is_not_there(client: Client, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with client.run_chunks("echo", tmp_path / "nothing"):
            pytest.fail("opened")


async def test_a_stream_that_breaks_is_told_after_what_came_before(client: Client) -> None:
    ours, theirs = memory_stream_pair()
    async with client.run_chunks("echo", theirs, chunk_bytes=2) as results:
        await ours.send_all(b"ab")
        assert b"ab" == await anext(results)
        await theirs.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await anext(results)


# ---- results ---------------------------------------------------------------------------------------------------------


async def test_results_come_in_the_order_of_the_source(client: Client, autojump_clock: MockClock) -> None:
    async with client.run_chunks(slow_first, TEXT_OF_LINES, chunk_bytes=5, separator=b"\n") as results:
        assert TEXT_OF_LINES.upper() == b"".join(await read(results))
        assert 10 == pytest.approx(trio.current_time(), abs=0.1)


async def test_a_function_that_yields_gives_lists(client: Client) -> None:
    async with client.run_chunks(lines, TEXT_OF_LINES, chunk_bytes=10, separator=b"\n") as results:
        assert [[b"one", b"two"], [b"three"], [b"four", b"five"]] == await read(results)


async def test_bounded_memory(client: Client, autojump_clock: MockClock) -> None:
    """Of an endless source so much is read as there may be chunks, and one more."""
    pulled = 0

    def source() -> Iterator[bytes]:
        nonlocal pulled
        while True:
            pulled += 1
            yield b"x" * 10

    async with client.run_chunks(echo, source(), chunk_bytes=10, concurrency=3) as results:
        await trio.sleep(100)
        assert pulled == 6
        for _ in range(4):
            await anext(results)
        await trio.sleep(100)
        assert pulled == 10


@pytest.mark.parametrize("on_error", ["raise", "yield"])
async def test_chunks_that_fail(client: Client, on_error: Any) -> None:
    found: list[Any] = []

    async def collect() -> None:
        async with client.run_chunks(
            checked, TEXT_OF_LINES, chunk_bytes=5, separator=b"\n", on_error=on_error
        ) as results:
            found.extend([result async for result in results])

    if on_error == "raise":
        with pytest.raises(JobRaised, match="two"):
            await collect()
    else:
        await collect()
        assert [bytes, JobRaised, bytes, bytes, bytes] == [type(each) for each in found]


async def test_a_function_of_text_does_not_take_chunks(client: Client) -> None:
    wrong: Any = as_text
    async with client.run_chunks(wrong, TEXT_OF_LINES) as results:
        with pytest.raises(SerializationError):
            await anext(results)


async def test_a_size_that_no_packet_needs_to_hold(client: Client) -> None:
    whole = b"0123456789" * 300_000
    async with client.run_chunks("echo", whole, chunk_bytes=100_000, concurrency=4) as results:
        assert whole == b"".join(await read(results))


# ---- the end ---------------------------------------------------------------------------------------------------------


async def test_leaving_early_abandons_the_jobs(gearman: Gearman, tmp_path: Path) -> None:
    """The file is closed, or else its collection would warn."""
    path = tmp_path / "lines"
    path.write_bytes(TEXT_OF_LINES)
    functions = Abilities()
    started = trio.Event()

    @functions.function
    async def hang(chunk: bytes) -> bytes:
        started.set()
        await trio.Event().wait()
        return chunk

    with trio.CancelScope() as scope:
        async with gearman.worker(functions), gearman.client() as client:
            async with client.run_chunks(hang, path, chunk_bytes=5) as results:
                await started.wait()
                assert client.statistics().jobs

            assert 0 == client.statistics().jobs
            assert [] == await read(results)
            scope.cancel()


async def test_cancelled_while_a_stream_says_nothing(client: Client, autojump_clock: MockClock) -> None:
    _, theirs = memory_stream_pair()
    with trio.move_on_after(5) as scope:
        async with client.run_chunks("echo", theirs) as results:
            await anext(results)

    assert scope.cancelled_caught


async def test_what_the_block_raises_comes_out_as_it_was(client: Client) -> None:
    with pytest.raises(KeyError):
        async with client.run_chunks("echo", b"abc"):
            raise KeyError
