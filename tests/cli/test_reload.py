"""``gearman-trio worker --reload``: which files are followed, and what a change brings about."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import trio

from gearman_trio import ConfigError, open_client, open_server
from gearman_trio.cli.reload import follow_sources, source_folders

from ..patience import PATIENCE
from .commands import open_command

CODE = """
import trio

from gearman_trio import Abilities

abilities = Abilities()


@abilities.function
async def version() -> bytes:
    return b"one"


@abilities.function
async def hold(workload: bytes) -> bytes:
    async with await trio.open_tcp_stream("127.0.0.1", int(workload)) as stream:
        return bytes(await stream.receive_some(1)) + b" from one"
"""


def write(module: Path, text: str) -> None:
    """Write a file in one step: who looks at the wrong moment must not find it empty."""
    module.with_suffix(".new").write_text(text)
    module.with_suffix(".new").replace(module)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_sources_of_a_module_in_this_folder_are_in_this_folder(here: Path) -> None:
    (here / "app.py").touch()
    (here / "package").mkdir()

    assert [here] == source_folders("app")
    assert [here] == source_folders("package.inner")
    assert [here] == source_folders("absent")
    assert [here] == source_folders("sys")


def test_sources_of_a_package_elsewhere_are_there_too(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "elsewhere" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (package.parent / "module.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(package.parent))

    assert [here, package] == source_folders("package.inner")
    assert [here, package.parent] == source_folders("module")


@pytest.mark.slow
async def test_changes_of_python_files_are_told(here: Path) -> None:
    (here / "below").mkdir()
    send, receive = trio.open_memory_channel[list[str]](100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow_sources, [here], send.send_nowait)
        # It watches from its first checkpoint on, and now waits for its thread.
        await trio.testing.wait_all_tasks_blocked()
        for name in ("notes.txt", ".app.py.swp", "app.pyc", "below/app.py"):
            (here / name).write_text("1")
        with trio.fail_after(PATIENCE):
            assert ["app.py"] == await receive.receive()
        (here / "below" / "app.py").unlink()
        with trio.fail_after(PATIENCE):
            assert ["app.py"] == await receive.receive()
        nursery.cancel_scope.cancel()


async def test_folder_that_cannot_be_watched_is_an_error(here: Path) -> None:
    with pytest.raises(ConfigError, match="--reload: the source files cannot be watched: "):
        await follow_sources([here / "absent"], lambda names: None)


async def test_missing_watchfiles_is_told_with_its_extra(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)

    with pytest.raises(ConfigError, match=r"--reload needs watchfiles: pip install 'gearman-trio\[reload\]'"):
        await follow_sources([here], lambda names: None)


@pytest.mark.slow
async def test_change_starts_anew_and_a_mistake_waits_for_the_next_change(here: Path) -> None:
    module = here / "app.py"
    write(module, "def mistake(:\n")
    results: list[bytes] = []
    held = trio.Event()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with (
        listener,
        open_server(port=0) as server,
        open_client(server.url) as client,
        open_command("worker", "app:abilities", "--server", server.url, "--reload", cwd=here) as worker,
        trio.open_nursery() as nursery,
    ):
        # A mistake from the beginning is no other.
        await worker.stderr.wait_for(
            b" could not start: it ended with exit code 1; waiting for a source file to change"
        )
        assert "SyntaxError" in worker.stderr.text
        write(module, CODE)
        await worker.stderr.wait_for(b"ready: processes=1\n")
        assert b"one" == await client.run("version")

        # What runs is finished by the code that began it, while the new code is at work already.
        async def hold() -> None:
            results.append(await client.run("hold", b"%d" % listener.socket.getsockname()[1]))
            held.set()

        nursery.start_soon(hold)
        with trio.fail_after(PATIENCE):
            job = await listener.accept()
        async with job:
            write(module, CODE.replace("one", "two"))
            await worker.stderr.wait_for(b"ready: processes=1\n", times=2)
            assert b"two" == await client.run("version")
            await job.send_all(b"x")
        await worker.stderr.wait_for(b" stopped\n")
        # The worker's last line may overtake the result, which comes by way of the server.
        with trio.fail_after(PATIENCE):
            await held.wait()
        assert [b"x from one"] == results

        write(module, "import absent_module\n")
        await worker.stderr.wait_for(b"waiting for a source file to change\n", times=2)
        assert "No module named 'absent_module'" in worker.stderr.text
        write(module, CODE.replace("one", "three"))
        await worker.stderr.wait_for(b"ready: processes=1\n", times=3)
        assert b"three" == await client.run("version")

        worker.send_signal(signal.SIGTERM)
        assert 0 == await worker.wait_ended()
    assert " changed: app.py; starting anew\n" in worker.stderr.text
