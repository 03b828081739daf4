"""The conversations of what is too long, too short or no number, and of peers that send much at once or little."""

from __future__ import annotations

from typing import Final

from gearman_trio.protocol import PacketType, encode_request

from .scripts import RUNNING
from .transcripts import CLOSE, Step

__all__ = ["LIMIT_SCRIPTS"]

P = PacketType

_SUBMISSIONS: Final = b"".join(encode_request(P.SUBMIT_JOB_BG, b"f", b"%d" % number, b"w") for number in range(3))
_MIXED: Final = (
    b"version\n"
    + encode_request(P.SUBMIT_JOB_BG, b"f", b"u", b"w")
    + b"status\r\n"
    + encode_request(P.GET_STATUS_UNIQUE, b"u")
    + b"cancel\n"
)

LIMIT_SCRIPTS: Final[dict[str, list[Step]]] = {
    # ---- too long ----
    "a handle of 64 bytes to ask for": [("c", "GET_STATUS", "h" * 64)],
    "a handle of 65 bytes to ask for": [("c", "GET_STATUS", "h" * 65)],
    "a unique ID of 64 bytes to ask for": [("c", "GET_STATUS_UNIQUE", "u" * 64)],
    "a unique ID of 65 bytes to ask for": [("c", "GET_STATUS_UNIQUE", "u" * 65)],
    "an over-long unique ID of a background job": [("c", "SUBMIT_JOB_BG", "f", "u" * 65, "w"), ("a", b"status\n")],
    "an over-long unique ID of a job for later": [("c", "SUBMIT_JOB_EPOCH", "f", "u" * 65, "1", "w")],
    "an over-long unique ID of a reduce job": [("c", "SUBMIT_REDUCE_JOB", "f", "u" * 65, "r", "", "w")],
    "a reducer of 65 bytes": [("c", "SUBMIT_REDUCE_JOB", "f", "u", "r" * 65, "", "w")],
    "a function name of 512 bytes": [
        ("w", "CAN_DO", "f" * 512),
        ("c", "SUBMIT_JOB", "f" * 512, "u", "w"),
        ("w", "GRAB_JOB"),
    ],
    "a function name of 513 bytes": [("c", "SUBMIT_JOB", "f" * 513, "u", "w"), ("w", "CAN_DO", "f" * 513)],
    "a client ID of 127 bytes": [("w", "SET_CLIENT_ID", "i" * 127), ("a", b"workers\n")],
    "a client ID of 254 bytes": [("w", "SET_CLIENT_ID", "i" * 254), ("a", b"workers\n")],
    "the failure of a job with an over-long handle": [("w", "WORK_FAIL", "h" * 65)],
    "the result of a job with an over-long handle": [("w", "WORK_COMPLETE", "h" * 65, "r")],
    "numbers of ten digits in a status": [
        *RUNNING,
        ("w", "WORK_STATUS", "{1}", "1234567890", "9876543210"),
        ("c", "GET_STATUS", "{1}"),
    ],
    "words in a status": [*RUNNING, ("w", "WORK_STATUS", "{1}", "half", ""), ("c", "GET_STATUS", "{1}")],
    # ---- no number ----
    "a time that is a word": [
        ("c", "SUBMIT_JOB_EPOCH", "f", "u", "soon", "w"),
        ("w", "CAN_DO", "f"),
        ("w", "GRAB_JOB"),
    ],
    "a time that is empty": [("c", "SUBMIT_JOB_EPOCH", "f", "u", "", "w")],
    "a time of twenty digits": [("c", "SUBMIT_JOB_EPOCH", "f", "u", "9" * 20, "w")],
    "a time before 1970": [("c", "SUBMIT_JOB_EPOCH", "f", "u", "-5", "w")],
    "a time limit that is a word": [("w", "CAN_DO_TIMEOUT", "f", "soon"), ("a", b"status\n")],
    "a time limit of twenty-one digits": [("w", "CAN_DO_TIMEOUT", "f", "1" * 21), ("a", b"status\n")],
    "a time limit of nothing": [
        ("w", "CAN_DO_TIMEOUT", "f", "0"),
        ("c", "SUBMIT_JOB", "f", "u", "w"),
        ("w", "GRAB_JOB"),
        ("w", "WORK_COMPLETE", "{1}", "r"),
    ],
    "limits that are no numbers": [
        ("w", "CAN_DO", "f"),
        ("a", b"maxqueue f many\n"),
        ("c", "SUBMIT_JOB_BG", "f", "", "1"),
        ("a", b"maxqueue f -1\n"),
        ("c", "SUBMIT_JOB_BG", "f", "", "2"),
        ("a", b"maxqueue f 0\n"),
        ("c", "SUBMIT_JOB_BG", "f", "", "3"),
    ],
    # ---- too short ----
    "a result without its NUL": [*RUNNING, ("w", "WORK_COMPLETE", "{1}")],
    "an ability without a field": [("w", b"\0REQ\0\0\0\x01\0\0\0\0"), ("a", b"status\n")],
    "a submission without a unique ID": [("c", b"\0REQ\0\0\0\x07\0\0\0\x01f")],
    # ---- much at once, and little ----
    "submissions in one piece": [("c", _SUBMISSIONS), ("a", b"status\n")],
    "a submission byte by byte": [
        ("c", *(_SUBMISSIONS[index : index + 1] for index in range(len(_SUBMISSIONS)))),
        ("a", b"status\n"),
    ],
    "lines and packets in one piece": [("a", _MIXED)],
    "lines and packets byte by byte": [("a", *(_MIXED[index : index + 1] for index in range(len(_MIXED))))],
    # ---- the life of workers and clients ----
    "a worker with two jobs is lost": [
        ("w", "CAN_DO", "f"),
        ("c", "SUBMIT_JOB", "f", "1", "one"),
        ("c", "SUBMIT_JOB", "f", "2", "two"),
        ("c", "SUBMIT_JOB", "f", "3", "three"),
        ("w", "GRAB_JOB"),
        ("w", "GRAB_JOB"),
        ("w", CLOSE),
        ("v", "CAN_DO", "f"),
        ("v", "GRAB_JOB"),
    ],
    "a client that joined leaves, the other stays": [
        *RUNNING,
        ("d", "SUBMIT_JOB", "f", "u", "joins"),
        ("c", CLOSE),
        ("w", "WORK_COMPLETE", "{1}", "r"),
    ],
    "RESET_ABILITIES with a running job": [
        *RUNNING,
        ("w", "RESET_ABILITIES"),
        ("c", "GET_STATUS", "{1}"),
        ("w", "WORK_COMPLETE", "{1}", "r"),
    ],
    "an ability is dropped while its worker sleeps": [
        ("w", "CAN_DO", "f"),
        ("w", "CAN_DO", "g"),
        ("w", "PRE_SLEEP"),
        ("w", "CANT_DO", "f"),
        ("c", "SUBMIT_JOB_BG", "f", "", "w"),
        ("c", "SUBMIT_JOB_BG", "g", "", "w"),
    ],
    # ---- commands that other servers know ----
    "commands of Perl's server": [
        ("a", b"jobs\n"),
        ("a", b"clients\n"),
        ("a", b"gladiator\n"),
        ("a", b"shutdown graceful\n"),
    ],
    "commands with blanks": [("a", b"  version  \n"), ("a", b"show   jobs\n"), ("a", b"\tstatus\n")],
}
