"""``gearman-trio worker --exec``: a program for each job."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import trio

from gearman_trio import ForegroundJob, JobData, JobFailed, JobWarning, Server, open_client, open_worker
from gearman_trio.cli.exec_worker import Output, exec_abilities
from gearman_trio.errors import ConfigError

from ..interop.programs import wait_until
from ..patience import PATIENCE
from .commands import invoke_here, open_command


async def outcome(job: ForegroundJob) -> list[object]:
    """What its client hears: data and warnings, and then the result, or the error's type."""
    events: list[object] = []
    try:
        async for event in job:
            assert isinstance(event, JobData | JobWarning)
            events.append((type(event), event.data))
        events.append(await job.result())
    except JobFailed:
        events.append(JobFailed)
    return events


async def run(server: Server, command: str, workload: bytes = b"", *, output: Output = Output.RESULT) -> list[object]:
    with trio.fail_after(PATIENCE):
        async with (
            open_worker(exec_abilities("f", command, output=output), server.url),
            open_client(server.url) as client,
            client.stream("f", workload, unique="u") as job,
        ):
            return await outcome(job)


async def test_output_is_the_result(server: Server) -> None:
    assert [bytes(range(256))] == await run(server, "cat", bytes(range(256)))


async def test_much_goes_in_and_comes_out(server: Server) -> None:
    """More than fits into pipes, so that both ends must be served at once."""
    workload = bytes(1_000_000)

    assert [workload] == await run(server, "cat", workload)


async def test_program_need_not_read_its_input(server: Server) -> None:
    assert [b""] == await run(server, "true", bytes(1_000_000))


async def test_arguments_are_split_as_by_a_shell_but_no_shell_runs(server: Server) -> None:
    assert [b"$HOME a  b *\n"] == await run(server, "echo '$HOME' \"a  b\" *")


async def test_program_knows_its_job(server: Server) -> None:
    (text,) = await run(server, "sh -c 'echo $GEARMAN_FUNCTION $GEARMAN_UNIQUE $GEARMAN_HANDLE'")

    assert isinstance(text, bytes)
    assert [b"f", b"u", b"H"] == text.replace(b":", b" ").split()[:3]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (Output.RESULT, [b"a\nb\nc"]),
        (Output.DATA, [(JobData, b"a\nb\nc"), b""]),
        (Output.LINES, [(JobData, b"a\n"), (JobData, b"b\n"), (JobData, b"c"), b""]),
        (Output.STRIPPED, [(JobData, b"a"), (JobData, b"b"), (JobData, b"c"), b""]),
    ],
)
async def test_output_may_be_data(server: Server, output: Output, expected: list[object]) -> None:
    assert expected == await run(server, "printf 'a\\nb\\nc'", output=output)


async def test_exit_status_decides(server: Server) -> None:
    assert [(JobData, b"so far"), (JobWarning, b"sh ended with exit status 3"), JobFailed] == await run(
        server, "sh -c 'printf \"so far\"; exit 3'"
    )


async def test_program_that_is_killed_fails_its_job(server: Server) -> None:
    assert [(JobWarning, b"sh was ended by SIGKILL"), JobFailed] == await run(server, "sh -c 'kill -KILL $$'")


async def test_program_that_is_gone_fails_its_job(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    abilities = exec_abilities("f", str(path))
    path.unlink()
    async with (
        open_worker(abilities, server.url),
        open_client(server.url) as client,
        client.stream("f") as job,
    ):
        events = await outcome(job)

    assert [(JobWarning, f"{path} cannot be started: No such file or directory".encode()), JobFailed] == events


async def test_cancelled_job_takes_its_program_along(server: Server, tmp_path: Path) -> None:
    """The program, which does not care about SIGTERM, has started another one."""
    pids = tmp_path / "pids"
    code = f"trap : TERM; sleep 1000 & echo $! > {pids}; wait; exec sleep 0"
    abilities = exec_abilities("f", f"sh -c '{code}'")
    async with open_worker(abilities, server.url, drain_seconds=0), open_client(server.url) as client:
        await client.submit("f")
        await wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"))

    process = int(pids.read_text())
    await wait_until(lambda: not running(process))


def running(process: int) -> bool:
    try:
        return "Z" != Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "--exec: expected a program and its arguments, got ''; there is no such program"),
        ("no-such-program-here x", "got 'no-such-program-here x'; there is no such program"),
        ("echo 'x", '--exec: "echo \'x" cannot be split: No closing quotation'),
    ],
)
def test_command_that_cannot_be_run_is_told(command: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        exec_abilities("f", command)

    assert message in str(caught.value)
    assert 2 == invoke_here("worker", "f", "--exec", command).exit_code


def test_functions_are_named_with_commas_between() -> None:
    assert [b"a", b"b c"] == [ability.name for ability in exec_abilities("a,b c", "cat")]
    with pytest.raises(ConfigError, match="function name: must not be empty"):
        exec_abilities("a,", "cat")


@pytest.mark.slow
async def test_worker_of_the_command_ends_after_so_many_jobs(server: Server) -> None:
    line = ["worker", "f,g", "--exec", "tr a-z A-Z", "--count", "2", "-s", str(server.addresses[0])]
    async with open_command(*line) as worker, open_client(server.url) as client:
        with trio.fail_after(PATIENCE):
            assert [b"ONE", b"TWO"] == [await client.run("f", b"one"), await client.run("g", b"two")]

        assert 0 == await worker.wait_ended()


@pytest.mark.slow
async def test_worker_of_the_command_lets_its_program_finish(server: Server, tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = f"sh -c 'echo started; while [ ! -e {go} ]; do sleep 0.01; done; echo done'"
    line = ["worker", "f", "--exec", code, "--output", "lines", "-s", str(server.addresses[0])]
    async with open_command(*line) as worker, open_client(server.url) as client, client.stream("f") as job:
        with trio.fail_after(PATIENCE):
            # The first line comes while the program runs.
            assert JobData(b"started\n") == await anext(aiter(job))
            worker.send_signal(signal.SIGTERM)
            await worker.stderr.wait_for(b"SIGTERM: finishing what runs")
            await trio.Path(go).touch()
            assert [(JobData, b"done\n"), b""] == await outcome(job)

        assert 0 == await worker.wait_ended()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("m:o --count 3", "--count: a program must be given with --exec"),
        ("f --exec cat --reload", "--reload: there is no Python source"),
        ("f --exec cat --lifespan m:o", "--lifespan: a program of --exec cannot be given its value"),
        ("f --exec cat --count 3 --processes 2", "--count: with --processes, a process that ends is replaced"),
    ],
)
def test_what_has_no_sense_with_or_without_a_program_is_refused(arguments: str, message: str) -> None:
    result = invoke_here("worker", *arguments.split())

    assert 2 == result.exit_code
    assert message in result.stderr


@pytest.mark.slow
async def test_programs_run_under_a_supervisor_too(server: Server) -> None:
    arguments = ("f", "--exec", "tr a-z A-Z", "--output", "data", "--processes", "2", "--server", server.url)
    with trio.fail_after(PATIENCE):
        async with open_command("worker", *arguments) as workers, open_client(server.url) as client:
            await workers.stderr.wait_for(b"ready: processes=2\n")
            async with client.stream("f", b"loud") as job:
                heard = await outcome(job)
            workers.send_signal(signal.SIGTERM)
            assert 0 == await workers.wait_ended()

    assert [(JobData, b"LOUD"), b""] == heard
