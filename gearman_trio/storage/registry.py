"""From a URL to a store: ``sqlite:PATH`` and its kin, and those that other packages bring.

A package brings one by an entry point of the group ``gearman_trio.stores``: the name is the URL's scheme, the value a
callable that takes a `StoreURL` and gives a `Store`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Final
from urllib.parse import parse_qsl

import attrs

from ..errors import ConfigError
from .names import shown_url
from .store import Durability, Store

__all__ = ["StoreURL", "make_store", "parse_url", "schemes"]

#: Entry points by which other packages bring stores.
_GROUP: Final = "gearman_trio.stores"

#: Our own: scheme, module of this package, callable in it. Imported when asked for, for their libraries.
_BUILTIN: Final[dict[str, tuple[str, str]]] = {
    "mariadb": ("mysql", "from_url"),
    "memcached": ("memcached", "from_url"),
    "mysql": ("mysql", "from_url"),
    "postgres": ("postgresql", "from_url"),
    "postgresql": ("postgresql", "from_url"),
    "redis": ("redis", "from_url"),
    "rediss": ("redis", "from_url"),
    "sqlite": ("sqlite", "from_url"),
    "valkey": ("redis", "from_url"),
}


@attrs.frozen(kw_only=True)
class StoreURL:
    """A store's URL, taken apart.

    Attributes:
        text: the URL as it was given.
        scheme: what is before the first colon, in lower case.
        rest: what is between that colon and the question mark.
        options: what is behind the question mark, as ``name=value&name=value``, but for ``durability``.
        durability: what a commit must survive.
    """

    text: str
    scheme: str
    rest: str
    options: dict[str, str]
    durability: Durability

    def only(self, names: Iterable[str]) -> dict[str, str]:
        """The options, which must be among these.

        Raises:
            ConfigError: there is another one.
        """
        allowed = sorted(names)
        for name in self.options:
            if name not in allowed:
                expected = ", ".join([*allowed, "durability"])
                raise ConfigError(f"store {shown_url(self.text)!r}: option {name!r} is not known; expected {expected}")
        return self.options


def make_store(url: str, *, durability: Durability | str | None = None) -> Store | None:
    """The store of a URL, not opened yet; `None` for ``memory:``.

    Args:
        url: ``sqlite:jobs.db`` or ``sqlite:/var/lib/gearman/jobs.db?table=gearman``, for example.
        durability: what a commit must survive; ``None`` for what the URL says, or else ``full``.

    Raises:
        ConfigError: the URL cannot be used; the message says why.
    """
    parsed = parse_url(url, durability)
    if parsed.scheme == "memory":
        if parsed.rest or parsed.options:
            raise ConfigError(f"store {shown_url(url)!r}: expected 'memory:' and nothing else")
        return None
    if parsed.scheme in _BUILTIN:
        module, name = _BUILTIN[parsed.scheme]
        factory: Callable[[StoreURL], Store] = getattr(import_module(f".{module}", __package__), name)
        return factory(parsed)
    for point in _plugins():
        if point.name == parsed.scheme:
            factory = point.load()
            return factory(parsed)
    raise ConfigError(
        f"store {shown_url(url)!r}: expected a URL that begins with {', '.join(f'{each}:' for each in schemes())}"
    )


def schemes() -> list[str]:
    """What the URLs of stores may begin with."""
    return sorted({"memory", *_BUILTIN, *(point.name for point in _plugins())})


def _plugins() -> Iterable[EntryPoint]:
    return entry_points(group=_GROUP)


def parse_url(url: str, durability: Durability | str | None = None) -> StoreURL:
    """Take a URL apart; `durability` comes before what the URL says.

    Raises:
        ConfigError: it is no URL, or its durability is none.
    """
    head, _, query = url.partition("?")
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        # What it would not read may be a part of a password.
        raise ConfigError(
            f"store {shown_url(url)!r}: expected NAME=VALUE behind the question mark, with & between; "
            "a question mark in a password is written %3F"
        ) from None
    scheme, colon, rest = head.partition(":")
    wanted = options.pop("durability", None) if durability is None else durability
    try:
        level = Durability.FULL if wanted is None else Durability(wanted)
    except ValueError:
        levels = ", ".join(Durability)
        raise ConfigError(f"store {shown_url(url)!r}: durability: expected {levels}, got {wanted!r}") from None
    options.pop("durability", None)
    # Also where the scheme is missing: a Windows path, or a name.
    return StoreURL(text=url, scheme=scheme.lower() if colon else "", rest=rest, options=options, durability=level)
