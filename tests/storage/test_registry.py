"""Stores by their URL."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from gearman_trio import ConfigError
from gearman_trio.storage import Durability, SQLiteStore, make_store, schemes
from gearman_trio.storage.gearmand import gearmand_queue
from gearman_trio.storage.names import shown_url
from gearman_trio.storage.places import Place, place_of
from gearman_trio.storage.registry import parse_url
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
    [
        ("sqlite:jobs.db", "jobs.db"),
        ("sqlite:///var/jobs.db", "///var/jobs.db"),
        ("sqlite:/var/jobs.db", "/var/jobs.db"),
        ("SQLite:a:b.db", "a:b.db"),
    ],
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
        ("sqlite:x?table", "store 'sqlite:x.table': expected NAME=VALUE behind the question mark, with & between"),
        ("sqlite::memory:", "would keep nothing; expected the path of a file, or memory: alone"),
        ("sqlite://jobs.db", "expected sqlite:PATH, that is sqlite:jobs.db or sqlite:/jobs.db"),
        ("postgresql:jobs", "store 'postgresql:jobs': expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("mysql:", "store 'mysql:': expected mysql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("redis:", "store 'redis:': expected redis://USER:PASSWORD@HOST:PORT/NUMBER"),
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
        ("postgresql://h/d?sslpassword=secret&x=y", "postgresql://h/d?sslpassword=***&x=y"),
        ("mysql://u:s/e?c#r@e:t@h/d", "mysql://u:***@h/d"),
        ("sqlite:jobs.db", "sqlite:jobs.db"),
    ],
)
def test_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert shown == shown_url(url)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "redis", "rediss", "gearmand+postgresql"])
@pytest.mark.parametrize("password", ["se/cret", "se?cret", "se?c=ret", "%secret", "secret@%"])
def test_a_password_that_is_not_written_as_urls_want_it(scheme: str, password: str) -> None:
    make: Callable[[str], object] = gearmand_queue if scheme.startswith("gearmand") else make_store

    with pytest.raises(ConfigError, match=r"written .*%3F") as caught:
        make(f"{scheme}://user:{password}@host/jobs")

    assert "cret" not in str(caught.value)
    assert "c=" not in str(caught.value)


def test_error_does_not_tell_the_password() -> None:
    with pytest.raises(ConfigError) as caught:
        make_store("mysql://user:secret@host/jobs?nonsense=1")

    assert "secret" not in str(caught.value)
    assert "nonsense" in str(caught.value)


def test_parts_of_a_place_are_decoded() -> None:
    place = place_of(parse_url("mysql://us%40er:p%2Fa%3Fs%23s%25@[::1]:77/jo%20bs"), "")

    assert Place(user="us@er", password="p/a?s#s%", host="::1", port=77, path="jo bs") == place


def test_parts_that_are_not_there() -> None:
    assert Place(user="", password="", host="", port=None, path="") == place_of(parse_url("redis://"), "")
