"""Stores by their URL."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from gearman_trio import ConfigError
from gearman_trio.storage import Durability, SQLiteStore, make_store, schemes
from gearman_trio.storage.names import shown_url
from gearman_trio.testing import MemoryStore

MEMORY = MemoryStore()


def make_plugin(url: object) -> MemoryStore:
    return MEMORY


def sqlite(url: str, durability: str | None = None) -> SQLiteStore:
    store = make_store(url, durability=durability)
    assert isinstance(store, SQLiteStore)
    return store


def test_memory_is_no_store() -> None:
    assert make_store("memory:") is None


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:jobs.db", "jobs.db"), ("sqlite:/var/jobs.db", "/var/jobs.db"), ("SQLite:a:b.db", "a:b.db")],
)
def test_the_path_is_what_follows_the_colon(url: str, path: str) -> None:
    assert (path, "gearman", Durability.FULL) == (sqlite(url)._path, sqlite(url)._table, sqlite(url)._durability)


def test_options_follow_the_question_mark() -> None:
    store = sqlite("sqlite:jobs.db?table=mine&durability=off")

    assert ("mine", Durability.OFF) == (store._table, store._durability)


def test_durability_that_is_asked_for_apart_counts() -> None:
    assert Durability.NORMAL == sqlite("sqlite:jobs.db?durability=off", "normal")._durability


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("jobs.db", "store 'jobs.db': expected a URL that begins with mariadb:, memcached:, memory:, .*sqlite:"),
        ("", "store '': expected a URL that begins with"),
        ("oracle:x", "store 'oracle:x': expected a URL that begins with"),
        ("sqlite:", "expected the path of a file after 'sqlite:'"),
        ("sqlite:x?tabel=y", "option 'tabel' is not known; expected table, durability"),
        ("sqlite:x?durability=yes", "durability: expected full, normal, off, got 'yes'"),
        ("sqlite:x?table", "store 'sqlite:x.table': bad query field"),
        ("memory:x", "expected 'memory:' and nothing else"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make_store(url)


def test_a_package_may_bring_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("plug", f"{__name__}:make_plugin", "gearman_trio.stores")
    monkeypatch.setattr(EntryPoint, "load", lambda self: make_plugin)
    monkeypatch.setattr("gearman_trio.storage.registry._plugins", lambda: [point])

    assert MEMORY is make_store("plug:anything")
    assert "plug" in schemes()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://user:secret@host:3306/jobs", "mysql://user:***@host:3306/jobs"),
        ("redis://:s%40cret@host/0?prefix=x", "redis://:***@host/0?prefix=x"),
        ("postgresql://host:5432/jobs?password=secret&x=y", "postgresql://host:5432/jobs?password=***&x=y"),
        ("postgresql://host:5432/jobs", "postgresql://host:5432/jobs"),
        ("sqlite:jobs.db", "sqlite:jobs.db"),
    ],
)
def test_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert shown == shown_url(url)


def test_error_does_not_tell_the_password() -> None:
    with pytest.raises(ConfigError) as caught:
        make_store("mysql://user:secret@host/jobs?nonsense=1")

    assert "secret" not in str(caught.value)
    assert "nonsense" in str(caught.value)
