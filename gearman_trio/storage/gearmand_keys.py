"""The keys of gearmand, to be read, in Redis: ``PREFIX-FUNCTION-UNIQUE``; and what they have in common with others.

A function's name and a unique ID may have hyphens of their own, and gearmand does not say where the one ends: it takes
the first hyphen, and so gives jobs back to other functions than those that they were for.  This does not guess.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any, Final

from ..core import BadRow, StoredJob
from ..errors import ConfigError, StorageError
from .drivers import driver
from .places import shown_place
from .redis_place import redis_url, unknown_option
from .registry import StoreURL
from .rows import read_gearmand_row

__all__ = ["GearmandRedis", "functions_of", "read_key", "redis_queue", "split_key"]

#: What libgearman takes for a unique ID where the program gives none.
_UUID: Final = re.compile(rb"(.*)-([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\Z", re.DOTALL)

#: Keys that are read at once.
_READ_KEYS: Final = 500

#: How long a server that does not answer is waited for, in seconds.
_ANSWER_SECONDS: Final = 60

#: What Redis takes for a pattern.
_GLOB: Final = re.compile(r"([*?\[\]^\\-])")


def split_key(key: bytes, functions: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The function and the unique ID of a key without its prefix; `None` where it is not known which they are.

    Args:
        key: ``FUNCTION-UNIQUE``.
        functions: names that are known to be functions; the longest that fits is taken.
    """
    for function in sorted(functions, key=len, reverse=True):
        if key.startswith(function + b"-"):
            return function, key[len(function) + 1 :]
    if found := _UUID.match(key):
        return found[1], found[2]
    function, hyphen, unique = key.partition(b"-")
    return (function, unique) if hyphen and b"-" not in unique else None


class GearmandRedis:
    """The queue of ``gearmand -q redis``. Its keys have no order."""

    def __init__(self, url: str, name: str, prefix: str, functions: Sequence[bytes]) -> None:
        self._driver = driver("redis", "redis", url)
        self.name = f"the queue of gearmand in {name}"
        self._functions = functions
        self._prefix = f"{prefix}-".encode()
        self._pattern = _GLOB.sub(r"\\\1", f"{prefix}-") + "*"
        try:
            self._client = self._driver.Redis.from_url(url, protocol=2, socket_timeout=_ANSWER_SECONDS)
        except (TypeError, ValueError, self._driver.RedisError) as exc:
            raise ConfigError(f"store {name!r}: {unknown_option(exc)}") from exc

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """Every job, each once, however often Redis names its key."""
        with self._reading() as client:
            keys = sorted(set(client.scan_iter(self._pattern, count=_READ_KEYS, _type="hash")))
            number = 0
            for some in _portions(keys):
                with client.pipeline(transaction=False) as pipeline:
                    for key in some:
                        pipeline.hmget(key, "data", "priority", "function", "unique")
                    answers = pipeline.execute()
                for key, (workload, priority, function, unique) in zip(some, answers, strict=True):
                    number += 1
                    # Its newer versions store the names, too.
                    names = None if function is None or unique is None else (function, unique)
                    names = names or split_key(key.removeprefix(self._prefix), self._functions)
                    yield read_key(number, key, names, (_number(priority), workload))

    @contextmanager
    def _reading(self) -> Generator[Any]:
        try:
            with closing(self._client) as client:
                yield client
        except (self._driver.RedisError, OSError) as exc:
            raise StorageError(f"{self.name} cannot be read: {exc}") from exc


def redis_queue(url: StoreURL) -> GearmandRedis:
    """The queue of ``gearmand -q redis``; the options ``prefix`` and ``functions`` are ours, all others are redis-py's.

    Raises:
        ConfigError: the URL cannot be used, or redis-py is not installed.
    """
    options = dict(url.options)
    prefix, functions = options.pop("prefix", "_gear_"), functions_of(options.pop("functions", ""))
    name = shown_place(url.text, "rediss" if url.scheme == "rediss" else "redis")
    return GearmandRedis(redis_url(url, options), name, prefix, functions)


def functions_of(text: str) -> list[bytes]:
    """The functions that a URL's option names."""
    return [name.encode() for name in text.split(",") if name]


def read_key(
    number: int, key: bytes, names: tuple[bytes, bytes] | None, values: tuple[object, object]
) -> StoredJob | BadRow:
    """A job by its key: the function and the unique ID, if they are known, and the priority and the workload."""
    if names is None:
        return BadRow(
            number,
            f"key {key!r}: cannot tell where the function's name ends: "
            "say which functions there are, as in ?functions=NAME,NAME",
        )
    function, unique = names
    return read_gearmand_row(number, (unique, function, *values, 0))


def _number(text: bytes | None) -> object:
    return int(text) if text is not None and text.isdigit() else text


def _portions(keys: Iterable[bytes]) -> Iterator[list[bytes]]:
    keys = iter(keys)
    while some := list(islice(keys, _READ_KEYS)):
        yield some
