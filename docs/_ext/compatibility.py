"""Directives that compare this job server with others; what is ours in them is checked against the code.

- `packet-support` shows who knows which packet.
- `error-codes` shows the codes of ERROR packets.
- `gearmand-options` shows gearmand's options, and what is to be said of each of them.

WARNING: what gearmand does was seen on the wire of 1.1.20 and of 2.0.  `tests/interop` compares this job server with a
gearmand that is installed; a difference that is listed there belongs into `docs/reference/compatibility.md` too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from struct import pack
from typing import Final

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from docs._ext.options import code_spans
from docs._ext.tables import markdown_table
from gearman_trio import core
from gearman_trio.config import OPTIONS, Option
from gearman_trio.core import Dispatcher, Policy
from gearman_trio.protocol.table import PACKETS, PacketSpec, PacketType, Sender
from gearman_trio.server.accepting import REFUSED

__all__ = ["error_codes", "gearmand_options", "packet_support", "setup"]

_CORE: Final = Path(core.__file__).parent
_YES: Final = "yes"
_T: Final = PacketType

#: Where a system does not simply know a packet: the document, gearmand 1.1, gearmand 2.x, this server.
_EXCEPTIONS: Final[dict[int, tuple[str, str, str, str]]] = {
    _T.CAN_DO_TIMEOUT: ("seconds, then fails", "ms, then requeues", "ms, then requeues", "ms, then fails"),
    _T.ALL_YOURS: (_YES, "ERROR", "ERROR", "accepted, no effect"),
    _T.SUBMIT_JOB_SCHED: (_YES, "ERROR", "ERROR", _YES),
    _T.SUBMIT_JOB_EPOCH: ("whole seconds", "wakes no worker when due", "to the second", "to the millisecond"),
    _T.SUBMIT_REDUCE_JOB: ("4 fields", "5 fields", "5 fields", "4 or 5 fields"),
    _T.SUBMIT_REDUCE_JOB_BACKGROUND: ("4 fields", "5 fields", "5 fields", "4 or 5 fields"),
    _T.JOB_ASSIGN_ALL: (_YES, "for reduce jobs only", "for reduce jobs only", _YES),
    _T.GET_STATUS_UNIQUE: ("no", _YES, _YES, _YES),
    _T.STATUS_RES_UNIQUE: ("no", _YES, _YES, _YES),
}

#: When each code is sent by this server, and whether gearmand sends it then.
_ERROR_CODES: Final[dict[str, tuple[str, str]]] = {
    "INVALID_PACKET": (
        "The packet has too few or too many fields; it is passed over and the connection goes on. Also where the bytes "
        "are no packet, or a packet is larger than is taken: then the connection is closed after it.",
        "No: no answer, or a closed connection.",
    ),
    "INVALID_COMMAND": (
        "The type is unknown, or one that only a job server sends.",
        "Yes; for an unknown type it closes the connection.",
    ),
    "INVALID_MAGIC": ("A packet has the magic of a job server.", "Yes."),
    "INVALID_ARGUMENT": (
        "A number of SUBMIT_JOB_EPOCH or CAN_DO_TIMEOUT, or a field of SUBMIT_JOB_SCHED, cannot be read or met.",
        "No: it reads what it can, and 0 for the rest.",
    ),
    "ARGUMENT_TOO_LARGE": (
        "A function name is over 512 bytes, a unique ID, a handle or a number of WORK_STATUS over 64, a client ID over "
        "254; options set the limits of names and IDs.",
        "For unique IDs when jobs are submitted.",
    ),
    "INVALID_FUNCTION_NAME": ("A function name is empty.", "No: it takes it."),
    "QUEUE_ERROR": (
        "The function has as many jobs as its `maxqueue` allows, or there are as many jobs, or bytes of workloads, as "
        "the options allow, or the store does not take the job; the text says which it is.",
        "Yes, for `maxqueue` and the store.",
    ),
    "TOO_MANY_CONNECTIONS": (
        "There are as many connections as the options allow, in total or from one address; the connection is closed "
        "after it.",
        "No: it knows no such limits.",
    ),
    "SHUTDOWN": ("The job server drains and takes no new jobs.", "No: it takes them."),
    "JOB_NOT_FOUND": ("A worker reports on a job that it does not have, or no longer.", "Yes."),
    "UNKNOWN_OPTION": ("OPTION_REQ asks for something other than `exceptions`.", "Yes."),
}


def packet_support() -> str:
    """Who knows which packet."""
    rows = []
    for kind, spec in PACKETS.items():
        document, old, new, ours = _EXCEPTIONS.get(kind, (_YES, _YES, _YES, _YES))
        assert _answers(spec), f"{spec.type.name} is refused by the dispatcher"
        rows.append((f"`{spec.type.name}`", document, old, new, ours))
    return markdown_table(("Packet", "PROTOCOL document", "gearmand 1.1", "gearmand 2.x", "gearman_trio"), rows)


def _answers(spec: PacketSpec) -> bool:
    """Whether the dispatcher knows what to do with a packet that peers send."""
    if not spec.senders & (Sender.CLIENT | Sender.WORKER):
        return True
    broker = Dispatcher(Policy())
    peer = broker.connect("nobody")
    broker.receive(peer, b"\0REQ" + pack(">II", spec.type, 0), now=0.0)
    return b"INVALID_COMMAND" not in b"".join(peer.take_outbox())


def error_codes() -> str:
    """The codes of ERROR packets."""
    sent = re.compile(r'(?:send_error|_reject)\(\s*\w+,\s*"([A-Z_]+)"')
    # The sources, and not `inspect`: the core may be compiled.
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(_CORE.glob("*.py")))
    codes = set(sent.findall(source)) | {REFUSED.decode()}
    assert codes == set(_ERROR_CODES), f"the codes in the core and in this table differ: {codes ^ set(_ERROR_CODES)}"
    rows = [(f"`{code}`", when, same) for code, (when, same) in _ERROR_CODES.items()]
    return markdown_table(("Code", "When", "Do gearmand 1.1 and 2.x send it then?"), rows)


def gearmand_options() -> str:
    """The options of gearmand, with what is to be said of them, and then those that only we have."""
    theirs = [(_spelled(option), option.gearmand, _remark(option)) for option in OPTIONS if option.gearmand]
    ours = [(_spelled(option), "no", option.remark) for option in OPTIONS if not option.gearmand]
    return markdown_table(("Option", "gearmand", "Remarks"), theirs + ours)


def _spelled(option: Option) -> str:
    return f"`-{option.short}`, `--{option.name}`" if option.short else f"`--{option.name}`"


def _remark(option: Option) -> str:
    return code_spans(option.remark or (option.help if option.inert else ""))


def _directive(make: Callable[[], str]) -> type[SphinxDirective]:
    class Table(SphinxDirective):
        def run(self) -> list[nodes.Node]:
            self.env.note_reread()
            return self.parse_text_to_nodes(make())

    return Table


def setup(app: Sphinx) -> ExtensionMetadata:
    """Make the directives known to Sphinx."""
    app.add_directive("packet-support", _directive(packet_support))
    app.add_directive("error-codes", _directive(error_codes))
    app.add_directive("gearmand-options", _directive(gearmand_options))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
