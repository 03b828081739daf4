"""Every packet of the protocol as bytes, written out by hand: type in hexadecimal, size in hexadecimal, body."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["REQUESTS", "RESPONSES", "Golden"]


class Golden(NamedTuple):
    name: str
    fields: tuple[bytes, ...]
    data: bytes


#: What clients and workers send.
REQUESTS = [
    Golden("CAN_DO", (b"reverse",), b"\0REQ\0\0\0\x01\0\0\0\x07reverse"),
    Golden("CANT_DO", (b"reverse",), b"\0REQ\0\0\0\x02\0\0\0\x07reverse"),
    Golden("RESET_ABILITIES", (), b"\0REQ\0\0\0\x03\0\0\0\0"),
    Golden("PRE_SLEEP", (), b"\0REQ\0\0\0\x04\0\0\0\0"),
    Golden("SUBMIT_JOB", (b"reverse", b"", b"test"), b"\0REQ\0\0\0\x07\0\0\0\x0dreverse\0\0test"),
    Golden("SUBMIT_JOB", (b"f", b"u", b"\0\n\0"), b"\0REQ\0\0\0\x07\0\0\0\x07f\0u\0\0\n\0"),
    Golden("GRAB_JOB", (), b"\0REQ\0\0\0\x09\0\0\0\0"),
    Golden("WORK_STATUS", (b"H:lap:1", b"1", b"10"), b"\0REQ\0\0\0\x0c\0\0\0\x0cH:lap:1\x001\x0010"),
    Golden("WORK_COMPLETE", (b"H:lap:1", b"tset"), b"\0REQ\0\0\0\x0d\0\0\0\x0cH:lap:1\0tset"),
    Golden("WORK_COMPLETE", (b"H:lap:1", b""), b"\0REQ\0\0\0\x0d\0\0\0\x08H:lap:1\0"),
    Golden("WORK_FAIL", (b"H:lap:1",), b"\0REQ\0\0\0\x0e\0\0\0\x07H:lap:1"),
    Golden("GET_STATUS", (b"H:lap:1",), b"\0REQ\0\0\0\x0f\0\0\0\x07H:lap:1"),
    Golden("ECHO_REQ", (b"a\0b",), b"\0REQ\0\0\0\x10\0\0\0\x03a\0b"),
    Golden("ECHO_REQ", (b"",), b"\0REQ\0\0\0\x10\0\0\0\0"),
    Golden("SUBMIT_JOB_BG", (b"f", b"u", b"w"), b"\0REQ\0\0\0\x12\0\0\0\x05f\0u\0w"),
    Golden("SUBMIT_JOB_HIGH", (b"f", b"u", b"w"), b"\0REQ\0\0\0\x15\0\0\0\x05f\0u\0w"),
    Golden("SET_CLIENT_ID", (b"me",), b"\0REQ\0\0\0\x16\0\0\0\x02me"),
    Golden("CAN_DO_TIMEOUT", (b"f", b"1500"), b"\0REQ\0\0\0\x17\0\0\0\x06f\x001500"),
    Golden("ALL_YOURS", (), b"\0REQ\0\0\0\x18\0\0\0\0"),
    Golden("WORK_EXCEPTION", (b"H:lap:1", b"boom"), b"\0REQ\0\0\0\x19\0\0\0\x0cH:lap:1\0boom"),
    Golden("OPTION_REQ", (b"exceptions",), b"\0REQ\0\0\0\x1a\0\0\0\x0aexceptions"),
    Golden("WORK_DATA", (b"H:lap:1", b"\0"), b"\0REQ\0\0\0\x1c\0\0\0\x09H:lap:1\0\0"),
    Golden("WORK_WARNING", (b"H:lap:1", b"hm"), b"\0REQ\0\0\0\x1d\0\0\0\x0aH:lap:1\0hm"),
    Golden("GRAB_JOB_UNIQ", (), b"\0REQ\0\0\0\x1e\0\0\0\0"),
    Golden("SUBMIT_JOB_HIGH_BG", (b"f", b"u", b"w"), b"\0REQ\0\0\0\x20\0\0\0\x05f\0u\0w"),
    Golden("SUBMIT_JOB_LOW", (b"f", b"u", b"w"), b"\0REQ\0\0\0\x21\0\0\0\x05f\0u\0w"),
    Golden("SUBMIT_JOB_LOW_BG", (b"f", b"u", b"w"), b"\0REQ\0\0\0\x22\0\0\0\x05f\0u\0w"),
    Golden(
        "SUBMIT_JOB_SCHED",
        (b"f", b"u", b"30", b"6", b"", b"12", b"0", b"w"),
        b"\0REQ\0\0\0\x23\0\0\0\x10f\0u\x0030\x006\0\x0012\x000\0w",
    ),
    Golden("SUBMIT_JOB_EPOCH", (b"f", b"u", b"1700000000", b"w"), b"\0REQ\0\0\0\x24\0\0\0\x10f\0u\x001700000000\0w"),
    Golden("SUBMIT_REDUCE_JOB", (b"f", b"u", b"r", b"", b"w"), b"\0REQ\0\0\0\x25\0\0\0\x08f\0u\0r\0\0w"),
    Golden("SUBMIT_REDUCE_JOB_BACKGROUND", (b"f", b"u", b"r", b"", b"w"), b"\0REQ\0\0\0\x26\0\0\0\x08f\0u\0r\0\0w"),
    Golden("GRAB_JOB_ALL", (), b"\0REQ\0\0\0\x27\0\0\0\0"),
    Golden("GET_STATUS_UNIQUE", (b"u",), b"\0REQ\0\0\0\x29\0\0\0\x01u"),
]

#: What the job server sends.
RESPONSES = [
    Golden("NOOP", (), b"\0RES\0\0\0\x06\0\0\0\0"),
    Golden("JOB_CREATED", (b"H:lap:1",), b"\0RES\0\0\0\x08\0\0\0\x07H:lap:1"),
    Golden("NO_JOB", (), b"\0RES\0\0\0\x0a\0\0\0\0"),
    Golden("JOB_ASSIGN", (b"H:lap:1", b"reverse", b"test"), b"\0RES\0\0\0\x0b\0\0\0\x14H:lap:1\0reverse\0test"),
    Golden("WORK_STATUS", (b"H:lap:1", b"1", b"10"), b"\0RES\0\0\0\x0c\0\0\0\x0cH:lap:1\x001\x0010"),
    Golden("WORK_STATUS", (b"H:lap:1", b"1", b""), b"\0RES\0\0\0\x0c\0\0\0\x0aH:lap:1\x001\0"),
    Golden("WORK_COMPLETE", (b"H:lap:1", b"tset"), b"\0RES\0\0\0\x0d\0\0\0\x0cH:lap:1\0tset"),
    Golden("WORK_FAIL", (b"H:lap:1",), b"\0RES\0\0\0\x0e\0\0\0\x07H:lap:1"),
    Golden("ECHO_RES", (b"a\0b",), b"\0RES\0\0\0\x11\0\0\0\x03a\0b"),
    Golden("ERROR", (b"QUEUE_ERROR", b"full"), b"\0RES\0\0\0\x13\0\0\0\x10QUEUE_ERROR\0full"),
    Golden("ERROR", (b"CODE", b""), b"\0RES\0\0\0\x13\0\0\0\x05CODE\0"),
    Golden("STATUS_RES", (b"H:lap:1", b"1", b"0", b"2", b"9"), b"\0RES\0\0\0\x14\0\0\0\x0fH:lap:1\x001\x000\x002\x009"),
    Golden("WORK_EXCEPTION", (b"H:lap:1", b"boom"), b"\0RES\0\0\0\x19\0\0\0\x0cH:lap:1\0boom"),
    Golden("OPTION_RES", (b"exceptions",), b"\0RES\0\0\0\x1b\0\0\0\x0aexceptions"),
    Golden("WORK_DATA", (b"H:lap:1", b"\0"), b"\0RES\0\0\0\x1c\0\0\0\x09H:lap:1\0\0"),
    Golden("WORK_WARNING", (b"H:lap:1", b"hm"), b"\0RES\0\0\0\x1d\0\0\0\x0aH:lap:1\0hm"),
    Golden("JOB_ASSIGN_UNIQ", (b"H:lap:1", b"f", b"u", b"w"), b"\0RES\0\0\0\x1f\0\0\0\x0dH:lap:1\0f\0u\0w"),
    Golden("JOB_ASSIGN_ALL", (b"H:lap:1", b"f", b"u", b"r", b"w"), b"\0RES\0\0\0\x28\0\0\0\x0fH:lap:1\0f\0u\0r\0w"),
    Golden(
        "STATUS_RES_UNIQUE",
        (b"u", b"1", b"0", b"2", b"9", b"3"),
        b"\0RES\0\0\0\x2a\0\0\0\x0bu\x001\x000\x002\x009\x003",
    ),
]
