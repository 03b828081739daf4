"""Where log lines go: files that are moved away, nowhere, the system's log; and as JSON."""

from __future__ import annotations

import json
import logging
import os
import socket
from pathlib import Path

import pytest

from gearman_trio.daemon import LEVELS, logs, reopen_log_files, set_up_logging
from gearman_trio.errors import ConfigError

pytestmark = pytest.mark.usefixtures("logger_as_before")


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


def test_log_file_is_opened_anew_when_asked(tmp_path: Path) -> None:
    """Whoever truncates the file, or moves it to another disk, asks; the name alone would not tell."""
    logger, path = logging.getLogger("gearman_trio.test"), tmp_path / "log"
    set_up_logging("NOTICE", str(path))
    (handler,) = logging.getLogger("gearman_trio").handlers
    assert isinstance(handler, logging.FileHandler)
    before = handler.stream
    assert before is not None
    reopen_log_files()
    logger.warning("one")

    assert before.closed
    assert path.read_text().endswith(": one\n")


def test_log_file_that_cannot_be_opened_anew_stays_as_it_is(tmp_path: Path) -> None:
    logger, folder, moved = logging.getLogger("gearman_trio.test"), tmp_path / "folder", tmp_path / "moved"
    folder.mkdir()
    set_up_logging("NOTICE", str(folder / "log"))
    folder.rename(moved)
    logger.warning("one")
    reopen_log_files()
    logger.warning("two")
    written = [line.split(": ", 1)[1] for line in (moved / "log").read_text().splitlines()]

    assert ["one", f"{folder}/log cannot be opened anew: No such file or directory", "two"] == written


def test_json_lines_are_objects_with_the_error(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging("NOTICE", "stderr", json_lines=True, prefix="100% ")
    try:
        raise ValueError("no\nnumber")
    except ValueError:
        logging.getLogger("gearman_trio.test").exception("it is %s", "é\n")
    (line,) = capfd.readouterr().err.splitlines()
    entry = json.loads(line)

    assert {"level": "ERROR", "logger": "gearman_trio.test", "message": "100% it is é\n"} == {
        name: entry[name] for name in ("level", "logger", "message")
    }
    assert entry["time"].endswith("+00:00")
    assert entry["exception"].endswith("ValueError: no\nnumber")


def test_syslog_gets_lines_besides_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log, place = tmp_path / "log", tmp_path / "syslog"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system:
        system.bind(str(place))
        monkeypatch.setattr(logs, "_SYSLOG_SOCKETS", (str(tmp_path / "none"), str(place)))
        set_up_logging("NOTICE", str(log), prefix="100% ", syslog=True)
        logging.getLogger("gearman_trio.test").log(logs.NOTICE, "one")
        line = system.recv(1000)

    # Facility 3 is that of daemons, level 5 is notice.
    assert line.startswith(b"<29>")
    assert line.endswith(b"[%d]: NOTICE gearman_trio.test: 100%% one\0" % os.getpid())
    assert log.read_text().endswith(" NOTICE gearman_trio.test: 100% one\n")


def test_missing_syslog_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(logs, "_SYSLOG_SOCKETS", (str(tmp_path / "none"),))

    with pytest.raises(ConfigError, match=r"--syslog: there is no system's log: expected one of .*none"):
        set_up_logging("NOTICE", "none", syslog=True)
