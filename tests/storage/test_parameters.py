"""Parameters of PostgreSQL's statements."""

from __future__ import annotations

from math import inf
from struct import pack
from typing import Any

import pytest

from gearman_trio.storage import StoredJob
from gearman_trio.storage.parameters import TYPES, Parameters, add_columns, add_number, add_numbers, add_row


def job(row: int, workload: bytes = b"w") -> StoredJob:
    return StoredJob(row, b"H:t:%d" % row, b"f", b"", 1, workload, 0.0, b"", 0, 5.0, True, "")


def head(kind: int, count: int) -> bytes:
    return pack(">iiiii", 1, 0, kind, count, 1)


def test_numbers_are_an_array() -> None:
    parameters = Parameters()
    add_numbers(parameters, [1, -3])
    add_number(parameters, 2**62)

    expected = head(20, 2) + b"\0\0\0\x08" + pack(">q", 1) + b"\0\0\0\x08" + pack(">q", -3)
    assert ([expected, pack(">q", 2**62)], [1, 1]) == (parameters.values, parameters.formats)


def test_a_row_has_each_field_by_itself() -> None:
    parameters = Parameters()
    one = job(7, b"a\0b")._replace(error="\u00e4", run_at=1e22, background=True)
    add_row(parameters, one, "utf-8")

    assert [pack(">q", 7), one.handle, one.function, one.unique, b"\0\1", b"a\0b"] == parameters.values[:6]
    assert [pack(">d", 1e22), b"", b"\0\0\0\0", pack(">d", 5.0), b"\1", b"\xc3\xa4"] == parameters.values[6:]
    assert [1] * len(TYPES) == parameters.formats


def test_columns_are_arrays() -> None:
    parameters = Parameters()
    add_columns(parameters, [job(1, b"a\0"), job(2, b"")], "utf-8")

    assert len(TYPES) == len(parameters.values) == len(parameters.formats)
    assert head(17, 2) + b"\0\0\0\2a\0" + b"\0\0\0\0" == parameters.values[5]
    assert head(16, 2) + b"\0\0\0\1\1" * 2 == parameters.values[10]


def test_text_is_in_the_encoding_of_the_connection() -> None:
    parameters = Parameters()
    add_columns(parameters, [job(1)._replace(error="\u00e4")], "latin-1")
    assert parameters.values[-1].endswith(b"\0\0\0\1\xe4")

    with pytest.raises(ValueError, match="encode"):
        add_row(parameters, job(1)._replace(error="\N{SNOWMAN}"), "latin-1")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"workload": 5}, "bytea"),
        ({"error": b""}, "text"),
        ({"priority": "1'"}, "smallint"),
        ({"row": 2**63}, "bigint"),
    ],
    ids=str,
)
def test_what_is_no_job_is_refused(wrong: dict[str, Any], expected: str) -> None:
    odd = job(1)._replace(**wrong)

    with pytest.raises(ValueError, match=f"expected {expected}"):
        add_row(Parameters(), odd, "utf-8")
    with pytest.raises(ValueError, match=f"expected {expected}"):
        add_columns(Parameters(), [job(2), odd], "utf-8")


def test_numbers_may_be_of_any_kind() -> None:
    """As those are that come from another store."""
    parameters = Parameters()
    add_row(parameters, job(1)._replace(run_at=5, created=inf), "utf-8")

    assert [pack(">d", 5.0), pack(">d", inf)] == [parameters.values[6], parameters.values[9]]
