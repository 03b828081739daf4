"""The directive `server-options`: every option of `gearman-trio serve` from its one table, group by group."""

from __future__ import annotations

import re
from itertools import groupby

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from docs._ext.tables import markdown_table
from gearman_trio.config import OPTIONS, Option

__all__ = ["code_spans", "server_options", "setup"]


def server_options() -> str:
    """Markdown: a heading and a table for each group."""
    order = list(dict.fromkeys(option.group for option in OPTIONS))
    grouped = groupby(sorted(OPTIONS, key=lambda option: order.index(option.group)), key=lambda option: option.group)
    return "\n\n".join(f"**{group}**\n\n{_table(list(options))}" for group, options in grouped)


def _table(options: list[Option]) -> str:
    header = ("Option", "Meaning", "Default", "Environment")
    return markdown_table(header, [(_spelled(o), code_spans(o.help), o.default_text, _variables(o)) for o in options])


def _spelled(option: Option) -> str:
    value = f" {option.kind.metavar}" if option.kind.metavar else ""
    long = f"`--{option.name}{value}`"
    spellings = [f"`-{option.short}{value}`", long] if option.short else [long]
    if option.is_flag and not option.here_only:
        spellings.append(f"`--no-{option.name}`")
    return ", ".join(spellings)


def _variables(option: Option) -> str:
    return ", ".join(f"`{variable}`" for variable in option.variables)


def code_spans(text: str) -> str:
    """Plain text as Markdown, names of options as code, unless it is Markdown already."""
    if "`" in text:
        return text
    text = re.sub(r"([<*_\[\]])", r"\\\1", text)
    return re.sub(r"(?<![\w`])(--[a-z][a-z-]*[a-z])", r"`\1`", text)


class ServerOptions(SphinxDirective):
    """The directive `server-options`."""

    def run(self) -> list[nodes.Node]:
        # A change of the package must build the page anew, whether or not the page itself changed.
        self.env.note_reread()
        return self.parse_text_to_nodes(server_options())


def setup(app: Sphinx) -> ExtensionMetadata:
    """Make the directive known to Sphinx."""
    app.add_directive("server-options", ServerOptions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
