"""Servers in threads of their own, for tests and clients that block."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from queue import SimpleQueue
from typing import TypeVar

import trio

from gearman_trio.server import ServerOptions, open_server

from ..peers import open_gearmand

__all__ = ["in_thread", "server_in_thread", "threads_of_ours"]

_T = TypeVar("_T")


@contextmanager
def in_thread(open_: Callable[[], AbstractAsyncContextManager[_T]]) -> Iterator[_T]:
    """Keep an async context manager open in a thread that runs Trio, for the length of a block."""
    answers: SimpleQueue[tuple[trio.lowlevel.TrioToken, trio.Event, _T] | BaseException] = SimpleQueue()

    async def main() -> None:
        stop = trio.Event()
        async with open_() as value:
            answers.put((trio.lowlevel.current_trio_token(), stop, value))
            await stop.wait()

    def run() -> None:
        try:
            trio.run(main)
        except BaseException as exc:  # noqa: BLE001 - raised where the value is waited for: a skipped test, say
            answers.put(exc)

    thread = threading.Thread(target=run, name="background of a test")
    thread.start()
    answer = answers.get()
    if isinstance(answer, BaseException):
        thread.join()
        raise answer
    token, stop, value = answer
    try:
        yield value
    finally:
        token.run_sync_soon(stop.set)
        thread.join()
        if not answers.empty():
            failure = answers.get()
            assert isinstance(failure, BaseException)
            raise failure


@contextmanager
def server_in_thread(kind: str = "ours", *, port: int | None = None, exceptions: bool = False) -> Iterator[int]:
    """A job server on a free port of 127.0.0.1, the C one where the kind is ``"gearmand"``; gives its port."""
    if kind == "gearmand":
        with in_thread(lambda: open_gearmand(port=port)) as gearmand:
            yield gearmand.port
    else:
        options = ServerOptions(exceptions=exceptions)
        with in_thread(lambda: open_server(port=port or 0, options=options, drain_seconds=0)) as server:
            yield server.addresses[0].port


def threads_of_ours(patience: float = 0.0) -> list[str]:
    """The background threads of clients and workers that are alive, those apart that end within some seconds."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("gearman_trio")]
    for thread in threads:
        thread.join(patience)
    return sorted(thread.name for thread in threads if thread.is_alive())
