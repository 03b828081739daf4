"""What the process of a job server does around the server."""

from __future__ import annotations

import sys

from gearman_trio.daemon.running import _quick_switches


def test_threads_take_turns_quickly_while_the_server_runs_and_not_after_it() -> None:
    before = sys.getswitchinterval()
    with _quick_switches():
        during = sys.getswitchinterval()

    assert during < before == sys.getswitchinterval()
