"""The worker processes of ``gearman-trio worker``: their command line, and what holds them to their supervisor."""

from __future__ import annotations

import importlib
import os
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from gearman_trio import ConfigError, TlsOptions, open_server
from gearman_trio.cli import worker_process
from gearman_trio.cli.destination import Destination
from gearman_trio.cli.exec_worker import Output
from gearman_trio.cli.leash import VARIABLE, Leash, Report
from gearman_trio.cli.process import WorkerCommand
from gearman_trio.cli.worker_process import WorkerProcess

from ..patience import PATIENCE
from .commands import invoke_here

REPORT = Report(ready=True, running=2, servers={"a:1": "connected"})

#: For each thing that a worker is told: arguments, and what they make of it.
OPTIONS: dict[str, tuple[str, Any]] = {
    "target": ("", "m:o"),
    "lifespan": ("--lifespan open_it", "open_it"),
    "middleware": ("--middleware one --middleware n:two", ["one", "n:two"]),
    "destination": (
        "--server a:1 --server [::1]:2 --ssl-ca-file c --ssl-certificate d --ssl-key e --ssl-minimum-version 1.3",
        Destination(
            ("a:1", "[::1]:2"),
            TlsOptions(ca="c", certificate="d", key="e", minimum_version=ssl.TLSVersion.TLSv1_3),
        ),
    ),
    "concurrency": ("--concurrency 5", 5),
    "client_id": ("--client-id mine", "mine"),
    "exceptions": ("--no-exceptions", False),
    "on_lost": ("--on-lost finish", "finish"),
    "drain_timeout": ("--drain-timeout 0.1", 0.1),
    "verbose": ("--verbose debug", "debug"),
    "log_file": ("--log-file none", "none"),
    "json_logs": ("--json-logs", True),
}

#: Likewise, for those whose functions are a program; no process is told of a count or an
#: idle time, which are for one worker alone.
PROGRAM: dict[str, tuple[str, Any]] = {
    "program": ("--exec cat", "cat"),
    "output": ("--output lines", Output.LINES),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., WorkerCommand]:
    """Give what the command line asks of a worker, without doing it."""
    seen: list[WorkerCommand] = []
    worker = importlib.import_module("gearman_trio.cli.worker")
    monkeypatch.setattr(worker, "_load", seen.append)
    monkeypatch.setattr(worker, "run_async", lambda *_: 0)

    def ask(*arguments: str) -> WorkerCommand:
        result = invoke_here("worker", *arguments)
        assert (0, "") == (result.exit_code, result.output)
        return seen.pop()

    return ask


def test_nothing_that_a_worker_is_told_is_forgotten() -> None:
    assert sorted([*OPTIONS, *PROGRAM, "count", "idle_timeout"]) == sorted(
        field.name for field in attrs.fields(WorkerCommand)
    )


def test_processes_are_told_what_the_command_was_told(asked: Callable[..., WorkerCommand]) -> None:
    plain = asked("m:o")
    command = asked("m:o", *" ".join(arguments for arguments, _ in OPTIONS.values()).split())

    told = {name: value for name, (_, value) in OPTIONS.items()}
    assert told == {name: value for name, value in attrs.asdict(command, recurse=False).items() if name in OPTIONS}
    assert attrs.evolve(command, client_id="mine-3") == asked(*command.arguments(3))
    assert plain == asked(*plain.arguments(3))


def test_processes_are_told_of_the_program(asked: Callable[..., WorkerCommand]) -> None:
    command = asked("f", *" ".join(arguments for arguments, _ in PROGRAM.values()).split())

    told = {name: value for name, (_, value) in PROGRAM.items()}
    assert told == {name: value for name, value in attrs.asdict(command, recurse=False).items() if name in PROGRAM}
    assert command == asked(*command.arguments(3))


def test_client_id_must_leave_room_for_the_number_of_the_process() -> None:
    result = invoke_here("worker", "m:o", "--processes", "10", "--client-id", "c" * 252)

    assert 2 == result.exit_code
    assert "gearman-trio: client ID: " in result.stderr


@pytest.mark.parametrize("value", ["", "1", "1:x", "x:0", "1:99999", "1:-1"])
def test_leash_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)

    with pytest.raises(ConfigError, match=VARIABLE):
        Leash.from_environment()


async def test_leash_is_neither_found_twice_nor_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Leash.from_environment() is None
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    descriptor = theirs.detach()
    monkeypatch.setenv(VARIABLE, f"2:{descriptor}")

    with ours:
        leash = Leash.from_environment()

        assert leash is not None
        assert f"process=2 pid={os.getpid()}" == str(leash)
        assert not os.get_inheritable(descriptor)
        assert Leash.from_environment() is None
    with trio.move_on_after(0):
        # Closes its end.
        await obey(leash, [])


async def obey(leash: Leash, done: list[str]) -> None:
    """Be a process whose supervisor has gone, or goes."""

    async def drain() -> None:
        done.append("drain")

    await leash.obey(lambda: REPORT, drain=drain, stop=lambda: done.append("stop"))


async def test_orders_are_followed_and_reports_are_sent(nursery: trio.Nursery) -> None:
    ours, theirs = socket.socketpair()
    done: list[str] = []
    leash = Leash(1, theirs)
    async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as supervisor:
        nursery.start_soon(obey, leash, done)
        # In pieces, as a stream may deliver them.
        await supervisor.send_all(b"rep")
        await trio.testing.wait_all_tasks_blocked()
        await supervisor.send_all(b"ort\n")
        with trio.fail_after(PATIENCE):
            assert REPORT == Report.decode(bytes(await supervisor.receive_some()))
        await supervisor.send_all(b"drain\nstop\ndrain\n")
        await trio.testing.wait_all_tasks_blocked()
        assert ["stop", "drain"] == sorted(done, reverse=True)
        leash.report()
        with trio.fail_after(PATIENCE):
            assert REPORT == Report.decode(bytes(await supervisor.receive_some()))
    await trio.testing.wait_all_tasks_blocked()
    # It drains already.
    assert 2 == len(done)


async def test_end_of_the_supervisor_drains(nursery: trio.Nursery) -> None:
    ours, theirs = socket.socketpair()
    done: list[str] = []
    nursery.start_soon(obey, Leash(1, theirs), done)
    await trio.testing.wait_all_tasks_blocked()
    assert [] == done

    ours.close()

    await trio.testing.wait_all_tasks_blocked()
    assert ["drain"] == done


@pytest.mark.slow
@pytest.mark.parametrize("how", ["drain", "stop"])
async def test_process_that_does_not_end_in_time_is_killed(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery, how: str
) -> None:
    monkeypatch.setattr(worker_process, "_GRACE_SECONDS", 0.0)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, open_server(port=0) as server, server.open_client() as client:
        process = WorkerProcess(1, 0.0)
        arguments = ["tests.cli.process_jobs:abilities", f"--server={server.url}"]
        await nursery.start(partial(process.run, arguments, {}, on_report=lambda: None))
        with trio.fail_after(PATIENCE):
            assert await process.wait_ready()
            await client.submit("here.block", b"%d" % listener.socket.getsockname()[1])
            async with await listener.accept():
                getattr(process, how)()
                # It gives no answer, and has ended at last.
                assert await process.ask() is None

        assert (-9, True) == (process.returncode, process.overdue)
        assert not process.ready
        assert not await process.wait_ready()
