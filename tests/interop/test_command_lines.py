"""The same command lines for gearmand and for gearmand-trio: what each takes, and with which exit code it ends.

Where they differ, the reason stands beside the line, and in `docs/reference/compatibility.md`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gearman_trio.cli.serve import main
from gearman_trio.config import OPTIONS, settings

from ..patience import PATIENCE
from ..peers import require

pytestmark = [pytest.mark.interop]

#: Both take these, or neither.
SAME = [
    "",
    "-b 64",
    "-b64",
    "--backlog=64",
    "--backlog 64",
    "-b",
    "-b abc",
    "-d",
    "--daemon -R",
    "-dR",
    "--exceptions",
    "-f 1000",
    "--file-descriptors abc",
    "-j 0",
    "-j -1",
    "-j 255",
    "-j abc",
    "--job-handle-prefix X",
    "--hashtable-buckets 0",
    "--hashtable-buckets 1000",
    "--keepalive --keepalive-idle 10 --keepalive-interval=3 --keepalive-count 5",
    "--keepalive-idle -1",
    "--keepalive=1",
    "-l stderr",
    "-l none",
    "-l /nonexistent/log",
    "-L 127.0.0.1",
    "-L ::1",
    "-L nonexistent.invalid",
    "-P /nonexistent/pid",
    "-q builtin",
    "-q libsqlite3 --nosuch",
    "--syslog",
    "--coredump",
    "-t 0",
    "-t 4",
    "-t abc",
    "-u nobody",
    "-u nobody-of-that-name",
    "--verbose DEBUG",
    "--verbose",
    "--verbose=LOUD",
    "-v",
    "-w 0",
    "-w 3",
    "-w abc",
    "-p 4731",
    "-p 0",
    "--http-port 8081",
    "-r http",
    "--protocol=http --http-port=8081",
    "--ssl-ca-file a --ssl-certificate b --ssl-key c",
    "--ssl --ssl-ca-file a --ssl-certificate b --ssl-key c",
    "--libsqlite3-db a --libsqlite3-table b --store-queue-on-shutdown",
    "--libmemcached-servers a --libmemcached-prefix b",
    "--libpq-conninfo dbname=x --libpq-table b",
    "--redis-server a --redis-port 1 --redis-password b --redis-prefix c",
    "--mysql-host a --mysql-port 1 --mysql-user b --mysql-password c --mysql-db d --mysql-table e",
    "--config-file /nonexistent",
    "--config-file FILE",
    "--queue-typ builtin",
    "--bogus",
    "extra",
    "@FILE",
    "--",
    "-V",
    "--version",
    "-h",
    "--help",
]

#: What gearmand ends with, and why ours does not.
DIFFERENT = {
    "-b -5": (0, "a negative number of waiting connections is none"),
    "-j 256": (0, "gearmand cuts numbers to eight bits, and so 256 tries to none"),
    "-w -1": (0, "likewise"),
    "-p abc": (0, "gearmand finds out when it starts"),
    "-p 99999": (0, "likewise"),
    "-q nonsense": (0, "likewise"),
    "-q libsqlite3": (0, "likewise: there is no database"),
    "-r nonsense": (0, "likewise"),
    "--ssl": (0, "gearmand has paths for certificates compiled in, which it may find nothing at"),
    "--verbose debug": (1, "it is clear what is meant"),
    "-p 1 -p 2": (1, "the last one counts, so that a script can change what it was given"),
}

FILES = {
    "--port=4731 -b\n64": (0, 0),
    "": (0, 0),
    "# a comment": (0, 0),
    "--bogus": (1, 1),
    "-b": (1, 1),
    # The word is passed over there, though somebody has meant something by it.
    "port=3": (0, 1),
}


def gearmand(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [require("gearmand"), *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def ours(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of ``gearmand-trio``, in this process."""
    for name in ("GEARMAND_PORT", "GEARMAND_CONFIG", "GEARMAND_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(settings, "DEFAULT_CONFIG_FILE", Path("/nonexistent"))
    monkeypatch.setattr(sys, "argv", ["gearmand-trio", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize("line", SAME)
def test_both_take_it_or_neither(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str) -> None:
    (tmp_path / "file").write_text("--backlog 64")
    arguments = ["--check-args", *line.replace("FILE", str(tmp_path / "file")).split()]

    assert gearmand(*arguments).returncode == ours(monkeypatch, *arguments)


@pytest.mark.parametrize("line", DIFFERENT)
def test_only_one_takes_it(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    theirs, why = DIFFERENT[line]

    assert why
    assert (theirs, 1 - theirs) == (
        gearmand("--check-args", *line.split()).returncode,
        ours(monkeypatch, "--check-args", *line.split()),
    )


@pytest.mark.parametrize("text", FILES)
def test_files_of_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    path = tmp_path / "gearmand.conf"
    path.write_text(text)
    arguments = ["--check-args", "--config-file", str(path)]

    assert FILES[text] == (gearmand(*arguments).returncode, ours(monkeypatch, *arguments))


def test_every_option_of_its_help_is_ours_by_both_names() -> None:
    text = gearmand("--help").stdout
    listed = re.findall(r"^  (?:-(\w) \[ )?--([a-z0-9-]+)(?: \])?( arg)?", text, re.MULTILINE)
    known = {option.name: (option.short, not option.is_flag) for option in OPTIONS if option.gearmand}

    assert len(listed) > 40
    assert {name: (letter, bool(value)) for letter, name, value in listed if name != "help"} == {
        name: known[name] for _, name, _ in listed if name != "help"
    }


def test_version_is_a_name_and_a_number(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = gearmand("--version").stdout.split()
    ours(monkeypatch, "--version")
    own = capsys.readouterr().out.split()

    assert ("gearmand", "gearmand-trio") == (theirs[0], own[0])
    assert re.match(r"\d+\.\d+\.\d+", theirs[1])
    assert re.match(r"\d+\.\d+\.\d+", own[1])
