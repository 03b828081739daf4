"""The configuration files of the documentation are ones that can be used."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path

from gearman_trio.config import OPTIONS, resolve

SERVICE = Path(__file__).parents[2] / "docs" / "how-to" / "service"


def test_toml_file_is_one() -> None:
    found = resolve({"config": str(SERVICE / "gearmand.toml")}, {})

    assert (["127.0.0.1", "[::1]:4731"], "INFO", "json", 300) == tuple(
        found[name] for name in ("listen", "verbose", "log-format", "drain-timeout")
    )


def test_file_of_words_is_one() -> None:
    found = resolve({"config-file": str(SERVICE / "gearmand.conf")}, {})

    assert (["127.0.0.1"], 4730, 2, True) == tuple(
        found[name] for name in ("listen", "port", "job-retries", "round-robin")
    )


def test_unit_calls_the_command_with_options_that_there_are() -> None:
    unit = configparser.ConfigParser()
    unit.read(SERVICE / "gearmand-trio.service")
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    toml = resolve({"config": str(SERVICE / "gearmand.toml")}, {})

    assert "gearmand-trio" == Path(program).name
    assert {word for word in words if word.startswith("-")} <= {f"--{option.name}" for option in OPTIONS}
    # Or systemd kills it while jobs may still run.
    assert int(unit["Service"]["TimeoutStopSec"]) > toml["drain-timeout"]
