"""``gearman-trio worker --processes``: crashes, restarts, signals, and how it ends."""

from __future__ import annotations

import math
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from gearman_trio import Client, JobFailed, Server, ServerOptions, open_client, open_server, open_worker
from gearman_trio.cli.destination import Destination
from gearman_trio.cli.process import WorkerCommand
from gearman_trio.cli.supervisor import Supervisor
from gearman_trio.transport import Backoff

from ..patience import PATIENCE
from .commands import ROOT, Command, open_command
from .process_jobs import abilities

TARGET = "tests.cli.process_jobs:abilities"

#: A program that makes its standard input the terminal that controls it, and then becomes another program.
# The tests may run under nohup.
TAKE_TERMINAL = (
    "import fcntl, os, signal, sys, termios; signal.signal(signal.SIGHUP, signal.SIG_DFL);"
    " fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)

pytestmark = pytest.mark.slow


def open_workers(server: Server, *arguments: str, **options: Any) -> Any:
    return open_command("worker", *arguments, "--server", server.url, **options)


@asynccontextmanager
async def two_workers(*arguments: str) -> AsyncIterator[tuple[Command, Server, Client]]:
    """Two processes of one command, ready, with a server that does not give a job again and a client."""
    async with (
        open_server(port=0, options=ServerOptions(max_attempts=1)) as server,
        open_client(server.url) as client,
        open_workers(server, TARGET, "--processes", "2", *arguments) as workers,
    ):
        await workers.stderr.wait_for(b"ready: processes=2\n")
        yield workers, server, client


def pids(workers: Command) -> list[int]:
    """The processes that have become ready, in that order."""
    return [int(pid) for pid in re.findall(r"process=\d+ pid=(\d+) ready\n", workers.stderr.text)]


@attrs.frozen
class Held:
    """Jobs that run until the test lets them end."""

    listener: trio.SocketListener

    @property
    def workload(self) -> bytes:
        return b"%d" % self.listener.socket.getsockname()[1]

    async def wait_running(self) -> trio.SocketStream:
        with trio.fail_after(PATIENCE):
            return await self.listener.accept()


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        yield Held(listener)


async def test_crashed_process_is_replaced() -> None:
    async with two_workers("--client-id", "mine") as (workers, server, client):
        assert {b"mine-1", b"mine-2"} == {peer.client_id for peer in server.statistics().peers if peer.abilities}
        victim = int(await client.run("here.pid"))

        os.kill(victim, signal.SIGKILL)
        await workers.stderr.wait_for(b"pid=%d was killed by SIGKILL; another one starts in 0." % victim)
        await workers.stderr.wait_for(b"ready: processes=2\n", times=2)

        assert 3 == len(set(pids(workers)))
        with pytest.raises(JobFailed):
            await client.run("here.leave", b"7")
        await workers.stderr.wait_for(b" ended with exit code 7; another one starts in ")
        await workers.stderr.wait_for(b"ready: processes=2\n", times=3)
        assert int(await client.run("here.pid")) in pids(workers)


async def test_process_that_a_job_ended_is_replaced_without_a_warning() -> None:
    async with two_workers() as (workers, _, client):
        await client.run("here.enough")

        await workers.stderr.wait_for(b" ended with exit code 0; another one starts in ")
        await workers.stderr.wait_for(b"ready: processes=2\n", times=2)
        assert "WARNING" not in workers.stderr.text


async def test_sighup_replaces_one_after_the_other(held: Held) -> None:
    async with two_workers() as (workers, _, client), trio.open_nursery() as nursery:
        before = pids(workers)
        results: list[bytes] = []

        async def run() -> None:
            results.append(await client.run("here.hold", held.workload))

        nursery.start_soon(run)
        async with await held.wait_running() as job:
            workers.send_signal(signal.SIGHUP)
            await workers.stderr.wait_for(b"restarted: processes=2\n")
            await job.send_all(b"x")
        for pid in before:
            await workers.stderr.wait_for(b"pid=%d stopped\n" % pid)

        after = pids(workers)[2:]
        assert 2 == len(set(after) - set(before))
        text = workers.stderr.text
        for number, new in enumerate(after, 1):
            (old,) = {int(pid) for pid in re.findall(rf"process={number} pid=(\d+) ready", text)} - {new}
            # The old one takes jobs until the new one does.
            assert text.index(f"pid={new} ready\n") < text.index(f"pid={old} stopped\n")
    assert results in [[b"x from %d" % pid] for pid in before]


async def test_process_that_the_system_does_not_start_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, nursery: trio.Nursery
) -> None:
    async with open_server(port=0) as server, open_client(server.url) as client:
        command = WorkerCommand(
            target=TARGET,
            lifespan=None,
            middleware=[],
            destination=Destination((server.url,)),
            concurrency=1,
            client_id=None,
            exceptions=True,
            on_lost="cancel",
            drain_timeout=math.inf,
            verbose="NOTICE",
            log_file="none",
            json_logs=False,
        )
        python = sys.executable
        monkeypatch.setattr(sys, "executable", "/absent")
        told = trio.Event()

        def next_wait(backoff: Backoff) -> float:
            told.set()
            return 0.05

        monkeypatch.setattr(Backoff, "next_wait", next_wait)
        supervisor = Supervisor(command, 1)
        nursery.start_soon(supervisor.run, [])
        with trio.fail_after(PATIENCE):
            await told.wait()
            health = await supervisor.health()
            assert (True, False) == (health.alive, health.ready)
            assert "process=1 cannot be started: [Errno 2] No such file or directory: '/absent'" in caplog.text

            monkeypatch.setattr(sys, "executable", python)
            assert int(await client.run("here.pid")) != os.getpid()
        nursery.cancel_scope.cancel()


