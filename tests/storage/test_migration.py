"""Jobs from one store to another."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from gearman_trio import ConfigError, StorageError
from gearman_trio.storage import BadRow, Batch, SQLiteStore, StoredJob, migrate

from .test_sqlite import execute, job


def fill(path: Path, *jobs: StoredJob) -> str:
    store = SQLiteStore(str(path))
    store.open("server")
    batch = Batch(1)
    batch.adds = list(jobs)
    store.commit(batch)
    store.close()
    return f"sqlite:{path}"


def content(url: str) -> list[StoredJob | BadRow]:
    return list(SQLiteStore(url.removeprefix("sqlite:")).rows())


def test_jobs_are_moved_behind_those_that_are_there(tmp_path: Path) -> None:
    old = job(7)._replace(attempts=2, error="lost", run_at=9.5, reducer=b"r", unique=b"u", handle=b"H:a:7")
    source = fill(tmp_path / "a.db", old, job(9)._replace(handle=b"H:a:9"))
    dest = fill(tmp_path / "b.db", job(3))

    done = migrate(source, dest)

    assert (2, [], True) == (done.moved, done.bad, done.emptied)
    assert [job(3), old._replace(row=4), job(9)._replace(row=5, handle=b"H:a:9")] == content(dest)
    assert [] == content(source)


def test_thousands_of_jobs_keep_their_order(tmp_path: Path) -> None:
    source = fill(tmp_path / "a.db", *map(job, range(1, 2501)))
    seen: list[int] = []

    migrate(source, f"sqlite:{tmp_path}/b.db", progress=seen.append)

    assert [1000, 2000, 2500] == seen
    assert [job(row) for row in range(1, 2501)] == content(f"sqlite:{tmp_path}/b.db")


def test_a_handle_that_is_taken_gets_another_one(tmp_path: Path) -> None:
    source, dest = fill(tmp_path / "a.db", job(1)), fill(tmp_path / "b.db", job(1))

    migrate(source, dest)

    first, second = content(dest)
    assert isinstance(second, StoredJob)
    assert (job(1), job(2)._replace(handle=second.handle)) == (first, second)
    assert re.fullmatch(rb"H:migrated-[0-9a-f]{8}:2", second.handle)


def test_no_handle_is_given_twice_by_migrations_in_a_row(tmp_path: Path) -> None:
    stores = [fill(tmp_path / f"{name}.db", job(1), job(3)) for name in "abcd"]

    for source, dest in pairwise(stores):
        migrate(source, dest)

    handles = [row.handle for row in content(stores[-1]) if isinstance(row, StoredJob)]
    assert 8 == len(handles) == len(set(handles))


def test_handles_of_moved_jobs_are_not_given_again(tmp_path: Path) -> None:
    source = fill(tmp_path / "a.db", job(1)._replace(handle=b"H:here:4711"), job(2)._replace(handle=b"strange"))

    migrate(source, f"sqlite:{tmp_path}/b.db")

    store = SQLiteStore(str(tmp_path / "b.db"))
    assert 4711 == store.open("server").last_handle
    store.close()


def test_bad_rows_stay_where_they_are(tmp_path: Path) -> None:
    source = fill(tmp_path / "a.db", job(1), job(2), job(3))
    execute(str(tmp_path / "a.db"), "UPDATE gearman_jobs SET priority = 7 WHERE id = 2")

    done = migrate(source, f"sqlite:{tmp_path}/b.db")

    bad = BadRow(2, "priority: expected 0, 1 or 2, got 7")
    assert (2, [bad]) == (done.moved, done.bad)
    assert [bad] == content(source)


def test_a_store_that_a_server_uses_is_not_emptied(tmp_path: Path) -> None:
    source = fill(tmp_path / "a.db", job(1))
    server = SQLiteStore(str(tmp_path / "a.db"))
    server.open("server")

    with pytest.raises(StorageError, match="in use by another job server"):
        migrate(source, f"sqlite:{tmp_path}/b.db")
    server.close()
    assert [job(1)] == content(source)


@pytest.mark.parametrize(
    ("source", "dest", "text"),
    [
        ("sqlite:a.db", "sqlite:a.db", "both stores are 'sqlite:a.db'"),
        ("memory:", "sqlite:a.db", "jobs in memory are the server's alone"),
        ("sqlite:a.db", "memory:", "jobs in memory are the server's alone"),
    ],
)
def test_what_cannot_be_moved(
    source: str, dest: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=text):
        migrate(source, dest)


def test_a_source_that_is_not_there_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"a\.db cannot be read"):
        migrate(f"sqlite:{tmp_path}/a.db", f"sqlite:{tmp_path}/b.db")

    assert [] == list(tmp_path.iterdir())
