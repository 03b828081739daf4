"""Every store in every trouble, under a job server: submissions are told, all else goes on, and it ends by itself."""

from __future__ import annotations

import os
import pwd
import re
import sqlite3
import subprocess
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import psycopg
import pytest
import trio
from pymemcache.exceptions import MemcacheServerError

from gearman_trio import StorageError
from gearman_trio.protocol import PacketType
from gearman_trio.server import Server, ServerOptions, serve
from gearman_trio.storage import Store, make_store

from ..patience import PATIENCE
from ..server.raw import RawPeer, connect, until
from .databases import Database, MariaDB, PostgreSQL, running
from .keyvalue import Memcached, Redis
from .proxy import network

P = PacketType

#: Long enough for a commit that nothing keeps from succeeding, also on a busy machine.
OPTIONS = ServerOptions(handle_prefix="H:t", store_timeout=2.0)

numbers = count(1)


@attrs.frozen(kw_only=True)
class Trouble:
    """What may happen to a store.

    Attributes:
        store: its URL.
        begin: lets it happen.
        end: ends it.
        text: what submissions are told, after the store's name.
        workload: what is submitted meanwhile; more than there is room for, where room is the trouble.
    """

    store: str
    begin: Callable[[], object]
    end: Callable[[], object]
    text: str
    workload: bytes = b"refused"


SLOW = r" has not stored anything for 2 seconds"


@asynccontextmanager
async def open_server(store: str) -> AsyncGenerator[Server]:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(partial(serve, port=0, options=OPTIONS, store=store))
            yield server
            nursery.cancel_scope.cancel()


async def ask_background(peer: RawPeer, workload: bytes) -> None:
    await peer.send(P.SUBMIT_JOB_BG, b"f", b"", workload)


async def check(trouble: Trouble) -> None:
    """What a job server must do in a trouble."""
    name = name_of(trouble.store)
    async with open_server(trouble.store) as server, connect(server) as client, connect(server) as worker:
        await client.submit_background(b"f", b"before")
        await client.submit_background(b"f", b"behind")
        await trio.to_thread.run_sync(trouble.begin)
        try:
            await ask_background(client, trouble.workload)
            kind, fields = await client.receive()
            assert (P.ERROR, b"QUEUE_ERROR") == (kind, fields[0])
            told = fields[1].decode()
            assert re.match(rf"the job cannot be stored: {re.escape(name)}{trouble.text}", told), told
            # At once, from now on.
            await ask_background(client, b"refused, too")
            assert P.ERROR == (await client.receive())[0]

            await worker.can_do(b"f")
            handle, workload = await worker.grab()
            assert b"before" == workload
            await worker.send(P.WORK_COMPLETE, handle, b"")
            handle = await client.submit(b"g", b"foreground")
            await worker.can_do(b"g")
            await worker.synchronize()
        finally:
            await trio.to_thread.run_sync(trouble.end)
        await until(lambda: not server.statistics().store.refusing)  # type: ignore[union-attr] # there is one
        await client.submit_background(b"f", b"after")
    # What was done is gone, and what was refused is not there.
    assert [b"behind", b"after"] == workloads(trouble.store)
    async with open_server(trouble.store) as server, connect(server) as worker:
        await worker.can_do(b"f")
        assert [b"behind", b"after"] == [(await worker.grab())[1] for _ in range(2)]


def store_of(url: str) -> Store:
    store = make_store(url)
    assert store is not None
    return store


def name_of(url: str) -> str:
    return store_of(url).name


def workloads(url: str) -> list[bytes]:
    return [row.workload for row in store_of(url).rows()]  # type: ignore[union-attr] # none is bad


@contextmanager
def small_disk() -> Generator[Path]:
    """A folder with room for three megabytes, if this process may make one."""
    with TemporaryDirectory(prefix="gearman-trio-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=777", "gearman-trio", folder]
        if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
            pytest.skip("this process may not mount a file system")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> None:
    """Leave no room."""
    with (folder / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(bytes(4096)):
            pass


def clear(folder: Path) -> None:
    (folder / "ballast").unlink()


class TestSQLite:
    pytestmark = pytest.mark.slow

    async def test_another_program_has_locked_the_file(self, tmp_path: Path) -> None:
        path = str(tmp_path / "jobs.db")
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        begin, end = partial(other.execute, "BEGIN IMMEDIATE"), partial(other.execute, "ROLLBACK")

        await check(Trouble(store=f"sqlite:{path}", begin=begin, end=end, text=SLOW))

        other.close()

    async def test_the_disk_is_full(self) -> None:
        with small_disk() as folder:
            await check(
                Trouble(
                    store=f"sqlite:{folder}/jobs.db",
                    begin=partial(fill, folder),
                    end=partial(clear, folder),
                    text=" could not be written: database or disk is full",
                    # The write-ahead log has some room for a small one.
                    workload=bytes(100_000),
                )
            )

    def test_the_disk_is_read_only(self) -> None:
        with small_disk() as folder:
            store = store_of(f"sqlite:{folder}/jobs.db")
            store.open("server")
            store.close()
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)

            with pytest.raises(StorageError, match=r"cannot be opened: '.*/jobs.db-lock': Read-only file system"):
                store.open("server")


