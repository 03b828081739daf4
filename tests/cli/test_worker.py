"""``gearman-trio worker``: finding the abilities, and signals."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from gearman_trio import ConfigError, JobFailed, open_client, open_server, open_worker
from gearman_trio.cli.target import load_abilities

from ..patience import PATIENCE
from .commands import Command, invoke, open_command
from .jobs import abilities

HERE = "tests.cli.jobs"


def open_worker_command(*arguments: str) -> Any:
    return open_command("worker", f"{HERE}:abilities", *arguments)


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder of the user's own, which is where modules are looked for first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")


def write(name: str, text: str) -> None:
    Path(name).write_text(f"from gearman_trio import Abilities\n{text}\n")


@pytest.mark.parametrize(
    ("target", "names"), [("one:abilities", [b"f"]), ("one:Holder.abilities", [b"f"]), ("two.inner:a", [b"g"])]
)
def test_abilities_are_found(target: str, names: list[bytes]) -> None:
    make = "@{0}.function(name='{1}')\nasync def function(): ..."
    write("one.py", f"abilities = Abilities()\n{make.format('abilities', 'f')}\nclass Holder: abilities = abilities")
    Path("two").mkdir()
    write("two/inner.py", f"a = Abilities()\n{make.format('a', 'g')}")

    assert names == [ability.name for ability in load_abilities(target)]


@pytest.mark.parametrize("target", ["", "module", "module:", ":object", "a..b:c", ".a:b", "a:b.", "a:.b", "a:b..c"])
def test_target_of_another_form_is_refused(target: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_abilities(target)

    assert f"expected MODULE:OBJECT, for example jobs:abilities, got {target!r}" == str(caught.value)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("absent:abilities", "module 'absent' is not found; is this the right folder?"),
        ("absent.inner:abilities", "module 'absent.inner' is not found; is this the right folder?"),
        ("os/path:abilities", "module 'os/path' is not found; is this the right folder?"),
        ("three.py:abilities", "module 'three.py' is not found; write it without .py"),
        ("three:abilites", "module 'three' has no 'abilites'"),
        ("three:text.abilities", "module 'three' has no 'text.abilities'"),
        ("three:text", "three:text is a str; expected gearman_trio.Abilities"),
        ("three:Abilities", "three:Abilities is a type; expected gearman_trio.Abilities"),
        ("three:empty", "three:empty holds no functions; add one with @empty.function"),
    ],
)
def test_target_that_is_not_there_is_told_with_a_way_out(target: str, message: str) -> None:
    write("three.py", "empty, text = Abilities(), ''")

    with pytest.raises(ConfigError) as caught:
        load_abilities(target)

    assert message == str(caught.value)


@pytest.mark.parametrize(
    ("text", "error"), [("import absent_too", "absent_too"), ("1 / 0", "division by zero"), ("+", "invalid syntax")]
)
def test_error_in_the_users_own_module_is_shown_as_it_is(text: str, error: str) -> None:
    write("broken.py", text)

    with pytest.raises((ModuleNotFoundError, ZeroDivisionError, SyntaxError), match=error):
        load_abilities("broken:abilities")


@pytest.mark.parametrize(
    ("text", "frames", "error"),
    [
        ("+", ['wrong.py", line 2'], "SyntaxError: invalid syntax"),
        ("import absent_too", ['wrong.py", line 2, in <module>'], "ModuleNotFoundError: No module named 'absent_too'"),
        (
            "def f(): 1 / 0\nf()",
            ['wrong.py", line 3, in <module>', 'wrong.py", line 2, in f'],
            "ZeroDivisionError: division by zero",
        ),
    ],
)
async def test_traceback_begins_in_the_users_own_module(text: str, frames: list[str], error: str) -> None:
    write("wrong.py", text)

    result = await invoke("worker", "wrong:abilities")

    assert 1 == result.exit_code
    lines = result.stderr.splitlines()
    assert frames == [line.rpartition("/")[2] for line in lines if line.startswith("  File ")]
    assert [error, "gearman-trio: wrong:abilities cannot be imported"] == lines[-2:]


@pytest.mark.slow
async def test_sigterm_lets_the_running_job_finish() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    results: list[bytes] = []
    async with (
        listener,
        open_server(port=0) as server,
        open_client(server.url) as client,
        open_worker_command("--server", server.url, "--client-id", "mine", "-c", "2") as worker,
        trio.open_nursery() as nursery,
    ):
        await worker.stderr.wait_for(b"gearman_trio.cli.process: ready\n")
        assert {b"reverse", b"boom", b"talk", b"hold"} == {row.name for row in server.statistics().functions}
        assert [b"mine"] == [peer.client_id for peer in server.statistics().peers if peer.abilities]

        async def run() -> None:
            results.append(await client.run("hold", b"%d" % listener.socket.getsockname()[1]))

        nursery.start_soon(run)
        with trio.fail_after(PATIENCE):
            async with await listener.accept() as job:
                worker.send_signal(signal.SIGTERM)
                await worker.stderr.wait_for(b"SIGTERM: finishing what runs; once more to stop at once\n")
                await job.send_all(b"x")
                assert 0 == await worker.wait_ended()

    assert [b"x"] == results
    check_quiet_end(worker)


@pytest.mark.slow
async def test_sigterm_ends_a_worker_that_reaches_no_server() -> None:
    """Neither one that never did, nor one whose server has gone, waits for a server to come."""
    async with open_server(port=0) as server:
        url = server.url
        async with open_worker_command("--server", url) as orphan:
            await orphan.stderr.wait_for(b"process: ready\n")
            await server.drain(0)
            async with open_worker_command("--server", url) as lonely:
                for worker in (orphan, lonely):
                    await worker.stderr.wait_for(b"WARNING")
                    worker.send_signal(signal.SIGTERM)
                    assert 0 == await worker.wait_ended()
                    check_quiet_end(worker)


def check_quiet_end(worker: Command) -> None:
    assert worker.stderr.text.endswith(" NOTICE gearman_trio.cli.process: stopped\n")
    assert "Traceback" not in worker.stderr.text


@pytest.mark.slow
async def test_drain_timeout_gives_the_running_job_back() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with (
        listener,
        open_server(port=0) as server,
        open_client(server.url) as client,
        open_worker_command("--server", server.url, "--drain-timeout", "0.2", "--on-lost", "finish") as worker,
    ):
        await worker.stderr.wait_for(b"process: ready\n")
        await client.submit("hold", b"%d" % listener.socket.getsockname()[1])
        with trio.fail_after(PATIENCE):
            async with await listener.accept():
                worker.send_signal(signal.SIGTERM)
                assert 0 == await worker.wait_ended()
            # The next worker gets it.
            async with open_worker(abilities, server.url), await listener.accept() as again:
                await again.send_all(b"x")

        assert "draining took more than 0.2 s, running jobs were cancelled" in worker.stderr.text
    check_quiet_end(worker)


@pytest.mark.slow
async def test_info_has_a_line_for_each_job_and_exceptions_can_be_kept_back() -> None:
    async with (
        open_server(port=0) as server,
        open_client(server.url) as client,
        open_worker_command("--server", server.url, "--verbose", "INFO", "--no-exceptions") as worker,
    ):
        await worker.stderr.wait_for(b"process: ready\n")
        assert b"cba" == await client.run("reverse", b"abc")
        with pytest.raises(JobFailed):
            await client.run("boom")

        await worker.stderr.wait_for(b" function=reverse done after ")
        await worker.stderr.wait_for(b" function=boom raised ValueError after ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--drain-timeout", "-1"], "expected a number of seconds of at least 0"),
        (["--on-lost", "ignore"], "'ignore' is not one of 'cancel', 'finish'"),
    ],
)
async def test_wrong_options_are_refused(arguments: list[str], words: str) -> None:
    result = await invoke("worker", "one:abilities", *arguments)

    assert 2 == result.exit_code
    assert words in " ".join(result.stderr.replace("│", " ").split())
