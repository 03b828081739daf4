"""Where background jobs are kept: our options, and gearmand's, for each of which a store of ours stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from ..errors import ConfigError
from ..storage import Durability
from .fields import field_options
from .option import FLAG, TEXT, Option, choice, number

__all__ = ["QUEUE_OPTIONS", "store_url"]

_STORED: Final = "Stored jobs"
_GROUP: Final = "Persistent queue"

#: Of `ServerOptions`, what is about stored jobs.
_FIELDS: Final = ("store_timeout", "store_foreground", "spill_bytes", "replay")

_BOTH: Final = "1.1, 2.x"
_PATH: Final = TEXT.called("FILE")
_PORT: Final = number(1, 65535).called("PORT")


def _option(name: str, help_text: str, **more: Any) -> Option:
    return Option(**{"name": name, "help": help_text, "group": _GROUP, "kind": TEXT, "gearmand": _BOTH, **more})


_TYPES: Final = (
    "builtin",
    "libsqlite3",
    "mysql",
    "postgres",
    "redis",
    "libmemcached",
    "libtokyocabinet",
    "libdrizzle",
)

QUEUE_OPTIONS: Final = [
    Option(
        name="store",
        group=_STORED,
        kind=TEXT.called("URL"),
        help="Where background jobs are kept: memory:, sqlite:PATH, postgresql:, mysql:, redis: or memcached://...",
        shown="memory:",
        secret=True,
    ),
    Option(
        name="durability",
        group=_STORED,
        kind=choice("LEVEL", *Durability),
        help="What an acknowledged job survives: a power cut (full), or a killed server (normal, off); see the manual.",
        shown="full",
    ),
    *(option for option in field_options((), group=_STORED) if option.field in _FIELDS),
    _option(
        "queue-type",
        "Where background jobs are kept, by gearmand's names; builtin is memory.",
        short="q",
        kind=choice("TYPE", *_TYPES),
        default="builtin",
        remark="As `--store`, in tables of our own, whose names begin with that of gearmand's; `gearman-trio migrate` "
        "brings what gearmand left. For libtokyocabinet and libdrizzle there is no store.",
    ),
    _option("libsqlite3-db", "The database of --queue-type libsqlite3.", kind=_PATH),
    _option("libsqlite3-table", "Its table.", default="gearman_queue"),
    _option(
        "store-queue-on-shutdown",
        "Accepted; jobs are stored when they are submitted, not when the server ends.",
        kind=FLAG,
        default=False,
        inert=True,
    ),
    _option("mysql-host", "The host of --queue-type mysql.", default="localhost"),
    _option("mysql-port", "Its port.", kind=_PORT, default=3306),
    _option("mysql-user", "Who logs in there.", shown="whoever runs the server"),
    _option("mysql-password", "The password for it.", secret=True),
    _option("mysql-db", "The database there."),
    _option("mysql-table", "Its table.", default="gearman_queue"),
    _option(
        "libpq-conninfo",
        "How to connect to the database of --queue-type postgres: a URI, or keywords and values.",
        secret=True,
    ),
    _option("libpq-table", "Its table.", default="queue"),
    _option("redis-server", "The host of --queue-type redis.", default="127.0.0.1"),
    _option("redis-port", "Its port.", kind=_PORT, default=6379),
    _option("redis-password", "The password there.", secret=True),
    _option("redis-prefix", "What its keys begin with.", default="_gear_"),
    _option("libmemcached-servers", "The servers of --queue-type libmemcached: HOST[:PORT], with commas between."),
    _option("libmemcached-prefix", "What its keys begin with.", default="gear_"),
    _option("libtokyocabinet-file", "Accepted; see --queue-type.", kind=_PATH, inert=True),
    _option("libtokyocabinet-optimize", "Accepted; see --queue-type.", kind=FLAG, default=False, inert=True),
    *(
        _option(f"libdrizzle-{name}", "Accepted; see --queue-type.", inert=True, secret=name == "password")
        for name in ("host", "port", "uds", "user", "password", "db", "table")
    ),
    _option("libdrizzle-mysql", "Accepted; see --queue-type.", kind=FLAG, default=False, inert=True),
]


def store_url(values: Mapping[str, Any]) -> str | None:
    """The URL of the store that ``--store``, or gearmand's options for its queue, ask for; ``None`` for memory.

    gearmand's tables and prefixes are part of the URL, as ``?table=`` and ``?prefix=``; ours begin with the same name.

    Args:
        values: the value of each option by its long name.

    Raises:
        ConfigError: an option is missing that the type of queue needs, there is no store of its kind, or there are two
            stores. The message names the option.
    """
    if values["store"] is not None:
        if values["queue-type"] != "builtin":
            raise ConfigError(f"--store and --queue-type {values['queue-type']}: expected one of them")
        return str(values["store"])
    match values["queue-type"]:
        case "builtin":
            return None
        case "libsqlite3":
            # The path stands as it is, so it ends at the first question mark.
            path = _needed(values, "libsqlite3-db")
            if "?" in path:
                raise ConfigError(f"--libsqlite3-db: expected a path without a question mark, got {path!r}")
            return _url(f"sqlite:{path}", table=values["libsqlite3-table"])
        case "mysql":
            place = _place(values["mysql-host"], values["mysql-port"], values["mysql-user"], values["mysql-password"])
            database = quote(_needed(values, "mysql-db"), safe="")
            return _url(f"mysql://{place}/{database}", table=values["mysql-table"])
        case "postgres":
            return _postgresql_url(_needed(values, "libpq-conninfo"), values["libpq-table"])
        case "redis":
            place = _place(values["redis-server"], values["redis-port"], "", values["redis-password"])
            return _url(f"redis://{place}/0", prefix=values["redis-prefix"])
        case "libmemcached":
            servers = _needed(values, "libmemcached-servers").replace("--SERVER=", "").replace(" ", ",")
            return _url(f"memcached://{quote(servers, safe=':,[]')}/", prefix=values["libmemcached-prefix"])
        case other:
            raise ConfigError(
                f"--queue-type: {other!r} has no counterpart here; expected one of {', '.join(_TYPES[:6])}"
            )


def _needed(values: Mapping[str, Any], name: str) -> str:
    value: str | None = values[name]
    if not value:
        raise ConfigError(f"--queue-type {values['queue-type']}: --{name} must be given too")
    return value


def _place(host: str, port: int, user: str | None, password: str | None) -> str:
    """``user:password@host:port``, as far as it is known."""
    login = quote(user or "", safe="") + (f":{quote(password, safe='')}" if password else "")
    return (f"{login}@" if login else "") + (f"[{host}]" if ":" in host else quote(host, safe="")) + f":{port}"


def _url(base: str, **query: str) -> str:
    return f"{base}{'&' if '?' in base else '?'}{urlencode(query)}"


#: A keyword of libpq with its value, which may stand in quotes, with a backslash before quotes and backslashes.
_KEYWORD: Final = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|\Z)\s*", re.DOTALL)


def _postgresql_url(conninfo: str, table: str) -> str:
    """A URI of libpq, which takes every keyword in its query."""
    if conninfo.startswith(("postgres://", "postgresql://")):
        return _url(conninfo, table=table)
    query: dict[str, str] = {}
    position = 0
    while position < len(conninfo):
        found = _KEYWORD.match(conninfo, position)
        if found is None:
            # The text may hold a password, so it is not repeated.
            raise ConfigError(f"--libpq-conninfo: expected KEYWORD=VALUE at character {position + 1}, or a URI")
        query[found[1]] = re.sub(r"\\(.)", r"\1", found[2] if found[2] is not None else found[3])
        position = found.end()
    database = quote(query.pop("dbname", ""), safe="")
    return _url(f"postgresql:///{database}", **query, table=table)
