"""Options of the process: its life, its log, its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .option import FLAG, SECONDS, TEXT, Kind, Option, choice, number

__all__ = ["COMPAT", "PROCESS_OPTIONS"]

_BOTH: Final = "1.1, 2.x"
_FILE: Final = TEXT.called("FILE")
_PROCESS: Final = "The process"
_LOG: Final = "Log"
_CONFIG: Final = "Configuration"

#: What follows from ``--compat``: values for options that nobody gave.  ``--job-retries`` goes by it too.
COMPAT: Final[Mapping[str, Mapping[str, object]]] = {
    "none": {},
    "2": {"worker-wakeup": 0, "timeout-action": "requeue", "requeue-on-cant-do": True},
    "1.1": {
        "worker-wakeup": 0,
        "timeout-action": "requeue",
        "requeue-on-cant-do": True,
        "priority-scope": "function",
        "round-robin": False,
    },
}

PROCESS_OPTIONS: Final = [
    Option(
        name="daemon",
        short="d",
        group=_PROCESS,
        kind=FLAG,
        default=False,
        help="Go into the background. The command ends when the server is ready, or with the reason why it is not.",
        gearmand=_BOTH,
        remark="gearmand's exit code is 0 also where it could not listen.",
    ),
    Option(
        name="user",
        short="u",
        group=_PROCESS,
        kind=TEXT.called("NAME"),
        help="Run as this user; only root can. Files are opened as this user.",
        gearmand=_BOTH,
    ),
    Option(
        name="pid-file",
        short="P",
        group=_PROCESS,
        kind=_FILE,
        help="Holds the process ID while the server listens. "
        "A file that names a running process is refused, a stale one replaced.",
        gearmand=_BOTH,
        remark="gearmand overwrites the file of a running server.",
    ),
    Option(
        name="file-descriptors",
        short="f",
        group=_PROCESS,
        kind=number(1),
        shown="as many as the user may have",
        help="How many files and connections the process may have open.",
        gearmand=_BOTH,
    ),
    Option(
        name="coredump",
        group=_PROCESS,
        kind=FLAG,
        default=False,
        help="Let the kernel write a core file if the process crashes.",
        gearmand=_BOTH,
    ),
    Option(
        name="threads",
        short="t",
        group=_PROCESS,
        kind=number(0),
        default=4,
        help="Accepted; one thread does all work, and waits for nothing.",
        gearmand=_BOTH,
        inert=True,
    ),
    Option(
        name="drain-timeout",
        group=_PROCESS,
        kind=SECONDS,
        default=60.0,
        help="How long SIGTERM lets running jobs go on.",
        remark="SIGTERM drains here; gearmand stops at once, as here with 0.",
    ),
    Option(
        name="busy-poll-seconds",
        group=_PROCESS,
        kind=SECONDS,
        # About twice as long as a fast worker or client takes to answer on the same machine.
        default=0.0001,
        field="busy_poll_seconds",
        help="How long to look for further packets, after some came, before the process sleeps.",
    ),
    Option(
        name="verbose",
        group=_LOG,
        kind=Kind("LEVEL", str.upper),
        default="NOTICE",
        field="verbosity",
        help="What is logged: FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG.",
        gearmand=_BOTH,
        remark="`NOTICE` is the default. The names of levels may be written in small letters.",
    ),
    Option(
        name="log-file",
        short="l",
        group=_LOG,
        kind=_FILE,
        shown="stderr; with --daemon /var/log/gearmand.log",
        help="Where the log goes: a file, 'stderr' or 'none'.",
        gearmand=_BOTH,
        remark="A file that cannot be written is an error. It may be moved away without a signal.",
    ),
    Option(
        name="log-format",
        group=_LOG,
        kind=choice("FORMAT", "text", "json"),
        default="text",
        help="A line of text for each event, or a JSON object on a line (json).",
    ),
    Option(
        name="syslog",
        group=_LOG,
        kind=FLAG,
        default=False,
        help="Log to the system's log; to --log-file too, where that is given.",
        gearmand=_BOTH,
    ),
    Option(
        name="compat",
        group=_CONFIG,
        kind=choice("VERSION", *COMPAT),
        default="none",
        help="Do as this version of gearmand (1.1 or 2) where this server has its own ways; "
        "options that are given still count.",
    ),
    Option(
        name="config-file",
        group=_CONFIG,
        kind=_FILE,
        shown="/etc/gearmand.conf, if there is one",
        help="A file of options as on the command line, as gearmand reads it.",
        gearmand=_BOTH,
        remark="Lines that begin with `#` are passed over; a word that is no option is an error.",
    ),
    Option(name="config", group=_CONFIG, kind=_FILE, help="A TOML file with the long names of options as keys."),
    Option(
        name="print-config",
        group=_CONFIG,
        kind=FLAG,
        default=False,
        here_only=True,
        help="Print every option with its value and where that came from, and end.",
    ),
    Option(
        name="check-args",
        group=_CONFIG,
        kind=FLAG,
        default=False,
        here_only=True,
        help="Check the options, and end: with 0 if they can be used.",
        gearmand=_BOTH,
        remark="Values are looked at too, as far as no file is opened for them.",
    ),
    Option(
        name="version",
        short="V",
        group=_CONFIG,
        kind=FLAG,
        default=False,
        here_only=True,
        help="Print the version, and end.",
        gearmand=_BOTH,
    ),
]
