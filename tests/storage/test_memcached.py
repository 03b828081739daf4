"""Stores in memcached: the conformance kit, the lease, several servers, and what a cache does not promise."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from subprocess import Popen

import pytest

from gearman_trio import ConfigError, StorageError
from gearman_trio.storage import BadRow, Batch, JobUpdate, Store, StoredJob, make_store, migrate
from gearman_trio.storage.memcached import MemcachedStore
from gearman_trio.storage.memcached_server import Index, MemcachedServer
from gearman_trio.testing import STORE_CHECKS, check_store_fault

from .databases import content, running
from .keyvalue import Memcached
from .proxy import network
from .test_sqlite import adds, job

needs_memcached = [pytest.mark.interop, pytest.mark.slow]

Make = Callable[[], Store]


@pytest.fixture
def servers(memcached: list[Memcached]) -> list[Memcached]:
    return memcached


@pytest.fixture(params=[1, 3], ids=["one", "three"])
def url(request: pytest.FixtureRequest, servers: list[Memcached], prefix: str) -> str:
    return url_of(servers[: request.param], prefix)


def url_of(servers: list[Memcached], prefix: str) -> str:
    return f"memcached://{','.join(f'127.0.0.1:{each.port}' for each in servers)}?prefix={prefix}"


def make(url: str) -> MemcachedStore:
    store = make_store(url)
    assert isinstance(store, MemcachedStore)
    return store


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

    def test_rows_are_spread_over_the_servers(self, servers: list[Memcached], prefix: str) -> None:
        jobs = [job(row) for row in range(1, 2001)]
        # In any order.
        opened(url_of(servers, prefix), *jobs).close()
        url = url_of(servers[::-1], prefix)

        store = make(url)
        # Eight segments of 256.
        assert 2048 == store.open("server").next_row
        assert jobs == [row for chunk in store.replay() for row in chunk]
        assert [[0, 3, 6], [1, 4, 7], [2, 5]] == [server.segments("job") for server in store._servers]
        store.close()

    def test_servers_that_are_not_those_that_it_was_made_with(self, servers: list[Memcached], prefix: str) -> None:
        opened(url_of(servers[:2], prefix), job(1)).close()

        text = "was made with other servers, 127.0.0.1:.*use those, or move its jobs to another prefix"
        for others in (servers, servers[:1], servers[1:2], servers[1:]):
            with pytest.raises(StorageError, match=text):
                make(url_of(others, prefix)).open("server")
            with pytest.raises(StorageError, match=text):
                make(url_of(others, prefix)).info()

        migrate(url_of(servers[:2], prefix), url_of(servers, f"{prefix}new"))
        assert [job(1)] == content(url_of(servers, f"{prefix}new"))

    def test_what_is_written_down_follows_what_is_there(self, servers: list[Memcached], prefix: str) -> None:
        url = url_of(servers[:1], prefix)
        store = opened(url, *map(job, range(1, 256 * 80)))
        (server,) = store._servers
        batch = Batch(1)
        batch.removes = [row for row in range(1, 256 * 80) if row not in (1000, 20_000)]
        store.commit(batch)
        store.commit(adds(job(256 * 80)))

        assert [(3, 3), (78, 78), (80, 80)] == written_down(server).job
        assert [row.row for row in store.rows()] == [1000, 20_000, 256 * 80]
        store.close()
        # Another one goes on in a segment of its own, and reads what is there.
        store = make(url)
        assert 256 * 81 == store.open("server").next_row
        assert [job(1000), job(20_000), job(256 * 80)] == [row for chunk in store.replay() for row in chunk]
        store.close()

    def test_a_job_is_there_while_it_is_updated_and_cannot_be(self, prefix: str) -> None:
        with running(Small) as server:
            url = f"{server.url}?prefix={prefix}"
            store = opened(url, job(1, b"x" * 1000))
            with pytest.raises(StorageError, match=r"could not be written: .*out of memory"):
                store.commit(adds(*(job(row, bytes(6000)) for row in range(2, 5000))))
            batch = Batch(1)
            # It would need another place, as large as that of one of the others.
            batch.updates = [JobUpdate(1, 1, "e" * 5000)]
            with pytest.raises(StorageError, match=r"could not be written: .*out of memory"):
                store.commit(batch)

            assert job(1, b"x" * 1000) == next(iter(store.rows()))
            store.close()

    def test_what_was_thrown_away_is_told(self, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
        with running(Cache) as server:
            url = f"{server.url}?prefix={prefix}"
            store = opened(url, *(job(row, bytes(200_000)) for row in range(1, 100)))
            assert "it may throw jobs away when its memory is full; expected memcached to run with -M" in caplog.text
            assert "items away" not in caplog.text

            store._servers[0]._looked = -inf
            store.commit(Batch(1))

            assert "items away for want of memory, jobs perhaps" in caplog.text
            caplog.clear()
            store._servers[0]._looked = -inf
            store.commit(Batch(1))
            store.close()
            opened(url).close()
            assert "items away" not in caplog.text
            # What happened while nobody looked is told at the next start.
            with server.client() as client:
                for number in range(100):
                    client.set(f"other{number}", bytes(200_000), noreply=False)
            opened(url).close()
            assert "items away" in caplog.text

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
        store._servers[0].write({1: b"nonsense"})
        with servers[0].client() as client:
            client.set(f"{prefix}:job:none", b"of somebody else", noreply=False)
        store.close()

        assert [BadRow(1, "expected a line of JSON and the workload, got b'nonsense'"), job(2)] == content(url)

    def test_keys_are_those_of_the_documentation(self, servers: list[Memcached], prefix: str) -> None:
        store = opened(url_of(servers[:1], prefix), job(1, b"a\0\xff"), job(2))
        store.quarantine([BadRow(2, "strange")])
        keys = [f"{prefix}:{name}" for name in ("job:1", "quarantine:2", "index", "lock")]

        with servers[0].client() as client:
            found = client.get_many(keys)
            assert set(keys) == set(found)
        assert found[keys[0]].endswith(b'"epoch": 1}\na\0\xff')
        assert re.match(rb'\d+ strange\n{"handle": "H:t:2"', found[keys[1]])
        index = json.loads(found[keys[2]])
        assert ([f"127.0.0.1:{servers[0].port}"], "server", 1, [[0, 0]]) == (
            index["servers"],
            index["owner"],
            index["epoch"],
            index["job"],
        )
        store.close()

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            (b'{"schema": 99}', "keys have version 99, expected at most 1"),
            (b"nonsense", "cannot be opened: Expecting value"),
            (b"[]", "cannot be opened: list indices"),
            (b"{}", "cannot be opened: 'schema'"),
            (b'{"schema": 1, "job": 5}', "cannot be opened: 'int' object is not iterable"),
        ],
    )
    def test_an_index_that_is_something_else(
        self, servers: list[Memcached], url: str, prefix: str, text: bytes, error: str
    ) -> None:
        with servers[0].client() as client:
            client.set(f"{prefix}:index", text, noreply=False)

        with pytest.raises(StorageError, match=error):
            make(url).open("server")
        with pytest.raises(StorageError, match=error.replace("opened", "read")):
            make(url).info()

    def test_a_store_that_was_never_made(self, url: str, prefix: str) -> None:
        with pytest.raises(StorageError, match=f"holds no jobs of gearman_trio: it has no key {prefix}:index"):
            make(url).info()

    def test_a_server_that_is_not_there(self) -> None:
        with pytest.raises(StorageError, match=r"memcached://127.0.0.1:1 cannot be opened: .*refused"):
            make("memcached://127.0.0.1:1").open("server")
        with pytest.raises(StorageError, match=r"cannot be read: .*refused"):
            make("memcached://127.0.0.1:1").info()

    def test_jobs_move_in_and_out(self, url: str, tmp_path: Path) -> None:
        opened(url, *map(job, range(1, 2501))).close()
        file = f"sqlite:{tmp_path}/jobs.db"

        migrate(url, file)
        assert [] == content(url)
        done = migrate(file, f"{url}back")

        assert 2500 == done.moved
        assert [job(row) for row in range(1, 2501)] == content(f"{url}back")


class Cache(Memcached):
    def command(self) -> list[str]:
        return [*super().command()[:-1], "-m", "10"]


class Small(Memcached):
    def command(self) -> list[str]:
        return [*super().command(), "-m", "10"]


def written_down(server: MemcachedServer) -> Index:
    index = server.read_index()
    assert index is not None
    return index


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

    def test_a_server_that_was_killed_on_this_machine_is_not_waited_for(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Popen(["true"]) as process:
            pass
        store = opened(url, job(1))
        assert store._lease is not None
        store._lease._over.set()
        monkeypatch.setattr("gearman_trio.storage.lease.os.getpid", lambda: process.pid)
        store._lease.doubt()
        store._lease.check()
        monkeypatch.undo()

        other = make(url)
        other.open("other")

        with pytest.raises(StorageError, match="in use by another job server meanwhile, other"):
            store.commit(adds(job(2)))
        store.close()
        other.close()

    def test_an_old_owner_that_has_not_noticed_writes_nothing(self, url: str) -> None:
        store = opened(url, job(1))
        assert store._lease is not None
        store._lease.release()
        other = make(url)
        other.open("other")
        # As where it was stopped for some time between its last look and its commit.
        store._lease._renewed = time.monotonic()

        with pytest.raises(StorageError, match="in use by another job server meanwhile, other"):
            store.commit(adds(job(2)))

        other.close()
        assert [job(1)] == content(url)

    def test_a_store_goes_on_when_the_network_is_back(self, servers: list[Memcached], prefix: str) -> None:
        with network(servers[0].port) as net:
            url = f"memcached://127.0.0.1:{net.port}?prefix={prefix}"
            check_store_fault(partial(make, url), net.cut_off)

    def test_a_store_goes_on_when_memcached_is_back_with_nothing_in_it(
        self, servers: list[Memcached], prefix: str, caplog: pytest.LogCaptureFixture
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

        assert "it has lost what was stored before" in caplog.text
        with pytest.raises(StorageError, match="in use by another job server"):
            make(url).open("other")
        store.close()
        assert [job(2), job(3)] == content(url)
        store = make(url)
        state = store.open("server")
        store.close()
        assert (256, 7, 2) == (state.next_row, state.last_handle, state.epoch)

    def test_one_of_several_that_is_gone_is_needed_and_loses_its_own(
        self, servers: list[Memcached], prefix: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = url_of(servers[:2], prefix)
        store = opened(url, job(255), job(256))
        gone = next(each for each in servers if store._servers[1].address.endswith(f":{each.port}"))
        gone.kill()
        # What is on the other one alone can be stored.
        store.commit(adds(job(257 + 255)))
        address = f"127.0.0.1:{gone.port}"
        with pytest.raises(StorageError, match=rf"could not be written: {address}: it closed the connection"):
            store.commit(Batch(1))
        with pytest.raises(StorageError, match=rf"could not be written: {address}: .*refused"):
            store.commit(Batch(1))
        gone.start()
        store.close()

        opened(url).close()

        assert f"{address} has lost what was stored before" in caplog.text
        assert [job(255), job(512)] == content(url)

    def test_an_index_that_was_thrown_away_is_written_again(self, servers: list[Memcached], prefix: str) -> None:
        url = url_of(servers[:1], prefix)
        store = opened(url, job(1))
        with servers[0].client() as client:
            assert client.delete(f"{prefix}:index", noreply=False)

        store.commit(adds(job(300)))

        store.close()
        assert [job(1), job(300)] == content(url)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("memcached://a", "memcached://a:11211"),
        ("memcached://b:1,a,b:1,10.0.0.1:3/", "memcached://10.0.0.1:3,a:11211,b:1"),
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
