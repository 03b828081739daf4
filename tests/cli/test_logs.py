"""Where the lines of the log go, and how they look."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

from gearman_trio.cli.logs import NOTICE, set_up_logging

logger = logging.getLogger("gearman_trio.tests")


def test_line_begins_with_what_tells_processes_apart(tmp_path: Path) -> None:
    set_up_logging("NOTICE", str(tmp_path / "log"), prefix="process=1 100% ")

    logger.log(NOTICE, "handle=%s done", "H:h:1")
    logger.info("not this")

    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.endswith("  NOTICE gearman_trio.tests: process=1 100% handle=H:h:1 done")


def test_line_can_be_json(tmp_path: Path) -> None:
    set_up_logging("INFO", str(tmp_path / "log"), json_lines=True, prefix="process=1 ")
    began = datetime.now(UTC)

    logger.log(NOTICE, "one\nline, %s", '"é"')
    try:
        raise ValueError("no such thing")
    except ValueError:
        logger.exception("failed")

    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert 0 <= (datetime.fromisoformat(first.pop("time")) - began).total_seconds() + 0.001
    assert {"level": "NOTICE", "logger": "gearman_trio.tests", "message": 'process=1 one\nline, "é"'} == first
    assert second["exception"].startswith("Traceback (most recent call last):\n")
    assert second["exception"].endswith("\nValueError: no such thing")
