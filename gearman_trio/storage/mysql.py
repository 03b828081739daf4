"""Jobs in MySQL or MariaDB, by PyMySQL. What a commit survives is a setting of that server, not of this store."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any, Final

from ..core import Batch, StoredJob
from ..errors import StorageError
from .drivers import driver
from .places import existing_file, place_of, refuse
from .registry import StoreURL
from .rows import is_usual
from .sql import COLUMNS, SQLStore

__all__ = ["MySQLStore", "connect", "connect_arguments", "from_url", "shown_name"]

#: How long a server that is not there is waited for, and one that does not answer, in seconds.
_CONNECT_SECONDS: Final = 5
_ANSWER_SECONDS: Final = 60

#: The name of the lock, which is one for the whole server, so that of the database belongs into it. The case of a
#: table's name means nothing where files are named without it.
_LOCK: Final = (
    "CONCAT('gearman ', MD5(CONCAT(DATABASE(), '.', IF(@@lower_case_table_names = 0, %(table)s, LOWER(%(table)s)))))"
)

#: Rows to a statement that deletes.
_ROWS: Final = 1000

#: The characters that go to the server as one text, of one statement or of several; a longer row has one of its own.
_TEXT: Final = 500_000

#: Of a packet, for the other columns and the statement.
_ROOM_BYTES: Final = 65_536

_FORM: Final = "mysql://USER:PASSWORD@HOST:PORT/DATABASE"

_TLS_OPTIONS: Final = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key")

#: By the names that MySQL's own programs have for them: whether TLS is spoken, the server's certificate checked, and
#: whether it must name the host.
_TLS_MODES: Final = {
    "disabled": (False, False, False),
    "required": (True, False, False),
    "verify_ca": (True, True, False),
    "verify_identity": (True, True, True),
}


class MySQLStore(SQLStore):
    """A store in MySQL or MariaDB; see `store.Store` for the methods."""

    def __init__(self, name: str, *, table: str = "gearman", **arguments: Any) -> None:
        self._driver = driver("pymysql", "mysql", name)
        self._arguments = arguments
        super().__init__(name, table)

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        # The others: what it cannot write into SQL, and what a connection raises that was lost half-way.
        return (self._driver.err.Error, TypeError, AttributeError, OSError)

    def _connect(self) -> Any:
        flag = self._driver.constants.CLIENT.MULTI_STATEMENTS
        return connect(self._driver, client_flag=flag, autocommit=True, **self._arguments)

    def _begin(self, db: Any) -> None:
        db.begin()

    def _lock(self, cursor: Any) -> bool:
        cursor.execute(f"SELECT GET_LOCK({_LOCK}, 0)", {"table": self._table})
        return bool(cursor.fetchone()[0] == 1)

    def _unlock(self, cursor: Any) -> None:
        cursor.execute(f"SELECT RELEASE_LOCK({_LOCK})", {"table": self._table})

    def _end_holder(self, cursor: Any) -> None:
        cursor.execute(f"SELECT IS_USED_LOCK({_LOCK})", {"table": self._table})
        (holder,) = cursor.fetchone()
        if holder is not None:
            try:
                cursor.execute("KILL %s", (holder,))
            except self._driver.err.OperationalError:
                # It has ended by itself; and if it was not that, it keeps the lock.
                cursor.execute("SELECT 1")

    def _has_tables(self, cursor: Any) -> bool:
        cursor.execute(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s",
            (f"{self._table}_meta",),
        )
        return bool(cursor.fetchone()[0])

    def _create(self) -> list[str]:
        columns = """handle BLOB, `function` BLOB, unique_id BLOB, priority INT, workload LONGBLOB, run_at DOUBLE,
            reducer BLOB, attempts INT, created DOUBLE, background TINYINT, error TEXT, epoch BIGINT"""
        end = "ENGINE = InnoDB CHARACTER SET utf8mb4"
        return [
            f"CREATE TABLE IF NOT EXISTS {{t}}_jobs (id BIGINT PRIMARY KEY, {columns}) {end}",
            f"CREATE TABLE IF NOT EXISTS {{t}}_quarantine (id BIGINT, {columns}, reason TEXT, since DOUBLE) {end}",
            f"CREATE TABLE IF NOT EXISTS {{t}}_servers (epoch BIGINT PRIMARY KEY, name TEXT, opened DOUBLE) {end}",
            f"CREATE TABLE IF NOT EXISTS {{t}}_meta (name VARCHAR(40) PRIMARY KEY, value BIGINT) {end}",
        ]

    def _walk(self, cursor: Any) -> None:
        # Rows are kept in that order.
        pass

    def _write(self, cursor: Any, batch: Batch, last_handle: int | None) -> None:
        # All statements go to the server together, and are waited for once: that is how soon a client that waits for
        # each job is answered. The server does nothing more of a text in which a statement fails.
        together = _Statements(cursor)
        if batch.adds:
            self._add(together, batch.adds)
        if batch.updates:
            self._update(together, batch)
        if batch.removes:
            self._remove(together, batch.removes)
        if last_handle is not None:
            self._set_meta(together, "last_handle", last_handle)
        together.commit()

    def _add(self, cursor: Any, jobs: Sequence[StoredJob]) -> None:
        begin = self._sql(f"REPLACE INTO {{t}}_jobs ({COLUMNS}, epoch) VALUES ")
        rows: list[str] = []
        size = 0
        for job in jobs:
            row = self._literals(cursor, job)
            if rows and size + len(row) > _TEXT:
                cursor.execute(begin + ",".join(rows))
                rows, size = [], 0
            rows.append(row)
            size += len(row)
        cursor.execute(begin + ",".join(rows))

    def _update(self, cursor: Any, batch: Batch) -> None:
        sql = self._sql("UPDATE {t}_jobs SET attempts = %s, error = %s WHERE id = %s")
        for update in batch.updates:
            cursor.execute(sql, (update.attempts, update.error, update.row))

    def _remove(self, cursor: Any, rows: Sequence[int]) -> None:
        rows = sorted(set(rows))
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            # One worker does jobs in order, and the server walks along a range in a quarter of the time.
            if some[-1] - some[0] == len(some) - 1:
                where = f"BETWEEN {some[0]:d} AND {some[-1]:d}"
            else:
                where = f"IN ({','.join([f'{row:d}' for row in some])})"
            cursor.execute(self._sql(f"DELETE FROM {{t}}_jobs WHERE id {where}"))

    def _set_meta(self, cursor: Any, name: str, value: int) -> None:
        cursor.execute(self._sql("REPLACE INTO {t}_meta VALUES (%s, %s)"), (name, value))

    def _literals(self, cursor: Any, job: StoredJob) -> str:
        """A job as a row of SQL."""
        if is_usual(job):
            # Written out, as PyMySQL would: it takes most of the time that a commit costs this program.
            error = cursor.mogrify("%s", (job.error,)) if job.error else "''"
            return (
                f"({job.row},X'{job.handle.hex()}',X'{job.function.hex()}',X'{job.unique.hex()}',{job.priority},"
                f"X'{job.workload.hex()}',{_real(job.run_at)},X'{job.reducer.hex()}',{job.attempts},"
                f"{_real(job.created)},{job.background:d},{error},{self._epoch})"
            )
        # PyMySQL would write the text of any object.
        if not isinstance(job.workload, bytes):
            raise StorageError(f"{self.name} could not be written: workload: expected bytes, got {job.workload!r}")
        marks = ",".join(["%s"] * (len(job) + 1))
        literals: str = cursor.mogrify(f"({marks})", (*job, self._epoch))
        return literals

    def _max_workload_bytes(self, cursor: Any) -> int:
        # A byte may take two in a statement.
        cursor.execute("SELECT @@max_allowed_packet")
        return (int(cursor.fetchone()[0]) - _ROOM_BYTES) // 2


class _Statements:
    """In the place of a cursor: lets the statements of a transaction wait, as many as go to the server together."""

    def __init__(self, cursor: Any) -> None:
        self.mogrify = cursor.mogrify
        self._cursor = cursor
        self._texts: list[str] = []
        self._size = 0
        self._begun = False

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> None:
        """As that of a cursor, but later."""
        text = sql if parameters is None else self.mogrify(sql, parameters)
        if self._texts and self._size + len(text) > _TEXT:
            self._flush()
        self._texts.append(text)
        self._size += len(text)

    def commit(self) -> None:
        """Execute what waits, and commit."""
        # One statement alone is a transaction by itself, in less time.
        if self._begun or len(self._texts) != 1:
            self._texts.append("COMMIT")
            self._flush()
        else:
            self._cursor.execute(self._texts[0])

    def _flush(self) -> None:
        if not self._begun:
            self._texts.insert(0, "BEGIN")
            self._begun = True
        self._cursor.execute("; ".join(self._texts))
        while self._cursor.nextset():
            pass
        self._texts, self._size = [], 0


def _real(value: float) -> str:
    """A finite number; without an exponent it would be a DECIMAL."""
    text = repr(value)
    return text if "e" in text else f"{text}e0"


def from_url(url: StoreURL) -> MySQLStore:
    """The store of ``mysql://user:password@host:port/database``.

    The options are ``table``, ``unix_socket``, and ``ssl_mode``, ``ssl_ca``, ``ssl_cert`` and ``ssl_key``.

    Raises:
        ConfigError: it names no database, an option cannot be used, or PyMySQL is not installed.
    """
    arguments = connect_arguments(url)
    return MySQLStore(shown_name(arguments), table=url.options.get("table", "gearman"), **arguments)


def connect_arguments(url: StoreURL) -> dict[str, Any]:
    """What PyMySQL is to be called with for a URL.

    Raises:
        ConfigError: it names no database, or has an option that is not known or cannot be used.
    """
    place = place_of(url, _FORM)
    options = url.only(["table", "unix_socket", *_TLS_OPTIONS])
    if not place.path:
        refuse(url, f"expected {_FORM}, got no database")
    arguments: dict[str, Any] = {
        "host": place.host or "127.0.0.1",
        "port": place.port or 3306,
        "user": place.user,
        "password": place.password,
        "database": place.path,
        "charset": "utf8mb4",
        "connect_timeout": _CONNECT_SECONDS,
        "read_timeout": _ANSWER_SECONDS,
        "write_timeout": _ANSWER_SECONDS,
    }
    if "unix_socket" in options:
        arguments["unix_socket"] = options["unix_socket"]
    tls = _tls(url)
    if tls is False:
        arguments["ssl_disabled"] = True
    elif tls is not True:
        arguments["ssl"] = tls
    return arguments


def shown_name(arguments: dict[str, Any]) -> str:
    """The URL of a database, without who logs in."""
    if "unix_socket" in arguments:
        return f"mysql:///{arguments['database']}?unix_socket={arguments['unix_socket']}"
    host = arguments["host"]
    return f"mysql://{f'[{host}]' if ':' in host else host}:{arguments['port']}/{arguments['database']}"


def connect(driver: Any, **arguments: Any) -> Any:
    """A new connection of PyMySQL, with TLS if that is asked for.

    Raises:
        pymysql.err.Error: there is none, or it has no TLS.
    """
    try:
        db = driver.connect(**arguments)
    except RuntimeError as exc:
        # What it cannot log in without.
        raise driver.err.OperationalError(f"{exc}; install it with: pip install 'PyMySQL[rsa]'") from exc
    if isinstance(arguments.get("ssl"), ssl.SSLContext):
        # Older versions go on without it where the server knows none.
        with db.cursor() as cursor:
            cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
            row = cursor.fetchone()
        if not row or not row[1]:
            db.close()
            raise driver.err.OperationalError("the server does not speak TLS")
    return db


def _tls(url: StoreURL) -> ssl.SSLContext | bool:
    """What to speak TLS with; `False` for not at all, and `True` for as PyMySQL does by itself.

    Raises:
        ConfigError: an option about it cannot be used.
    """
    ca, cert, key = (existing_file(url, option) for option in ("ssl_ca", "ssl_cert", "ssl_key"))
    if key and not cert:
        refuse(url, "ssl_key: expected ssl_cert too")
    default = "verify_identity" if ca else "required" if cert else ""
    mode = url.options.get("ssl_mode", default).lower()
    if not mode:
        return True
    if mode not in _TLS_MODES:
        refuse(url, f"ssl_mode: expected {', '.join(_TLS_MODES)}, got {mode!r}")
    speaks, checks, names = _TLS_MODES[mode]
    if not speaks:
        return False
    try:
        context = ssl.create_default_context(cafile=ca)
        # MySQL makes certificates for itself that lack what Python has come to expect.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.check_hostname = names
        context.verify_mode = ssl.CERT_REQUIRED if checks else ssl.CERT_NONE
        if cert:
            # Or else OpenSSL would ask the terminal for the password of a key that has one.
            context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as exc:
        refuse(url, f"ssl_ca, ssl_cert or ssl_key: {exc.reason or exc}")
    return context
