"""Parameters of PostgreSQL's statements."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from gearman_trio.storage import StoredJob
from gearman_trio.storage.parameters import TYPES, Parameters, add_columns, add_numbers, add_row


def job(row: int, workload: bytes = b"w") -> StoredJob:
    return StoredJob(row, b"H:t:%d" % row, b"f", b"", 1, workload, 0.0, b"", 0, 5.0, True, "")


def test_numbers_are_an_array_in_text() -> None:
    parameters = Parameters()
    add_numbers(parameters, [1, 20, -3])

    assert ([b"{1,20,-3}"], [0]) == (parameters.values, parameters.formats)


def test_a_row_has_bytes_and_text_as_they_are() -> None:
    parameters = Parameters()
    one = job(7, b"a\0b")._replace(error="\u00e4", run_at=1e22, background=True)
    add_row(parameters, one, "utf-8")

    assert {"bigint": 0, "bytea": 1, "smallint": 0, "float8": 0, "integer": 0, "boolean": 0, "text": 1} == dict(
        zip(TYPES, parameters.formats, strict=True)
    )
    assert [b"7", one.handle, one.function, one.unique, b"1", b"a\0b", b"1e+22"] == parameters.values[:7]
    assert [b"True", b"\xc3\xa4"] == parameters.values[10:]


def test_columns_of_bytes_are_arrays_in_binary_form() -> None:
    parameters = Parameters()
    add_columns(parameters, [job(1, b"a\0"), job(2, b"")], "utf-8")
    head = bytes.fromhex("00000001 00000000 00000011 00000002 00000001")

    assert len(TYPES) == len(parameters.values) == len(parameters.formats)
    assert (b"{1,2}", 0) == (parameters.values[0], parameters.formats[0])
    assert (head + b"\0\0\0\2a\0" + b"\0\0\0\0", 1) == (parameters.values[5], parameters.formats[5])


def test_text_is_in_the_encoding_of_the_connection() -> None:
    parameters = Parameters()
    add_columns(parameters, [job(1)._replace(error="\u00e4")], "latin-1")
    assert parameters.values[-1].endswith(b"\0\0\0\1\xe4")

    with pytest.raises(ValueError, match="encode"):
        add_row(parameters, job(1)._replace(error="\N{SNOWMAN}"), "latin-1")


@pytest.mark.parametrize(
    ("wrong", "expected"), [({"workload": 5}, "expected bytea"), ({"error": b""}, "expected text")], ids=str
)
def test_what_is_no_job_is_refused(wrong: dict[str, Any], expected: str) -> None:
    odd = job(1)._replace(**wrong)

    with pytest.raises(ValueError, match=expected):
        add_row(Parameters(), odd, "utf-8")
    with pytest.raises(ValueError, match=expected):
        add_columns(Parameters(), [job(2), odd], "utf-8")


def test_numbers_may_be_of_any_kind() -> None:
    """As those are that come from another store."""
    parameters = Parameters()
    add_row(parameters, job(1)._replace(run_at=5, created=inf), "utf-8")

    assert [b"5", b"inf"] == [parameters.values[6], parameters.values[9]]
