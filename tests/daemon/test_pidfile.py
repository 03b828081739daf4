"""The pid file: whom it names, and who gets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gearman_trio.daemon import PidFile
from gearman_trio.errors import ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pid"


def ended_process() -> int:
    """The ID of a process that was."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_file_names_this_process_for_the_length_of_a_block(path: Path) -> None:
    with PidFile(path).held():
        assert f"{os.getpid()}\n" == path.read_text()
        # Nothing is left of how it was made.
        assert [path] == list(path.parent.iterdir())

    assert not path.exists()


def test_file_of_a_running_process_is_refused_and_kept(path: Path) -> None:
    path.write_text(f"{os.getppid()}\n")
    file = PidFile(path)

    for attempt in (file.check, file.held().__enter__):
        with pytest.raises(ConfigError) as caught:
            attempt()
        assert f"--pid-file: {str(path)!r} names process {os.getppid()}, which is running" == str(caught.value)
    assert f"{os.getppid()}\n" == path.read_text()


@pytest.mark.parametrize("text", ["", "nobody", "0", "-1", "99999999999999999999999", str(os.getpid())])
def test_file_of_nobody_is_replaced(path: Path, text: str) -> None:
    """This process' own ID is what a container finds, where every server has the same."""
    path.write_text(text)

    with PidFile(path).held():
        assert f"{os.getpid()}\n" == path.read_text()


def test_file_of_a_process_that_has_ended_is_replaced(path: Path) -> None:
    path.write_text(f"{ended_process()}\n")
    PidFile(path).check()

    with PidFile(path).held():
        assert f"{os.getpid()}\n" == path.read_text()


def test_file_that_another_process_took_is_left_to_it(path: Path) -> None:
    with PidFile(path).held():
        path.write_text("1\n")

    assert "1\n" == path.read_text()


def test_file_that_somebody_removed_is_no_error(path: Path) -> None:
    with PidFile(path).held():
        path.unlink()

    assert not path.exists()


def test_file_in_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "pid"

    with (
        pytest.raises(ConfigError, match=r"--pid-file: '.*/nowhere/pid' cannot be written: No such file or directory"),
        PidFile(path).held(),
    ):
        pass
