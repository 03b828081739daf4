"""What is particular to SQLite: the file, its lock, its tables, and what can be wrong with them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gearman_trio import ConfigError, StorageError
from gearman_trio.storage import BadRow, Batch, Durability, SpilledJob, SQLiteStore, StoredJob, sqlite_tables
from gearman_trio.testing import check_store_fault


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "jobs.db")


def job(row: int, workload: bytes = b"w") -> StoredJob:
    return StoredJob(row, b"H:t:%d" % row, b"f", b"", 1, workload, 0.0, b"", 0, 5.0, True, "")


def adds(*jobs: StoredJob) -> Batch:
    batch = Batch(1)
    batch.adds = list(jobs)
    return batch


def rows(store: SQLiteStore) -> list[StoredJob | SpilledJob | BadRow]:
    return [row for chunk in store.replay() for row in chunk]


def execute(path: str, *statements: str) -> None:
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def prepared(path: str, *statements: str) -> SQLiteStore:
    """Give a store with five jobs to which something was done."""
    store = SQLiteStore(path)
    store.open("server")
    store.commit(adds(*map(job, range(1, 6))))
    store.close()
    execute(path, *statements)
    return SQLiteStore(path)


@pytest.mark.parametrize(
    ("durability", "synchronous"), [(Durability.FULL, 2), (Durability.NORMAL, 1), (Durability.OFF, 0)]
)
def test_durability_is_what_sqlite_waits_for(path: str, durability: Durability, synchronous: int) -> None:
    store = SQLiteStore(path, durability=durability)
    store.open("server")

    assert store._db is not None
    assert (synchronous,) == store._db.execute("PRAGMA synchronous").fetchone()
    assert ("wal",) == store._db.execute("PRAGMA journal_mode").fetchone()
    store.close()


def test_what_is_committed_survives_the_process(path: str) -> None:
    program = """
