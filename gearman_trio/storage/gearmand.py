"""The queues of gearmand, to be read: jobs that a gearmand kept can be done by gearman_trio.

gearmand keeps the unique ID, the function, the priority, the workload and, in tables, the time to run at, and nothing
else (its queue plugins).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from ..errors import ConfigError
from .names import shown_url
from .registry import StoreURL, parse_url
from .store import JobSource

__all__ = ["gearmand_queue"]

_PREFIX: Final = "gearmand+"

#: Scheme, module of this package, callable in it. Imported when asked for, for their libraries.
_QUEUES: Final[dict[str, tuple[str, str]]] = {
    "mariadb": ("gearmand_tables", "mysql_queue"),
    "memcached": ("gearmand_memcached", "memcached_queue"),
    "mysql": ("gearmand_tables", "mysql_queue"),
    "postgres": ("gearmand_tables", "postgresql_queue"),
    "postgresql": ("gearmand_tables", "postgresql_queue"),
    "redis": ("gearmand_keys", "redis_queue"),
    "rediss": ("gearmand_keys", "redis_queue"),
    "sqlite": ("gearmand_tables", "sqlite_queue"),
    "valkey": ("gearmand_keys", "redis_queue"),
}


def gearmand_queue(url: str) -> JobSource | None:
    """The queue of a URL such as ``gearmand+sqlite:PATH?table=gearman_queue``; `None` where it is no such URL.

    Raises:
        ConfigError: it cannot be used, or the library for it is not installed.
    """
    if not url.startswith(_PREFIX):
        return None
    parsed = parse_url(url.removeprefix(_PREFIX))
    if parsed.scheme not in _QUEUES:
        expected = ", ".join(f"{_PREFIX}{scheme}:" for scheme in sorted(_QUEUES))
        raise ConfigError(f"store {shown_url(url)!r}: expected a URL that begins with {expected}")
    module, name = _QUEUES[parsed.scheme]
    factory: Callable[[StoreURL], JobSource] = getattr(import_module(f".{module}", __package__), name)
    return factory(parsed)
