"""``gearman-trio serve``: options, files, signals."""

from __future__ import annotations

import importlib
import math
import signal
import socket
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from ssl import TLSVersion
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import trio

from gearman_trio import (
    Abilities,
    JobLost,
    ServerOptions,
    ServersUnavailable,
    open_admin,
    open_client,
    open_worker,
)
from gearman_trio.daemon import Launch
from gearman_trio.server import Listen
from gearman_trio.storage import SQLiteStore
from gearman_trio.transport import TlsOptions

from ..patience import PATIENCE
from .commands import invoke, invoke_here, open_command

#: Arguments for each option that sets a field of the server's options by other than the field's own name.
OPTIONS = {
    "max_attempts": ("--job-retries 5", 5),
    "round_robin": ("--no-round-robin", False),
    "global_priority": ("--priority-scope function", False),
    "worker_wakeup": ("--worker-wakeup 0", 0),
    "requeue_on_timeout": ("--timeout-action requeue", True),
    "exceptions": ("--exceptions", True),
    "max_packet_bytes": ("--max-packet 1000", 1000),
    "handle_prefix": ("--job-handle-prefix X", "X"),
    "verbosity": ("--verbose debug", "DEBUG"),
    "keepalive": ("--no-keepalive", False),
    "keepalive_idle_seconds": ("--keepalive-idle -1", -1),
    "keepalive_interval_seconds": ("--keepalive-interval 5", 5),
    "keepalive_count": ("--keepalive-count 7", 7),
    "outbox_limit_bytes": ("--outbox-limit-bytes 1000", 1000),
    "busy_poll_seconds": ("--busy-poll-seconds 0", 0.0),
    "time_zone": ("--time-zone Europe/Berlin", ZoneInfo("Europe/Berlin")),
}

#: What the command does otherwise than a server inside of another program: it logs more, and nothing else in its
#: process could be kept waiting.
DEFAULTS: dict[str, Any] = {"verbosity": "NOTICE", "busy_poll_seconds": 0.0001}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launch]:
    """Give what the command line asks for, without doing it."""
    seen: list[Launch] = []
    serve = importlib.import_module("gearman_trio.cli.serve")
    monkeypatch.setattr(serve, "_run", lambda launch, remarks: seen.append(launch))

    def ask(*arguments: str) -> Launch:
        result = invoke_here("serve", *arguments)
        assert (0, "") == (result.exit_code, result.output)
        return seen.pop()

    return ask


def test_defaults_are_those_of_the_server(asked: Callable[..., Launch]) -> None:
    assert ServerOptions(**DEFAULTS) == asked().options


@pytest.mark.parametrize("name", OPTIONS)
def test_option_reaches_the_server(asked: Callable[..., Launch], name: str) -> None:
    arguments, expected = OPTIONS[name]

    options = asked(*arguments.split()).options

    assert ServerOptions(**{**DEFAULTS, name: expected}) == options
    assert ServerOptions(**DEFAULTS) != options


@pytest.mark.parametrize(("retries", "attempts"), [("-1", 0), ("0", 1), ("1", 1), ("2", 2), ("255", 255)])
def test_job_retries_count_as_gearmand_2_does(asked: Callable[..., Launch], retries: str, attempts: int) -> None:
    assert attempts == asked("--job-retries", retries).options.max_attempts


@pytest.mark.parametrize(("retries", "attempts"), [("-1", 0), ("0", 0), ("1", 1), ("2", 2), ("255", 255)])
def test_job_retries_count_as_gearmand_1_1_does(asked: Callable[..., Launch], retries: str, attempts: int) -> None:
    assert attempts == asked("--compat", "1.1", "--job-retries", retries).options.max_attempts


