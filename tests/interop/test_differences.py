"""The same conversations with gearmand 1.1.20 and with our server; where answers differ, differences.py says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from gearman_trio.server import ServerOptions

from ..patience import PATIENCE
from .admin_scripts import ADMIN_SCRIPTS
from .conftest import open_server_of
from .differences import DIFFERENCES as KNOWN_DIFFERENCES
from .limit_differences import LIMIT_DIFFERENCES
from .limit_scripts import LIMIT_SCRIPTS
from .scripts import SCRIPTS
from .transcripts import CLOSED, play

pytestmark = pytest.mark.interop

ALL_SCRIPTS = SCRIPTS | ADMIN_SCRIPTS | LIMIT_SCRIPTS

DIFFERENCES = {**KNOWN_DIFFERENCES, **LIMIT_DIFFERENCES}

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "compatibility.md"

#: The switches for what 2.x changed, and for what the protocol document says otherwise.
LIKE_1_1 = ServerOptions(round_robin=False, global_priority=False, worker_wakeup=0, requeue_on_timeout=True)


@pytest.mark.parametrize("name", ALL_SCRIPTS)
async def test_every_answer_is_gearmands_but_for_the_table(name: str) -> None:
    script = ALL_SCRIPTS[name]

    with trio.fail_after(PATIENCE):
        async with open_server_of("gearmand") as port:
            theirs = await play(port, script)
        async with open_server_of("ours", LIKE_1_1) as port:
            ours = await play(port, script)

    table = DIFFERENCES.get(name, {})
    for step, known in table.items():
        if known.or_closed and [CLOSED] in theirs[step].values():
            theirs[step] = dict(known.gearmand)
    expected = {step: (known.gearmand, known.ours) for step, known in table.items()}
    found = {step: answers for step, answers in enumerate(zip(theirs, ours, strict=True)) if answers[0] != answers[1]}
    assert expected == found


def test_every_difference_belongs_to_a_script() -> None:
    assert set(DIFFERENCES) <= set(ALL_SCRIPTS)


def test_every_difference_is_a_row_of_the_documentation() -> None:
    rows = {line.split("|")[1].strip() for line in PAGE.read_text(encoding="utf-8").splitlines() if "|" in line}

    assert set() == {known.row for steps in DIFFERENCES.values() for known in steps.values()} - rows
