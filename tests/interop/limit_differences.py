"""What test_differences.py finds in the conversations of limit_scripts.py; see differences.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .differences import EMPTY_NAME, Difference, missing_fields

__all__ = ["LIMIT_DIFFERENCES"]


def _never_answered(ours: str) -> Difference:
    """A question about a job by a name of 64 bytes or more."""
    return Difference(
        row="GET_STATUS with a handle of 64 bytes or more, GET_STATUS_UNIQUE likewise",
        gearmand={},
        ours={"c": [ours]},
        why="gearmand never answers; the client would take the next answer for this one.",
        or_closed=True,
    )


def _odd_number(peer: str, ours: str, *, taken: bool = False, or_closed: bool = False) -> Difference:
    """A number that is none: what ours has against it, and whether gearmand takes the job."""
    return Difference(
        row="a number that is none",
        gearmand={peer: ["JOB_CREATED {1}"]} if taken else {},
        ours={peer: [f"ERROR INVALID_ARGUMENT\x00{ours}"]},
        why="gearmand takes 0 for it, or does not answer.",
        or_closed=or_closed,
    )


#: By the name of the script and the number of the step in it, from 0.
LIMIT_DIFFERENCES: Final[Mapping[str, Mapping[int, Difference]]] = {
    "a handle of 64 bytes to ask for": {
        0: _never_answered("STATUS_RES " + "h" * 64 + "\x000\x000\x000\x000"),
    },
    "a handle of 65 bytes to ask for": {
        0: _never_answered("ERROR ARGUMENT_TOO_LARGE\x00handle: at most 64 bytes"),
    },
    "a unique ID of 64 bytes to ask for": {
        0: _never_answered("STATUS_RES_UNIQUE " + "u" * 64 + "\x000\x000\x000\x000\x000"),
    },
    "a unique ID of 65 bytes to ask for": {
        0: _never_answered("ERROR ARGUMENT_TOO_LARGE\x00Unique value too large"),
    },
    "an over-long unique ID of a reduce job": {
        0: Difference(
            row="unique ID over 64 bytes of a reduce job",
            gearmand={"c": ["JOB_CREATED {1}"]},
            ours={"c": ["ERROR ARGUMENT_TOO_LARGE\x00Unique value too large"]},
            why="gearmand looks at the length of the reducer instead.",
        ),
    },
    "a reducer of 65 bytes": {
        0: Difference(
            row="reducer over 64 bytes",
            gearmand={"c": ["ERROR ARGUMENT_TOO_LARGE\x00Unique value too large"]},
            ours={"c": ["JOB_CREATED {1}"]},
            why="gearmand takes it for the unique ID; a reducer is a function, and has a function's limit.",
        ),
    },
    "a function name of 513 bytes": {
        0: Difference(
            row="function name over 512 bytes",
            gearmand={"c": ["JOB_CREATED {1}"]},
            ours={"c": ["ERROR ARGUMENT_TOO_LARGE\x00function name: at most 512 bytes"]},
            why="libgearman takes no longer ones; gearmand takes them up to 8192 bytes of arguments.",
        ),
        1: Difference(
            row="function name over 512 bytes",
            gearmand={},
            ours={"w": ["ERROR ARGUMENT_TOO_LARGE\x00function name: at most 512 bytes"]},
            why="As above.",
        ),
    },
    "a client ID of 254 bytes": {
        1: Difference(
            row="client ID",
            gearmand={"a": ["<fd> 127.0.0.1 - :\n", "<fd> 127.0.0.1 " + "i" * 127 + " :\n", ".\n"]},
            ours={"a": ["<fd> 127.0.0.1 - :\n", "<fd> 127.0.0.1 " + "i" * 254 + " :\n", ".\n"]},
            why="gearmand cuts it to 127 bytes.",
        ),
    },
    "the failure of a job with an over-long handle": {
        0: Difference(
            row="a report with a handle over 64 bytes",
            gearmand={
                "w": [
                    "ERROR ARGUMENT_TOO_LARGE\x00"
                    "Error occurred due to GEARMAND_JOB_HANDLE_SIZE being too small from snprintf"
                ]
            },
            ours={"w": ["ERROR ARGUMENT_TOO_LARGE\x00handle: at most 64 bytes"]},
            why="The text is for people, and gearmand's is about its memory.",
        ),
    },
    "the result of a job with an over-long handle": {
        0: Difference(
            row="a report with a handle over 64 bytes",
            gearmand={"w": ["ERROR JOB_NOT_FOUND\x00Job given in work result not found"]},
            ours={"w": ["ERROR ARGUMENT_TOO_LARGE\x00handle: at most 64 bytes"]},
            why="No job can have that handle; gearmand says so of WORK_FAIL alone.",
        ),
    },
    "numbers of ten digits in a status": {
        4: Difference(
            row="a number of WORK_STATUS over 4294967295",
            gearmand={"c": ["STATUS_RES {1}\x001\x001\x001234567890\x001286608618"]},
            ours={"c": ["STATUS_RES {1}\x001\x001\x001234567890\x009876543210"]},
            why="gearmand keeps the lower 32 bits of it.",
        ),
    },
    "a time that is a word": {
        0: _odd_number("c", "epoch: expected decimal seconds, got 'soon'", taken=True),
        2: Difference(
            row="a number that is none",
            gearmand={"w": ["JOB_ASSIGN {1}\x00f\x00w"]},
            ours={"w": ["NO_JOB"]},
            why="As above.",
        ),
    },
    "a time that is empty": {
        0: _odd_number("c", "epoch: expected decimal seconds, got ''", taken=True),
    },
    "a time of twenty digits": {
        0: _odd_number("c", "epoch: expected decimal seconds, got '99999999999999999999'", or_closed=True),
    },
    "a time before 1970": {
        0: _odd_number("c", "epoch: expected decimal seconds, got '-5'", taken=True),
    },
    "a time limit that is a word": {
        0: _odd_number("w", "timeout: expected whole milliseconds, got 'soon'"),
        1: Difference(
            row="a number that is none",
            gearmand={"a": ["f\t0\t0\t1\n", ".\n"]},
            ours={"a": [".\n"]},
            why="As above.",
        ),
    },
    "a time limit of twenty-one digits": {
        0: _odd_number("w", "timeout: expected whole milliseconds, got '111111111111111111111'", or_closed=True),
    },
    "a result without its NUL": {
        3: Difference(
            row="WORK_COMPLETE and the like without the NUL after the handle, and nothing behind",
            gearmand={"w": ["(closed)"]},
            ours={"c": ["WORK_COMPLETE {1}\x00"]},
            why="Perl's workers send that for an empty result.",
        ),
    },
    "an ability without a field": EMPTY_NAME,
    "a submission without a unique ID": {
        0: missing_fields(1),
    },
    "RESET_ABILITIES with a running job": {
        4: Difference(
            row="CANT_DO and RESET_ABILITIES while a job runs",
            gearmand={"c": ["STATUS_RES {1}\x001\x000\x000\x000"]},
            ours={"c": ["STATUS_RES {1}\x001\x001\x000\x000"]},
            why="gearmand queues the job again, and it runs twice; ours lets the worker end it.",
        ),
        5: Difference(
            row="CANT_DO and RESET_ABILITIES while a job runs",
            gearmand={"w": ["ERROR JOB_NOT_FOUND\x00Job given in work result not found"]},
            ours={"c": ["WORK_COMPLETE {1}\x00r"]},
            why="As above.",
        ),
    },
    "commands with blanks": {
        0: Difference(
            row="blanks before a command",
            gearmand={"a": ["ERR UNKNOWN_COMMAND Unknown+server+command\r\n"]},
            ours={"a": ["OK <version>\n"]},
            why="It is clear what is meant.",
        ),
        2: Difference(
            row="blanks before a command",
            gearmand={"a": ["ERR UNKNOWN_COMMAND Unknown+server+command\tstatus\r\n"]},
            ours={"a": [".\n"]},
            why="As above.",
        ),
    },
}