@pytest.mark.parametrize(
    ("arguments", "name", "table", "durability"),
    [
        ("--store sqlite:x.db", "sqlite:x.db", "gearman", "full"),
        ("--store sqlite:x.db?table=t --durability normal", "sqlite:x.db", "t", "normal"),
        ("--store sqlite:x.db?durability=off", "sqlite:x.db", "gearman", "off"),
        ("-q libsqlite3 --libsqlite3-db x.db", "sqlite:x.db", "gearman_queue", "full"),
        ("-q libsqlite3 --libsqlite3-db x.db --libsqlite3-table t --durability off", "sqlite:x.db", "t", "off"),
    ],
)
def test_stores_are_asked_for_in_our_way_and_in_gearmands(
    asked: Callable[..., Launch], arguments: str, name: str, table: str, durability: str
) -> None:
    store = asked(*arguments.split()).store

    assert isinstance(store, SQLiteStore)
    assert (name, table, durability) == (store.name, store._table, store._durability)


@pytest.mark.parametrize("arguments", ["", "--store memory:", "-q builtin", "--durability normal"])
def test_jobs_are_in_memory_otherwise(asked: Callable[..., Launch], arguments: str) -> None:
    assert asked(*arguments.split()).store is None


def test_options_of_the_process_have_their_short_names(asked: Callable[..., Launch]) -> None:
    launch = asked(
        *[
            "-p",
            "1",
            "-L",
            "a",
            "-L",
            "[::1]:2",
            "-b",
            "7",
            "-P",
            "pid",
            "-l",
            "log",
            "-j",
            "3",
            "-R",
            "-w",
            "4",
            "-f",
            "99",
            "-u",
            "me",
            "-d",
            "-t",
            "2",
            "-q",
            "builtin",
        ]
    )

    expected = Launch(
        options=ServerOptions(**DEFAULTS, max_attempts=3, worker_wakeup=4),
        listens=(Listen("a:1"), Listen("[::1]:2")),
        everywhere=Listen("*:1"),
        web=None,
        web_token=None,
        web_hosts=(),
        web_hide_workloads=False,
        backlog=7,
        drain_seconds=60.0,
        pid_file=Path("pid"),
        log_file="log",
        log_format="text",
        syslog=False,
        verbosity="NOTICE",
        daemon=True,
        user="me",
        file_descriptors=99,
        coredump=False,
    )
    assert expected == launch


def test_options_of_the_process_have_long_names(asked: Callable[..., Launch]) -> None:
    launch = asked(
        *[
            "--ssl",
            "--ssl-certificate",
            "c",
            "--ssl-key",
            "k",
            "--ssl-ca-file",
            "a",
            "--coredump",
            "--drain-timeout",
            "inf",
        ]
    )

    assert (True, math.inf) == (launch.coredump, launch.drain_seconds)


TLS = TlsOptions(certificate="c", key="k", ca="a", minimum_version=TLSVersion.TLSv1_3)


