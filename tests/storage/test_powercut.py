"""No acknowledged job is lost in a power cut, with SQLite and full durability. `powercut.py` says how power is cut."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from gearman_trio.storage import SQLiteStore, StoredJob

from ..patience import PATIENCE
from .powercut import _job

ROOT = Path(__file__).parents[2]


@attrs.frozen
class Outcome:
    """What was found after a power cut.

    Attributes:
        lost: rows that had been committed and are not there.
        strange: rows that are there and are not what was stored.
        returned: rows that had been removed, for a commit that has ended, and are there again.
        integrity: what SQLite says of its file.
    """

    lost: set[int]
    strange: set[int]
    returned: set[int]
    integrity: str


def cut_power(folder: Path, durability: str, seed: int) -> list[Outcome]:
    command = [sys.executable, "-m", "tests.storage.powercut", str(folder), durability, str(seed)]
    subprocess.run(command, check=True, cwd=ROOT, timeout=PATIENCE)
    return [look(cut) for cut in sorted(folder.glob("cut-*"))]


def look(cut: Path) -> Outcome:
    """Open what a power cut has left, as the next server does."""
    told = json.loads((cut / "stored.json").read_text())
    stored, going = set(told["stored"]), set(told["going"])
    highest = max(stored | going, default=0)
    store = SQLiteStore(str(cut / "jobs.db"))
    store.open("server")
    found = [row for chunk in store.replay() for row in chunk]
    store.close()
    with sqlite3.connect(cut / "jobs.db") as db:
        (integrity,) = db.execute("PRAGMA integrity_check").fetchone()
    db.close()
    rows = {job.row for job in found}
    return Outcome(
        lost=stored - rows,
        strange={job.row for job in found if not isinstance(job, StoredJob) or job != _job(job.row)},
        # Above the highest is what the commit under way adds.
        returned={row for row in rows - stored - going if row <= highest},
        integrity=integrity,
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_that_was_committed_is_lost_with_full_durability(tmp_path: Path, seed: int) -> None:
    outcomes = cut_power(tmp_path, "full", seed)

    assert len(outcomes) > 20
    assert [Outcome(set(), set(), set(), "ok")] * len(outcomes) == outcomes


@pytest.mark.slow
def test_with_normal_durability_the_last_may_be_missing_but_the_file_is_whole(tmp_path: Path) -> None:
    outcomes = cut_power(tmp_path, "normal", 1)

    # So cuts do lose what was not synced.
    assert any(each.lost for each in outcomes)
    assert all(not each.strange and each.integrity == "ok" for each in outcomes)
