"""Stores in Redis: the conformance kit, the lock, what the server's settings mean, and kills."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial

import pytest
import redis

from gearman_trio import ConfigError, StorageError
from gearman_trio.core import JobUpdate
from gearman_trio.storage import BadRow, Batch, Durability, Store, StoredJob, make_store, migrate
from gearman_trio.storage.doubts import doubts
from gearman_trio.storage.redis import RedisStore
from gearman_trio.storage.redis_place import redis_url
from gearman_trio.storage.registry import parse_url
from gearman_trio.testing import STORE_CHECKS, check_store_fault

from .databases import content, running
from .keyvalue import Redis
from .test_sqlite import adds, job

needs_redis = [pytest.mark.interop, pytest.mark.slow]

Make = Callable[[], Store]


@pytest.fixture
def server(redis_server: Redis) -> Redis:
    return redis_server


@pytest.fixture
def client(server: Redis) -> Generator[redis.Redis]:
    with server.client() as client:
        yield client


@pytest.fixture
def url(server: Redis, prefix: str) -> str:
    return f"{server.url}?prefix={prefix}"


def make(url: str) -> RedisStore:
    store = make_store(url)
    assert isinstance(store, RedisStore)
    return store


def opened(url: str, *jobs: StoredJob) -> RedisStore:
    store = make(url)
    store.open("server")
    store.commit(adds(*jobs))
    return store


class TestServer:
    pytestmark = needs_redis

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    def test_conformance(self, check: Callable[[Make], None], url: str) -> None:
        check(partial(make, url))

    def test_keys_are_those_of_the_documentation(self, client: redis.Redis, url: str, prefix: str) -> None:
        store = opened(url, job(1, b"a\0\xff"), job(2))
        store.quarantine([BadRow(2, "strange")])

        keys = [f"{prefix}:{kind}".encode() for kind in ("jobs", "lock", "meta", "quarantine")]
        assert keys == sorted(client.keys(f"{prefix}:*"))
        store.close()
        (record,) = client.hgetall(f"{prefix}:jobs").values()
        assert (
            b'{"handle": "H:t:1", "function": "f", "unique_id": "", "priority": 1, "run_at": 0.0, "reducer": "", '
            b'"attempts": 0, "created": 5.0, "background": true, "error": "", "epoch": 1}\na\0\xff'
        ) == record
        assert {b"schema": b"1", b"epoch": b"1", b"owner": b"server", b"last_handle": b"0"} == client.hgetall(
            f"{prefix}:meta"
        )

    def test_prefixes_do_not_touch_each_other(self, server: Redis, url: str) -> None:
        first, second = opened(url, job(1)), opened(f"{url}other", job(1, b"other"))

        first.close()
        second.close()

        assert ([job(1)], [job(1, b"other")]) == (content(url), content(f"{url}other"))

    @pytest.mark.parametrize(
        ("record", "reason"),
        [
            (b"", "expected a line of JSON and the workload, got b''"),
            (b"[1]\nw", "expected a line of JSON"),
            (b'{"handle": "h"}', "expected a line of JSON"),
            (b'{"handle": "\\u0100"}\n', "handle: expected bytes, got '\u0100'"),
            (b'{"handle": "h"}\nw', "function: expected bytes, got None"),
        ],
    )
    def test_a_bad_record_is_told_and_shown(
        self, client: redis.Redis, url: str, prefix: str, record: bytes, reason: str
    ) -> None:
        opened(url, job(1), job(2)).close()
        client.hset(f"{prefix}:jobs", "1", record)
        client.hset(f"{prefix}:jobs", "no row", b"of somebody else")

        store = make(url)
        store.open("server")
        (bad, good) = next(store.replay())

        assert isinstance(bad, BadRow)
        assert (1, job(2)) == (bad.row, good)
        assert bad.reason.startswith(reason)
        store.quarantine([bad])
        assert [(1, bad.reason)] == [(row.row, row.reason) for row in store.quarantined()]
        store.close()
        assert [job(2)] == content(url)

    def test_a_bad_record_is_not_updated(self, client: redis.Redis, url: str, prefix: str) -> None:
        store = opened(url, job(1))
        client.hset(f"{prefix}:jobs", "1", b"bad")
        batch = Batch(1)
        batch.updates = [JobUpdate(1, 1, "lost")]

        store.commit(batch)

        store.close()
        assert b"bad" == client.hget(f"{prefix}:jobs", "1")

    def test_large_records_are_spread_over_commands(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gearman_trio.storage.redis._COMMAND_BYTES", 1000)
        jobs = [job(row, bytes(400)) for row in range(1, 6)]

        opened(url, *jobs).close()

        assert jobs == content(url)

    def test_a_workload_of_many_megabytes(self, url: str) -> None:
        jobs = [job(1, bytes(range(256)) * 100_000), job(2)]

        opened(url, *jobs).close()

        assert jobs == content(url)

    def test_a_newer_schema_is_refused(self, client: redis.Redis, url: str, prefix: str) -> None:
        client.hset(f"{prefix}:meta", "schema", "99")

        with pytest.raises(StorageError, match="keys have version 99, expected at most 1"):
            make(url).open("server")
        with pytest.raises(StorageError, match="newer version"):
            make(url).info()

    def test_a_store_that_was_never_made(self, url: str, prefix: str) -> None:
        with pytest.raises(StorageError, match=f"holds no jobs of gearman_trio: it has no key {prefix}:meta"):
            make(url).info()

    def test_a_key_of_another_kind(self, client: redis.Redis, url: str, prefix: str) -> None:
        client.set(f"{prefix}:jobs", b"text")

        with pytest.raises(StorageError, match="cannot be opened: WRONGTYPE"):
            make(url).open("server")

    def test_a_server_that_is_not_there(self) -> None:
        with pytest.raises(StorageError, match=r"redis://127.0.0.1:1/0 cannot be opened: .*refused"):
            make("redis://127.0.0.1:1/0").open("server")
        with pytest.raises(StorageError, match=r"cannot be read: .*refused"):
            make("redis://127.0.0.1:1/0").info()

    def test_full_memory_refuses_the_whole_batch(self, client: redis.Redis, url: str) -> None:
        store = opened(url, job(1))
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(StorageError, match=r"could not be written: .*memory"):
                store.commit(adds(job(2), job(3)))
        finally:
            client.config_set("maxmemory", 0)

        store.commit(adds(job(4)))

        store.close()
        assert [job(1), job(4)] == content(url)

    def test_settings_are_looked_at(
        self, client: redis.Redis, server: Redis, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        opened(url).close()
        assert [] == caplog.messages
        client.config_set("appendfsync", "everysec")
        try:
            opened(url).close()
        finally:
            client.config_set("appendfsync", "always")

        assert [
            f"{server.url}: durability is full, but appendfsync is everysec: "
            "the last jobs may be lost in a power cut; expected always"
        ] == caplog.messages

    def test_settings_that_are_not_shown(
        self, client: redis.Redis, server: Redis, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        client.acl_setuser("shy", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-config"])
        store = opened(url.replace("redis://", "redis://shy:secret@"), job(1))

        assert "its settings cannot be seen; for durability full" in caplog.text
        assert "secret" not in store.name + caplog.text
        store.close()
        assert [job(1)] == content(url)


class TestLock:
    pytestmark = needs_redis

    def test_the_holder_is_named(self, url: str) -> None:
        store = opened(url)

        with pytest.raises(StorageError, match="in use by another job server, server; two servers cannot share"):
            make(url).open("other")
        store.close()

    def test_a_server_that_died_does_not_keep_it(self, client: redis.Redis, url: str, prefix: str) -> None:
        store = opened(url, job(1))
        holder = client.get(f"{prefix}:lock")
        assert isinstance(holder, bytes)
        client.client_kill_filter(_id=holder.split()[1].decode())
        other = make(url)
        other.open("other")

        # The first one is still there, as after a long pause.
        with pytest.raises(StorageError, match="could not be written"):
            store.commit(adds(job(2)))
        with pytest.raises(StorageError, match="in use by another job server, other"):
            store.commit(adds(job(2)))
        other.close()
        with pytest.raises(StorageError, match="has been used by another job server meanwhile"):
            store.commit(adds(job(2)))
        store.close()
        assert [job(1)] == content(url)

    def test_a_connection_that_is_half_open_is_replaced(self, client: redis.Redis, url: str) -> None:
        store = opened(url, job(1))
        # What a cut network leaves: the server has not noticed that the connection is gone.
        lost, store._connection = store._connection, None

        store.commit(adds(job(2)))

        with pytest.raises(redis.ConnectionError):
            lost.read_response()
        with pytest.raises(StorageError, match="in use by another job server, server"):
            make(url).open("other")
        store.close()
        assert [job(1), job(2)] == content(url)


class TestKilled:
    pytestmark = needs_redis

    def test_a_store_goes_on_when_redis_is_back(self, server: Redis, url: str) -> None:
        check_store_fault(partial(make, url), server.killed)

    def test_a_redis_that_lost_everything_is_told(
        self, client: redis.Redis, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = opened(url, job(1))
        client.flushall()
        store._connection.disconnect()
        store._connection = None
        store._last_handle = 7

        store.commit(adds(job(2)))

        assert "it has lost what was stored before" in caplog.text
        store.close()
        assert [job(2)] == content(url)
        state = make(url).open("server")
        assert (2, 7) == (state.epoch, state.last_handle)


@pytest.mark.interop
@pytest.mark.slow
def test_jobs_move_in_and_out(url: str, tmp_path: object) -> None:
    opened(url, *map(job, range(1, 2501))).close()
    file = f"sqlite:{tmp_path}/jobs.db"

    migrate(url, file)
    assert [] == content(url)
    done = migrate(file, f"{url}back")

    assert 2500 == done.moved
    assert [job(row) for row in range(1, 2501)] == content(f"{url}back")


GOOD = {"appendonly": "yes", "appendfsync": "always", "maxmemory": "0", "maxmemory-policy": "noeviction"}


@pytest.mark.parametrize(
    ("changes", "durability", "words"),
    [
        ({}, "full", []),
        ({"appendonly": "no"}, "full", ["appendonly is no"]),
        ({"appendonly": "no"}, "normal", ["appendonly is no"]),
        ({"appendonly": "no"}, "off", []),
        ({"appendfsync": "everysec"}, "full", ["appendfsync is everysec"]),
        ({"appendfsync": "everysec"}, "normal", []),
        ({"maxmemory-policy": "allkeys-lru"}, "full", []),
        ({"maxmemory": "1", "maxmemory-policy": "allkeys-lru"}, "off", ["policy is allkeys-lru"]),
    ],
)
def test_settings_that_keep_less_than_was_asked_for(changes: dict[str, str], durability: str, words: list[str]) -> None:
    found = doubts(GOOD | changes, Durability(durability))

    assert len(words) == len(found)
    assert all(word in doubt for word, doubt in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("valkey://h/2", "redis://h/2"),
        ("redis://user:secret@h/2", "redis://h/2"),
        ("redis://user:secret@/2?unix_socket=/run/redis.sock", "redis:///run/redis.sock"),
    ],
)
def test_a_name_shows_no_password(url: str, name: str) -> None:
    assert name == make(url).name


@pytest.mark.interop
@pytest.mark.slow
def test_what_redis_py_does_not_say_that_it_raises(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(url, job(1))

    def writes(*_: object) -> None:
        raise IndexError("index out of range")

    with monkeypatch.context() as patch:
        patch.setattr(RedisStore, "_writes", writes)
        with pytest.raises(StorageError, match=r"could not be written: IndexError\('index out of range'\)"):
            store.commit(adds(job(2)))
    store.commit(adds(job(2)))
    store.close()
    assert [job(1), job(2)] == content(url)


class _OnSocket(Redis):
    def command(self) -> list[str]:
        return [*super().command(), "--unixsocket", f"{self.folder}/socket"]


@pytest.mark.interop
@pytest.mark.slow
def test_jobs_come_and_go_by_a_unix_socket() -> None:
    with running(_OnSocket) as server:
        url = f"redis:///3?unix_socket={server.folder}/socket"
        opened(url, job(1)).close()

        assert [job(1)] == content(url)
        with server.client() as client:
            assert ["db3"] == list(client.info("keyspace"))


def test_a_unix_socket_is_what_redis_py_calls_so() -> None:
    url = parse_url("redis://us%40er:pass@/2?unix_socket=/run/a b.sock&health_check_interval=9")

    assert "unix://us%40er:pass@/run/a%20b.sock?health_check_interval=9&db=2" == redis_url(url, url.options)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://h/0?prefix=", "prefix: expected 1 to 100 printable ASCII characters without blanks, got ''"),
        ("redis://h?prefix=a%20b", "prefix: expected"),
        ("redis://user:secret@h:port", r"store 'redis://user:\*\*\*@h:port': expected redis://USER"),
        ("redis://h?prefiks=a", r"store 'redis://h': option 'prefiks' is not known to redis-py"),
        ("redis://h/jobs", "with a number for the database, got 'jobs'"),
        ("rediss://h?ssl_ca_certs=/nowhere", "ssl_ca_certs: expected a file that can be read, got '/nowhere'"),
        ("rediss://h?ssl_cert_reqs=maybe", "store 'rediss://h': .*maybe"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make(url)


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)

    with pytest.raises(ConfigError, match=r"needs the package redis.*pip install 'gearman-trio\[redis\]'"):
        make_store("redis://h")
