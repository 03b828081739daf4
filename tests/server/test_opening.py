"""Opening a store: the start of a server can be given up, whatever the store is waiting for."""

from __future__ import annotations

import threading

import pytest
import trio

from gearman_trio import StorageError
from gearman_trio.server.opening import open_in_thread
from gearman_trio.storage import StoreState
from gearman_trio.testing import MemoryStore

from ..patience import PATIENCE


class SilentStore(MemoryStore):
    """Does not answer before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.closed = threading.Event()

    def open(self, owner: str) -> StoreState:
        self.asked.set()
        self.may_answer.wait()
        return super().open(owner)

    def close(self) -> None:
        super().close()
        self.closed.set()


def wait(event: threading.Event) -> None:
    assert event.wait(PATIENCE)


async def test_a_store_that_does_not_answer_is_not_waited_for() -> None:
    store = SilentStore()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(open_in_thread, store, "server")
            await trio.to_thread.run_sync(wait, store.asked)
            nursery.cancel_scope.cancel()
        assert not store.closed.is_set()

        # It answers when nobody wants it any more.
        store.may_answer.set()
        await trio.to_thread.run_sync(wait, store.closed)
    assert not store._open


async def test_a_store_that_was_opened_and_is_not_wanted_is_closed() -> None:
    store = SilentStore()
    store.may_answer.set()
    with trio.move_on_after(0):
        await open_in_thread(store, "server")
        raise AssertionError("expected to be cancelled")
    # Cancelled before the thread began, or after it.
    assert not store._open


async def test_a_store_that_cannot_be_opened() -> None:
    store = MemoryStore()
    store.open("another")

    with pytest.raises(StorageError, match="in use by another job server"):
        await open_in_thread(store, "server")
    assert store._open
