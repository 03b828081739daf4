"""gearmand's options for its queue, as the URL of a store."""

from __future__ import annotations

import pytest

from gearman_trio.config import resolve
from gearman_trio.errors import ConfigError


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        ({}, None),
        ({"queue-type": "builtin", "libsqlite3-db": "ignored"}, None),
        ({"store": "sqlite:jobs.db?table=t"}, "sqlite:jobs.db?table=t"),
        (
            {"queue-type": "libsqlite3", "libsqlite3-db": "/var/lib/my jobs.db"},
            "sqlite:/var/lib/my jobs.db?table=gearman_queue",
        ),
        (
            {"queue-type": "libsqlite3", "libsqlite3-db": "jobs.db", "libsqlite3-table": "t"},
            "sqlite:jobs.db?table=t",
        ),
        (
            {"queue-type": "mysql", "mysql-db": "gearman", "mysql-user": "me", "mysql-password": "a:b@c/d"},
            "mysql://me:a%3Ab%40c%2Fd@localhost:3306/gearman?table=gearman_queue",
        ),
        (
            {"queue-type": "mysql", "mysql-db": "g", "mysql-host": "::1", "mysql-port": "1", "mysql-table": "t"},
            "mysql://[::1]:1/g?table=t",
        ),
        (
            {"queue-type": "postgres", "libpq-conninfo": "postgresql://me@host/db?sslmode=require"},
            "postgresql://me@host/db?sslmode=require&table=queue",
        ),
        (
            {"queue-type": "postgres", "libpq-conninfo": r"host=/tmp dbname = 'my db'  password='it\'s \\' user=a\ b"},
            "postgresql:///my%20db?host=%2Ftmp&password=it%27s+%5C&user=a+b&table=queue",
        ),
        ({"queue-type": "redis"}, "redis://127.0.0.1:6379/0?prefix=_gear_"),
        (
            {"queue-type": "redis", "redis-server": "r", "redis-port": "1", "redis-password": "p", "redis-prefix": "x"},
            "redis://:p@r:1/0?prefix=x",
        ),
        (
            {"queue-type": "libmemcached", "libmemcached-servers": "--SERVER=a:1 --SERVER=b"},
            "memcached://a:1,b/?prefix=gear_",
        ),
    ],
)
def test_url(arguments: dict[str, str], url: str | None) -> None:
    assert url == resolve(arguments, {}).store_url()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"queue-type": "libsqlite3"}, "--queue-type libsqlite3: --libsqlite3-db must be given too"),
        (
            {"queue-type": "libsqlite3", "libsqlite3-db": "what?"},
            "--libsqlite3-db: expected a path without a question mark, got 'what?'",
        ),
        ({"queue-type": "mysql"}, "--queue-type mysql: --mysql-db must be given too"),
        ({"queue-type": "postgres"}, "--queue-type postgres: --libpq-conninfo must be given too"),
        ({"queue-type": "libmemcached"}, "--queue-type libmemcached: --libmemcached-servers must be given too"),
        (
            {"queue-type": "postgres", "libpq-conninfo": "user=me secret"},
            "--libpq-conninfo: expected KEYWORD=VALUE at character 9, or a URI",
        ),
        (
            {"queue-type": "libdrizzle"},
            "--queue-type: 'libdrizzle' has no counterpart here; "
            "expected one of builtin, libsqlite3, mysql, postgres, redis, libmemcached",
        ),
    ],
)
def test_missing_option_is_named(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(arguments, {}).store_url()

    assert message == str(caught.value)


def test_unknown_type_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match="'nonsense' is not one of 'builtin', 'libsqlite3', 'mysql'"):
        resolve({"queue-type": "nonsense"}, {})
