"""Directives that show the command `gearman-trio` as Typer knows it.

- `command` shows how one subcommand is used: its arguments and options, but for those about TLS.  Every subcommand must
  be shown somewhere, or the build warns.
- `tls-options` shows those, which are the same wherever a job server is connected to.
- `exit-codes` shows the exit codes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import typer.main
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from docs._ext.tables import markdown_table
from gearman_trio.cli import app
from gearman_trio.cli.destination import TLS_OPTIONS
from gearman_trio.cli.running import Exit

__all__ = ["command_usage", "exit_codes", "setup", "subcommands", "tls_options"]

logger = logging.getLogger(__name__)

#: What the code means to a shell script.
_MEANINGS: Final[dict[int, str]] = {
    Exit.DONE: "Done.",
    Exit.JOB_FAILED: "The job failed, raised an exception or was lost; the module of a worker raised one; the demo or "
    "the doctor found something wrong, or the benchmark lost jobs.",
    Exit.USAGE: "The command line cannot be used: an unknown option, a value out of range, a file that is not there.",
    Exit.UNREACHABLE: "No job server could be reached, or an address could not be listened on.",
    Exit.REFUSED: "The job server answered, and refused or broke the protocol.",
}

#: What shells make of signals, which is no choice of ours.
_SIGNALS: Final = [("130", "Ended by Ctrl-C."), ("141", "Whoever read the output went away, as in `| head`.")]

#: Typer's words for the type of a value, where they say less than the option's own name.
_PLAIN_TYPES: Final = {
    "<bool>": "",
    "<str>": "",
    "<int>": "N",
    "<float>": "N",
    "<int range>": "N",
    "<list[int]>": "",
    "<path>": "",
}


_HEADER: Final = ("Argument or option", "Meaning", "Default, limits, environment")


# Typer brings its own copy of click, or uses the installed one, by its version: hence Any.
def _root() -> Any:
    return typer.main.get_command(app)


def subcommands() -> Iterator[tuple[str, Any]]:
    """Every subcommand that does something, by the words that call it."""
    for name, command in _root().commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", subcommand) for inner, subcommand in command.commands.items())
        else:
            yield name, command


def command_usage(name: str, *, with_options: bool = True) -> str:
    """Markdown: what a subcommand does, its usage line, and perhaps a table of its arguments and options."""
    command = dict(subcommands())[name]
    context = typer.Context(command)
    records = [
        (parameter, *parameter.get_help_record(context))
        for parameter in command.params
        if not (parameter.hidden or parameter.name in TLS_OPTIONS)
    ]
    arguments = [
        _declared(shown) if parameter.required or shown.startswith("[") else f"[{_declared(shown)}]"
        for parameter, shown, _ in records
        if parameter.param_type_name == "argument"
    ]
    usage = " ".join(["gearman-trio", name, "[OPTIONS]", *arguments])
    rows = [_row(shown, text) for _, shown, text in records]
    paragraphs = [re.sub(r"\s*\n\s*", " ", text).strip() for text in re.split(r"\n\s*\n", command.help or "")]
    table = markdown_table(_HEADER, rows) if rows and with_options else ""
    return "\n\n".join([*paragraphs, f"```text\n{usage}\n```", table])


def tls_options() -> str:
    """A table of the options about TLS, taken from one of the subcommands that have them."""
    command = dict(subcommands())["run"]
    context = typer.Context(command)
    return markdown_table(
        _HEADER, [_row(*option.get_help_record(context)) for option in command.params if option.name in TLS_OPTIONS]
    )


def _row(shown: str, text: str) -> tuple[str, ...]:
    return (_spelled(_declared(shown)), *_meaning(text))


def _declared(shown: str) -> str:
    for typed, plain in _PLAIN_TYPES.items():
        shown = shown.replace(typed, plain)
    return shown.rstrip()


def _spelled(declared: str) -> str:
    """Each spelling of an option as code of its own, so that lines are broken between them."""
    return ", ".join(f"`{spelling}`" for spelling in re.split(", | / ", declared))


def _meaning(text: str) -> tuple[str, str]:
    meaning, _, rest = text.partition("  [")
    extras = rest.removesuffix("]")
    # Typer puts a default that is told in words into parentheses.
    extras = re.sub(r"default: \(([^)]*)\)", r"default: \1", extras.replace("env var: ", "environment: "))
    return _plain(meaning), _plain(extras)


def _plain(text: str) -> str:
    """Text that Markdown would take for markup, as it stands; the names of options as code."""
    text = re.sub(r"([<*_\[\]`])", r"\\\1", text)
    return re.sub(r"(?<!\S)(--[a-z-]+)", r"`\1`", text)


def exit_codes() -> str:
    """Every exit code and what it means."""
    assert set(_MEANINGS) == set(Exit), "docs/_ext/command.py does not list the exit codes of gearman_trio.cli.running"
    rows = [(str(int(code)), _MEANINGS[code]) for code in Exit]
    return markdown_table(("Exit code", "Meaning"), [*rows, *_SIGNALS])


class Command(SphinxDirective):
    """The directive `command`; its argument is the subcommand's name.

    With `:without-options:` the table is left out, for a subcommand whose options have a page of their own.
    """

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {"without-options": directives.flag}

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        shown: set[str] = getattr(self.env, "commands_shown", set())
        shown.add(self.arguments[0])
        self.env.commands_shown = shown  # type: ignore[attr-defined]  # how Sphinx's own tutorial keeps data
        with_options = "without-options" not in self.options
        return self.parse_text_to_nodes(command_usage(self.arguments[0], with_options=with_options))


class TlsOptions(SphinxDirective):
    """The directive `tls-options`."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        return self.parse_text_to_nodes(tls_options())


class ExitCodes(SphinxDirective):
    """The directive `exit-codes`."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        return self.parse_text_to_nodes(exit_codes())


def _check_all_shown(app: Sphinx, env: BuildEnvironment) -> None:
    missing = {name for name, _ in subcommands()} - getattr(env, "commands_shown", set())
    if missing:
        logger.warning("no page shows these subcommands: %s", ", ".join(sorted(missing)))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Make the directives known to Sphinx."""
    app.add_directive("command", Command)
    app.add_directive("tls-options", TlsOptions)
    app.add_directive("exit-codes", ExitCodes)
    app.connect("env-check-consistency", _check_all_shown)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
