"""``gearmand-trio``: ``gearman-trio serve`` under a name of its own, for what used to call gearmand."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from gearman_trio.cli.serve import main

from .commands import ROOT, invoke_here, open_program

GEARMAND = [sys.executable, "-c", "import sys; from gearman_trio.cli.serve import main; sys.argv[0] = 'x'; main()"]


def run_here(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """The exit code."""
    monkeypatch.setattr(sys, "argv", ["gearmand-trio", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_it_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="gearmand-trio")

    assert main is command.load()


def test_options_are_those_of_serve(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run_here(monkeypatch, "--help")
    own, serve = capsys.readouterr().out, invoke_here("serve", "--help").stdout

    def text(shown: str) -> str:
        """All but the usage line, and where lines are broken."""
        return "".join(shown.partition("\n")[2].split())

    assert text(own) == text(serve)


@pytest.mark.parametrize("line", ["--nosuch", "-j 256", "--queue-type libdrizzle", "-L [::1", "--config /nonexistent"])
def test_whatever_is_wrong_ends_it_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    assert 1 == run_here(monkeypatch, "--check-args", *line.split())
    assert "" != capsys.readouterr().err
    assert 2 == invoke_here("serve", "--check-args", *line.split()).exit_code


@pytest.mark.slow
async def test_it_serves_until_sigterm() -> None:
    async with open_program([*GEARMAND, "-p", "0", "-L", "127.0.0.1"]) as server:
        await server.wait_port()
        server.send_signal(signal.SIGTERM)

        assert 0 == await server.wait_ended()


@pytest.mark.slow
def test_server_waits_for_no_module_that_it_does_not_use() -> None:
    code = "import sys; from gearman_trio.cli import main\ntry: main()\nfinally: print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "-V"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert "gearman_trio.cli.serve" in loaded
    assert set() == loaded & {f"gearman_trio.cli.{name}" for name in ("admin", "demo", "jobs", "worker")}
    assert set() == loaded & {"asyncio", "pytest", "gearman_trio.demo", "gearman_trio.testing"}


def test_names_of_the_package_are_found_and_no_others() -> None:
    package = importlib.import_module("gearman_trio.cli")

    assert package.app is package.app
    with pytest.raises(AttributeError, match=r"module 'gearman_trio\.cli' has no attribute 'nosuch'"):
        package.nosuch  # noqa: B018


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="-u is for root: no other user may become somebody else")
@pytest.mark.parametrize(("command", "code"), [("gearman_trio.cli.root", 2), ("gearman_trio.cli.serve", 1)])
def test_a_user_who_cannot_read_the_installation_is_told_in_one_line(tmp_path: Path, command: str, code: int) -> None:
    shutil.copytree(ROOT / "gearman_trio", tmp_path / "gearman_trio")
    tmp_path.chmod(0o700)
    arguments = [*(["serve"] if code == 2 else []), "-p", "0", "-L", "127.0.0.1", "-u", "nobody"]
    program = f"import sys; from {command} import main; sys.argv[1:] = {arguments!r}; main()"

    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)

    # Python itself may be hidden from that user too, and is looked at first.
    assert re.fullmatch(r"gearman-trio: --user: 'nobody' cannot read /\S+, where \w+ is installed\n", ended.stderr)
    assert code == ended.returncode