@pytest.mark.parametrize(
    ("arguments", "listens"),
    [
        ("-L a -L unix:/b", [Listen("a"), Listen("unix:/b")]),
        ("-L a --listen-tls b:1", [Listen("a"), Listen("b:1", tls=TLS)]),
        ("-L a --ssl -L unix:/b", [Listen("a", tls=TLS), Listen("unix:/b")]),
        ("--listen-tls unix:/b", [Listen("unix:/b", tls=TLS)]),
        ("-p 1 --listen-admin unix:/b --listen-mode 600", [Listen("unix:/b", admin=True, mode=0o600)]),
        ("--listen-admin a -p 1", [Listen("a:1", admin=True)]),
        ("--ssl", []),
    ],
)
def test_places_are_plain_or_not_and_for_everybody_or_not(
    asked: Callable[..., Launch], arguments: str, listens: list[Listen]
) -> None:
    tls = "--ssl-certificate c --ssl-key k --ssl-ca-file a --ssl-minimum-version 1.3"

    launch = asked(*arguments.split(), *tls.split())

    assert tuple(listens) == launch.listens
    assert (TLS if "--ssl" in arguments.split() else None) == launch.everywhere.tls


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("-q redis --redis-server r --redis-port 1 --redis-password secret", "r:1"),
        ("-q libmemcached --libmemcached-servers a:1,b:2", "a:1"),
    ],
)
def test_gearmands_key_value_queues_are_stores_too(asked: Callable[..., Launch], arguments: str, name: str) -> None:
    store = asked(*arguments.split()).store

    assert store is not None
    assert name in store.name
    assert "secret" not in store.name


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ("", "stderr"),
        ("--daemon", "/var/log/gearmand.log"),
        ("--syslog", "none"),
        ("--syslog --daemon", "none"),
        ("--syslog --log-file log", "log"),
    ],
)
def test_log_goes_where_somebody_finds_it(asked: Callable[..., Launch], arguments: str, place: str) -> None:
    assert place == asked(*arguments.split()).log_file


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--ssl", "--ssl: --ssl-certificate must be given too, and --ssl-key unless the key is in its file"),
        (
            "--listen-tls a",
            "--listen-tls: --ssl-certificate must be given too, and --ssl-key unless the key is in its file",
        ),
        (
            "--queue-type libsqlite3 --libsqlite3-db x --store sqlite:x",
            "--store and --queue-type libsqlite3: expected one of them",
        ),
        ("--queue-type libsqlite3", "--queue-type libsqlite3: --libsqlite3-db must be given too"),
        ("--config /nonexistent", "--config: '/nonexistent' cannot be read: No such file or directory"),
        ("--config-file /nonexistent", "--config-file: '/nonexistent' cannot be read: No such file or directory"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(arguments: str, message: str) -> None:
    result = invoke_here("serve", "--check-args", *arguments.split())

    assert (2, f"gearman-trio: {message}\n") == (result.exit_code, result.output)


def test_wrong_value_is_told_with_the_place_that_it_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEARMAND_PORT", "tcp://10.0.0.1:4730")

    result = invoke_here("serve", "--check-args")

    assert 2 == result.exit_code
    assert "Error: Invalid value for '--port' (GEARMAND_PORT): expected a whole number from 0 to" in result.stderr


def test_arguments_are_checked_and_nothing_is_started() -> None:
    result = invoke_here("serve", "--check-args", "-l", "/nonexistent/log", "-L", "127.0.0.1:1", "-u", "nobody-here")

    assert (0, "") == (result.exit_code, result.output)


def test_printed_configuration_is_one_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    first = invoke_here("serve", "--print-config", "-L", "a", "-L", "b:2", "-j", "7", "--syslog", "-l", "/x y")
    path.write_text(first.stdout)

    second = invoke_here("serve", "--print-config", "--config", str(path))

    values = [
        [line.partition("  # ")[0].rstrip() for line in text.splitlines()] for text in (first.stdout, path.read_text())
    ]
    assert values[0] == [line.partition("  # ")[0].rstrip() for line in second.stdout.splitlines()]
    assert 'listen = ["a", "b:2"]' in values[0]
    assert "job-retries = 7                           # command line\n" in first.stdout
    assert f"job-retries = 7                           # {path}\n" in second.stdout


def test_version_is_that_of_the_package() -> None:
    assert f"gearmand-trio {version('gearman-trio')}\n" == invoke_here("serve", "--version").stdout
    assert f"gearmand-trio {version('gearman-trio')}\n" == invoke_here("serve", "-V").stdout


# ---- what cannot be opened -------------------------------------------------------------------------------------------


async def test_port_in_use_is_one_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        result = await invoke("serve", "-L", f"127.0.0.1:{port}")

    assert 3 == result.exit_code
    assert f"gearman-trio: cannot listen on 127.0.0.1, port {port}: Address already in use\n" == result.stderr


@pytest.mark.parametrize(
    ("option", "why"),
    [("--log-file", "cannot be written: No such file or directory"), ("--pid-file", "cannot be written: No such file")],
)
async def test_file_that_cannot_be_written_is_one_line(option: str, why: str) -> None:
    result = await invoke("serve", "-L", "127.0.0.1:0", option, "/nonexistent/file", "--verbose", "ERROR")

    assert 2 == result.exit_code
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"gearman-trio: {option}: '/nonexistent/file' {why}")


