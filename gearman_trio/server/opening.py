"""Opens a store in a thread for whom may not wait until it has answered."""

from __future__ import annotations

import threading

import trio

from ..storage import Store, StoreState

__all__ = ["open_in_thread"]


class _Opening:
    """A store that is being opened. Two threads know it: the one that opens it, and Trio's, which may have given up."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # Guards what follows: whoever comes second closes the store.
        self._lock = threading.Lock()
        self._open = False
        self._unwanted = False

    def open(self, owner: str) -> StoreState:
        """Open it; if nobody wants it any more by then, close it."""
        state = self._store.open(owner)
        with self._lock:
            self._open = True
            if self._unwanted:
                self._store.close()
        return state

    def give_up(self) -> None:
        """Close it, now or when it is open."""
        with self._lock:
            self._unwanted = True
            if self._open:
                self._store.close()


async def open_in_thread(store: Store, owner: str) -> StoreState:
    """Open a store without making the event loop wait.

    Raises:
        StorageError: it cannot be opened.

    Cancellation: does not wait for a store that does not answer; one that does so later is closed then,
    and must not be used before.
    """
    opening = _Opening(store)
    try:
        state = await trio.to_thread.run_sync(opening.open, owner, abandon_on_cancel=True)
        await trio.lowlevel.checkpoint()
    except trio.Cancelled:
        opening.give_up()
        raise
    return state
