"""Database servers for the benchmarks of stored jobs: in a folder of their own, on a free port, with durable settings.

Each is as its package starts it, but for Redis, which is told to keep what it has acknowledged.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from .processes import HOST, Missing, find, free_port, open_process

__all__ = ["BACKENDS", "Backend", "open_backend"]

#: A database server on a busy machine is slow to start.
_PATIENCE_SECONDS = 120.0


@attrs.frozen(kw_only=True)
class Backend:
    """Where a job server keeps its jobs.

    Attributes:
        name: of `BACKENDS`.
        url: for ``gearman-trio serve --store``.
        gearmand: the arguments that make gearmand keep its jobs there.
    """

    name: str
    url: str
    gearmand: Sequence[str]


@contextmanager
def open_backend(name: str) -> Iterator[Backend]:
    """One of `BACKENDS`, empty, for the length of a block.

    Raises:
        Missing: the database server is not installed.
    """
    with TemporaryDirectory(prefix="gearman-benchmark-") as text:
        folder = Path(text)
        folder.chmod(0o755)
        with BACKENDS[name](folder) as backend:
            yield backend


@contextmanager
def _sqlite(folder: Path) -> Iterator[Backend]:
    yield Backend(
        name="SQLite",
        url=f"sqlite:{folder}/ours.db",
        gearmand=["-q", "libsqlite3", "--libsqlite3-db", f"{folder}/theirs.db"],
    )


@contextmanager
def _postgresql(folder: Path) -> Iterator[Backend]:
    port = free_port()
    data = _owned(folder, "postgres")
    _run("postgres", _of_postgresql("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
    command = [_of_postgresql("postgres"), "-D", data, "-p", str(port), "-h", HOST, "-k", ""]
    with open_process(command, port=port, account="postgres") as server:
        _wait(port)
        # It takes connections before it answers.
        while server.process.poll() is None and _refuses(_of_postgresql("pg_isready"), "-h", HOST, "-p", str(port)):
            time.sleep(0.05)
        yield Backend(
            name="PostgreSQL",
            url=f"postgresql://postgres@{HOST}:{port}/postgres",
            gearmand=["-q", "postgres", "--libpq-conninfo", f"host={HOST} port={port} user=postgres dbname=postgres"],
        )


@contextmanager
def _mariadb(folder: Path) -> Iterator[Backend]:
    port = free_port()
    data = _owned(folder, "mysql")
    script = folder / "init.sql"
    script.write_text(
        "CREATE DATABASE jobs;\n"
        "CREATE USER gearman@localhost IDENTIFIED BY 'secret';\n"
        "GRANT ALL ON jobs.* TO gearman@localhost;\n"
    )
    script.chmod(0o644)
    hint = "Debian's package is mariadb-server"
    _run("mysql", find("mariadb-install-db", hint), "--no-defaults", f"--datadir={data}", "--skip-test-db")
    command = [
        find("mariadbd", hint),
        "--no-defaults",
        f"--datadir={data}",
        f"--socket={data}/socket",
        f"--port={port}",
        f"--bind-address={HOST}",
        f"--init-file={script}",
    ]
    login = ["--mysql-host", HOST, "--mysql-port", str(port), "--mysql-user", "gearman", "--mysql-password", "secret"]
    with open_process(command, port=port, account="mysql"):
        _wait(port)
        yield Backend(
            name="MariaDB",
            url=f"mysql://gearman:secret@{HOST}:{port}/jobs",
            gearmand=["-q", "mysql", *login, "--mysql-db", "jobs"],
        )


@contextmanager
def _redis(folder: Path) -> Iterator[Backend]:
    port = free_port()
    settings = {"bind": HOST, "port": str(port), "dir": str(folder), "save": "", "logfile": str(folder / "log")}
    settings |= {"appendonly": "yes", "appendfsync": "always"}
    program = find("redis-server", "Debian's package is redis-server")
    command = [program, *(word for name, value in settings.items() for word in (f"--{name}", value))]
    with open_process(command, port=port):
        _wait(port)
        yield Backend(
            name="Redis",
            url=f"redis://{HOST}:{port}/0",
            gearmand=["-q", "redis", "--redis-server", HOST, "--redis-port", str(port)],
        )


#: What opens each.
BACKENDS = {"SQLite": _sqlite, "PostgreSQL": _postgresql, "MariaDB": _mariadb, "Redis": _redis}


def _owned(folder: Path, account: str) -> str:
    """A folder for a server that does not run as root."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.getuid() == 0:
        shutil.chown(data, account)
    return str(data)


def _run(account: str, *command: str) -> None:
    user = pwd.getpwnam(account).pw_uid if os.getuid() == 0 else None
    subprocess.run(command, check=True, capture_output=True, user=user, cwd="/")


def _refuses(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode != 0


def _of_postgresql(program: str) -> str:
    """Debian keeps its programs out of the way."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{program}"))
    return found[-1] if found else find(program, "Debian's package is postgresql")


def _wait(port: int) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1.0).close()
        except OSError:
            if time.monotonic() > until:
                raise Missing(f"the database server does not listen on port {port}") from None
            time.sleep(0.05)
        else:
            return
