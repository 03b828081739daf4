"""Databases as docs/how-to/keep-jobs.md has them prepared: a job server needs no more than that."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from gearman_trio.storage import Store, make_store
from gearman_trio.testing import check_store

from .databases import MariaDB, PostgreSQL
from .keyvalue import Redis

pytestmark = [pytest.mark.interop, pytest.mark.slow]

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "keep-jobs.md").read_text(encoding="utf-8")


def lines(language: str) -> list[str]:
    """The lines of the block of a language, with names that no other test has."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [re.sub(r"\bjobs\b", "documented", line) for line in text.splitlines()]


def check(url: str) -> None:
    def make() -> Store:
        store = make_store(url)
        assert store is not None
        return store

    check_store(make)


def test_postgresql(postgresql: PostgreSQL) -> None:
    with psycopg.connect(postgresql.url, autocommit=True) as admin:
        for line in lines("sql"):
            admin.execute(line.encode())

    check(f"postgresql://gearman:secret@127.0.0.1:{postgresql.port}/documented")


def test_mysql(mariadb: MariaDB) -> None:
    with mariadb.admin() as admin:
        for line in lines("mysql"):
            # Other tests have that user.
            admin.cursor().execute(line.replace("gearman@", "documented@"))

    check(f"mysql://documented:secret@127.0.0.1:{mariadb.port}/documented")


def test_redis(redis_server: Redis) -> None:
    *settings, user = lines("text")
    with redis_server.client() as admin:
        assert [line.split()[1] for line in settings] == [
            admin.config_get(line.split()[0])[line.split()[0]] for line in settings
        ]
        admin.execute_command("ACL", "SETUSER", *user.removeprefix("user ").split())

    check(f"redis://gearman:secret@127.0.0.1:{redis_server.port}/9")
