"""Every flag of gearman and gearadmin stands in `docs/reference/tools.md`, and what stands beside it does the same.

The flags come from what the programs say of themselves.  Those of blobslap_client and blobslap_worker, which Debian
does not ship, are written down here.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest

from gearman_trio.client import open_client
from gearman_trio.server import Server
from gearman_trio.worker import open_worker

from ..cli.commands import invoke, open_command
from ..cli.test_app import SUBCOMMANDS
from ..patience import PATIENCE
from ..peers import require
from .programs import open_program, run_program, wait_status, wait_until
from .workers import our_abilities

pytestmark = pytest.mark.interop

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tools.md"

#: The sections of the page, and which of our subcommands their second columns are about.
SECTIONS = {
    "gearman, as a client": [("run",), ("submit",)],
    "gearman, as a worker": [("worker",)],
    "gearadmin": [("admin",)],
    "blobslap_client": [("bench",)],
    "blobslap_worker": [("bench",)],
}

BLOBSLAP_CLIENT = "-b -c -f -h -m -M -n -p -s -v -e -?"
BLOBSLAP_WORKER = (
    "--help --host -h --port -p --count -c --timeout -u --chunk --status -s --unique --daemon -d --function -f "
    "--verbose -v --pid-file --log-file --identifier"
)


@attrs.frozen
class Row:
    """One row of a table: the flags of the C program, and what there is of ours, as it stands there."""

    flags: frozenset[str]
    ours: str


@cache
def tables() -> dict[str, list[Row]]:
    """The rows of each section."""
    found: dict[str, list[Row]] = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        cells = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
        del cells[0]
        found[heading] = [Row(frozenset(flags(first)), ours.strip()) for first, ours in cells]
    return found


def flags(text: str) -> Iterator[str]:
    """Every flag in code spans."""
    for span in re.findall(r"`([^`]*)`", text):
        yield from re.findall(r"(?<![\w-])--?[\w?][\w-]*", span)


def said_by(*command: str) -> str:
    done = subprocess.run(
        [require(command[0]), *command[1:]], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.stdout + done.stderr


def gearman_flags() -> dict[str, set[str]]:
    """Those that the program lists, for clients and for workers; the common ones are in both."""
    text = said_by("gearman", "-H")
    common, client, worker = (
        set(re.findall(r"^\t(-\w)\b", part, re.MULTILINE))
        for part in re.split(r"\nClient options:|\nWorker options:", text)
    )
    # What makes it a worker is not to be mapped to anything.
    return {"gearman, as a client": common | client, "gearman, as a worker": (common | worker) - {"-w"}}


def gearadmin_flags() -> set[str]:
    listed = re.findall(r"^  (?:(-\w) \[ )?(--[a-z-]+)", said_by("gearadmin", "--help"), re.MULTILINE)
    return {flag for pair in listed for flag in pair if flag}


def test_every_flag_of_the_programs_is_in_the_table() -> None:
    programs = {
        **gearman_flags(),
        "gearadmin": gearadmin_flags(),
        "blobslap_client": set(BLOBSLAP_CLIENT.split()),
        "blobslap_worker": set(BLOBSLAP_WORKER.split()),
    }

    assert 10 < len(programs["gearman, as a client"])
    assert 15 < len(programs["gearadmin"])
    for section, expected in programs.items():
        assert expected <= {flag for row in tables()[section] for flag in row.flags}, section


def test_every_option_in_the_table_is_one_of_ours() -> None:
    for section, subcommands in SECTIONS.items():
        commands = [SUBCOMMANDS[words] for words in subcommands]
        inner = [command for parent in commands for command in getattr(parent, "commands", {}).values()]
        known = {flag for command in [*commands, *inner] for parameter in command.params for flag in parameter.opts}
        for row in tables()[section]:
            assert set(flags(row.ours)) <= known | {"--help", "-h"}, row


def test_every_subcommand_of_admin_in_the_table_is_one_of_ours() -> None:
    names = SUBCOMMANDS[("admin",)].commands
    for row in tables()["gearadmin"]:
        if row.flags.isdisjoint({"-h", "-S", "--help"}):
            assert row.ours.strip("`").split()[0] in names


#: A call of gearman, and ours that gives the same output for the same input: (flags, arguments, ours, input).
CLIENTS = [
    ("-f", "-f reverse abc", "run reverse abc", b""),
    ("-s", "-s -f echo", "run echo ''", b""),
    ("-I", "-I -f echo x", "run echo x --priority high", b""),
    ("-L", "-L -f echo x", "run echo x --priority low", b""),
    ("-u", "-u chosen -f unique x", "run unique x --unique chosen", b""),
    ("-n", "-n -f echo", "run echo --each-line", b"ab\ncd\n"),
    ("-N", "-N -f echo", "run echo --strip", b"ab\ncd\n"),
    ("-P", "-P -f echo x", "run echo x --prefix", b""),
    ("-t", "-t 60000 -f echo x", "run echo x --timeout 60", b""),
    ("", "-f echo", "run echo", bytes(range(256))),
    ("", "-f chunks x", "run chunks x", b""),
]


@pytest.mark.parametrize(("theirs", "ours", "stdin"), [each[1:] for each in CLIENTS], ids=[each[2] for each in CLIENTS])
async def test_clients_print_the_same(server: Server, theirs: str, ours: str, stdin: bytes) -> None:
    port = str(server.addresses[0].port)
    async with open_worker(our_abilities(), server.url):
        expected = await run_program(
            require("gearman"), "-h", "127.0.0.1", "-p", port, *shlex.split(theirs), stdin=stdin
        )
        result = await invoke(*shlex.split(ours), "--server", server.url, stdin=stdin)

    assert (0, expected) == (result.exit_code, result.stdout_bytes)


@pytest.mark.parametrize(
    ("theirs", "ours", "column"),
    [
        ("-b -f later x", "submit later x", "normal"),
        ("-b -I -f later x", "submit later x --priority high", "high"),
        ("-b -L -f later x", "submit later x --priority low", "low"),
    ],
)
async def test_clients_leave_the_same_job(server: Server, theirs: str, ours: str, column: str) -> None:
    await run_program(
        require("gearman"), "-h", "127.0.0.1", "-p", str(server.addresses[0].port), *theirs.split(), "-u", "u"
    )
    before = await listed(server)
    result = await invoke(*ours.split(), "-s", server.url, "--unique", "u")

    assert 0 == result.exit_code
    # It is one job, which has both.
    assert before == await listed(server)
    assert [(column, True, 0)] == [(row["priority"], row["background"], row["clients"]) for row in before]


async def listed(server: Server) -> list[dict[str, Any]]:
    """The jobs of one function, but for their ages, which grow."""
    return [{**row, "age_ms": 0} for row in await rows(server, "list", "later")]


async def rows(server: Server, *arguments: str) -> Any:
    result = await invoke("admin", *arguments, "--json", "--server", server.url)
    assert (0, "") == (result.exit_code, result.stderr)
    return json.loads(result.stdout)


async def test_failures_are_exit_codes_of_both(server: Server) -> None:
    port = str(server.addresses[0].port)
    async with open_worker(our_abilities(), server.url):
        await run_program(require("gearman"), "-h", "127.0.0.1", "-p", port, "-f", "fail", "x", returncode=1)
        ours = await invoke("run", "fail", "x", "-s", server.url)

    assert 1 == ours.exit_code


async def test_time_that_is_over_is_an_exit_code_of_ours_alone(server: Server) -> None:
    port = str(server.addresses[0].port)
    await run_program(require("gearman"), "-h", "127.0.0.1", "-p", port, "-t", "50", "-f", "nobody", "x")

    assert 1 == (await invoke("run", "nobody", "x", "--timeout", "0.05", "-s", server.url)).exit_code


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("-f f -f g -- tr a-z A-Z", ["f,g", "--exec", "tr a-z A-Z"]),
        ("-n -f f -- cat", ["f", "--exec", "cat", "--output", "lines"]),
        ("-N -f f -- cat", ["f", "--exec", "cat", "--output", "stripped"]),
        ("-f f -- false", ["f", "--exec", "false"]),
    ],
)
async def test_workers_do_the_same(server: Server, theirs: str, ours: list[str]) -> None:
    """One line only: with several, gearman -n sends the first ones again and again."""
    gearman = [require("gearman"), "-w", "-h", "127.0.0.1", "-p", str(server.addresses[0].port)]
    outcomes = []
    async with open_program(*gearman, *theirs.split()):
        await wait_status(server.addresses[0].port, b"f 0 0 1")
        outcomes.append(await outcome(server))
    await wait_status(server.addresses[0].port, b"f 0 0 0")
    async with open_command("worker", *ours, "--server", server.url) as command:
        await command.stderr.wait_for(b"ready\n")
        outcomes.append(await outcome(server))

    assert outcomes[0] == outcomes[1]


async def outcome(server: Server) -> tuple[int, bytes]:
    result = await invoke("run", "f", "--server", server.url, stdin=b"one\n")
    return result.exit_code, result.stdout_bytes


async def test_workers_end_after_so_many_jobs(server: Server) -> None:
    port = server.addresses[0].port
    async with open_client(server.url) as client:
        for _ in range(4):
            await client.submit("f")
    gearman = [require("gearman"), "-w", "-h", "127.0.0.1", "-p", str(port), "-c", "2", "-f", "f", "--", "true"]
    await run_program(*gearman)
    assert 2 == (await rows(server, "status"))[0]["total"]

    async with open_command("worker", "f", "--exec", "true", "--count", "2", "--server", server.url) as command:
        assert 0 == await command.wait_ended()

    assert 0 == (await rows(server, "status"))[0]["total"]


async def test_worker_may_end_after_a_time_without_jobs(server: Server) -> None:
    """Gearman says that the time is over, and goes on; again and again."""
    gearman = [require("gearman"), "-w", "-h", "127.0.0.1", "-p", str(server.addresses[0].port)]
    async with open_program(*gearman, "-t", "50", "-f", "f", "--", "true") as program:
        await wait_until(lambda: program.stderr.count(b"timeout reached") > 1)

    arguments = ["--idle-timeout", "0.05", "--server", server.url]
    async with open_command("worker", "f", "--exec", "true", *arguments) as command:
        assert 0 == await command.wait_ended()


#: What gearadmin asks, and our subcommand; both print the same words, but for our heading and words for numbers.
QUESTIONS = {
    "--status": "status",
    "--priority-status": "priority-status",
    "--show-jobs": "jobs",
    "--show-unique-jobs": "unique-jobs",
    "--server-version": "version",
    "--server-verbose": "verbose",
    "--getpid": "getpid",
}


@pytest.mark.parametrize("flag", QUESTIONS)
async def test_administrators_hear_the_same(server: Server, flag: str) -> None:
    async with open_client(server.url) as client:
        await client.submit("f", unique="one")
        await client.submit("g", unique="two", priority="high")
    theirs = (await gearadmin(server, flag)).replace(".\n", "")
    ours = await invoke("admin", QUESTIONS[flag], "--server", server.url)

    assert 0 == ours.exit_code
    lines = [line.replace("yes", "1").replace("no", "0") for line in ours.stdout.splitlines()]
    heading = [line for line in lines if line.isupper() and " " in line]
    assert [line.split() for line in theirs.splitlines()] == [line.split() for line in lines[len(heading) :]]


async def test_administrators_see_the_same_connections(server: Server) -> None:
    async with open_worker(our_abilities(), server.url, client_id="a-worker"):
        theirs = await gearadmin(server, "--workers")
        ours = await rows(server, "workers")

    (line,) = [line for line in theirs.splitlines() if "a-worker" in line]
    (row,) = [row for row in ours if row["client_id"] == "a-worker"]
    assert line == f"{row['number']} {row['address']} a-worker : {' '.join(row['functions'])}"


async def gearadmin(server: Server, *arguments: str) -> str:
    command = [require("gearadmin"), "-h", "127.0.0.1", "-p", str(server.addresses[0].port), *arguments]
    return (await run_program(*command)).decode()


#: What gearadmin does, and our subcommand; and how one sees that it is done.
DEEDS: dict[str, tuple[str, Callable[[Server], bool]]] = {
    "--create-function new": ("create-function new", lambda server: b"new" in names(server)),
    "--drop-function idle": ("drop-function idle", lambda server: b"idle" not in names(server)),
    "--cancel-job HANDLE": ("cancel HANDLE", lambda server: server.statistics().counters.cancelled == 1),
}


def names(server: Server) -> set[bytes]:
    return {function.name for function in server.statistics().functions}


@pytest.mark.parametrize("who", ["gearadmin", "gearman-trio"])
@pytest.mark.parametrize("deed", DEEDS)
async def test_administrators_do_the_same(server: Server, deed: str, who: str) -> None:
    async with open_client(server.url) as client:
        handle = (await client.submit("f")).decode()
    await invoke("admin", "create-function", "idle", "--server", server.url)
    ours, done = DEEDS[deed]
    assert not done(server)

    if who == "gearadmin":
        await gearadmin(server, *deed.replace("HANDLE", handle).split())
    else:
        result = await invoke("admin", *ours.replace("HANDLE", handle).split(), "--server", server.url)
        assert (0, "") == (result.exit_code, result.output)

    await wait_until(lambda: done(server))


async def test_an_error_is_an_exit_code_of_ours_alone(server: Server) -> None:
    assert "" == await gearadmin(server, "--drop-function", "nosuch")

    result = await invoke("admin", "drop-function", "nosuch", "--server", server.url)

    assert 4 == result.exit_code


def test_every_row_is_tried() -> None:
    """But for what tells where the server is, and what ours has no counterpart of."""
    tried = {
        "gearman, as a client": {flag for each in CLIENTS for flag in each[0].split()} | {"-b"},
        "gearman, as a worker": {"-f", "-c", "-n", "-N", "-t"},
        "gearadmin": {*QUESTIONS, "--workers", *(deed.split()[0] for deed in DEEDS)},
    }
    apart = {"-h", "-p", "-S", "-H", "--help", "-v", "--host", "--port", "--ssl"}
    for section, flags_tried in tried.items():
        for row in tables()[section]:
            if row.flags and not row.ours.startswith("none"):
                assert row.flags <= flags_tried | apart | {"--"}, row