# ---- processes -------------------------------------------------------------------------------------------------------


def ipv6_available() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(not ipv6_available(), reason="the system has no IPv6 address to listen on")
async def test_every_address_of_the_ready_line_is_served_until_sigint(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    async with open_command("serve", "-p", "0", "-L", "127.0.0.1", "-L", "[::1]", "-P", str(pid)) as server:
        await server.wait_port()
        (line,) = server.stderr.text.splitlines()
        addresses = line.partition("ready: listening on ")[2].split(", ")
        server.send_signal(signal.SIGHUP)
        await server.stderr.wait_for(b"SIGHUP: what can change while the server runs was read anew")
        assert ["127.0.0.1", "[::1]"] == [address.rpartition(":")[0] for address in addresses]
        for address in addresses:
            async with open_admin(address) as admin:
                assert server.process.pid == await admin.process_id()
                assert "NOTICE" == await admin.verbosity()
        assert f"{server.process.pid}\n" == pid.read_text()
        server.send_signal(signal.SIGINT)
        assert 0 == await server.wait_ended()

        assert "SIGINT: finishing what runs" in server.stderr.text
    assert not pid.exists()


@pytest.mark.slow
async def test_sigterm_drains_and_a_second_one_stops_at_once() -> None:
    """Of two servers, one is left to finish its job, and one is not."""
    async with open_serve() as patient, open_serve() as hasty:
        running = [RunningJob(await server.wait_port()) for server in (patient, hasty)]
        async with trio.open_nursery() as nursery:
            for job in running:
                await nursery.start(job.run)
            for server in (patient, hasty):
                server.send_signal(signal.SIGTERM)
                await server.stderr.wait_for(b"SIGTERM: finishing what runs; once more to stop at once\n")
            hasty.send_signal(signal.SIGTERM)
            assert 0 == await hasty.wait_ended()
            # Draining, the other one takes nobody new, but its job goes on.
            with pytest.raises(ServersUnavailable):
                async with open_admin(f"127.0.0.1:{running[0].port}"):
                    pass
            running[0].finish.set()
            assert 0 == await patient.wait_ended()

    assert [b"done", "lost"] == [job.outcome for job in running]
    assert patient.stderr.text.endswith(" NOTICE gearman_trio.daemon.running: stopped\n")
    assert "Traceback" not in patient.stderr.text + hasty.stderr.text


@pytest.mark.slow
async def test_sigusr1_lets_what_runs_end_however_long_it_takes() -> None:
    # SIGTERM would give the job no time at all.
    async with open_command("serve", "-L", "127.0.0.1:0", "--drain-timeout", "0") as server:
        job = RunningJob(await server.wait_port())
        async with trio.open_nursery() as nursery:
            await nursery.start(job.run)
            async with open_client(f"127.0.0.1:{job.port}") as client:
                # No worker can do this one, and nobody waits for it.
                await client.submit("nothing")
            server.send_signal(signal.SIGUSR1)
            await server.stderr.wait_for(b"SIGUSR1: finishing what runs, however long it takes\n")
            job.finish.set()
            assert 0 == await server.wait_ended()

    assert b"done" == job.outcome
    assert "stopping with 1 queued" in server.stderr.text


def open_serve() -> Any:
    return open_command("serve", "-L", "127.0.0.1:0")


class RunningJob:
    """A job that runs until it is told to finish, and what its client hears."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.finish = trio.Event()
        self.outcome: object = None

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        abilities = Abilities()

        @abilities.function(name="wait")
        async def wait() -> bytes:
            task_status.started()
            await self.finish.wait()
            return b"done"

        url = f"127.0.0.1:{self.port}"
        async with trio.open_nursery() as nursery, open_client(url) as client, open_worker(abilities, url):
            nursery.cancel_scope.deadline = trio.current_time() + PATIENCE
            try:
                self.outcome = await client.run("wait")
            except JobLost:
                self.outcome = "lost"
            # The worker of a server that has gone would look for it for ever.
            nursery.cancel_scope.cancel()
