"""The command lines of ``gearman`` and ``gearadmin`` say the same and end alike, whichever job server they talk to."""

from __future__ import annotations

import re
import subprocess
from typing import Final

import pytest
import trio

from ..patience import PATIENCE
from ..peers import open_gearman_worker, require
from .conftest import open_server_of
from .programs import wait_status

pytestmark = pytest.mark.interop

#: One after the other over the same server: the program, its arguments, what it reads.
LINES: Final[list[tuple[str, str, bytes]]] = [
    ("gearadmin", "--status", b""),
    ("gearman", "-f rev abc", b""),
    ("gearman", "-f rev abc def", b""),
    ("gearman", "-f rev", b"from stdin"),
    ("gearman", "-f rev -n", b"one\ntwo\n"),
    ("gearman", "-f rev -N", b"one\ntwo\n"),
    ("gearman", "-f rev -P abc", b""),
    ("gearman", "-f rev -u unique abc", b""),
    ("gearman", "-f rev -I abc", b""),
    ("gearman", "-f rev -L abc", b""),
    ("gearman", "-f rev -s", b""),
    ("gearman", "-f fails abc", b""),
    ("gearman", "-b -f later -u first abc", b""),
    ("gearman", "-b -I -f later -u second abc", b""),
    ("gearman", "-b -L -f later -u third abc", b""),
    ("gearman", "-b -f later -u first abc", b""),
    ("gearman", "-b -f later -u fourth", b"one\ntwo"),
    ("gearman", "-b -v -f later -u fifth abc", b""),
    ("gearadmin", "--status", b""),
    ("gearadmin", "--priority-status", b""),
    ("gearadmin", "--show-jobs", b""),
    ("gearadmin", "--show-unique-jobs", b""),
    ("gearadmin", "--create-function made", b""),
    ("gearadmin", "--create-function made", b""),
    ("gearadmin", "--drop-function rev", b""),
    ("gearadmin", "--drop-function made", b""),
    ("gearadmin", "--drop-function made", b""),
    ("gearadmin", "--cancel-job H:nowhere:1", b""),
    ("gearadmin", "--getpid", b""),
    ("gearadmin", "--server-version", b""),
    ("gearadmin", "--server-verbose", b""),
    ("gearadmin", "--status --getpid", b""),
    ("gearadmin", "--bogus", b""),
]


def normal(output: bytes) -> list[str]:
    """The lines of an output in their order as text, without what differs from server to server."""
    text = re.sub(r"H:[A-Za-z0-9._-]+:\d+", "{handle}", output.decode())
    text = re.sub(r"(?m)^\d+ 127", "{fd} 127", text)
    text = re.sub(r"(?m)^\d+$", "{pid}", text)
    return sorted(re.sub(r"(?m)^\d+\.\d+.*$", "{version}", text).splitlines())


def run(command: list[str], stdin: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=stdin, capture_output=True, timeout=PATIENCE, check=False)


async def run_lines(kind: str) -> list[tuple[str, int, list[str], list[str]]]:
    """What each command line writes and how it ends, with a job server of this kind."""
    told = []
    async with (
        open_server_of(kind) as port,
        open_gearman_worker(port, "rev", "rev"),
        open_gearman_worker(port, "fails", "false"),
    ):
        await wait_status(port, b"rev 0 0 1")
        await wait_status(port, b"fails 0 0 1")
        for program, arguments, stdin in LINES:
            command = [require(program), "-h", "127.0.0.1", "-p", str(port), *arguments.split()]
            done = await trio.to_thread.run_sync(run, command, stdin)
            told.append((f"{program} {arguments}", done.returncode, normal(done.stdout), normal(done.stderr)))
    return told


async def test_every_line_says_and_ends_the_same() -> None:
    theirs = await run_lines("gearmand")
    ours = await run_lines("our server")

    assert theirs == ours
    # That the lines do something is seen at some of them.
    told = {line: (code, output) for line, code, output, _ in ours}
    assert (0, ["cba"]) == told["gearman -f rev abc"]
    assert 1 == told["gearman -f fails abc"][0]
    assert (0, [".", "fifth", "first", "fourth", "second", "third"]) == told["gearadmin --show-unique-jobs"]
