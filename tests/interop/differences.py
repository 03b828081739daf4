"""Everything that our server answers otherwise than gearmand 1.1.20, and why.

This is, with limit_differences.py, the table of test_differences.py: an answer that differs and is not here fails, and
so does one that is here and does not differ.  The servers' answers are written as transcripts.py gives them: peer, then
what it heard.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

__all__ = ["DIFFERENCES", "EMPTY_NAME", "Difference", "missing_fields"]


@attrs.frozen(kw_only=True)
class Difference:
    """What the servers answer to one step.

    Attributes:
        gearmand: what the C server answers.
        ours: what our server answers.
        why: why ours does not do the same.
        or_closed: whether gearmand sometimes closes the connection instead of not answering at all: it then looks for
            the rest of the packet where there is none.
        row: what the row about it begins with in `docs/reference/compatibility.md`.
    """

    gearmand: Mapping[str, list[str]]
    ours: Mapping[str, list[str]]
    why: str
    row: str
    or_closed: bool = False


#: What an ability with an empty name comes to, and the table after it.
EMPTY_NAME: Final[Mapping[int, Difference]] = {
    0: Difference(
        row="empty function name",
        gearmand={},
        ours={"w": ["ERROR INVALID_FUNCTION_NAME\x00function name: must not be empty"]},
        why="An empty name cannot be administered; gearmand takes it.",
    ),
    1: Difference(
        row="empty function name",
        gearmand={"a": ["\t0\t0\t1\n", ".\n"]},
        ours={"a": [".\n"]},
        why="As above.",
    ),
}


def missing_fields(got: int) -> Difference:
    """A submission with so many fields of three."""
    return Difference(
        row="missing fields",
        gearmand={"c": ["(closed)"]},
        ours={"c": [f"ERROR INVALID_PACKET\x00SUBMIT_JOB takes 3 fields (function, unique, workload), got {got}"]},
        why="gearmand looks for the missing argument in the next packet, and loses its place in the stream.",
    )


#: By the name of the script and the number of the step in it, from 0.
DIFFERENCES: Final[Mapping[str, Mapping[int, Difference]]] = {
    "every kind of grab": {
        13: Difference(
            row="GRAB_JOB_ALL",
            gearmand={"w": ["JOB_ASSIGN_UNIQ {5}\x00f\x00y\x00five"]},
            ours={"w": ["JOB_ASSIGN_ALL {5}\x00f\x00y\x00\x00five"]},
            why=(
                "The document answers GRAB_JOB_ALL with JOB_ASSIGN_ALL; gearmand only where there is a reducer. "
                "libgearman takes both."
            ),
        ),
    },
    "an exception without the option": {
        3: Difference(
            row="WORK_EXCEPTION for a client that did not ask for exceptions",
            gearmand={"c": ["WORK_FAIL {1}\x00"]},
            ours={"c": ["WORK_FAIL {1}"]},
            why="gearmand ends the handle with a NUL that no client expects.",
        ),
    },
    "a failure behind an exception": {
        3: Difference(
            row="WORK_EXCEPTION for a client that did not ask for exceptions",
            gearmand={"c": ["WORK_FAIL {1}\x00"]},
            ours={"c": ["WORK_FAIL {1}"]},
            why="As above.",
        ),
        4: Difference(
            row="WORK_FAIL after WORK_EXCEPTION",
            gearmand={"w": ["ERROR JOB_NOT_FOUND\x00Job given in work result not found"]},
            ours={},
            why="Many workers send WORK_FAIL behind WORK_EXCEPTION, and Perl's takes ERROR for its end.",
        ),
    },
    "an ability comes while there is a job and the worker sleeps": {
        2: Difference(
            row="a sleeping worker says CAN_DO for a function with queued jobs",
            gearmand={},
            ours={"w": ["NOOP"]},
            why="A job must not wait for a worker that could do it.",
        ),
    },
    "CAN_DO twice": {
        3: Difference(
            row="CAN_DO twice",
            gearmand={"a": ["f\t0\t0\t3\n", ".\n"]},
            ours={"a": ["f\t0\t0\t1\n", ".\n"]},
            why="gearmand counts one worker three times.",
        ),
        4: Difference(
            row="CAN_DO twice",
            gearmand={"a": ["<fd> 127.0.0.1 - :\n", "<fd> 127.0.0.1 - : f f f\n", ".\n"]},
            ours={"a": ["<fd> 127.0.0.1 - :\n", "<fd> 127.0.0.1 - : f\n", ".\n"]},
            why="As above.",
        ),
    },
    "CANT_DO with a running job": {
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
    "a client leaves a queued job": {
        2: Difference(
            row="the last client of a queued foreground job leaves",
            gearmand={"a": ["f\t1\t0\t0\n", ".\n"]},
            ours={"a": ["f\t0\t0\t0\n", ".\n"]},
            why="gearmand drops a job that nobody waits for when a worker's grab comes across it, ours at once.",
        ),
    },
    "a client leaves a background job that it joined": {
        4: Difference(
            row="a foreground client joins a queued background job and leaves",
            gearmand={"w": ["NO_JOB"]},
            ours={"w": ["JOB_ASSIGN {1}\x00f\x00w"]},
            why="gearmand loses the background job.",
        ),
    },
    "a client ID with a line end": {
        1: Difference(
            row="control characters in names",
            gearmand={"a": ["<fd> 127.0.0.1 - :\n", "<fd> 127.0.0.1 a\n", "b c :\n", ".\n"]},
            ours={"a": ["<fd> 127.0.0.1 - :\n", "<fd> 127.0.0.1 a\\x0ab\\x20c :\n", ".\n"]},
            why="A client must not be able to forge rows of the table.",
        ),
    },
    "a unique ID of 64 bytes": {
        1: Difference(
            row="unique ID of 64 bytes",
            gearmand={"c": ["JOB_CREATED {2}"]},
            ours={"c": ["JOB_CREATED {1}"]},
            why="gearmand stores 63 bytes of it, and then it is not equal to itself.",
        ),
    },
    "ALL_YOURS": {
        0: Difference(
            row="ALL_YOURS",
            gearmand={"w": ["ERROR INVALID_COMMAND\x00Command not expected"]},
            ours={},
            why="PROTOCOL has it. There is nothing to do or to answer.",
        ),
    },
    "SUBMIT_JOB_SCHED": {
        0: Difference(
            row="SUBMIT_JOB_SCHED",
            gearmand={"c": ["ERROR INVALID_COMMAND\x00Command not expected"]},
            ours={"c": ["JOB_CREATED {1}"]},
            why="PROTOCOL has it, gearmand never did it.",
        ),
    },
    "an unknown type": {
        0: Difference(
            row="unknown packet type",
            gearmand={"c": ["(closed)"]},
            ours={"c": ["ERROR INVALID_COMMAND\x00Invalid command expected"]},
            why="gearmand closes the connection without a word.",
        ),
    },
    "a wrong magic": {
        0: Difference(
            row="bytes that are no packet",
            gearmand={"c": ["(closed)"]},
            ours={"c": ["ERROR INVALID_PACKET\x00expected the magic b'\\x00REQ', got b'\\x00BAD'", "(closed)"]},
            why="gearmand closes the connection without a word.",
        ),
    },
    "too few arguments": {
        0: missing_fields(2),
    },
    "an ability without a name": EMPTY_NAME,
    "tables of something": {
        12: Difference(
            row="`workers`",
            gearmand={"a": ["<fd> 127.0.0.1 - :\n", "<fd> 127.0.0.1 - :\n", "<fd> 127.0.0.1 w1 : g f\n", ".\n"]},
            ours={"a": ["<fd> 127.0.0.1 - :\n", "<fd> 127.0.0.1 - :\n", "<fd> 127.0.0.1 w1 : f g\n", ".\n"]},
            why="gearmand lists the abilities backwards.",
        ),
    },
    "create function with a bare line end": {
        1: Difference(
            row="`create function NAME`",
            gearmand={"a": ["ba\t0\t0\t0\n", ".\n"]},
            ours={"a": ["bar\t0\t0\t0\n", ".\n"]},
            why="gearmand cuts off the last letter.",
        ),
    },
    "cancelling a queued job twice": {
        2: Difference(
            row="`cancel job HANDLE`",
            gearmand={"c": ["STATUS_RES {1}\x001\x000\x000\x000"]},
            ours={"c": ["STATUS_RES {1}\x000\x000\x000\x000"]},
            why="gearmand keeps a cancelled job until a worker's grab comes across it, ours ends it at once.",
        ),
        3: Difference(
            row="`cancel job HANDLE`",
            gearmand={"a": ["OK\r\n"]},
            ours={"a": ["ERR UNKNOWN_JOB\r\n"]},
            why="As above.",
        ),
        4: Difference(
            row="`cancel job HANDLE`",
            gearmand={"a": ["f\t1\t0\t0\n", ".\n"]},
            ours={"a": ["f\t0\t0\t0\n", ".\n"]},
            why="As above.",
        ),
    },
    "cancelling a running job": {
        4: Difference(
            row="a running job is cancelled",
            gearmand={"c": ["WORK_COMPLETE {1}\x00r"]},
            ours={},
            why="gearmand has told the client WORK_FAIL, and then tells it WORK_COMPLETE.",
        ),
    },
    "maxqueue before the function is used": {
        2: Difference(
            row="`maxqueue NAME [SIZE]`, `maxqueue NAME HIGH NORMAL LOW`",
            gearmand={"c": ["JOB_CREATED {2}"]},
            ours={"c": ["ERROR QUEUE_ERROR\x00Job queue is full"]},
            why="gearmand says OK and forgets the limit.",
        ),
    },
    "six words": {
        0: Difference(
            row="a command of more than five words",
            gearmand={"a": ["(closed)"]},
            ours={"a": ["ERR UNKNOWN_COMMAND Unknown+server+commandone\r\n"]},
            why="gearmand closes the connection of a line of more than five words.",
        ),
    },
}
