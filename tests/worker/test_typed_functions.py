"""Functions with serializers: which are taken, what they are called with, and what is sent of what they give."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trio

from gearman_trio.errors import ConfigError
from gearman_trio.protocol import Decoder, PacketType, split_arguments
from gearman_trio.serializers import BYTES, JSON, TEXT, Serializer
from gearman_trio.transport import PacketLink
from gearman_trio.worker import Abilities, Job, ThreadJob
from gearman_trio.worker.ability import Ability
from gearman_trio.worker.execution import End, Ending, Places, execute

from .fakes import Peer

P = PacketType


def ability_of(function: Callable[..., Any], serializer: Serializer) -> Ability:
    abilities = Abilities(serializer=serializer)
    abilities.function(name="f")(function)
    (ability,) = abilities
    return ability


async def end_of(function: Callable[..., Any], workload: bytes, serializer: Serializer = JSON) -> Ending:
    job = Job(handle=b"H:1", function=b"f", workload=workload, link=PacketLink(Peer().worker_end))  # type: ignore[arg-type]  # new types
    return await execute(ability_of(function, serializer), job, Places(trio.CapacityLimiter(1)))


async def packets_of(function: Callable[..., Any], workload: bytes, serializer: Serializer = JSON) -> list[Any]:
    ending = await end_of(function, workload, serializer)
    return [(PacketType(kind), *split_arguments(kind, body)) for kind, body in Decoder().feed(b"".join(ending.packets))]


def completed(result: bytes) -> list[Any]:
    return [(P.WORK_COMPLETE, b"H:1", result)]


async def count(text: str) -> int:
    return len(text)


async def area(width: int, height: int = 2, *, unit: str = "cm") -> str:
    return f"{width * height} {unit}"


async def in_order(b: int, a: int, /) -> list[int]:
    return [b, a]


async def between(a: int, job: Job, b: int) -> list[Any]:
    return [a, type(job).__name__, b]


async def first(job: Job, a: int, *, b: int) -> list[Any]:
    return [a, type(job).__name__, b]


async def by_keyword(a: int, *, job: Job, b: int) -> list[Any]:
    return [a, type(job).__name__, b]


async def optional(a: int, b: int, job: Job | None = None) -> list[Any]:
    return [a, type(job).__name__, b]


def in_thread(job: ThreadJob, a: int, b: int) -> list[Any]:
    return [a, type(job).__name__, b]


async def nothing(job: Job) -> None: ...


async def default(text: str = "none") -> str:
    return text


@pytest.mark.parametrize(
    ("function", "workload", "result"),
    [
        (count, b'"gr\xc3\xbcn"', b"4"),
        (area, b'{"width": 3}', b'"6 cm"'),
        (area, b'{"unit": "m", "width": 3, "height": 1}', b'"3 m"'),
        (in_order, b'{"a": 1, "b": 2}', b"[2,1]"),
        (between, b'{"a": 1, "b": 2}', b'[1,"Job",2]'),
        (first, b'{"a": 1, "b": 2}', b'[1,"Job",2]'),
        (by_keyword, b'{"a": 1, "b": 2}', b'[1,"Job",2]'),
        (optional, b'{"a": 1, "b": 2}', b'[1,"Job",2]'),
        (in_thread, b'{"a": 1, "b": 2}', b'[1,"ThreadJob",2]'),
        (nothing, b"whatever", b"null"),
        (default, b"", b'"none"'),
        (default, b'"x"', b'"x"'),
    ],
)
async def test_json_function(function: Callable[..., Any], workload: bytes, result: bytes) -> None:
    assert completed(result) == await packets_of(function, workload)


async def test_text_function() -> None:
    async def shout(text: str) -> str:
        return text.upper()

    assert completed("GRÜN".encode()) == await packets_of(shout, "grün".encode(), TEXT)
    assert completed(b"") == await packets_of(shout, b"", TEXT)


async def test_items_are_written_one_by_one() -> None:
    class Recorder:
        """Stands for the connection."""

        def __init__(self) -> None:
            self.sent: list[bytes] = []

        async def wait_writable(self) -> None: ...

        def send(self, packet: bytes) -> None:
            self.sent.append(packet)

    async def squares(n: int) -> AsyncIterator[dict[str, int]]:
        for number in range(n):
            yield {"square": number**2}

    link: Any = Recorder()
    job = Job(handle=b"H:1", function=b"f", workload=b"2", link=link)  # type: ignore[arg-type]  # new types
    ending = await execute(ability_of(squares, JSON), job, Places(trio.CapacityLimiter(1)))

    sent = [split_arguments(kind, body) for kind, body in Decoder().feed(b"".join([*link.sent, *ending.packets]))]
    assert [[b"H:1", b'{"square":0}'], [b"H:1", b'{"square":1}'], [b"H:1", b""]] == sent


async def test_serializers_of_plain_functions_run_in_the_thread() -> None:
    threads = []

    class Watched:
        structured = True

        def dumps(self, value: Any, /) -> bytes:
            threads.append(threading.current_thread().name)
            return json.dumps(value).encode()

        def loads(self, data: bytes, /) -> Any:
            threads.append(threading.current_thread().name)
            return json.loads(data)

    def double(number: int) -> int:
        return number * 2

    assert completed(b"4") == await packets_of(double, b"2", Watched())
    assert ["gearman function f"] * 2 == threads


@pytest.mark.parametrize(
    ("function", "serializer", "workload", "text"),
    [
        (count, JSON, b"{", "function 'f': the workload (1 bytes) cannot be read as JSON (Expecting"),
        (count, TEXT, b"\xff", "function 'f': the workload (1 bytes) cannot be read as TEXT ('utf-8' codec"),
        (area, JSON, b'{"height": 1}', "function 'f': the workload lacks 'width', expected an object of"),
        (area, JSON, b'{"width": 1, "w": 1}', "function 'f': the workload has 'w', expected an object of"),
        (in_thread, JSON, b"[]", "function 'f': the workload holds list, expected an object of 'a', 'b'"),
    ],
)
async def test_unreadable_workload_fails_the_job_and_says_so(
    function: Callable[..., Any],
    serializer: Serializer,
    workload: bytes,
    text: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    abilities = Abilities()
    # Not by the decorator's check of annotations: TEXT and `count` would not pass it otherwise.
    abilities.function(name="f", serializer=serializer)(function if serializer is JSON else lambda text: text)
    (ability,) = abilities
    job = Job(handle=b"H:1", function=b"f", workload=workload, link=PacketLink(Peer().worker_end))  # type: ignore[arg-type]  # new types

    ending = await execute(ability, job, Places(trio.CapacityLimiter(1)))

    assert End.FAILED is ending.end
    raised, fail = Decoder().feed(b"".join(ending.packets))
    assert (P.WORK_EXCEPTION, P.WORK_FAIL) == (raised[0], fail[0])
    assert split_arguments(*raised)[1].startswith(f"SerializationError: {text}".encode())
    assert [logging.ERROR] == [record.levelno for record in caplog.records]


@pytest.mark.parametrize(
    ("serializer", "result", "text"),
    [
        (JSON, {1}, "SerializationError: function 'f' returned set, which does not fit JSON (expected None, bool"),
        (TEXT, 5, "SerializationError: function 'f' returned int, which does not fit TEXT (expected str)"),
        (BYTES, 5, "TypeError: function 'f' returned int, expected bytes, bytearray or memoryview"),
    ],
)
async def test_result_that_does_not_fit_fails_the_job(serializer: Serializer, result: Any, text: str) -> None:
    async def function() -> Any:
        return result

    (_, _, said), _ = await packets_of(function, b"", serializer)

    assert said.startswith(text.encode())


async def text_of_bytes(workload: bytes) -> str:
    return workload.decode()


async def bytes_of_text(text: str) -> bytes:
    return text.encode()


async def text_items() -> AsyncIterator[str]:
    yield ""


async def two_texts(a: str, b: str) -> None: ...


async def variable(*values: int) -> None: ...


async def two_jobs(a: int, job: Job, other: Job) -> None: ...


@pytest.mark.parametrize(
    ("function", "serializer", "words"),
    [
        (text_of_bytes, BYTES, ["returns 'str', which BYTES does not carry", "choose a serializer"]),
        (text_items, BYTES, ["yields 'AsyncIterator[str]', which BYTES does not carry"]),
        (text_of_bytes, TEXT, ["parameter 'workload' is annotated 'bytes', which TEXT does not carry"]),
        (bytes_of_text, TEXT, ["returns 'bytes', which TEXT does not carry"]),
        (bytes_of_text, JSON, ["returns 'bytes', which JSON does not carry"]),
        (text_of_bytes, JSON, ["parameter 'workload' is annotated 'bytes', which JSON does not carry"]),
        (two_texts, TEXT, ["nothing to pass as parameter 'b'", "with JSON, any number of values"]),
        (variable, JSON, ["'values'", "variable arguments"]),
        (two_jobs, JSON, ["nothing to pass as parameter 'other'", "one job, annotated Job"]),
    ],
)
def test_functions_that_their_serializer_cannot_serve(
    function: Callable[..., Any], serializer: Serializer, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        ability_of(function, serializer)

    assert [] == [word for word in words if word not in str(caught.value)]


def test_what_is_no_serializer_is_refused() -> None:
    not_one: Any = json

    with pytest.raises(ConfigError, match="expected an object with structured, dumps and loads"):
        Abilities(serializer=not_one)
    with pytest.raises(ConfigError, match="expected an object with structured, dumps and loads"):
        Abilities().function(serializer=not_one)(count)


async def test_serializer_of_a_function_comes_before_that_of_the_abilities() -> None:
    abilities = Abilities(serializer=JSON)
    abilities.function(count)
    abilities.function(name="raw", serializer=BYTES)(lambda workload: workload)

    assert [JSON, BYTES] == [ability.signature.serializer for ability in abilities]
    assert 4 == await count("four")
