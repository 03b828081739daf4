"""One server of each database for all tests that need one; it is started when the first of them does."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from .databases import Database, MariaDB, PostgreSQL, running

DATABASES = [PostgreSQL, MariaDB]


@pytest.fixture(scope="session", params=DATABASES, ids=lambda kind: kind.__name__)
def database(request: pytest.FixtureRequest) -> Generator[Database]:
    """Each database in turn."""
    with running(request.param) as database:
        yield database
