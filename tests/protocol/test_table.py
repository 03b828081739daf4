"""The packet table against the reference's own list (libgearman/command.cc) and the golden bytes."""

from __future__ import annotations

import pytest

from gearman_trio.protocol import PACKETS, PacketType, Sender

from .golden import REQUESTS, RESPONSES

#: `libgearman/command.cc`: number, name, how many arguments, whether data follows. 0 is text, 5 unused.
REFERENCE = """
1 CAN_DO 1 | 2 CANT_DO 1 | 3 RESET_ABILITIES 0 | 4 PRE_SLEEP 0 | 6 NOOP 0 | 7 SUBMIT_JOB 2+d | 8 JOB_CREATED 1
9 GRAB_JOB 0 | 10 NO_JOB 0 | 11 JOB_ASSIGN 2+d | 12 WORK_STATUS 3 | 13 WORK_COMPLETE 1+d | 14 WORK_FAIL 1
15 GET_STATUS 1 | 16 ECHO_REQ 0+d | 17 ECHO_RES 0+d | 18 SUBMIT_JOB_BG 2+d | 19 ERROR 2 | 20 STATUS_RES 5
21 SUBMIT_JOB_HIGH 2+d | 22 SET_CLIENT_ID 1 | 23 CAN_DO_TIMEOUT 2 | 24 ALL_YOURS 0 | 25 WORK_EXCEPTION 1+d
26 OPTION_REQ 1 | 27 OPTION_RES 1 | 28 WORK_DATA 1+d | 29 WORK_WARNING 1+d | 30 GRAB_JOB_UNIQ 0
31 JOB_ASSIGN_UNIQ 3+d | 32 SUBMIT_JOB_HIGH_BG 2+d | 33 SUBMIT_JOB_LOW 2+d | 34 SUBMIT_JOB_LOW_BG 2+d
35 SUBMIT_JOB_SCHED 7+d | 36 SUBMIT_JOB_EPOCH 3+d | 37 SUBMIT_REDUCE_JOB 4+d
38 SUBMIT_REDUCE_JOB_BACKGROUND 4+d | 39 GRAB_JOB_ALL 0 | 40 JOB_ASSIGN_ALL 4+d | 41 GET_STATUS_UNIQUE 1
42 STATUS_RES_UNIQUE 6
"""


def test_numbers_names_and_fields_are_those_of_the_reference() -> None:
    rows = [row.split() for row in REFERENCE.replace("\n", "|").split("|") if row.strip()]
    ours = [
        [str(number), spec.type.name, f"{len(spec.arguments)}{'+d' if spec.opaque else ''}"]
        for number, spec in PACKETS.items()
    ]

    assert rows == ours


def test_every_type_has_a_row() -> None:
    assert list(PacketType) == [spec.type for spec in PACKETS.values()]


@pytest.mark.parametrize(
    ("golden", "senders"), [(REQUESTS, Sender.CLIENT | Sender.WORKER), (RESPONSES, int(Sender.SERVER))]
)
def test_golden_bytes_leave_no_packet_out(golden: list[tuple[str, object, object]], senders: int) -> None:
    expected = {spec.type.name for spec in PACKETS.values() if spec.senders & senders}

    assert expected == {name for name, _, _ in golden}


def test_only_reports_of_workers_go_in_both_directions() -> None:
    both = [spec.type.name for spec in PACKETS.values() if spec.senders & Sender.SERVER and spec.senders != 4]

    assert [
        "WORK_STATUS",
        "WORK_COMPLETE",
        "WORK_FAIL",
        "WORK_EXCEPTION",
        "WORK_DATA",
        "WORK_WARNING",
    ] == both


def test_sender_is_asked_for_by_kind() -> None:
    spec = PACKETS[PacketType.GRAB_JOB]

    assert [False, True, False] == [spec.may_send(sender) for sender in Sender]
