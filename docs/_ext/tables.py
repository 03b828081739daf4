"""Directives that show the tables of the source, so that no page repeats what the code already says.

- `packet-table` shows every packet of `gearman_trio.protocol.table`.
- `job-states` shows every transition of `gearman_trio.core.job`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from gearman_trio.core.job import EVENTS, FINISHED, STATES, TRANSITIONS
from gearman_trio.protocol.table import PACKETS, PacketSpec, Sender

__all__ = ["job_states", "markdown_table", "packet_table", "setup"]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def packet_table() -> str:
    """Every packet in the order of the numbers, with senders, fields and source."""
    rows = [
        (
            str(int(spec.type)),
            f"`{spec.type.name}`",
            _senders(spec),
            _fields(spec),
            f"{spec.section}: {spec.note}" if spec.note else spec.section,
        )
        for spec in PACKETS.values()
    ]
    return markdown_table(("Number", "Packet", "Sent by", "Fields", "Source and remarks"), rows)


def _senders(spec: PacketSpec) -> str:
    return ", ".join(sender.name.lower() for sender in Sender if spec.may_send(sender))


def _fields(spec: PacketSpec) -> str:
    """The names of the fields in order, an opaque one marked with a star."""
    names = [f"`{name}`" for name in spec.arguments]
    if spec.opaque:
        names.append(f"`{spec.opaque}`\\*")
    return ", ".join(names) or "none"


def job_states() -> str:
    """Every transition, those that leave one state together."""
    rows = [
        (f"**{STATES[before]}**", EVENTS[event], _after(after), cause)
        for before, event, after, cause in sorted(TRANSITIONS, key=lambda row: row[0])
    ]
    return markdown_table(("A job that is", "may", "and then is", "Cause"), rows)


def _after(state: int) -> str:
    return f"*{STATES[state]}*" if state == FINISHED else STATES[state]


class _Table(SphinxDirective):
    """Shows what `make` gives, read as Markdown."""

    make: Callable[[], str]

    def run(self) -> list[nodes.Node]:
        # A change of the package must build the page anew, whether or not the page itself changed.
        self.env.note_reread()
        return self.parse_text_to_nodes(type(self).make())


class PacketTable(_Table):
    """The directive `packet-table`."""

    make = staticmethod(packet_table)


class JobStates(_Table):
    """The directive `job-states`."""

    make = staticmethod(job_states)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Make the directives known to Sphinx."""
    app.add_directive("packet-table", PacketTable)
    app.add_directive("job-states", JobStates)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
