"""Options of how jobs are given to workers, and how much of what is taken."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from ..errors import ConfigError
from .option import FLAG, NUMBER, TEXT, Kind, Option, choice, number

__all__ = ["JOB_OPTIONS"]

_BOTH: Final = "1.1, 2.x"
_JOBS: Final = "Jobs"


def _attempts(retries: int) -> int:
    """What 2.x means: it counts attempts, though it says retries."""
    return 0 if retries < 0 else max(1, retries)


def _time_zone(text: str) -> tzinfo:
    try:
        return ZoneInfo(text)
    except (KeyError, OSError, ValueError):
        raise ConfigError(f"expected the name of a time zone, such as Europe/Berlin, got {text!r}") from None


JOB_OPTIONS: Final = [
    Option(
        name="job-retries",
        short="j",
        group=_JOBS,
        kind=number(-1, 255),
        default=-1,
        field="max_attempts",
        for_field=_attempts,
        help="How often a job is tried when its workers get lost: -1 for ever, 0 and 1 once; "
        "with --compat 1.1, 0 is for ever.",
        gearmand=_BOTH,
        remark="As in 2.x; 1.1 means no limit by 0, as here with `--compat 1.1`.",
    ),
    Option(
        name="job-handle-prefix",
        group=_JOBS,
        kind=TEXT,
        field="handle_prefix",
        shown="H:<host name>",
        help="What job handles begin with.",
        gearmand=_BOTH,
    ),
    Option(
        name="round-robin",
        short="R",
        group=_JOBS,
        kind=FLAG,
        default=True,
        field="round_robin",
        help="Whether a worker's functions take turns; else the one it registered last goes first (1.1).",
        gearmand=_BOTH,
        remark="On is the default, as in 2.x; `--no-round-robin` is 1.1 without `-R`.",
    ),
    Option(
        name="worker-wakeup",
        short="w",
        group=_JOBS,
        kind=NUMBER,
        default=1,
        field="worker_wakeup",
        help="Sleeping workers woken for each job; 0 for all.",
        gearmand=_BOTH,
        remark="1 is the default; 0, gearmand's default, wakes all.",
    ),
    Option(
        name="exceptions",
        group=_JOBS,
        kind=FLAG,
        default=False,
        field="exceptions",
        help="Send exceptions to every client, asked for or not.",
        gearmand=_BOTH,
    ),
    Option(
        name="priority-scope",
        group=_JOBS,
        kind=choice("SCOPE", "global", "function"),
        default="global",
        field="global_priority",
        for_field={"global": True, "function": False}.__getitem__,
        help="Whether priorities hold over all functions of a worker (global), or within each (function; 1.1).",
        remark="`function` is 1.1's order; see below.",
    ),
    Option(
        name="timeout-action",
        group=_JOBS,
        kind=choice("ACTION", "fail", "requeue"),
        default="fail",
        field="requeue_on_timeout",
        for_field={"fail": False, "requeue": True}.__getitem__,
        help="What becomes of a job that takes longer than its worker allowed: fail or requeue.",
        remark="`requeue` is gearmand's way; see below.",
    ),
    Option(
        name="time-zone",
        group=_JOBS,
        kind=Kind("ZONE", _time_zone),
        field="time_zone",
        shown="that of the process",
        help="In which SUBMIT_JOB_SCHED is read.",
    ),
    Option(
        name="hashtable-buckets",
        group=_JOBS,
        kind=number(1),
        default=991,
        help="Accepted; the tables of jobs grow by themselves.",
        gearmand=_BOTH,
        inert=True,
    ),
    Option(
        name="max-packet",
        group="Limits",
        kind=NUMBER.called("BYTES"),
        default=0xFFFFFFFF,
        field="max_packet_bytes",
        help="The largest packet that is taken.",
        remark="gearmand takes every size that the protocol can announce.",
    ),
]
