"""Functions that processes import, for the tests of functions in processes."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

from gearman_trio.serializers import JSON
from gearman_trio.worker import Abilities, Fail, Retry, Shutdown

abilities = Abilities()


class PickyError(Exception):
    """Cannot be made again from its arguments, as many exceptions of real programs."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


class Celsius:
    """A serializer of a user's own; tells which process read and wrote."""

    structured = True

    def __repr__(self) -> str:
        return "Celsius"

    def dumps(self, value: Any, /) -> bytes:
        return b"%d written in %d" % (value, os.getpid())

    def loads(self, data: bytes, /) -> Any:
        return (int(data), os.getpid())


@abilities.function(run_in="process")
def reverse(workload: bytes) -> bytes:
    return workload[::-1]


@abilities.function(run_in="process")
def pid() -> bytes:
    return b"%d" % os.getpid()


@abilities.function(run_in="process", serializer=JSON)
def power(base: int, exponent: int = 2, *, modulo: int | None = None) -> dict[str, int]:
    return {"power": pow(base, exponent, modulo)}


@abilities.function(run_in="process", serializer=Celsius())
def reader(value: tuple[int, int]) -> int:
    return value[1]


@abilities.function(run_in="process")
def raises(workload: bytes) -> None:
    try:
        {b"": b""}[workload]
    except KeyError as exc:
        raise ValueError(workload.decode()) from exc


@abilities.function(run_in="process")
def raises_picky() -> None:
    raise PickyError(7, "no bananas")


@abilities.function(run_in="process")
def fails() -> None:
    raise Fail("not today")


@abilities.function(run_in="process")
def retries() -> None:
    raise Retry(after=1.5)


@abilities.function(run_in="process")
def shuts_down() -> Any:
    return Shutdown(b"last")


@abilities.function(run_in="process")
def leaves(workload: bytes) -> None:
    raise SystemExit(int(workload))


@abilities.function(run_in="process")
def exits(workload: bytes) -> None:
    os._exit(int(workload))


@abilities.function(run_in="process")
def is_killed(workload: bytes) -> None:
    os.kill(os.getpid(), int(workload))


@abilities.function(run_in="process")
def is_terminated() -> bytes:
    # As by systemd, which signals all processes of a service.
    os.kill(os.getpid(), signal.SIGTERM)
    return b"still here"


@abilities.function(run_in="process")
def wrong_result() -> Any:
    return "text"


@abilities.function(run_in="process")
def stuck(workload: bytes) -> None:
    """Tell a port of 127.0.0.1 who runs, and never end; the connection ends with the process."""
    with socket.create_connection(("127.0.0.1", int(workload))) as connection:
        connection.sendall(b"%d" % os.getpid())
        while True:
            time.sleep(1)


class Shelf:
    """A function need not stand at the very top of its module."""

    @staticmethod
    def on_it(workload: bytes) -> bytes:
        return workload.upper()


abilities.function(name="on_it", run_in="process")(Shelf.on_it)


def first(workload: bytes) -> bytes:
    return workload


# Whoever looks for `first` by its name finds this one.
decorated_too_early = first


def first(workload: bytes) -> bytes:  # type: ignore[no-redef]  # that is what is tested
    return workload[:1]
