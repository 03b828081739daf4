"""Stores in database servers: the conformance kit, and what happens when the server is killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from functools import partial
from itertools import count
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization

from gearman_trio import ConfigError, StorageError
from gearman_trio.storage import BadRow, Batch, JobUpdate, Store, make_store
from gearman_trio.testing import STORE_CHECKS, check_store_fault

from ..cli.certificates import Certificates, make_certificates
from ..patience import PATIENCE
from .databases import Database, MariaDB, PostgreSQL, content, running
from .proxy import Network, network
from .test_sqlite import adds, job

pytestmark = [pytest.mark.interop, pytest.mark.slow]

Make = Callable[[], Store]

numbers = count(1)


@pytest.fixture
def url(database: Database) -> str:
    """A store that no other test has used."""
    return f"{database.url}?table=test{next(numbers)}"


def make(url: str) -> Store:
    store = make_store(url)
    assert store is not None
    return store


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Callable[[Make], None], url: str) -> None:
    check(partial(make, url))


def test_a_store_goes_on_when_the_database_is_back(database: Database, url: str) -> None:
    check_store_fault(partial(make, url), database.killed)


def through(network: Network, database: Database, url: str) -> str:
    """The same store, by way of a network that can be cut."""
    return url.replace(str(database.port), str(network.port))


def test_a_connection_that_the_database_has_not_missed_is_ended(database: Database, url: str) -> None:
    with network(database.port) as net:
        store = make(through(net, database, url))
        store.open("server")
        store.commit(adds(job(1)))
        net.lose_clients()
        with pytest.raises(StorageError, match="could not be written"):
            store.commit(adds(job(2)))
        # The old connection has the lock still.
        with pytest.raises(StorageError, match="in use by another job server"):
            make(url).open("other")

        store.commit(adds(job(2)))

        with pytest.raises(StorageError, match="in use by another job server"):
            make(url).open("other")
        store.close()
    assert [job(1), job(2)] == content(url)


def test_a_server_that_was_cut_off_does_not_write_into_what_another_one_has_taken(database: Database, url: str) -> None:
    with network(database.port) as net:
        store = make(through(net, database, url))
        store.open("server")
        store.commit(adds(job(1)))
        net.cut()
        with pytest.raises(StorageError, match="could not be written"):
            store.commit(adds(job(2)))
        other = make(url)
        other.open("other")
        other.commit(adds(job(2, b"of the other one")))
        net.mend()

        # The other one is there, and stays.
        for _ in range(2):
            with pytest.raises(StorageError, match="in use by another job server"):
                store.commit(adds(job(2)))
        other.commit(adds(job(3)))
        other.close()
        # It was there; a restart is needed to know its jobs.
        for _ in range(2):
            with pytest.raises(StorageError, match="has been used by another job server meanwhile"):
                store.commit(adds(job(2)))
        store.close()
        assert [job(1), job(2, b"of the other one"), job(3)] == content(url)
        assert 4 == store.open("server").next_row
        store.commit(adds(job(4)))
        store.close()


def test_a_newer_schema_is_refused(url: str) -> None:
    store: Any = make(url)
    store.open("server")
    store._set_meta(store._db.cursor(), "schema", 99)
    store._db.commit()
    store.close()

    with pytest.raises(StorageError, match="tables have version 99, expected at most 1"):
        make(url).open("server")
    with pytest.raises(StorageError, match="newer version"):
        make(url).info()


def test_tables_of_an_older_version_are_migrated_with_their_jobs(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = make(url)
    store.open("server")
    store.commit(adds(job(1), job(2)))
    store.close()
    steps = [
        *store._steps(),
        ["ALTER TABLE {t}_jobs ADD COLUMN IF NOT EXISTS note INT"],
        ["CREATE TABLE IF NOT EXISTS {t}_new (x INT)"],
    ]
    monkeypatch.setattr(type(store), "_steps", lambda self: steps)
    monkeypatch.setattr("gearman_trio.storage.sql._SCHEMA", 3)

    with pytest.raises(StorageError, match="older version, 1; a job server that opens it brings them to 3"):
        store.info()
    # A second time there is nothing to do.
    for _ in range(2):
        store.open("server")
        store._db.cursor().execute(store._sql("SELECT note, x FROM {t}_jobs, {t}_new"))
        store._db.commit()
        store.close()
    assert 3 == store.info().schema
    assert [job(1), job(2)] == content(url)


def test_a_store_that_was_never_made(url: str) -> None:
    with pytest.raises(StorageError, match="holds no jobs of gearman_trio: it has no table"):
        make(url).info()


def test_a_batch_of_several_statements_is_as_it_was_given(url: str) -> None:
    store = make(url)
    store.open("server")
    error = 'it\'s 100 %s, \\ {t}; "\N{SNOWMAN}"\n'
    jobs = [
        job(row, bytes(range(256)) * row)._replace(error=error, created=row / 7, run_at=1e22) for row in range(1, 90)
    ]
    large = job(90, b"'" * 1_500_000)
    store.commit(adds(*jobs, large))
    assert [*jobs, large] == content(url)
    batch = Batch(2)
    batch.adds = [job(91)]
    batch.updates = [JobUpdate(1, 3, error), JobUpdate(91, 1, ""), JobUpdate(91, 2, error)]
    # A range, and rows that are none.
    batch.removes = [*range(89, 1, -1), 90, 90]
    store.commit(batch)
    updated = [jobs[0]._replace(attempts=3), job(91)._replace(attempts=2, error=error)]
    assert updated == content(url)
    store.commit(adds(*(job(row) for row in range(92, 100))))
    batch = Batch(4)
    batch.removes = [1, 99, 93, 95]
    store.commit(batch)
    store.close()
    assert [91, 92, 94, 96, 97, 98] == [each.row for each in content(url)]


@pytest.mark.parametrize("wrong", [{"created": inf}, {"workload": 5}, {"priority": "1'"}], ids=str)
def test_what_is_no_job_is_refused(mariadb: MariaDB, wrong: dict[str, Any]) -> None:
    url = f"{mariadb.url}?table=test{next(numbers)}"
    store = make(url)
    store.open("server")
    with pytest.raises(StorageError, match="could not be written"):
        store.commit(adds(job(1), job(2)._replace(**wrong)))
    store.commit(adds(job(3)))
    store.close()
    assert [job(3)] == content(url)


@pytest.mark.parametrize("count", [1, 2], ids=str)
@pytest.mark.parametrize("wrong", [{"handle": 5}, {"priority": "1'"}, {"error": 5}], ids=str)
def test_what_is_no_job_is_refused_by_postgresql(postgresql: PostgreSQL, wrong: dict[str, Any], count: int) -> None:
    url = f"{postgresql.url}?table=test{next(numbers)}"
    store = make(url)
    store.open("server")
    with pytest.raises(StorageError, match="could not be written"):
        store.commit(adds(*[job(row)._replace(**wrong) for row in range(1, 1 + count)]))
    store.commit(adds(job(3)._replace(run_at=0)))
    store.close()
    assert [job(3)] == content(url)


def test_a_bad_row_is_told(url: str) -> None:
    store: Any = make(url)
    store.open("server")
    store.commit(adds(job(1), job(2)))
    store._db.cursor().execute(store._sql("UPDATE {t}_jobs SET workload = NULL WHERE id = 1"))
    store._db.commit()

    bad = BadRow(1, "workload: expected bytes, got None")
    assert [bad, job(2)] == content(url)
    store.close()


def test_a_name_shows_no_password(url: str) -> None:
    assert "secret" not in make(url).name
    assert "127.0.0.1" in make(url).name


@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("postgresql://h/d", "psycopg", "postgresql"), ("mysql://h/d", "pymysql", "mysql")],
)
def test_a_library_that_is_missing_is_named_with_its_extra(
    url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)

    with pytest.raises(ConfigError, match=rf"needs the package {module}.*pip install 'gearman-trio\[{extra}\]'"):
        make_store(url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("mysql://h:port/d", "expected mysql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("mysql://user:secret@h", r"store 'mysql://user:\*\*\*@h': .*got no database"),
        (
            "mysql://h/d?tabel=x",
            "option 'tabel' is not known; expected ssl_ca, ssl_cert, .*, table, unix_socket, durab",
        ),
        ("mysql://h/d?ssl_mode=some", "ssl_mode: expected disabled, required, verify_ca, verify_identity, got 'some'"),
        ("mysql://h/d?ssl_ca=/nowhere", "ssl_ca: expected a file that can be read, got '/nowhere'"),
        ("mysql://h/d?ssl_key=/dev/null", "ssl_key: expected ssl_cert too"),
        ("mysql://h/d?ssl_ca=/dev/null", "ssl_ca, ssl_cert or ssl_key: "),
        ("postgresql://h/d?tabel=x", 'invalid URI query parameter: "tabel"'),
        ("postgresql://h:port/d", "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        ("postgresql://h/d?table=a;b", "table: expected up to 41 letters"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make_store(url)


def test_options_of_libpq_may_have_blanks(postgresql: PostgreSQL) -> None:
    store: Any = make(f"{postgresql.url}?table=blanks&options=-c%20work_mem%3D1234kB")
    store.open("server")
    assert ("1234kB",) == store._db.execute("SHOW work_mem").fetchone()
    store.close()


def test_rows_are_read_once_before_postgresql_knows_how_many_there_are(postgresql: PostgreSQL) -> None:
    """Without statistics, which it makes when it likes, it would sort all that is left for each thousand."""
    table = f"unknown{next(numbers)}"
    many = 20_000
    store = make(f"{postgresql.url}?table={table}")
    store.open("server")
    with psycopg.connect(postgresql.url) as admin:
        admin.execute(f"ALTER TABLE {table}_jobs SET (autovacuum_enabled = false)".encode())
    store.commit(adds(*[job(row) for row in range(1, many + 1)]))
    store.close()

    store.open("server")
    assert many == sum(map(len, store.replay()))
    assert many == sum(map(len, store.replay(spill_bytes=1000)))
    assert many == len([*store.rows()])
    store.close()

    assert 3 * many <= rows_read(postgresql, f"{table}_jobs", 3 * many) < 3.2 * many


def rows_read(postgresql: PostgreSQL, table: str, least: int) -> int:
    """How many rows of a table were read: so many at least, which a connection may tell only after its end."""
    read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = %s"
    deadline = time.monotonic() + PATIENCE
    with psycopg.connect(postgresql.url, autocommit=True) as admin:
        rows = 0
        while rows < least and time.monotonic() < deadline:
            ((rows,),) = admin.execute(read, (table,)).fetchall()
            time.sleep(0.02)
    return int(rows)


def test_the_case_of_a_table_name_does_not_make_two_stores_of_one(postgresql: PostgreSQL) -> None:
    number = next(numbers)
    store, other = (make(f"{postgresql.url}?table={name}{number}") for name in ("Case", "cASE"))
    store.open("server")
    store.commit(adds(job(1)))

    with pytest.raises(StorageError, match="in use by another job server"):
        other.open("other")

    store.close()
    assert 2 == other.open("other").next_row
    other.close()


def test_two_schemas_of_a_database_are_two_stores(postgresql: PostgreSQL) -> None:
    stores = []
    for name in ("first", "second"):
        with psycopg.connect(postgresql.url) as admin:
            admin.execute(f"CREATE SCHEMA IF NOT EXISTS {name}".encode())
        stores.append(make(f"{postgresql.url}?table=same&options=-c%20search_path%3D{name}"))
        stores[-1].open(name)
        stores[-1].commit(adds(job(1, name.encode())))
    for store in stores:
        store.close()

    assert [[job(1, b"first")], [job(1, b"second")]] == [list(store.rows()) for store in stores]


def test_what_mysql_8_needs_to_log_in_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(**_: object) -> None:
        raise RuntimeError("'cryptography' package is required for caching_sha2_password auth methods")

    monkeypatch.setattr("pymysql.connect", connect)

    with pytest.raises(StorageError, match=r"'cryptography' package is required.*pip install 'PyMySQL\[rsa\]'"):
        make("mysql://user:secret@h/d").info()


def test_what_no_driver_says_that_it_raises(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make(url)
    store.open("server")

    def write(*_: object) -> None:
        raise IndexError("index out of range")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "_write", write)
        with pytest.raises(StorageError, match=r"could not be written: IndexError\('index out of range'\)"):
            store.commit(adds(job(1)))
    store.commit(adds(job(1)))
    store.close()
    assert [job(1)] == content(url)


def test_a_name_tells_where_the_options_say_that_the_database_is() -> None:
    url = "postgresql:///d?host=/run/postgresql&port=7&user=me&password=secret&sslmode=require"

    assert "postgresql:///d?host=/run/postgresql&port=7" == make(url).name


def test_a_host_of_ipv6_is_shown_in_brackets() -> None:
    assert "mysql://[::1]:3306/d" == make("mysql://user:secret@[::1]/d").name


@pytest.fixture(scope="module")
def certificates() -> Generator[Certificates]:
    # Not in pytest's folders, which the server may not enter.
    with TemporaryDirectory(prefix="gearman-trio-") as folder:
        Path(folder).chmod(0o755)
        made = make_certificates(Path(folder))
        Path(made.key).chmod(0o644)
        yield made


@pytest.fixture(scope="module")
def secure(certificates: Certificates) -> Generator[MariaDB]:
    """A server with a certificate for 127.0.0.1, which listens at 127.0.0.2 too."""

    class Secure(MariaDB):
        def command(self) -> list[str]:
            return [
                *super().command(),
                f"--ssl-cert={certificates.certificate}",
                f"--ssl-key={certificates.key}",
                "--bind-address=127.0.0.1,127.0.0.2",
            ]

    with running(Secure) as server:
        yield server


class TestMySQLOverTLS:
    @pytest.mark.parametrize("mode", ["", "required", "VERIFY_CA", "verify_identity"])
    def test_connections_are_encrypted(self, secure: MariaDB, certificates: Certificates, mode: str) -> None:
        store: Any = make(f"{secure.url}?ssl_ca={certificates.ca}" + (f"&ssl_mode={mode}" if mode else ""))
        store.open("server")
        cursor = store._db.cursor()
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        assert cursor.fetchone()[1]
        store.close()

    @pytest.mark.parametrize(
        ("host", "options"), [("127.0.0.1", "ssl_ca={other}"), ("127.0.0.2", "ssl_ca={ca}")], ids=["other CA", "name"]
    )
    def test_a_certificate_of_somebody_else_is_refused(
        self, secure: MariaDB, certificates: Certificates, host: str, options: str
    ) -> None:
        where = options.format(ca=certificates.ca, other=certificates.other_ca)
        with pytest.raises(StorageError, match="certificate verify failed"):
            make(f"{secure.url.replace('127.0.0.1', host)}?{where}").open("server")

    def test_a_key_with_a_password_is_refused(self, certificates: Certificates, tmp_path: Path) -> None:
        key = serialization.load_pem_private_key(Path(certificates.key).read_bytes(), None)
        locked = tmp_path / "locked.pem"
        locked.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
        with pytest.raises(ConfigError, match="ssl_ca, ssl_cert or ssl_key: "):
            make(f"mysql://h/d?ssl_cert={certificates.certificate}&ssl_key={locked}")

    def test_a_server_without_it_is_refused(self, mariadb: MariaDB) -> None:
        with pytest.raises(StorageError, match=r"TLS|SSL is required"):
            make(f"{mariadb.url}?ssl_mode=required").open("server")


def test_a_database_that_is_not_there(database: Database) -> None:
    url = database.url.replace(str(database.port), "1")

    with pytest.raises(StorageError, match="cannot be opened"):
        make(url).open("server")
    with pytest.raises(StorageError, match="cannot be read"):
        make(url).info()


def test_a_workload_of_many_megabytes(url: str) -> None:
    store = make(url)
    most = store.open("server").max_workload_bytes
    store.close()
    store = make(url)
    store.open("server")
    large = job(1, bytes(range(256)) * (min(most, 20_000_000) // 256))
    store.commit(adds(large, job(2)))
    store.commit(Batch(1))
    store.close()

    assert [large, job(2)] == content(url)


@pytest.mark.parametrize("count", [1, 20, 300], ids=str)
def test_batches_of_all_sizes_come_back_as_they_were(url: str, count: int) -> None:
    """Each of its own kinds of statements, and again where nobody knows whether it was stored."""
    odd = job(2, bytes(range(256)))._replace(
        error='of "quotes", \\ and {braces}, NULL, \u00e4\U0001f600\n', reducer=b'\\"'
    )
    store = make(url)
    store.open("server")
    store.commit(adds(job(1), odd))
    batch = adds(*[odd._replace(row=row, run_at=row / 3, background=row % 2 == 0) for row in range(3, 3 + count)])
    batch.last_handle = 7
    # Some of it is there already; and one row is not there to be removed.
    store.commit(adds(batch.adds[-1]._replace(workload=b"earlier")))
    batch.removes = [1, 999]
    for _ in range(2):
        store.commit(batch)
    assert [odd, *batch.adds] == content(url)

    both = adds(job(999), job(1000))
    both.removes = [row.row for row in batch.adds] + [999]
    store.commit(both)
    store.close()

    assert [odd, job(1000)] == content(url)
    assert 7 == store.open("server").last_handle
    store.close()
