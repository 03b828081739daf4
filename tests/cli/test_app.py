"""The command as a whole: help, usage errors, versions."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import typer

from gearman_trio.cli import app
from gearman_trio.core import COMPILED

from .commands import invoke_here


def subcommands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every subcommand by its words, groups too."""

    def walk(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        yield words, command
        for name, inner in getattr(command, "commands", {}).items():
            yield from walk((*words, name), inner)

    yield from walk((), typer.main.get_command(app))


SUBCOMMANDS = dict(subcommands())


def test_subcommands_are_those_of_the_documentation() -> None:
    admin = "cancel create-function drop-function getpid jobs maxqueue priority-status status unique-jobs verbose"
    ours = "limits list pause paused purge resume shutdown"

    single = "admin bench demo doctor migrate run serve store submit top version worker"
    assert {
        (),
        *((name,) for name in single.split()),
        *(("admin", name) for name in f"{admin} version workers {ours}".split()),
        *(("store", name) for name in ("check", "info", "jobs", "quarantine")),
    } == set(SUBCOMMANDS)


@pytest.mark.parametrize("words", SUBCOMMANDS, ids=lambda words: " ".join(words) or "gearman-trio")
def test_help_says_what_it_does_and_explains_every_option(words: tuple[str, ...]) -> None:
    command = SUBCOMMANDS[words]

    result = invoke_here(*words, "--help")

    assert (0, "") == (result.exit_code, result.stderr)
    assert result.stdout.startswith(f"Usage: {' '.join(['gearman-trio', *words])} ")
    text = " ".join(result.stdout.split())
    # The first sentence of the docstring.
    assert " ".join(command.help.split("\n\n")[0].split()) in text
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert " ".join(parameter.help.split()) in text
        for name in parameter.opts if parameter.param_type_name == "option" else [parameter.metavar]:
            assert name in text
    assert 80 >= max(map(len, result.stdout.splitlines()))


@pytest.mark.parametrize("words", [(), ("serve",), ("admin",), ("admin", "status")], ids=" ".join)
def test_help_has_a_short_name(words: tuple[str, ...]) -> None:
    assert invoke_here(*words, "--help").stdout == invoke_here(*words, "-h").stdout


@pytest.mark.parametrize("words", [(), ("admin",)], ids=["gearman-trio", "admin"])
def test_without_a_subcommand_help_is_shown(words: tuple[str, ...]) -> None:
    result = invoke_here(*words)

    # Whether this is an error, and so goes to stderr, differs between releases of Click.
    assert "Usage: gearman-trio" in result.output
    for name in SUBCOMMANDS[words].commands:
        assert re.search(rf"^  {name} ", result.output, re.MULTILINE)


WHOLE_NUMBERS = [
    ("serve", "--port", "99999", "from 0 to 65535, or the name of a service"),
    ("serve", "--port", "http/2", "from 0 to 65535, or the name of a service"),
    ("serve", "--job-retries", "-2", "from -1 to 255"),
    ("serve", "--worker-wakeup", "-1", "of at least 0"),
    ("serve", "--max-packet", "0", "from 1 to 4294967295"),
    ("serve", "--max-packet", "1K", "from 1 to 4294967295"),
    ("serve", "--backlog", "0", "of at least 1"),
    ("worker", "--concurrency", "0", "of at least 1"),
]


@pytest.mark.parametrize(("command", "option", "value", "allowed"), WHOLE_NUMBERS)
def test_wrong_number_is_told_with_its_option_and_what_is_allowed(
    command: str, option: str, value: str, allowed: str
) -> None:
    result = invoke_here(command, option, value, *(["module:object"] if command == "worker" else []))

    assert (2, "") == (result.exit_code, result.stdout)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert line.startswith(f"Error: Invalid value for '{option}'")
    # A number that was read stands without quotes.
    assert line.replace("'", "").endswith(f"expected a whole number {allowed}, got {value}")


OTHER_USAGE = [
    ("nosuch", "No such command 'nosuch'."),
    ("serve --nosuch", "No such option: --nosuch"),
    ("run", "Missing argument 'FUNCTION'."),
    ("worker", "Missing argument 'MODULE:OBJECT'."),
    ("serve --drain-timeout -1", "'--drain-timeout': expected a number of seconds of at least 0, got '-1'"),
    ("serve --drain-timeout nan", "'--drain-timeout': expected a number of seconds of at least 0, got 'nan'"),
    ("serve --drain-timeout soon", "'--drain-timeout': expected a number of seconds of at least 0, got 'soon'"),
    ("serve --listen localhost:http", "the port must be a number from 0 to 65535, got 'http'"),
    ("serve --listen [::1", "'--listen': address '[::1': expected [host]:port"),
    ("serve --listen ..:0", "'--listen': address '..:0': '..' cannot be the name of a host"),
    ("serve --job-handle-prefix é", "'--job-handle-prefix': expected 1 to 43 printable ASCII"),
    ("serve --priority-scope all", "'all' is not one of 'global', 'function'"),
    ("serve --timeout-action stop", "'stop' is not one of 'fail', 'requeue'"),
    (
        "serve --verbose LOUD",
        "'--verbose': expected FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG, got 'LOUD'",
    ),
    ("worker m:o --server a:b", "'--server' / '-s' (env var: 'GEARMAN_SERVER'): address 'a:b': the port must be"),
    ("worker m:o --client-id é", "'--client-id': client ID: expected printable ASCII without blanks, got"),
    ("run f w --server a:b", "the port must be a number from 0 to 65535, got 'b'"),
    ("run f w --priority urgent", "'urgent' is not one of 'high', 'normal', 'low'"),
    (f"run {'f' * 513} w", "'FUNCTION': function name: at most 512 bytes, got 513"),
    (f"run f w --unique {'u' * 65}", "'--unique' / '-u': unique ID: at most 64 bytes, got 65"),
    ("submit f w --run-at noon", "'--run-at'"),
    ("submit f w --run-at 1 --priority high", "--run-at: such a job has --priority normal, got 'high'"),
    ("admin nosuch", "No such command 'nosuch'."),
    ("admin maxqueue f many", "expected a whole number of at least 0, got 'many'"),
    ("demo /nonexistent", "gearman-trio: FOLDER: expected a folder that exists, got '/nonexistent'"),
    ("demo /dev/null", "gearman-trio: FOLDER: expected a folder that exists, got '/dev/null'"),
    ("version now", "Got unexpected extra argument"),
]


@pytest.mark.parametrize(("line", "message"), OTHER_USAGE, ids=lambda text: text[:40])
def test_usage_error_is_one_line_that_names_what_is_wrong(line: str, message: str) -> None:
    result = invoke_here(*line.split())

    assert (2, "") == (result.exit_code, result.stdout)
    assert 1 == sum(message in line for line in result.stderr.splitlines())
    assert "Traceback" not in result.stderr


def test_version_names_what_runs() -> None:
    result = invoke_here("version")

    assert 0 == result.exit_code
    first, second = result.stdout.splitlines()
    core = "compiled" if COMPILED else "pure Python"
    assert re.fullmatch(rf"gearman-trio \d+\.\d+\.\d+\S* \({core} core\)", first)
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in second
    assert f"trio {trio.__version__}" in second
