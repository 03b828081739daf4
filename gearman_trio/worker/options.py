"""What a worker is told by those who open it, checked."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Literal, get_args

import attrs

from ..errors import ConfigError
from ..names import MAX_CLIENT_ID_BYTES, ClientId, FunctionName
from ..names import client_id as checked_client_id
from ..transport import Address, Connect, Tls, dialer, parse_address
from .abilities import Abilities, Ability
from .job import printable
from .middleware import Middleware

__all__ = ["POLL_INTERVAL_SECONDS", "Lifespan", "OnLost", "WorkerOptions", "check_lifespan", "checked_options"]

#: Where a worker looks for a job server if it is told of none.
DEFAULT_SERVER: Final = "127.0.0.1:4730"

#: A lost NOOP makes a job wait so long at the most; a grab in vain costs a server next to nothing at this
#: rate.
POLL_INTERVAL_SECONDS: Final = 30.0

#: What becomes of the jobs of a connection that is lost.
OnLost = Literal["cancel", "finish"]

#: Gives what is opened once for a worker, and closed at its end.
Lifespan = Callable[[], AbstractAsyncContextManager[Any]]


@attrs.frozen(kw_only=True)
class WorkerOptions:
    """The checked arguments of `open_worker` and `run_worker`, which describe them."""

    abilities: Mapping[FunctionName, Ability]
    servers: tuple[Address, ...]
    concurrency: int
    client_id: ClientId
    exceptions: bool
    connect: Connect
    poll_interval: float
    on_lost: OnLost
    drain_seconds: float | None
    lifespan: Lifespan | None
    middleware: tuple[Middleware, ...]


def checked_options(
    abilities: Abilities,
    servers: tuple[str | Address, ...],
    *,
    concurrency: int,
    client_id: str | bytes | None,
    exceptions: bool,
    connect: Connect | None,
    ssl_context: Tls | None,
    poll_interval: float,
    on_lost: OnLost,
    drain_seconds: float | None,
    lifespan: Lifespan | None,
    middleware: Sequence[Middleware],
) -> WorkerOptions:
    """The arguments of a worker, as it needs them.

    Raises:
        ConfigError: one of them has a value that cannot be used.
    """
    if not abilities:
        raise ConfigError("abilities: a worker without functions gets no jobs; add one with @abilities.function")
    if concurrency < 1:
        raise ConfigError(f"concurrency: expected a number from 1 on, got {concurrency!r}")
    if not poll_interval > 0:
        raise ConfigError(f"poll_interval: expected a positive number of seconds, got {poll_interval!r}")
    if drain_seconds is not None and not drain_seconds >= 0:
        raise ConfigError(f"drain_seconds: expected a number of seconds from 0 on, or None, got {drain_seconds!r}")
    if on_lost not in get_args(OnLost):
        raise ConfigError(f"on_lost: expected 'cancel' or 'finish', got {on_lost!r}")
    for each in middleware:
        if not callable(each):
            raise ConfigError(f"middleware: expected async functions, got {each!r}")
    for ability in abilities:
        if ability.lifespans and lifespan is None:
            raise ConfigError(f"{_wish(ability)}, but the worker was given no lifespan")
    addresses = [
        server if isinstance(server, Address) else parse_address(server) for server in servers or (DEFAULT_SERVER,)
    ]
    return WorkerOptions(
        abilities={ability.name: ability for ability in abilities},
        servers=tuple(dict.fromkeys(addresses)),
        concurrency=concurrency,
        client_id=_default_client_id() if client_id is None else checked_client_id(client_id),
        exceptions=exceptions,
        connect=dialer(connect, ssl_context),
        poll_interval=poll_interval,
        on_lost=on_lost,
        drain_seconds=drain_seconds,
        lifespan=lifespan,
        middleware=tuple(middleware),
    )


def check_lifespan(options: WorkerOptions, value: object) -> None:
    """Check that what the lifespan gave is what each function wants.

    Raises:
        ConfigError: it is not.
    """
    for ability in options.abilities.values():
        if not all(isinstance(value, wanted) for wanted in ability.lifespans):
            raise ConfigError(f"{_wish(ability)}, but the worker's lifespan gave a {type(value).__name__}")


def _wish(ability: Ability) -> str:
    names = ", ".join(wanted.__name__ for wanted in ability.lifespans)
    return f"function {printable(ability.name)!r} takes a {names}"


def _default_client_id() -> ClientId:
    host = re.sub(r"[^!-~]", "_", socket.gethostname())
    pid = f"-{os.getpid()}"
    return checked_client_id(f"gearman_trio-{host}"[: MAX_CLIENT_ID_BYTES - len(pid)] + pid)
