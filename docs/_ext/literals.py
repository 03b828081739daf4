"""Cuts the empty lines that a part of a program, shown by `literalinclude`, ends with."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

__all__ = ["setup"]


def _cut(app: Sphinx, doctree: nodes.document) -> None:
    for block in doctree.findall(nodes.literal_block):
        text = block.astext().rstrip()
        block.rawsource = text
        block.children[:] = [nodes.Text(text)]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to the events of Sphinx."""
    app.connect("doctree-read", _cut)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
