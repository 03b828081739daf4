"""No acknowledged job is lost when the job server is killed, whatever it is at. `kill.py` says how that is found out.

GEARMAN_TRIO_KILL_ROUNDS sets the number of kills with SQLite; with each other store there is a fifth of them, and every
second one is of the store's own server, too.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from gearman_trio.storage import make_store

from .databases import Database
from .keyvalue import Memcached
from .kill import Books, kill_again_and_again

ROUNDS = int(os.environ.get("GEARMAN_TRIO_KILL_ROUNDS", "3"))

#: At least one with the store's own server, and one without.
DATABASE_ROUNDS = max(2, ROUNDS // 5)

logger = logging.getLogger(__name__)


def check(url: str, books: Books) -> None:
    """Nothing was lost."""
    logger.info(
        "%d kills, %d of the database too, %d submitted, %d acknowledged, %d done, %d twice, %d lost",
        *(books.kills, books.database_kills, books.submitted, len(books.acknowledged), len(books.done), books.twice),
        len(books.lost),
    )
    assert set() == books.lost
    store = make_store(url)
    assert store is not None
    assert 0 == store.info().quarantined


@pytest.mark.slow
@pytest.mark.parametrize(("durability", "rounds"), [("full", ROUNDS), ("normal", 2), ("off", 2)])
async def test_nothing_is_lost(durability: str, rounds: int, tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/jobs.db?durability={durability}"

    check(url, await kill_again_and_again(url, rounds, seed=rounds))


@pytest.mark.interop
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "option"), [("postgresql", "table"), ("mariadb", "table"), ("redis_server", "prefix")]
)
async def test_nothing_is_lost_in_a_database(kind: str, option: str, request: pytest.FixtureRequest) -> None:
    database = request.getfixturevalue(kind)
    assert isinstance(database, Database)
    url = f"{database.url}?{option}=killed"

    check(url, await kill_again_and_again(url, DATABASE_ROUNDS, seed=7, database=database))


@pytest.mark.interop
@pytest.mark.slow
async def test_nothing_is_lost_in_memcached_that_lives(memcached: list[Memcached]) -> None:
    """It is not killed, too: with it all jobs end, and the documentation says so."""
    url = f"memcached://{','.join(f'127.0.0.1:{each.port}' for each in memcached)}?prefix=killed"

    check(url, await kill_again_and_again(url, DATABASE_ROUNDS, seed=7))