@pytest.fixture(params=["postgresql", "mariadb", "redis_server"])
def server(request: pytest.FixtureRequest) -> Database:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Database)
    return found


def url_of(server: Database) -> str:
    """A store that no other test has used."""
    option = "prefix" if isinstance(server, Redis) else "table"
    return f"{server.url}?{option}=fault{next(numbers)}"


@pytest.mark.interop
@pytest.mark.slow
class TestDatabase:
    async def test_it_is_killed_and_started_again(self, server: Database) -> None:
        text = " could not be written: "
        await check(Trouble(store=url_of(server), begin=server.kill, end=server.start, text=text))

    async def test_it_does_not_answer_for_some_time(self, server: Database) -> None:
        await check(Trouble(store=url_of(server), begin=server.hold, end=server.go_on, text=SLOW))

    async def test_the_network_is_cut(self, server: Database) -> None:
        with network(server.port) as net:
            store = url_of(server).replace(str(server.port), str(net.port))
            await check(Trouble(store=store, begin=net.cut, end=net.mend, text=" could not be written: "))


@pytest.mark.interop
@pytest.mark.slow
class TestPostgreSQL:
    async def test_somebody_has_locked_the_table(self, postgresql: PostgreSQL) -> None:
        store = url_of(postgresql)
        with psycopg.connect(postgresql.url) as other:
            lock = f"LOCK TABLE {store.rpartition('=')[2]}_jobs"
            await check(Trouble(store=store, begin=lambda: other.execute(lock.encode()), end=other.rollback, text=SLOW))

    async def test_it_is_read_only(self, postgresql: PostgreSQL) -> None:
        def begin() -> None:
            admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            admin.execute("SELECT pg_reload_conf()")

        def end() -> None:
            admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
            admin.execute("SELECT pg_reload_conf()")

        with psycopg.connect(postgresql.url, autocommit=True) as admin:
            text = " could not be written: cannot execute INSERT in a read-only transaction"
            await check(Trouble(store=url_of(postgresql), begin=begin, end=end, text=text))

    async def test_the_disk_is_full(self, postgresql: PostgreSQL) -> None:
        with small_disk() as folder, psycopg.connect(postgresql.url, autocommit=True) as admin:
            place = folder / "tablespace"
            place.mkdir()
            os.chown(place, pwd.getpwnam(postgresql.account).pw_uid, -1)
            admin.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
            store = f"{postgresql.url}?table=full&options=-c%20default_tablespace%3Dsmall"

            await check(
                Trouble(
                    store=store,
                    begin=partial(fill, folder),
                    end=partial(clear, folder),
                    text=r" could not be written: could not extend file .*: No space left on device; HINT: ",
                    workload=bytes(1_000_000),
                )
            )

            for table in ("jobs", "quarantine", "servers", "meta"):
                admin.execute(f"DROP TABLE full_{table}".encode())
            admin.execute("DROP TABLESPACE small")


@pytest.mark.interop
@pytest.mark.slow
class TestMariaDB:
    async def test_somebody_has_locked_the_table(self, mariadb: MariaDB) -> None:
        store = url_of(mariadb)
        with mariadb.admin() as other:
            lock = f"LOCK TABLES {store.rpartition('=')[2]}_jobs WRITE"
            cursor = other.cursor()
            begin, end = partial(cursor.execute, lock), partial(cursor.execute, "UNLOCK TABLES")
            await check(Trouble(store=store, begin=begin, end=end, text=SLOW))

    async def test_the_disk_is_full(self, mariadb: MariaDB) -> None:
        store = f"{mariadb.url}?table=full"
        with small_disk() as folder, mariadb.admin() as admin:
            made: Any = store_of(store)
            statement = made._sql(made._create()[0])
            admin.cursor().execute(f"{statement} DATA DIRECTORY = '{folder}'")

            await check(
                Trouble(
                    store=store,
                    begin=partial(fill, folder),
                    end=partial(clear, folder),
                    # It tries for some time by itself.
                    text=rf"({SLOW}| could not be written: .*The table 'full_jobs' is full)",
                    workload=bytes(1_000_000),
                )
            )

            admin.cursor().execute("DROP TABLE full_jobs, full_quarantine, full_servers, full_meta")

    async def test_it_is_read_only(self, mariadb: MariaDB) -> None:
        with mariadb.admin() as admin:
            cursor = admin.cursor()
            begin = partial(cursor.execute, "SET GLOBAL read_only = 1")
            end = partial(cursor.execute, "SET GLOBAL read_only = 0")
            text = r" could not be written: .*running with the --read-only option"
            await check(Trouble(store=url_of(mariadb), begin=begin, end=end, text=text))


