"""The conversations in administrative lines that both servers are led through; see transcripts.py."""

from __future__ import annotations

from typing import Final

from .scripts import RUNNING
from .transcripts import Step

__all__ = ["ADMIN_SCRIPTS"]

ADMIN_SCRIPTS: Final[dict[str, list[Step]]] = {
    "tables of nothing": [
        ("a", b"status\n"),
        ("a", b"prioritystatus\n"),
        ("a", b"show jobs\n"),
        ("a", b"show unique jobs\n"),
        ("a", b"workers\n"),
    ],
    "tables of something": [
        ("w", "SET_CLIENT_ID", "w1"),
        *RUNNING,
        ("w", "CAN_DO", "g"),
        ("c", "SUBMIT_JOB_HIGH_BG", "f", "bg", "w"),
        ("c", "SUBMIT_JOB_LOW_BG", "f", "", "w"),
        ("c", "SUBMIT_JOB_BG", "h", "", "w"),
        ("a", b"status\r\n"),
        ("a", b"PriorityStatus\n"),
        ("a", b"show jobs\n"),
        ("a", b"show unique jobs\n"),
        ("a", b"workers\n"),
    ],
    "values": [("a", b"version\n"), ("a", b"getpid\n"), ("a", b"verbose\n"), ("a", b"VERSION\r\n")],
    "functions are created and dropped": [
        ("a", b"create function made\r\n"),
        ("a", b"create function made\r\n"),
        ("a", b"status\n"),
        ("a", b"drop function made\r\n"),
        ("a", b"drop function made\n"),
        ("a", b"status\n"),
        ("w", "CAN_DO", "busy"),
        ("a", b"drop function busy\n"),
        ("a", b"create\n"),
        ("a", b"create function\n"),
        ("a", b"create else x\n"),
        ("a", b"drop\n"),
        ("a", b"drop else x\n"),
    ],
    "create function with a bare line end": [("a", b"create function bar\n"), ("a", b"status\n")],
    "cancelling a queued job": [
        ("c", "SUBMIT_JOB", "f", "", "w"),
        ("a", b"cancel job {1}\n"),
        ("a", b"cancel job H:none:1\n"),
        ("a", b"cancel foo bar\n"),
        ("a", b"cancel\n"),
        ("a", b"cancel job\n"),
        ("w", "CAN_DO", "f"),
        ("w", "GRAB_JOB"),
    ],
    "cancelling a queued job twice": [
        ("c", "SUBMIT_JOB_BG", "f", "", "w"),
        ("a", b"cancel job {1}\n"),
        ("c", "GET_STATUS", "{1}"),
        ("a", b"cancel job {1}\n"),
        ("a", b"status\n"),
    ],
    "cancelling a running job": [*RUNNING, ("a", b"cancel job {1}\n"), ("w", "WORK_COMPLETE", "{1}", "r")],
    "maxqueue": [
        ("a", b"maxqueue\n"),
        ("w", "CAN_DO", "f"),
        ("a", b"maxqueue f 1\n"),
        ("c", "SUBMIT_JOB", "f", "u", "1"),
        ("c", "SUBMIT_JOB", "f", "v", "2"),
        ("c", "SUBMIT_JOB", "f", "u", "coalesced"),
        ("a", b"maxqueue f\n"),
        ("c", "SUBMIT_JOB", "f", "v", "2"),
        ("a", b"maxqueue f 9 2 9\n"),
        ("c", "SUBMIT_JOB", "f", "x", "3"),
        ("c", "SUBMIT_JOB_HIGH", "f", "y", "4"),
    ],
    "maxqueue before the function is used": [
        ("a", b"maxqueue f 1\n"),
        ("c", "SUBMIT_JOB", "f", "u", "1"),
        ("c", "SUBMIT_JOB", "f", "v", "2"),
    ],
    "unknown commands": [
        ("a", b"nonsense\n"),
        ("a", b"nonsense with words\r\n"),
        ("a", b"\n"),
        ("a", b"shutdown\n"),
        ("a", b"show\n"),
        ("a", b"show nonsense\n"),
        ("a", b"show unique\n"),
        ("a", b"show unique nonsense\n"),
        ("a", b"status with words\n"),
    ],
    "six words": [("a", b"one two three four five six\n")],
    "lines and packets on one connection, in pieces": [
        ("a", b"ver", b"sion", b"\r", b"\n"),
        ("a", b"status\nverbose\n"),
        ("a", "CAN_DO", "f"),
        ("a", b"status\n"),
    ],
}
