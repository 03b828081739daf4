"""The two libraries and the two job servers that one suite runs over."""

from __future__ import annotations

import gc
import importlib
import threading
from collections.abc import Callable, Iterator
from itertools import count
from types import ModuleType
from typing import Any

import attrs
import pytest

from ..blocking.background import server_in_thread, threads_of_ours
from ..patience import PATIENCE
from ..peers import require_python_package

_names = count(1)

_INTEROP = pytest.mark.interop


@pytest.fixture(scope="session")
def our_server() -> Iterator[str]:
    with server_in_thread() as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def c_server() -> Iterator[str]:
    with server_in_thread("gearmand") as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(params=["ours", pytest.param("gearmand", marks=_INTEROP)])
def server(request: pytest.FixtureRequest) -> str:
    """The address of a job server that other tests use too, with functions of other names."""
    address: str = request.getfixturevalue("our_server" if request.param == "ours" else "c_server")
    return address


@pytest.fixture(params=["ours", pytest.param("pygearman", marks=_INTEROP)])
def gm(request: pytest.FixtureRequest) -> ModuleType:
    """The library: what a program has as ``gearman``."""
    if request.param == "ours":
        return importlib.import_module("gearman_trio.compat.gearman")
    require_python_package("gearman")
    return importlib.import_module("gearman")


@pytest.fixture
def ours() -> ModuleType:
    """The library, for what the other one does wrong or not at all."""
    return importlib.import_module("gearman_trio.compat.gearman")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    if threads_of_ours():
        # What is forgotten ends by itself, but not in no time.
        gc.collect()
    assert [] == threads_of_ours(patience=PATIENCE)


@pytest.fixture
def task() -> bytes:
    """The name of a function that no other test has; bytes, since pygearman's worker looks names up as they came."""
    return b"task-%d" % next(_names)


@attrs.define
class Bench:
    """Makes clients and workers, and ends them."""

    gm: ModuleType
    server: str
    _clients: list[Any] = attrs.field(factory=list)
    _stops: list[Callable[[], None]] = attrs.field(factory=list)

    def client(self, base: type[Any] | None = None, servers: list[Any] | None = None) -> Any:
        client = (base or self.gm.GearmanClient)([self.server] if servers is None else servers)
        self._clients.append(client)
        return client

    def admin(self) -> Any:
        admin = self.gm.GearmanAdminClient([self.server])
        self._clients.append(admin)
        return admin

    def worker(self, task: bytes, function: Callable[..., Any], base: type[Any] | None = None) -> Any:
        """A worker that is not at work."""
        worker = (base or self.gm.GearmanWorker)([self.server])
        worker.register_task(task, function)
        return worker

    def start(self, task: bytes, function: Callable[..., Any], base: type[Any] | None = None) -> Any:
        """A worker at work in a thread, until the end of the test."""
        stopping = threading.Event()

        class Stoppable(base or self.gm.GearmanWorker):  # type: ignore[misc] # of either library
            def after_poll(self, any_activity: bool) -> bool:
                return not stopping.is_set() and bool(super().after_poll(any_activity))

        worker = self.worker(task, function, Stoppable)
        thread = threading.Thread(target=worker.work, kwargs={"poll_timeout": 0.02})
        thread.start()

        def stop() -> None:
            stopping.set()
            thread.join(PATIENCE)
            assert not thread.is_alive()

        self._stops.append(stop)
        return worker

    def close(self) -> None:
        for stop in self._stops:
            stop()
        for client in self._clients:
            client.shutdown()


@pytest.fixture
def bench(gm: ModuleType, server: str) -> Iterator[Bench]:
    bench = Bench(gm, server)
    yield bench
    bench.close()


@pytest.fixture
def our_bench(ours: ModuleType, our_server: str) -> Iterator[Bench]:
    bench = Bench(ours, our_server)
    yield bench
    bench.close()