async def test_restart_with_broken_code_leaves_the_old_processes_at_work(tmp_path: Path) -> None:
    module = tmp_path / "app.py"
    module.write_text("from tests.cli.process_jobs import abilities\n")
    async with (
        open_server(port=0) as server,
        open_client(server.url) as client,
        open_workers(server, "app:abilities", "--processes", "2", cwd=tmp_path) as workers,
    ):
        await workers.stderr.wait_for(b"ready: processes=2\n")
        before = pids(workers)
        module.write_text("this is no Python\n")

        workers.send_signal(signal.SIGHUP)

        await workers.stderr.wait_for(b"the restart is broken off; the old processes go on\n")
        assert 1 == workers.stderr.text.count("SyntaxError: invalid syntax\n")
        assert int(await client.run("here.pid")) in before
        # One that crashes now cannot be replaced; the other goes on, and when the code is good again, all is well.
        os.kill(before[0], signal.SIGKILL)
        await workers.stderr.wait_for(b" ended with exit code 1; another one starts in ")
        assert before[1] == int(await client.run("here.pid"))
        module.write_text("from tests.cli.process_jobs import abilities\n")
        await workers.stderr.wait_for(b"ready: processes=2\n", times=2)


async def test_sigterm_lets_all_processes_finish(held: Held) -> None:
    results: list[bytes] = []
    async with two_workers() as (workers, _, client), trio.open_nursery() as nursery:

        async def run() -> None:
            results.append(await client.run("here.hold", held.workload))

        nursery.start_soon(run)
        nursery.start_soon(run)
        async with await held.wait_running() as one, await held.wait_running() as other:
            workers.send_signal(signal.SIGTERM)
            await workers.stderr.wait_for(b"SIGTERM: finishing what runs; once more to stop at once\n")
            await one.send_all(b"x")
            await other.send_all(b"y")
            assert 0 == await workers.wait_ended()

    assert {b"x", b"y"} == {result[:1] for result in results}
    assert set(pids(workers)) == {int(result.rpartition(b" ")[2]) for result in results}
    assert workers.stderr.text.endswith(" NOTICE gearman_trio.cli.supervisor: stopped\n")
    assert "Traceback" not in workers.stderr.text
    assert "WARNING" not in workers.stderr.text


async def test_second_signal_gives_the_jobs_back_at_once(held: Held) -> None:
    async with (
        open_server(port=0) as server,
        open_client(server.url) as client,
        open_workers(server, TARGET, "--processes", "1") as workers,
    ):
        await workers.stderr.wait_for(b"ready: processes=1\n")
        await client.submit("here.hold", held.workload)
        async with await held.wait_running():
            workers.send_signal(signal.SIGINT)
            await workers.stderr.wait_for(b"SIGINT: finishing what runs; once more to stop at once\n")
            workers.send_signal(signal.SIGINT)
            assert 0 == await workers.wait_ended()
        # The next worker gets it.
        async with open_worker(abilities, server.url), await held.wait_running() as again:
            await again.send_all(b"x")
    assert "Traceback" not in workers.stderr.text


async def test_drain_timeout_counts_for_each_process(held: Held) -> None:
    async with two_workers("--drain-timeout", "0.2") as (workers, _, client):
        await client.submit("here.hold", held.workload)
        async with await held.wait_running():
            workers.send_signal(signal.SIGTERM)
            assert 0 == await workers.wait_ended()

    assert 1 == workers.stderr.text.count("draining took more than 0.2 s, running jobs were cancelled")


