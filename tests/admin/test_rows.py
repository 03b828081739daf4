"""The rows of the administrative tables, ours and gearmand's."""

from __future__ import annotations

import pytest

from gearman_trio import RemoteProtocolError
from gearman_trio.admin import ConnectionRow, FunctionRow, JobRow, PriorityRow

Kind = type[FunctionRow | PriorityRow | ConnectionRow | JobRow]

GOLDEN = [
    ("resize\t3\t1\t2", FunctionRow("resize", 3, 1, 2)),
    ("a b\t0\t0\t0", FunctionRow("a b", 0, 0, 0)),
    # Perl's clients put a prefix and a tab before the name, and gearmand prints it as it is.
    ("prefix\tresize\t3\t1\t2", FunctionRow("prefix\tresize", 3, 1, 2)),
    ("\t1\t2\t3", FunctionRow("", 1, 2, 3)),
    ("resize\t1\t2\t3\t4", PriorityRow("resize", 1, 2, 3, 4)),
    ("prefix\tresize\t1\t2\t3\t4", PriorityRow("prefix\tresize", 1, 2, 3, 4)),
    ("12 127.0.0.1 - : resize rotate", ConnectionRow(12, "127.0.0.1", "-", ("resize", "rotate"))),
    ("12 127.0.0.1 - :", ConnectionRow(12, "127.0.0.1", "-", ())),
    ("12 127.0.0.1 - : ", ConnectionRow(12, "127.0.0.1", "-", ())),
    ("12 ::1 worker:7 : f", ConnectionRow(12, "::1", "worker:7", ("f",))),
    ("12 ::ffff:10.0.0.1 a : :", ConnectionRow(12, "::ffff:10.0.0.1", "a", (":",))),
    ("12 fe80::1%eth0 a b : f\tg h", ConnectionRow(12, "fe80::1%eth0", "a b", ("f\tg", "h"))),
    ("12 10.0.0.1  : f", ConnectionRow(12, "10.0.0.1", "", ("f",))),
    # A blank that is none to the server.
    ("12 10.0.0.1 a : f\u00a0g", ConnectionRow(12, "10.0.0.1", "a", ("f\u00a0g",))),
    ("H:host:1\t0\t0\t0", JobRow("H:host:1", 0, False, False)),
    ("H:host:1\t3\t1\t1", JobRow("H:host:1", 3, True, True)),
]


@pytest.mark.parametrize(("line", "row"), GOLDEN, ids=lambda value: repr(value)[:40])
def test_row_is_read(line: str, row: FunctionRow | PriorityRow | ConnectionRow | JobRow) -> None:
    assert row == type(row).parse(line)


MALFORMED: list[tuple[Kind, str]] = [
    (FunctionRow, ""),
    (FunctionRow, "resize"),
    (FunctionRow, "resize 3 1 2"),
    (FunctionRow, "resize\t3\t1"),
    (FunctionRow, "resize\t3\t1\tmany"),
    (FunctionRow, "resize\t3\t\t2"),
    (PriorityRow, "resize\t3\t1\t2"),
    (PriorityRow, "resize\t1\t2\t3\tx"),
    (ConnectionRow, "12 127.0.0.1 - resize"),
    (ConnectionRow, "12 : resize"),
    (ConnectionRow, "12 127.0.0.1 : resize"),
    (ConnectionRow, "twelve 127.0.0.1 - : resize"),
    (JobRow, "H:host:1"),
    (JobRow, "H:host:1\t0\t0\tno"),
]


@pytest.mark.parametrize(("kind", "line"), MALFORMED)
def test_malformed_row_is_named(kind: Kind, line: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        kind.parse(line)

    assert repr(line) in str(caught.value)
