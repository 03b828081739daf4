"""One server of each database for all tests that need one; it is started when the first of them does."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from itertools import count

import pytest

from .databases import Database, MariaDB, PostgreSQL, running
from .keyvalue import Memcached, Redis

numbers = count(1)


@pytest.fixture
def prefix() -> str:
    """One that no other test has used."""
    return f"test{next(numbers)}"


@pytest.fixture(scope="session")
def postgresql() -> Generator[PostgreSQL]:
    with running(PostgreSQL) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Generator[MariaDB]:
    with running(MariaDB) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Generator[Redis]:
    with running(Redis) as server:
        yield server


@pytest.fixture(scope="session")
def memcached() -> Generator[list[Memcached]]:
    """Three of them."""
    with ExitStack() as stack:
        yield [stack.enter_context(running(Memcached)) for _ in range(3)]


@pytest.fixture(scope="session", params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each database with SQL in turn."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, Database)
    return server
