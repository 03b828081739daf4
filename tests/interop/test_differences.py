"""The same conversations with gearmand 1.1.20 and with our server; where answers differ, differences.py says why."""

from __future__ import annotations

import pytest
import trio

from gearman_trio.server import ServerOptions

from .admin_scripts import ADMIN_SCRIPTS
from .conftest import open_server_of
from .differences import DIFFERENCES
from .scripts import SCRIPTS
from .transcripts import play

pytestmark = pytest.mark.interop

ALL_SCRIPTS = SCRIPTS | ADMIN_SCRIPTS

#: The switches for what 2.x changed, and for what the protocol document says otherwise.
LIKE_1_1 = ServerOptions(round_robin=False, global_priority=False, worker_wakeup=0, requeue_on_timeout=True)


@pytest.mark.parametrize("name", ALL_SCRIPTS)
async def test_every_answer_is_gearmands_but_for_the_table(name: str) -> None:
    script = ALL_SCRIPTS[name]

    with trio.fail_after(30):
        async with open_server_of("gearmand") as port:
            theirs = await play(port, script)
        async with open_server_of("ours", LIKE_1_1) as port:
            ours = await play(port, script)

    table = DIFFERENCES.get(name, {})
    expected = {step: (known.gearmand, known.ours) for step, known in table.items()}
    found = {step: answers for step, answers in enumerate(zip(theirs, ours, strict=True)) if answers[0] != answers[1]}
    assert expected == found


def test_every_difference_belongs_to_a_script() -> None:
    assert set(DIFFERENCES) <= set(ALL_SCRIPTS)
