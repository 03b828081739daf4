"""Jobs out of the queues of real gearmands, into stores of ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

import pymysql
import pytest

from gearman_trio import ConfigError, StorageError, open_client
from gearman_trio.storage import BadRow, SQLiteStore, StoredJob, migrate
from gearman_trio.storage.gearmand_keys import split_key

from ..peers import open_gearmand
from .databases import MariaDB, PostgreSQL
from .keyvalue import Memcached, Redis

interop = [pytest.mark.interop, pytest.mark.slow]

#: Function, unique ID, priority, workload, time to run at.
Job = tuple[bytes, bytes, int, bytes, float]

JOBS: list[Job] = [
    (b"f", b"u1", 1, b"first\0\xff", 0.0),
    (b"f", b"u2", 0, b"high", 0.0),
    (b"g", b"u3", 1, b"later", 4_000_000_000.0),
    (b"g", b"u4", 2, b"", 0.0),
    # As libgearman names a job that its program does not name.
    (b"re-size", b"01234567-89ab-cdef-0123-456789abcdef", 1, b"hyphens", 0.0),
    ("größe".encode(), b"", 1, b"no unique ID", 0.0),
]

NOW = [job for job in JOBS if not job[-1]]


async def fill(jobs: Sequence[Job], *arguments: str) -> None:
    """Let a gearmand keep jobs, and end it."""
    names = ("high", "normal", "low")
    async with open_gearmand(*arguments) as gearmand, open_client(f"127.0.0.1:{gearmand.port}") as client:
        for function, unique, priority, workload, run_at in jobs:
            await client.submit(
                function, workload, unique=unique, priority=names[priority], run_at=run_at if run_at else None
            )


def moved(source: str, folder: Path) -> tuple[list[Job], list[BadRow]]:
    """What comes out of a queue."""
    path = folder / "moved.db"
    path.unlink(missing_ok=True)
    done = migrate(source, f"sqlite:{path}")
    assert not done.emptied
    jobs = [row for row in SQLiteStore(str(path)).rows() if isinstance(row, StoredJob)]
    assert len(jobs) == done.moved
    assert list(range(1, 1 + len(jobs))) == [int(job.handle.rpartition(b":")[2]) for job in jobs]
    return [(job.function, job.unique, job.priority, job.workload, job.run_at) for job in jobs], done.bad


@pytest.mark.interop
async def test_the_table_in_sqlite(tmp_path: Path) -> None:
    queue = tmp_path / "queue.db"
    await fill(JOBS, "-q", "libsqlite3", "--libsqlite3-db", str(queue))

    assert (JOBS, []) == moved(f"gearmand+sqlite:{queue}", tmp_path)
    # As `--queue-type libsqlite3` has it: our tables beside those of gearmand.
    assert len(JOBS) == migrate(f"gearmand+sqlite:{queue}", f"sqlite:{queue}?table=gearman_queue").moved
    assert len(JOBS) == len(list(SQLiteStore(str(queue), table="gearman_queue").rows()))


def mysql_arguments(server: MariaDB) -> list[str]:
    parts = urlsplit(server.url)
    found = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
    found["db"] = parts.path[1:]
    return ["-q", "mysql", *(f"--mysql-{name}={value}" for name, value in found.items())]


class TestMariaDB:
    pytestmark = interop

    async def test_the_table(self, mariadb: MariaDB, tmp_path: Path) -> None:
        await fill(JOBS, *mysql_arguments(mariadb), "--mysql-table=first")

        assert (JOBS, []) == moved(f"gearmand+{mariadb.url}?table=first", tmp_path)

    async def test_a_bad_row_is_named(self, mariadb: MariaDB, tmp_path: Path) -> None:
        await fill(JOBS[:2], *mysql_arguments(mariadb), "--mysql-table=second")
        parts = urlsplit(mariadb.url)
        with pymysql.connect(
            host="127.0.0.1", port=mariadb.port, user="gearman", password=parts.password or "", database="jobs"
        ) as db:
            db.cursor().execute("UPDATE second SET priority = NULL WHERE unique_key = 'u1'")
            db.commit()

        bad = BadRow(1, "priority: expected a whole number, got None; unique_key=b'u1', function_name=b'f'")
        assert ([JOBS[1]], [bad]) == moved(f"gearmand+{mariadb.url}?table=second", tmp_path)

    def test_a_table_that_is_not_there(self, mariadb: MariaDB, tmp_path: Path) -> None:
        error = r"the queue of gearmand in mysql://127.0.0.1:\d+/jobs cannot be read: .*doesn't exist"
        with pytest.raises(StorageError, match=error):
            moved(f"gearmand+{mariadb.url}?table=none", tmp_path)


class TestPostgreSQL:
    pytestmark = interop

    async def test_the_table(self, postgresql: PostgreSQL, tmp_path: Path) -> None:
        # It refuses a time that does not fit into 31 bits.
        jobs = [(*job[:-1], 2_000_000_000.0 if job[-1] else 0.0) for job in JOBS]
        await fill(jobs, "-q", "postgres", "--libpq-conninfo", postgresql.url)

        assert (jobs, []) == moved(f"gearmand+{postgresql.url}", tmp_path)

    def test_a_table_that_is_not_there(self, postgresql: PostgreSQL, tmp_path: Path) -> None:
        error = r"the queue of gearmand in postgresql://127.0.0.1:\d+/postgres cannot be read: .*does not exist"
        with pytest.raises(StorageError, match=error):
            moved(f"gearmand+{postgresql.url}?table=none", tmp_path)

    def test_a_server_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match=r"cannot be read: .*refused"):
            moved("gearmand+postgresql://user:secret@127.0.0.1:1/jobs", tmp_path)


class TestRedis:
    pytestmark = interop

    async def test_the_keys(self, redis_server: Redis, tmp_path: Path) -> None:
        await fill(NOW, "-q", "redis", "--redis-server=127.0.0.1", f"--redis-port={redis_server.port}")

        jobs, bad = moved(f"gearmand+{redis_server.url}", tmp_path)

        # There is no order in Redis.
        assert (sorted(NOW), []) == (sorted(jobs), bad)

    async def test_a_key_that_could_be_read_in_two_ways(self, redis_server: Redis, tmp_path: Path) -> None:
        jobs: list[Job] = [(b"re-size", b"u1", 1, b"", 0.0), (b"f", b"a-b", 1, b"", 0.0), (b"g", b"c", 1, b"", 0.0)]
        prefix = "od?d-[1]"
        arguments = ["-q", "redis", "--redis-server=127.0.0.1", f"--redis-port={redis_server.port}"]
        await fill(jobs, *arguments, f"--redis-prefix={prefix}")
        url = f"gearmand+{redis_server.url}?prefix={quote(prefix)}"

        found, bad = moved(url, tmp_path)

        assert jobs[2:] == found
        reasons = [
            f"key b'{prefix}-{name}': cannot tell where the function's name ends: "
            "say which functions there are, as in ?functions=NAME,NAME"
            for name in ("f-a-b", "re-size-u1")
        ]
        assert reasons == sorted(row.reason for row in bad)
        assert (sorted(jobs), []) == (sorted((both := moved(f"{url}&functions=re-size,f", tmp_path))[0]), both[1])

    async def test_names_that_newer_versions_store(self, redis_server: Redis, tmp_path: Path) -> None:
        with redis_server.client() as client:
            fields = {"data": b"w", "priority": b"2", "function": b"a-b", "unique": b"c-d"}
            client.hset("newer-a-b-c-d", mapping=fields)
            client.set("newer-of somebody else", b"text")

        assert ([(b"a-b", b"c-d", 2, b"w", 0.0)], []) == moved(f"gearmand+{redis_server.url}?prefix=newer", tmp_path)

    def test_a_server_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match=r"the queue of gearmand in redis://127.0.0.1:1/0 cannot .*refused"):
            moved("gearmand+redis://127.0.0.1:1/0", tmp_path)


class TestMemcached:
    pytestmark = interop

    async def test_the_keys(self, memcached: list[Memcached], tmp_path: Path) -> None:
        places = ",".join(f"127.0.0.1:{each.port}" for each in memcached[:2])
        await fill(NOW, "-q", "libmemcached", f"--libmemcached-servers={places}")

        jobs, bad = moved(f"gearmand+memcached://{places}", tmp_path)

        assert (sorted(NOW), []) == (sorted(jobs), bad)

    async def test_one_server_knows_the_order(self, memcached: list[Memcached], tmp_path: Path) -> None:
        place = f"127.0.0.1:{memcached[0].port}"
        jobs = [(b"a%b", b"u%d" % number, 1, b"", 0.0) for number in range(100)]
        jobs += [(b"a-b", b"u", 2, b"\0\xff", 0.0)]
        await fill(jobs, "-q", "libmemcached", f"--libmemcached-servers={place}", "--libmemcached-prefix=order")
        url = f"gearmand+memcached://{place}?prefix=order"

        found, bad = moved(url, tmp_path)

        assert jobs[:-1] == found
        assert ["key b'ordera-b-u': cannot tell where the function's name ends"] == [
            row.reason.rpartition(": ")[0] for row in bad
        ]
        assert (jobs, []) == moved(f"{url}&functions=a-b", tmp_path)

    def test_keys_that_are_not_shown(
        self,
        memcached: list[Memcached],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        place = f"127.0.0.1:{memcached[0].port}"
        with memcached[0].client() as client:
            client.set("seenf-u", b"w", noreply=False, flags=1)
        # Older servers know the second one alone.
        monkeypatch.setattr("gearman_trio.storage.gearmand_memcached._DUMPS", ((b"none", 1), (b"all", 3)))
        assert ([(b"f", b"u", 1, b"w", 0.0)], []) == moved(f"gearmand+memcached://{place}?prefix=seen", tmp_path)

        monkeypatch.setattr("gearman_trio.storage.gearmand_memcached._keys", lambda server: {})
        assert ([], []) == moved(f"gearmand+memcached://{place}?prefix=seen", tmp_path)
        assert "items are there, and 0 were shown: some may be missing" in caplog.text
        monkeypatch.undo()

        monkeypatch.setattr("gearman_trio.storage.gearmand_memcached._DUMPS", ((b"none", 1),))
        with pytest.raises(StorageError, match=f"{place} does not show its keys"):
            moved(f"gearmand+memcached://{place}", tmp_path)

    def test_a_server_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match=r"the queue of gearmand in memcached://127.0.0.1:1 cannot .*refused"):
            moved("gearmand+memcached://127.0.0.1:1", tmp_path)


@pytest.mark.parametrize(
    ("key", "functions", "expected"),
    [
        (b"f-u", [], (b"f", b"u")),
        (b"f-", [], (b"f", b"")),
        (b"-", [], (b"", b"")),
        (b"f", [], None),
        (b"a-b-c", [], None),
        (b"a-b-c", [b"a"], (b"a", b"b-c")),
        (b"a-b-c", [b"a", b"a-b"], (b"a-b", b"c")),
        (b"a-b-01234567-89ab-cdef-0123-456789ABCDEF", [], (b"a-b", b"01234567-89ab-cdef-0123-456789ABCDEF")),
        (b"a-b-01234567-89ab-cdef-0123-456789ABCDEF", [b"a"], (b"a", b"b-01234567-89ab-cdef-0123-456789ABCDEF")),
        (b"a-01234567-89ab-cdef-0123-456789abcdef0", [], None),
    ],
)
def test_a_key_is_split_where_that_is_sure(
    key: bytes, functions: list[bytes], expected: tuple[bytes, bytes] | None
) -> None:
    assert expected == split_key(key, functions)


def test_a_queue_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"the queue of gearmand in sqlite:.* cannot be read: unable to open"):
        moved(f"gearmand+sqlite:{tmp_path}/none.db", tmp_path)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("gearmand+tokyo:a", r"expected a URL that begins with gearmand\+mariadb:, .*gearmand\+valkey:"),
        ("gearmand+sqlite:a?table=a;b", "table: expected up to 41 letters"),
        ("gearmand+sqlite:a?prefix=b", "option 'prefix' is not known; expected table, durability"),
        ("gearmand+mysql://user:secret@h", "got no database"),
        ("gearmand+memcached://h?table=a", "option 'table' is not known; expected functions, prefix, durability"),
        ("gearmand+memcached:", "got server ''"),
        ("gearmand+postgresql://h/d?table=a b", "table: expected up to 41 letters"),
        ("gearmand+redis://user:secret@h:port", r"store 'redis://user:\*\*\*@h:port': expected redis://USER"),
    ],
)
def test_what_is_no_queue(source: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=text):
        migrate(source, f"sqlite:{tmp_path}/b.db")


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [
        ("postgresql://h/d", "psycopg", "postgresql"),
        ("mysql://h/d", "pymysql", "mysql"),
        ("redis://h", "redis", "redis"),
        ("memcached://h", "pymemcache", "memcached"),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_extra(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)

    with pytest.raises(ConfigError, match=rf"needs the package {module}.*pip install 'gearman-trio\[{extra}\]'"):
        migrate(f"gearmand+{url}", "sqlite:a.db")