import os, sys
from gearman_trio.storage import Batch, SpilledJob, SQLiteStore, StoredJob
store = SQLiteStore(sys.argv[1])
store.open("server")
batch = Batch(1)
batch.adds = [StoredJob(1, b"H:t:1", b"f", b"", 1, b"w", 0.0, b"", 0, 5.0, True, "")]
store.commit(batch)
os.kill(os.getpid(), 9)
"""
    assert -9 == subprocess.run([sys.executable, "-c", program, path], check=False).returncode

    store = SQLiteStore(path)
    store.open("server")
    assert [job(1)] == rows(store)
    store.close()


def test_a_second_server_is_told_which_process_has_the_file(path: str) -> None:
    store = SQLiteStore(path)
    store.open("server")

    with pytest.raises(StorageError, match=rf"in use by another job server, process {os.getpid()}; two servers cannot"):
        SQLiteStore(path).open("other")
    store.close()


def test_tables_of_two_names_live_in_one_file_one_after_the_other(path: str) -> None:
    for name in ("one", "two"):
        store = SQLiteStore(path, table=name)
        store.open(name)
        store.commit(adds(job(1, name.encode())))
        store.close()

    assert [job(1, b"one")] == list(SQLiteStore(path, table="one").rows())
    assert [job(1, b"two")] == list(SQLiteStore(path, table="two").rows())


@pytest.mark.parametrize("name", ["", "a b", "1a", "x" * 42, 'a"b', "a;b"])
def test_a_table_name_that_sql_could_misread_is_refused(path: str, name: str) -> None:
    with pytest.raises(ConfigError, match="table: expected up to 41 letters, digits and underscores"):
        SQLiteStore(path, table=name)


@pytest.mark.parametrize("name", ["what?.db", "100%.db", "a#b.db", "blank blank.db"])
def test_a_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    store = SQLiteStore(str(tmp_path / name))
    store.open("server")
    store.close()

    assert (tmp_path / name).exists()
    assert 0 == store.info().jobs


def test_a_newer_schema_is_refused_and_left_alone(path: str) -> None:
    store = prepared(path, "UPDATE gearman_meta SET value = 99 WHERE name = 'schema'")

    with pytest.raises(StorageError, match=r"made by a newer version .* have version 99, expected at most 1"):
        store.open("server")
    with pytest.raises(StorageError, match="newer version"):
        store.info()
    # The lock was let go.
    with pytest.raises(StorageError, match="newer version"):
        SQLiteStore(path).open("server")


def test_tables_of_an_older_version_are_migrated_with_their_jobs(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = prepared(path)
    later = [*sqlite_tables.MIGRATIONS, ["ALTER TABLE {t}_jobs ADD COLUMN note TEXT"], ["CREATE TABLE {t}_new (x)"]]
    monkeypatch.setattr("gearman_trio.storage.sqlite.MIGRATIONS", later)
    monkeypatch.setattr("gearman_trio.storage.sqlite.SCHEMA", 3)

    with pytest.raises(StorageError, match="older version, 1; a job server that opens it brings them to 3"):
        store.info()
    # A second time there is nothing to do.
    for _ in range(2):
        store.open("server")
        assert [job(row) for row in range(1, 6)] == rows(store)
        store.close()
    assert 3 == store.info().schema
    execute(path, "SELECT note FROM gearman_jobs", "SELECT x FROM gearman_new")


def test_the_case_of_a_table_name_means_nothing(path: str) -> None:
    prepared(path)
    store = SQLiteStore(path, table="GearMan")
    store.open("server")

    assert [job(row) for row in range(1, 6)] == rows(store)
    store.close()


def test_a_damaged_file_is_told_with_what_can_be_done(path: str) -> None:
    prepared(path)
    os.truncate(path, os.path.getsize(path) // 2)

    with pytest.raises(StorageError, match=r"malformed; take a copy of it, and see what `sqlite3 FILE .recover` can"):
        SQLiteStore(path).open("server")


def test_nothing_is_stored_in_a_file_that_is_not_there_any_more(path: str) -> None:
    @contextmanager
    def fault() -> Generator[None]:
        os.rename(path, f"{path}.away")
        yield
        os.rename(f"{path}.away", path)

    check_store_fault(lambda: SQLiteStore(path), fault)


def test_nothing_is_stored_where_another_file_has_taken_the_place(path: str) -> None:
    store = SQLiteStore(path)
    store.open("server")
    Path(f"{path}.other").write_bytes(b"")
    os.replace(f"{path}.other", path)

    with pytest.raises(StorageError, match="its file was removed or replaced; put it back"):
        store.commit(adds(job(1)))
    store.close()


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="it is a folder; expected the path of a file"):
        SQLiteStore(str(tmp_path)).open("server")
    assert not Path(f"{tmp_path}-lock").exists()


def test_a_file_that_is_no_database_is_refused(path: str) -> None:
    Path(path).write_bytes(b"this is no database, whatever its name says" * 100)

    with pytest.raises(StorageError, match=r"jobs.db cannot be opened: file is not a database"):
        SQLiteStore(path).open("server")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot be opened: .*nowhere/jobs.db-lock': No such file"):
        SQLiteStore(str(tmp_path / "nowhere" / "jobs.db")).open("server")


def test_information_of_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read: unable to open database file"):
        SQLiteStore(str(tmp_path / "nothing.db")).info()
    sqlite3.connect(tmp_path / "empty.db").close()
    with pytest.raises(StorageError, match="holds no jobs of gearman_trio"):
        SQLiteStore(str(tmp_path / "empty.db")).info()


def test_information_while_a_server_has_it(path: str) -> None:
    store = SQLiteStore(path)
    store.open("H:here")
    store.commit(adds(job(1)))
    info = SQLiteStore(path).info()

    assert (1, 0, 1, "H:here", 1) == (info.jobs, info.quarantined, info.schema, info.owner, info.epoch)
    store.close()


# Bad rows


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("workload = NULL", "workload: expected bytes, got None"),
        ("workload = 'text'", "workload: expected bytes, got 'text'"),
        ("handle = NULL", "handle: expected bytes, got None"),
        ("function = 7", "function: expected bytes, got 7"),
        ("priority = 9", "priority: expected 0, 1 or 2, got 9"),
        ("priority = 'high'", "priority: expected a whole number, got 'high'"),
        ("run_at = 'tomorrow'", "run_at: expected a number, got 'tomorrow'"),
        ("run_at = 9e999", "run_at: expected epoch seconds, got inf"),
        ("attempts = -1", "attempts: expected 0 or more, got -1"),
        ("error = NULL", "error: expected text, got None"),
    ],
)
def test_a_bad_row_is_told_with_its_reason_and_the_others_come_back(path: str, change: str, reason: str) -> None:
    store = prepared(path, f"UPDATE gearman_jobs SET {change} WHERE id = 3")
    store.open("server")

    found = rows(store)
    assert [job(1), job(2), BadRow(3, reason), job(4), job(5)] == found
    assert found == list(store.rows())
    store.quarantine([row for row in found if isinstance(row, BadRow)])
    assert [(3, reason)] == [(row.row, row.reason) for row in store.quarantined()]
    store.close()


def test_quarantine_shows_what_a_row_holds(path: str) -> None:
    store = prepared(path, "UPDATE gearman_jobs SET workload = NULL, function = x'ff' WHERE id = 3")
    store.open("server")
    store.quarantine([BadRow(3, "strange")])
    (row,) = store.quarantined()
    store.close()

    assert row.content.startswith(
        "handle=b'H:t:3', function=b'\\xff', unique ID=b'', priority=1, workload=None, run_at=0"
    )


# Faults while it is open


def full(db: sqlite3.Connection) -> None:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")


def has_room(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA max_page_count = 1000000")


def read_only(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA query_only = ON")


def writable(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA query_only = OFF")


@pytest.mark.parametrize(
    ("break_it", "repair", "text"),
    [
        (full, has_room, "database or disk is full"),
        (read_only, writable, "attempt to write a readonly database"),
    ],
)
def test_a_commit_that_failed_leaves_nothing_and_the_next_one_works(
    path: str, break_it: Callable[[Any], None], repair: Callable[[Any], None], text: str
) -> None:
    store = SQLiteStore(path)
    store.open("server")
    store.commit(adds(job(1)))
    break_it(store._db)

    with pytest.raises(StorageError, match=f"jobs.db could not be written: {text}"):
        store.commit(adds(*[job(row, b"x" * 5000) for row in range(2, 600)]))
    repair(store._db)
    store.commit(adds(job(1000)))

    store.close()
    assert [job(1), job(1000)] == list(SQLiteStore(path).rows())


def test_a_file_that_another_program_has_locked(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gearman_trio.storage.sqlite._BUSY_SECONDS", 0.0)

    @contextmanager
    def locked() -> Generator[None]:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
        other.close()

    check_store_fault(lambda: SQLiteStore(path), locked)
    with locked(), pytest.raises(StorageError, match="cannot be opened: database is locked"):
        SQLiteStore(path).open("server")
