"""``gearman-trio serve``: options, files, signals."""

from __future__ import annotations

import importlib
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from gearman_trio import Abilities, JobLost, ServerOptions, ServersUnavailable, open_admin, open_client, open_worker
from gearman_trio.cli.logs import LEVELS, set_up_logging

from .commands import PATIENCE, invoke, invoke_here, open_command

#: For each field of the job server's options: arguments, and what they make of it.  A field without arguments says why.
OPTIONS: dict[str, tuple[str, Any]] = {
    "max_attempts": ("--job-retries 5", 5),
    "round_robin": ("--no-round-robin", False),
    "global_priority": ("--priority-scope function", False),
    "worker_wakeup": ("--worker-wakeup 0", 0),
    "requeue_on_timeout": ("--timeout-action requeue", True),
    "exceptions": ("--exceptions", True),
    "max_packet_bytes": ("--max-packet 1000", 1000),
    "handle_prefix": ("--job-handle-prefix X", "X"),
    "verbosity": ("--verbose debug", "DEBUG"),
    "store_timeout": ("--store-timeout 2.5", 2.5),
    "store_foreground": ("--store-foreground", True),
    "replay": ("--replay online", "online"),
    "wake_seconds": ("", "a second line of defence, not a matter of taste"),
    "outbox_pause_bytes": ("", "a matter of memory, for programs that embed the server"),
    "outbox_limit_bytes": ("", "likewise"),
    "handshake_seconds": ("", "the command speaks no TLS yet"),
    "busy_poll_seconds": ("", "set by the command, whose process runs nothing else"),
    "close_seconds": ("", "likewise a matter of memory"),
    "time_zone": ("", "that of the process, by the environment variable TZ"),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Give what the command line asks for, without doing it."""
    seen: list[Any] = []
    serve = importlib.import_module("gearman_trio.cli.serve")
    monkeypatch.setattr(serve, "run_async", lambda function, command: seen.append(command))

    def ask(*arguments: str) -> Any:
        result = invoke_here("serve", *arguments)
        assert (0, "") == (result.exit_code, result.output)
        return seen.pop()

    return ask


def test_no_option_of_the_server_is_forgotten() -> None:
    assert sorted(OPTIONS) == sorted(field.name for field in attrs.fields(ServerOptions))


def test_defaults_are_those_of_the_server(asked: Callable[..., Any]) -> None:
    # The command logs more than a server inside of another program, and says so by `verbose`.
    assert ServerOptions(verbosity="NOTICE") == asked().options


@pytest.mark.parametrize("name", [name for name, (arguments, _) in OPTIONS.items() if arguments])
def test_option_reaches_the_server(asked: Callable[..., Any], name: str) -> None:
    arguments, expected = OPTIONS[name]

    options = asked(*arguments.split()).options

    assert ServerOptions(**{"verbosity": "NOTICE", name: expected}) == options
    assert ServerOptions(verbosity="NOTICE") != options


@pytest.mark.parametrize(("retries", "attempts"), [("-1", 0), ("0", 1), ("1", 1), ("2", 2), ("255", 255)])
def test_job_retries_count_as_gearmand_does(asked: Callable[..., Any], retries: str, attempts: int) -> None:
    assert attempts == asked("--job-retries", retries).options.max_attempts


def test_other_options_have_their_short_names(asked: Callable[..., Any], tmp_path: Path) -> None:
    pid, log = tmp_path / "pid", tmp_path / "log"

    command = asked(*f"-p 1 -L a -L [::1]:2 -b 7 -P {pid} -l {log} -j 3 -R -w 4 --drain-timeout inf".split())

    assert (1, ["a", "[::1]:2"], 7, pid, float("inf")) == (
        command.port,
        command.listen,
        command.backlog,
        command.pid_file,
        command.drain_timeout,
    )
    assert ServerOptions(max_attempts=3, worker_wakeup=4, verbosity="NOTICE") == command.options
    assert log.exists()


def test_port_may_come_from_the_environment(asked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEARMAND_PORT", "4731")

    assert (4731, 4732) == (asked().port, asked("--port", "4732").port)


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


def test_log_goes_to_a_file_which_may_be_moved_away(tmp_path: Path) -> None:
    logger, path = logging.getLogger("gearman_trio.test"), tmp_path / "log"
    set_up_logging("NOTICE", str(path))
    logger.warning("one")
    path.rename(tmp_path / "old")
    logger.warning("two")
    logger.info("too quiet")
    written = [file.read_text().split(": ")[-1] for file in (tmp_path / "old", path)]

    assert ["one\n", "two\n"] == written


def test_log_may_go_nowhere(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    set_up_logging("debug", "none")
    logging.getLogger("gearman_trio.test").error("one")

    assert ("", "") == capfd.readouterr()
    assert [] == caplog.records


@pytest.mark.parametrize("name", LEVELS)
def test_every_level_of_gearmand_has_a_number(name: str) -> None:
    set_up_logging(name, "none")

    assert LEVELS[name] == logging.getLogger("gearman_trio").level


# ---- processes -------------------------------------------------------------------------------------------------------


def ipv6_available() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(not ipv6_available(), reason="this machine has no IPv6")
async def test_every_address_of_the_ready_line_is_served_until_sigint(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    async with open_command("serve", "-p", "0", "-L", "127.0.0.1", "-L", "[::1]", "-P", str(pid)) as server:
        await server.wait_port()
        (line,) = server.stderr.text.splitlines()
        addresses = line.partition("ready: listening on ")[2].split(", ")
        # It means nothing here, though it does to gearmand.
        server.send_signal(signal.SIGHUP)
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
    assert patient.stderr.text.endswith(" NOTICE gearman_trio.cli.serve: stopped\n")
    assert "Traceback" not in patient.stderr.text + hasty.stderr.text


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
