"""The page about compatibility has a row for every administrative command, and each command that it names is known.

Its tables of packets, errors and options are made from the code when the documentation is built.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gearman_trio import core
from gearman_trio.core import Dispatcher, Policy

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "compatibility.md"


def commands() -> list[str]:
    """The commands of the table, as it spells them."""
    section = PAGE.read_text(encoding="utf-8").partition("## Administrative commands")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [command for cell in cells for command in re.findall("`([^`]+)`", cell)]


def verbs() -> set[str]:
    """The first words that the broker knows; from the source, because the core may be compiled."""
    source = (Path(core.__file__).parent / "admin.py").read_text(encoding="utf-8")
    body = source.partition("match command:")[2].partition("case _:")[0]
    return set(re.findall(r'b"(\w+)"', " ".join(re.findall(r"case (.+):\n", body))))


def test_every_command_has_a_row() -> None:
    assert verbs() == {command.split()[0] for command in commands()}
    assert "status" in verbs()


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_table_is_known(command: str) -> None:
    broker = Dispatcher(Policy())
    administrator = broker.connect("10.0.0.1", admin=True)
    line = re.sub(r" \[.*", "", command).replace("HIGH NORMAL LOW", "3 2 1").replace("SIZE", "5")
    broker.receive(administrator, line.encode() + b"\n", now=0.0)

    assert b"ERR UNKNOWN_COMMAND" not in b"".join(administrator.take_outbox())
    assert not administrator.failure
