"""What the serializers write, what they read, and what they refuse."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from gearman_trio import BYTES, JSON, TEXT, Serializer
from gearman_trio.serializers import never_fits


@pytest.mark.parametrize(
    ("serializer", "value", "data"),
    [
        (BYTES, b"a\0\xff", b"a\0\xff"),
        (BYTES, b"", b""),
        (TEXT, "grün\0", b"gr\xc3\xbcn\0"),
        (TEXT, "", b""),
        (JSON, None, b"null"),
        (JSON, "grün", b'"gr\xc3\xbcn"'),
        (JSON, 1.5, b"1.5"),
        (JSON, {"a": [1, True, None], "b": {}}, b'{"a":[1,true,null],"b":{}}'),
    ],
)
def test_value_there_and_back(serializer: Serializer, value: object, data: bytes) -> None:
    assert data == serializer.dumps(value)
    assert value == serializer.loads(data)


@pytest.mark.parametrize("value", [bytearray(b"a\0"), memoryview(b"a\0")])
def test_bytes_like_values_arrive_as_bytes(value: object) -> None:
    assert b"a\0" == BYTES.dumps(value)


def test_json_maps_as_the_standard_library_does() -> None:
    assert {"1": [2, 3]} == JSON.loads(JSON.dumps({1: (2, 3)}))


def test_json_of_others_may_hold_blanks_and_escapes() -> None:
    assert ["ü", {}] == JSON.loads(b' [ "\\u00fc", { } ] ')


@pytest.mark.parametrize(
    ("serializer", "value", "expected"),
    [
        (BYTES, "text", "bytes, bytearray or memoryview"),
        (BYTES, None, "bytes, bytearray or memoryview"),
        (TEXT, b"bytes", "str"),
        (TEXT, "\ud800", "surrogates"),
        (JSON, b"bytes", "None, bool, int, float, str, or lists and dicts"),
        (JSON, {"a": {1, 2}}, "None, bool, int, float, str, or lists and dicts"),
        (JSON, float("nan"), "not JSON compliant"),
        (JSON, [float("inf")], "not JSON compliant"),
        (JSON, "\ud800", "surrogates"),
    ],
)
def test_what_does_not_fit_is_refused(serializer: Serializer, value: object, expected: str) -> None:
    with pytest.raises((TypeError, ValueError), match=expected):
        serializer.dumps(value)


@pytest.mark.parametrize(
    ("serializer", "data"),
    [
        (TEXT, b"\xff"),
        (JSON, b""),
        (JSON, b"{"),
        (JSON, b"1 2"),
        (JSON, b"NaN"),
        (JSON, b"-Infinity"),
        (JSON, '"ü"'.encode("latin-1")),
        (JSON, '"a"'.encode("utf-16")),
    ],
)
def test_what_cannot_be_read_is_refused(serializer: Serializer, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        serializer.loads(data)


class Pickle:
    """What a program may bring along."""

    structured = True

    def dumps(self, value: Any, /) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes, /) -> Any:
        return pickle.loads(data)


def test_any_object_with_the_three_members_is_a_serializer() -> None:
    mine: Serializer = Pickle()

    assert isinstance(mine, Serializer)
    assert not isinstance(json, Serializer)
    assert {1: {2}} == mine.loads(mine.dumps({1: {2}}))


@pytest.mark.parametrize(
    ("serializer", "annotation"),
    [(BYTES, str), (BYTES, dict[str, int]), (BYTES, bytearray), (TEXT, bytes), (TEXT, int), (JSON, bytes)],
)
def test_annotations_that_can_only_be_a_mistake(serializer: Serializer, annotation: object) -> None:
    assert never_fits(serializer, annotation)


@pytest.mark.parametrize(
    ("serializer", "annotation"),
    [(BYTES, bytes), (BYTES, object), (BYTES, "str"), (TEXT, str), (JSON, list[int]), (Pickle(), set)],
)
def test_annotations_that_may_fit(serializer: Serializer, annotation: object) -> None:
    assert not never_fits(serializer, annotation)


def test_a_bytearray_can_be_written_but_is_never_read() -> None:
    assert not never_fits(BYTES, bytearray, written=True)
    assert never_fits(BYTES, str, written=True)
