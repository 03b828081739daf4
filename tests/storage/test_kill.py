"""No acknowledged job is lost when the job server is killed, whatever it is at. `kill.py` says how that is found out.

GEARMAN_TRIO_KILL_ROUNDS sets the number of kills.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from gearman_trio.storage import make_store

from .kill import kill_again_and_again

ROUNDS = int(os.environ.get("GEARMAN_TRIO_KILL_ROUNDS", "3"))


@pytest.mark.slow
@pytest.mark.parametrize(("durability", "rounds"), [("full", ROUNDS), ("normal", 2), ("off", 2)])
async def test_nothing_is_lost(durability: str, rounds: int, tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/jobs.db?durability={durability}"

    books = await kill_again_and_again(url, rounds, seed=rounds)

    logging.getLogger(__name__).info(
        "%d kills, %d submitted, %d acknowledged, %d done, %d twice, %d lost",
        *(books.kills, books.submitted, len(books.acknowledged), len(books.done), books.twice, len(books.lost)),
    )
    assert set() == books.lost
    store = make_store(url)
    assert store is not None
    assert 0 == store.info().quarantined
