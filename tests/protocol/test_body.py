"""A large body on its way: what it is received into, and what it is handed on as."""

from __future__ import annotations

import ctypes
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from gearman_trio.protocol import body as module
from gearman_trio.protocol.body import LargeBody

BODY = bytes(range(256)) * 1000


@pytest.fixture(params=["with ctypes", "without"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Some builds of Python have no ctypes."""
    if request.param == "without":
        monkeypatch.setitem(sys.modules, "ctypes", None)
    module.room_maker.cache_clear()
    yield
    module.room_maker.cache_clear()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("piece", [999, 70_000, len(BODY)])
def test_holds_what_came_and_nothing_else(piece: int) -> None:
    large = LargeBody(7, b"", len(BODY), BODY[:10])
    for start in range(10, len(BODY), piece):
        assert not large.whole
        large.add(BODY[start : start + piece])

    assert large.whole
    assert BODY == large.take()


@pytest.mark.usefixtures("way")
def test_is_handed_on_where_it_was_received() -> None:
    """`BytesIO` shares its memory as long as nobody else has it."""
    tracemalloc.start()
    try:
        large = LargeBody(7, b"", len(BODY), BODY[:100_000])
        large.add(BODY[100_000:])
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        taken = large.take()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert BODY == taken
    assert most - before < len(BODY) // 100


def test_takes_no_more_than_its_own() -> None:
    large = LargeBody(7, b"", len(BODY), BODY[:-3])

    assert 3 == large.add(BODY[-3:] + b"more")


def test_what_other_libraries_get_of_ctypes_stays_as_it_is() -> None:
    """A function of `pythonapi` is one object for the whole program, with what it takes and gives."""
    module.room_maker.cache_clear()

    assert 70_000 == len(module.room_maker()(70_000))
    shared: Any = ctypes.pythonapi.PyBytes_FromStringAndSize
    assert (None, ctypes.c_int) == (shared.argtypes, shared.restype)


def test_what_there_is_no_memory_for_is_said() -> None:
    with pytest.raises(MemoryError):
        module.room_maker()(sys.maxsize // 2)
