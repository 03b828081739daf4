"""How calls travel: the bytes of every kind of signature, there and back, and what is wrong with other bytes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from gearman_trio import BYTES, JSON, TEXT, SerializationError, Serializer
from gearman_trio.names import FunctionName
from gearman_trio.signature import Signature, remember, signature_of


def signature(function: Callable[..., Any], serializer: Serializer = JSON, **options: Any) -> Signature:
    return Signature(name=FunctionName(b"f"), serializer=serializer, parameters=inspect.signature(function), **options)


def nothing() -> None: ...


def one(text: str) -> None: ...


def one_more(text: str = "default") -> None: ...


def keyword(*, text: str) -> None: ...


def several(a: int, b: str = "b", *, c: float = 0.5) -> None: ...


def by_position(a: int, /, b: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "serializer", "args", "kwargs", "workload"),
    [
        (nothing, BYTES, (), {}, b""),
        (nothing, JSON, (), {}, b""),
        (one, BYTES, (b"a\0",), {}, b"a\0"),
        (one, TEXT, ("grün",), {}, b"gr\xc3\xbcn"),
        (one, JSON, ("grün",), {}, b'"gr\xc3\xbcn"'),
        (one, JSON, (), {"text": "t"}, b'"t"'),
        (one, JSON, ({"text": 1},), {}, b'{"text":1}'),
        (one_more, JSON, (), {}, b""),
        (one_more, JSON, ("t",), {}, b'"t"'),
        (one_more, TEXT, (), {}, b"default"),
        (keyword, JSON, (), {"text": "t"}, b'"t"'),
        (several, JSON, (1,), {}, b'{"a":1}'),
        (several, JSON, (1, "x"), {"c": 2}, b'{"a":1,"b":"x","c":2}'),
        (several, JSON, (), {"c": 2, "a": 1}, b'{"c":2,"a":1}'),
        (by_position, JSON, (1, 2), {}, b'{"a":1,"b":2}'),
        (by_position, JSON, (1,), {"b": 2}, b'{"a":1,"b":2}'),
    ],
)
def test_workload_of_a_call(
    function: Callable[..., Any],
    serializer: Serializer,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    workload: bytes,
) -> None:
    assert workload == signature(function, serializer).write_call(args, kwargs)


@pytest.mark.parametrize(
    ("function", "serializer", "workload", "values"),
    [
        (nothing, JSON, b"ignored", {}),
        (one, BYTES, b"", {"text": b""}),
        (one, TEXT, b"gr\xc3\xbcn", {"text": "grün"}),
        (one, JSON, b' "t"\n', {"text": "t"}),
        (one_more, JSON, b"", {}),
        (one_more, TEXT, b"", {"text": ""}),
        (several, JSON, b'{"c": 2, "a": 1}', {"a": 1, "c": 2}),
    ],
)
def test_values_of_a_workload(
    function: Callable[..., Any], serializer: Serializer, workload: bytes, values: dict[str, Any]
) -> None:
    assert values == signature(function, serializer).read_call(workload)


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "missing a required argument: 'a'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"a": 1}, "multiple values for argument 'a'"),
        ((1,), {"job": 1}, "unexpected keyword argument 'job'"),
    ],
)
def test_wrong_arguments_are_told_in_the_words_of_python(
    args: tuple[Any, ...], kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(TypeError, match=f"function 'f': .*{words}"):
        signature(several).write_call(args, kwargs)


def test_positional_only_parameter_is_not_taken_by_name() -> None:
    with pytest.raises(TypeError, match=r"positional.only"):
        signature(by_position).write_call((), {"a": 1, "b": 2})


@pytest.mark.parametrize("args", [(1,), (1, 2)])
def test_arguments_for_a_function_without_parameters(args: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="too many positional arguments"):
        signature(nothing).write_call(args, {})


@pytest.mark.parametrize(
    ("function", "serializer", "args", "message"),
    [
        (one, BYTES, ("s",), "parameter 'text': str does not fit BYTES (expected bytes, bytearray or memoryview)"),
        (one, TEXT, (b"s",), "parameter 'text': bytes does not fit TEXT (expected str)"),
        (one, JSON, ({1},), "parameter 'text': set does not fit JSON (expected None, bool, int, float, str, or"),
        (several, JSON, (1, b"secret"), "parameter 'b': bytes does not fit JSON (expected None"),
        (several, JSON, (1, float("nan")), "parameter 'b': float does not fit JSON (Out of range float"),
    ],
)
def test_misfit_names_function_parameter_and_type(
    function: Callable[..., Any], serializer: Serializer, args: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(SerializationError) as caught:
        signature(function, serializer).write_call(args, {})

    assert str(caught.value).startswith(f"function 'f', {message}")
    assert "secret" not in str(caught.value)


class Unwilling:
    """Takes single values only, whatever it says."""

    structured = True

    def __repr__(self) -> str:
        return "UNWILLING"

    def dumps(self, value: Any, /) -> bytes:
        if isinstance(value, dict):
            raise KeyError("no dicts")
        return b"value"

    def loads(self, data: bytes, /) -> Any:
        raise RecursionError("too deep")


def test_arguments_that_fit_one_by_one_only() -> None:
    with pytest.raises(SerializationError, match="function 'f': the arguments do not fit UNWILLING"):
        signature(several, Unwilling()).write_call((1, 2), {})


@pytest.mark.parametrize(
    ("function", "serializer", "workload", "words"),
    [
        (one, TEXT, b"\xff", "the workload (1 bytes) cannot be read as TEXT ("),
        (one, JSON, b"", "the workload (empty) cannot be read as JSON ("),
        (one, JSON, b"{", "the workload (1 bytes) cannot be read as JSON ("),
        (one, Unwilling(), b"1", "cannot be read as UNWILLING (too deep)"),
        (several, JSON, b"", "the workload (empty) cannot be read as JSON ("),
        (several, JSON, b"[1]", "the workload holds list, expected an object of 'a', 'b', 'c'"),
        (several, JSON, b'{"b":1}', "the workload lacks 'a', expected an object of"),
        (several, JSON, b'{"a":1,"x":1,"y":1}', "the workload has 'x', 'y', expected an object of"),
    ],
)
def test_unreadable_workload_says_why(
    function: Callable[..., Any], serializer: Serializer, workload: bytes, words: str
) -> None:
    with pytest.raises(SerializationError) as caught:
        signature(function, serializer).read_call(workload)

    assert str(caught.value).startswith("function 'f': ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("serializer", "value", "data"),
    [(BYTES, b"r", b"r"), (TEXT, None, b""), (JSON, None, b"null"), (JSON, [1], b"[1]")],
)
def test_bytes_of_a_result(serializer: Serializer, value: object, data: bytes) -> None:
    assert data == signature(one, serializer).write_result(value)


def test_none_is_an_item_like_any_other() -> None:
    assert b"null" == signature(one).write_result(None, "yielded")
    with pytest.raises(SerializationError, match="function 'f' yielded NoneType, which does not fit TEXT"):
        signature(one, TEXT).write_result(None, "yielded")


def test_result_that_does_not_fit() -> None:
    with pytest.raises(SerializationError, match="function 'f' returned set, which does not fit JSON"):
        signature(one).write_result({1})


def test_result_that_cannot_be_read() -> None:
    with pytest.raises(SerializationError, match=r"function 'f': the result \(2 bytes\) cannot be read as JSON"):
        signature(one).read_result(b"no")


def test_result_of_a_function_that_returns_none_is_not_read() -> None:
    assert None is signature(one, BYTES, returns_none=True).read_result(b"")
    assert None is signature(one, JSON, returns_none=True).read_result(b"whatever")


def fresh() -> Callable[..., Any]:
    def function(text: str) -> None: ...

    return function


def test_a_function_keeps_its_signature_and_so_does_a_wrapper() -> None:
    function, mine = fresh(), signature(one)
    remember(function, mine)

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any: ...

    assert mine is signature_of(function)
    assert mine is signature_of(wrapper)


def test_a_wrapper_that_is_decorated_itself_has_a_signature_of_its_own() -> None:
    function, inner, outer = fresh(), signature(one), signature(one).renamed(FunctionName(b"outer"))
    remember(function, inner)

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any: ...

    remember(wrapper, outer)

    assert inner is signature_of(function)
    assert outer is signature_of(wrapper)


def test_an_undecorated_function_is_refused() -> None:
    with pytest.raises(TypeError, match=r"decorated with @abilities\.function, got <function"):
        signature_of(fresh())


def test_what_has_no_room_for_a_signature_is_left_alone() -> None:
    remember(len, signature(one))

    with pytest.raises(TypeError, match="got <built-in function len>"):
        signature_of(len)


def test_several_names_need_a_choice() -> None:
    function, first = fresh(), signature(one)
    second = first.renamed(FunctionName(b"g"))
    remember(function, first)
    remember(function, second)

    with pytest.raises(TypeError, match=r"several names, 'f', 'g': choose with client\.with_options\(name=\.\.\.\)"):
        signature_of(function)
    with pytest.raises(TypeError, match="several names"):
        signature_of(function, FunctionName(b"h"))
    assert second is signature_of(function, FunctionName(b"g"))


def test_the_same_name_twice_is_one_name() -> None:
    function, first = fresh(), signature(one)
    remember(function, first)
    remember(function, signature(one))

    assert first is signature_of(function)


def test_another_name_than_it_was_decorated_with() -> None:
    function = fresh()
    remember(function, signature(several))

    found = signature_of(function, FunctionName(b"f.v2"))

    assert b"f.v2" == found.name
    assert b'{"a":1}' == found.write_call((1,), {})