@pytest.mark.interop
@pytest.mark.slow
class TestRedis:
    async def test_its_memory_is_full(self, redis_server: Redis) -> None:
        with redis_server.client() as admin:
            begin, end = partial(admin.config_set, "maxmemory", 1), partial(admin.config_set, "maxmemory", 0)
            text = " could not be written: .*used memory > 'maxmemory'"
            await check(Trouble(store=url_of(redis_server), begin=begin, end=end, text=text))

    async def test_it_is_read_only(self, redis_server: Redis) -> None:
        with redis_server.client() as admin:
            begin, end = partial(admin.replicaof, "127.0.0.1", 1), partial(admin.replicaof, "NO", "ONE")
            text = " could not be written: .*against a read only replica"
            await check(Trouble(store=url_of(redis_server), begin=begin, end=end, text=text))


class _Small(Memcached):
    def command(self) -> list[str]:
        return [*super().command(), "-m", "4"]


@pytest.mark.interop
@pytest.mark.slow
class TestMemcached:
    @pytest.fixture
    def servers(self, memcached: list[Memcached]) -> list[Memcached]:
        return memcached[:2]

    async def test_one_of_them_does_not_answer_for_some_time(self, servers: list[Memcached]) -> None:
        addresses = ",".join(f"127.0.0.1:{each.port}" for each in servers)
        store = f"memcached://{addresses}?prefix=fault{next(numbers)}"
        held = min(servers, key=lambda each: f"127.0.0.1:{each.port}")
        await check(Trouble(store=store, begin=held.hold, end=held.go_on, text=SLOW))

    async def test_the_network_is_cut(self, servers: list[Memcached]) -> None:
        with network(servers[0].port) as net:
            store = f"memcached://127.0.0.1:{net.port}?prefix=fault{next(numbers)}"
            await check(Trouble(store=store, begin=net.cut, end=net.mend, text=" could not be written: "))

    async def test_it_is_killed_and_all_that_it_had_with_it(self, caplog: pytest.LogCaptureFixture) -> None:
        """Jobs go on in the job server's memory, and end with it."""
        with running(Memcached) as cache:
            async with open_server(cache.url) as server, connect(server) as client, connect(server) as worker:
                await client.submit_background(b"f", b"first")
                await client.submit_background(b"f", b"second")
                await trio.to_thread.run_sync(cache.kill)
                await ask_background(client, b"refused")
                assert P.ERROR == (await client.receive())[0]
                await trio.to_thread.run_sync(cache.start)
                await until(lambda: not server.statistics().store.refusing)  # type: ignore[union-attr] # there is one
                await worker.can_do(b"f")
                assert b"first" == (await worker.grab())[1]
                await client.submit_background(b"f", b"third")

            address = f"127.0.0.1:{cache.port}"
            assert (
                f"{address}: it has lost what was stored before: it was started anew, emptied, or full" in caplog.text
            )
            async with open_server(cache.url) as server, connect(server) as worker:
                await worker.can_do(b"f")
                assert b"third" == (await worker.grab())[1]

    async def test_its_memory_is_full(self) -> None:
        with running(_Small) as server, server.client() as client:

            def begin() -> None:
                # The first one that does not fit ends the connection.
                with suppress(MemcacheServerError):
                    client.set_many({f"ballast{number}": bytes(6000) for number in range(5000)}, noreply=False)

            def end() -> None:
                client.delete_many([f"ballast{number}" for number in range(5000)], noreply=False)

            text = r" could not be written: 127.0.0.1:\d+: out of memory storing object"
            await check(
                Trouble(store=f"{server.url}?prefix=full", begin=begin, end=end, text=text, workload=bytes(6000))
            )
