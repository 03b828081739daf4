"""Database servers of our own for the tests: on free ports, in folders of their own, killed and started at will."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import psycopg
import pymysql

from gearman_trio.storage import BadRow, StoredJob, make_store

from ..patience import PATIENCE
from ..peers import free_port, require

__all__ = ["Database", "MariaDB", "PostgreSQL", "content", "running"]

D = TypeVar("D", bound="Database")


class Database(ABC):
    """A database server.

    Attributes:
        port: where it listens, on 127.0.0.1; the same after each start.
    """

    #: The user that it must run as where the tests run as root.
    account = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL of a store in it."""

    @abstractmethod
    def prepare(self) -> None:
        """Make the files that it starts with."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command that runs it."""

    @abstractmethod
    def ask(self) -> None:
        """Raise an error while it does not answer."""

    def start(self) -> None:
        """Start it, and wait until it answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            # A server that was killed may have left processes of its own, which its successor must wait for.
            if self._process is None or self._process.poll() is not None:
                self._process = self._popen()
            try:
                self.ask()
            except Exception:  # noqa: BLE001 - each database has errors of its own
                if time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text(errors="replace")) from None
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """Kill it as a power cut would: all of its processes at once."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    @contextmanager
    def killed(self) -> Generator[None]:
        """Kill it for a block."""
        self.kill()
        try:
            yield
        finally:
            self.start()

    def hold(self) -> None:
        """Let it do nothing until `go_on`, as where its disk does not answer."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End `hold`."""
        self._signal(signal.SIGCONT)

    def run(self, *command: str) -> None:
        """Run a program as the user of the server."""
        subprocess.run(command, check=True, capture_output=True, user=self._user(), cwd=self.folder)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        # PostgreSQL gives each of its processes a group of its own.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for pid in (self._process.pid, *map(int, children.split())):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _popen(self) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(self.command(), stdout=log, stderr=log, user=self._user(), start_new_session=True)

    def _user(self) -> int | None:
        return pwd.getpwnam(self.account).pw_uid if self.account and os.getuid() == 0 else None


class PostgreSQL(Database):
    """PostgreSQL with its own settings, but for the place of its socket, and how it syncs its folder after a crash."""

    account = "postgres"

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        self.run(_postgres("initdb"), "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8")

    def command(self) -> list[str]:
        data = str(self.folder / "data")
        place = ["-D", data, "-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        # Its default opens each of a thousand files, which takes seconds; this syncs the same by one call.
        return [_postgres("postgres"), *place, "-c", "recovery_init_sync_method=syncfs"]

    def ask(self) -> None:
        psycopg.connect(self.url, connect_timeout=2).close()


class MariaDB(Database):
    """MariaDB with its own settings."""

    account = "mysql"

    @property
    def url(self) -> str:
        return f"mysql://gearman:secret@127.0.0.1:{self.port}/jobs"

    def prepare(self) -> None:
        script = self.folder / "init.sql"
        # One statement a line, and no other host than this: a nameless user of localhost would come first.
        script.write_text(
            "CREATE DATABASE IF NOT EXISTS jobs;\n"
            "CREATE USER IF NOT EXISTS gearman@localhost IDENTIFIED BY 'secret';\n"
            "GRANT ALL ON jobs.* TO gearman@localhost;\n"
            "CREATE USER IF NOT EXISTS admin@localhost IDENTIFIED BY 'secret';\n"
            "GRANT ALL ON *.* TO admin@localhost WITH GRANT OPTION;\n"
        )
        script.chmod(0o644)
        data = f"--datadir={self.folder / 'data'}"
        self.run(require("mariadb-install-db"), "--no-defaults", data, "--skip-test-db")

    def command(self) -> list[str]:
        return [
            require("mariadbd"),
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'socket'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--init-file={self.folder / 'init.sql'}",
        ]

    def ask(self) -> None:
        self._connect("gearman").close()

    @contextmanager
    def admin(self) -> Generator[pymysql.Connection]:
        """A connection that may do anything."""
        with closing(self._connect("admin")) as db:
            yield db

    def _connect(self, user: str) -> pymysql.Connection:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password="secret", database="jobs", connect_timeout=2
        )


@contextmanager
def running(kind: type[D]) -> Generator[D]:
    """Run a database server for a block."""
    # Not in pytest's folders, which nobody else may enter.
    with TemporaryDirectory(prefix="gearman-trio-", ignore_cleanup_errors=True) as folder:
        database = kind(Path(folder))
        user = database._user()
        if user is not None:
            os.chown(folder, user, -1)
        try:
            database.prepare()
            database.start()
            yield database
        finally:
            database.kill()


def _postgres(program: str) -> str:
    """A program of PostgreSQL, which Debian keeps out of the PATH so that several versions fit."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(found[-1]) if found else shutil.which(program) or require(program)


def content(url: str) -> list[StoredJob | BadRow]:
    """What a store holds, whether a job server has it open or not."""
    store = make_store(url)
    assert store is not None
    return list(store.rows())
