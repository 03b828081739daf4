"""Stores in memcached: the conformance kit, the lease, several servers, and what a cache does not promise."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from gearman_trio import ConfigError, StorageError
from gearman_trio.storage import BadRow, Batch, Store, StoredJob, make_store, migrate
from gearman_trio.storage.memcached import MemcachedStore
from gearman_trio.testing import STORE_CHECKS

from .databases import running
from .keyvalue import Memcached
from .kill import kill_again_and_again
from .test_sqlite import adds, job

needs_memcached = [pytest.mark.interop, pytest.mark.slow]

Make = Callable[[], Store]

numbers = count(1)


@pytest.fixture(scope="module")
def servers() -> Generator[list[Memcached]]:
    with ExitStack() as stack:
        found = []
        for _ in range(3):
            server = stack.enter_context(running(Memcached))
            assert isinstance(server, Memcached)
            found.append(server)
        yield found


@pytest.fixture
def prefix() -> str:
    """One that no other test has used."""
    return f"test{next(numbers)}"


@pytest.fixture(params=[1, 3], ids=["one", "three"])
def url(request: pytest.FixtureRequest, servers: list[Memcached], prefix: str) -> str:
    return url_of(servers[: request.param], prefix)


def url_of(servers: list[Memcached], prefix: str) -> str:
    return f"memcached://{','.join(f'127.0.0.1:{each.port}' for each in servers)}?prefix={prefix}"


def make(url: str) -> MemcachedStore:
    store = make_store(url)
    assert isinstance(store, MemcachedStore)
    return store


def content(url: str) -> list[StoredJob | BadRow]:
    return list(make(url).rows())


def opened(url: str, *jobs: StoredJob) -> MemcachedStore:
    store = make(url)
    store.open("server")
    store.commit(adds(*jobs))
    return store


class TestServer:
    pytestmark = needs_memcached

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    def test_conformance(self, check: Callable[[Make], None], url: str) -> None:
        check(partial(make, url))

    def test_it_says_that_it_is_a_cache(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        opened(url).close()

        (message,) = caplog.messages
        assert "memcached://127.0.0.1:" in message
        assert "a cache, not durable: jobs are lost when memcached ends" in message

    def test_rows_are_spread_and_found_where_they_are(self, servers: list[Memcached], prefix: str) -> None:
        jobs = [job(row) for row in range(1, 31)]
        opened(url_of(servers[:2], prefix), *jobs).close()

        # The same servers and one more, in another order.
        url = url_of(servers[::-1], prefix)
        store = make(url)
        # Neither the lock nor the meta is there.
        assert (31, 1) == ((state := store.open("server")).next_row, state.epoch)
        assert jobs == [row for chunk in store.replay() for row in chunk]
        batch = adds(job(31))
        batch.removes = [1, 2, 3, 4, 5, 6]
        store.commit(batch)
        store.quarantine([BadRow(7, "strange")])
        store.close()

        assert [job(row) for row in range(8, 32)] == content(url)

    def test_prefixes_do_not_touch_each_other(self, url: str) -> None:
        opened(url, job(1)).close()
        opened(f"{url}%3A", job(1, b"other")).close()

        assert ([job(1)], [job(1, b"other")]) == (content(url), content(f"{url}%3A"))

    def test_the_largest_workload_fits_and_a_larger_one_is_refused(self, servers: list[Memcached], prefix: str) -> None:
        url = url_of(servers[:1], prefix)
        store = make(url)
        most = store.open("server").max_workload_bytes
        large = job(1, bytes(most))

        store.commit(adds(large))
        with pytest.raises(StorageError, match=r"row 3 has \d+ bytes, expected at most"):
            store.commit(adds(job(2), job(3, bytes(most + 16_384))))

        store.close()
        assert [large] == content(url)

    def test_a_bad_record_is_told(self, servers: list[Memcached], prefix: str) -> None:
        url = url_of(servers[:1], prefix)
        store = opened(url, job(1), job(2))
        store._write("job", {1: b"nonsense"})
        store._clients[0].set(f"{prefix}:job:none", b"of somebody else", noreply=False)
        store.close()

        assert [BadRow(1, "expected a line of JSON and the workload, got b'nonsense'"), job(2)] == content(url)

    def test_a_newer_schema_is_refused(self, url: str, prefix: str) -> None:
        store = opened(url)
        store._clients[0].set(f"{prefix}:meta", b'{"schema": 99}', noreply=False)
        store.close()

        with pytest.raises(StorageError, match="keys have version 99, expected at most 1"):
            make(url).open("server")
        with pytest.raises(StorageError, match="newer version"):
            make(url).info()

    def test_a_meta_that_is_something_else(self, url: str, prefix: str) -> None:
        store = opened(url)
        store._clients[0].set(f"{prefix}:meta", b"nonsense", noreply=False)
        store.close()

        with pytest.raises(StorageError, match="cannot be opened: JSONDecodeError"):
            make(url).open("server")

    def test_a_store_that_was_never_made(self, url: str, prefix: str) -> None:
        with pytest.raises(StorageError, match=f"holds no jobs of gearman_trio: it has no key {prefix}:meta"):
            make(url).info()

    def test_a_server_that_is_not_there(self) -> None:
        with pytest.raises(StorageError, match=r"memcached://127.0.0.1:1 cannot be opened: .*refused"):
            make("memcached://127.0.0.1:1").open("server")
        with pytest.raises(StorageError, match=r"cannot be read: .*refused"):
            make("memcached://127.0.0.1:1").info()

    def test_a_server_without_a_dump(self, prefix: str) -> None:
        error = pytest.raises(StorageError, match=r"expected the keys of 127.0.0.1:\d+, got b'.*ERROR")
        with running(NoDump) as server, error:
            make(f"{server.url}?prefix={prefix}").open("server")

    def test_jobs_move_in_and_out(self, url: str, tmp_path: Path) -> None:
        opened(url, *map(job, range(1, 2501))).close()
        file = f"sqlite:{tmp_path}/jobs.db"

        migrate(url, file)
        assert [] == content(url)
        done = migrate(file, f"{url}back")

        assert 2500 == done.moved
        assert [job(row) for row in range(1, 2501)] == content(f"{url}back")


class NoDump(Memcached):
    def command(self) -> list[str]:
        return [*super().command(), "-o", "no_lru_crawler,no_lru_maintainer"]


class TestLease:
    pytestmark = needs_memcached

    def test_the_holder_is_named(self, url: str) -> None:
        store = opened(url)

        with pytest.raises(StorageError, match="in use by another job server, server; two servers cannot share"):
            make(url).open("other")
        store.close()

    def test_a_server_that_died_does_not_keep_it(self, url: str) -> None:
        store = opened(url, job(1))
        # Nobody renews it any more, as after a kill, or in a long pause.
        assert store._lease is not None
        store._lease._over.set()
        other = make(url)
        other.open("other")

        with pytest.raises(StorageError, match="in use by another job server meanwhile, other"):
            store.commit(adds(job(2)))

        store.close()
        # That has not taken it from the other one.
        other.commit(adds(job(3)))
        other.close()
        assert [job(1), job(3)] == content(url)

    async def test_nothing_is_lost_when_the_job_server_is_killed(self, servers: list[Memcached], prefix: str) -> None:
        books = await kill_again_and_again(url_of(servers, prefix), 2, seed=7)

        assert set() == books.lost

    def test_a_store_goes_on_when_memcached_is_back_with_nothing_in_it(
        self, servers: list[Memcached], prefix: str
    ) -> None:
        url = url_of(servers[:1], prefix)
        store = opened(url, job(1))
        batch = Batch(1)
        batch.last_handle = 7
        store.commit(batch)
        servers[0].kill()
        with pytest.raises(StorageError, match="could not be written"):
            store.commit(adds(job(2)))
        servers[0].start()

        store.commit(adds(job(2), job(3)))

        with pytest.raises(StorageError, match="in use by another job server"):
            make(url).open("other")
        store.close()
        assert [job(2), job(3)] == content(url)
        store = make(url)
        state = store.open("server")
        store.close()
        assert (4, 7, 2) == (state.next_row, state.last_handle, state.epoch)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("memcached://a", "memcached://a:11211"),
        ("memcached://a:1,b,10.0.0.1:3/", "memcached://a:1,b:11211,10.0.0.1:3"),
        ("memcached://[::1]:5", "memcached://[::1]:5"),
    ],
)
def test_servers_are_those_of_the_url(url: str, name: str) -> None:
    assert name == make(url).name


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("memcached:", "expected memcached://HOST:PORT,HOST:PORT, got server ''"),
        ("memcached://a,,b", "got server ''"),
        ("memcached://a/b", "got server 'a/b'"),
        ("memcached://user:secret@a", "got server"),
        ("memcached://a:port", "Port could not be cast"),
        ("memcached://a?table=x", "option 'table' is not known; expected prefix, durability"),
        ("memcached://a?prefix=%20", "prefix: expected 1 to 100 printable ASCII characters"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make(url)


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymemcache", None)

    with pytest.raises(ConfigError, match=r"needs the package pymemcache.*pip install 'gearman-trio\[memcached\]'"):
        make_store("memcached://h")