async def test_third_signal_kills_what_cannot_end(held: Held) -> None:
    async with two_workers() as (workers, _, client):
        await client.submit("here.block", held.workload)
        async with await held.wait_running():
            for said in (b"finishing what runs", b"stopping at once", b""):
                workers.send_signal(signal.SIGTERM)
                await workers.stderr.wait_for(b"SIGTERM: " + said)
            assert 0 == await workers.wait_ended()


async def test_processes_drain_when_their_supervisor_is_killed(held: Held) -> None:
    """Nobody is left who grabs jobs, and what runs is finished."""
    results: list[bytes] = []
    async with two_workers() as (workers, server, client), trio.open_nursery() as nursery:

        async def run() -> None:
            results.append(await client.run("here.hold", held.workload))

        nursery.start_soon(run)
        async with await held.wait_running() as job:
            workers.send_signal(signal.SIGKILL)
            await workers.stderr.wait_for(b"the supervisor is gone: finishing what runs\n", times=2)
            await job.send_all(b"x")
        # Both hold the pipe as long as they live.
        await workers.stderr.wait_ended()

        assert [] == [peer for peer in server.statistics().peers if peer.abilities]
    assert [b"x"] == [result[:1] for result in results]


@pytest.mark.parametrize(
    ("code", "exit_code", "error"),
    [
        ("import absent_module", 1, "ModuleNotFoundError: No module named 'absent_module'\n"),
        ("def f(:", 1, "SyntaxError: invalid syntax\n"),
        ("1 / 0", 1, "gearman-trio: app:abilities cannot be imported\n"),
        ("raise SystemExit(5)", 5, " could not start: it ended with exit code 5\n"),
        ("import os; os.abort()", 134, " could not start: it was killed by SIGABRT\n"),
        ("", 2, "gearman-trio: module 'app' has no 'abilities'\n"),
        (
            "from tests.cli.process_jobs import wanting as abilities",
            2,
            "gearman-trio: function 'greet' takes a Greeting, but the worker was given no lifespan\n",
        ),
    ],
    ids=["import", "syntax", "error", "exit", "abort", "no-such-object", "no-lifespan"],
)
async def test_what_cannot_start_is_told_once_and_ends_the_command(
    tmp_path: Path, code: str, exit_code: int, error: str
) -> None:
    (tmp_path / "app.py").write_text(f"{code}\n")
    async with open_command("worker", "app:abilities", "--processes", "3", cwd=tmp_path) as workers:
        assert exit_code == await workers.wait_ended()

    assert 1 == workers.stderr.text.count(error)
    assert 1 == workers.stderr.text.count(" could not start: it ")


async def test_lifespan_and_middleware_work_in_every_process() -> None:
    names = ["--lifespan", "greeting", "--middleware", "shout", "--middleware", "tests.cli.process_jobs:underline"]
    async with (
        open_server(port=0) as server,
        open_client(server.url) as client,
        open_workers(
            server, "tests.cli.process_jobs:wanting", "--processes", "1", "--verbose", "INFO", *names
        ) as workers,
    ):
        assert b"HELLO, YOU _" == await client.run("greet", b"you")
        await workers.stderr.wait_for(b"ready: processes=1\n")

        (pid,) = set(pids(workers))
        await workers.stderr.wait_for(b" INFO gearman_trio.worker.middleware: process=1 pid=%d conn=1 handle=" % pid)
        await workers.stderr.wait_for(b" function=greet done after ")


async def test_closing_the_terminal_ends_it_though_sighup_restarts_it() -> None:
    ours, theirs = pty.openpty()
    async with open_server(port=0) as server, trio.open_nursery() as nursery:
        arguments = ["-m", "gearman_trio", "worker", TARGET, "--server", server.url, "--processes", "1"]
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", TAKE_TERMINAL, sys.executable, *arguments],
            stdin=theirs,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )
        workers = Command(process)
        workers.stdout.ended = True
        assert process.stderr is not None
        nursery.start_soon(workers.stderr.keep, process.stderr)
        try:
            await workers.stderr.wait_for(b"ready: processes=1\n")
            workers.send_signal(signal.SIGHUP)
            await workers.stderr.wait_for(b"restarted: processes=1\n")

            os.close(theirs)
            os.close(ours)

            assert 0 == await workers.wait_ended()
        finally:
            process.kill()
    assert "SIGHUP: finishing what runs" in workers.stderr.text
    assert workers.stderr.text.endswith(" stopped\n")
