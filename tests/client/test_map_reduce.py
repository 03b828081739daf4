"""`Client.map_reduce`: what it submits, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import trio

from gearman_trio import JSON, TEXT, Abilities
from gearman_trio.client import open_client
from gearman_trio.errors import ConfigError, SerializationError
from gearman_trio.protocol import PacketType
from gearman_trio.testing import Gearman

from .farm import Farm
from .outcome import Outcome
from .scripted_server import open_pair

P = PacketType

abilities = Abilities(serializer=JSON)


def total(numbers: list[int]) -> int:
    return sum(numbers)


@abilities.partition(aggregate=total)
async def split(text: str) -> AsyncIterator[str]:
    for word in text.split():
        yield word


@abilities.function
async def length(word: str) -> int:
    return len(word)


@abilities.function
async def letters(word: str) -> AsyncIterator[str]:
    for letter in word:
        yield letter


@abilities.function(name="text", serializer=TEXT)
async def as_text(word: str) -> str:
    return word


@pytest.mark.parametrize("end", [[P.WORK_COMPLETE], [P.WORK_DATA, P.WORK_COMPLETE]])
async def test_the_packet_and_the_result(end: list[PacketType]) -> None:
    outcome = Outcome()
    async with open_pair() as (client, connection), trio.open_nursery() as nursery:
        await outcome.start(nursery, partial(client.map_reduce, "map", "reduce", b"w\0w", unique="u"))
        await connection.expect(P.SUBMIT_REDUCE_JOB, b"map", b"u", b"reduce", b"", b"w\0w")
        await connection.send(P.JOB_CREATED, b"H:1")
        for kind in end:
            await connection.send(kind, b"H:1", b"part")

    assert len(end) * b"part" == outcome.value


async def test_options_and_names_of_decorated_functions(gearman: Gearman) -> None:
    async with gearman.client() as client, trio.open_nursery() as nursery:
        other = client.with_options(unique="u", name="other.split")
        nursery.start_soon(other.map_reduce, split, length, "one two")
        nursery.start_soon(client.map_reduce, "split", b"length", b"w")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    first, second = sorted(gearman.submitted, key=lambda job: job.function)
    assert (b"other.split", b"length", b"u", b'"one two"') == (
        first.function,
        first.reducer,
        first.unique,
        first.workload,
    )
    assert (b"split", b"length", b"", b"w") == (second.function, second.reducer, second.unique, second.workload)


async def test_a_lost_job_with_a_unique_id_goes_to_the_next_server(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.held = {"a"}
    outcome = Outcome()
    async with open_client("a", "b", connect=farm.connect, resubmit="if-unique") as client:
        await outcome.start(nursery, partial(client.map_reduce, "map", "reduce", b"w", unique="u"))
        await farm.kill("a")
        await trio.testing.wait_all_tasks_blocked()

    assert b"b:w" == outcome.value


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((length, length, "x"), TypeError, r"mapper: expected a function decorated with @abilities.partition, got"),
        ((split, letters, "x"), ConfigError, "reducer: function 'letters' yields"),
        ((split, as_text, "x"), ConfigError, "reducer: function 'text' has the serializer TEXT, but the parts of"),
        ((split, len, "x"), TypeError, "expected the name of a function, or one decorated"),
        ((split, "", "x"), ConfigError, "function name: must not be empty"),
        ((split, length, {1}), SerializationError, "does not fit JSON"),
        ((split, length), TypeError, "missing a required argument"),
        (("split", "length", "text"), TypeError, "workload: expected bytes"),
        (("", "length"), ConfigError, "function name: must not be empty"),
        (("split", "a\0b"), ConfigError, "a NUL byte cannot be sent"),
        (("split", letters), ConfigError, "reducer: function 'letters' yields"),
    ],
)
async def test_what_is_refused_before_anything_is_sent(
    gearman: Gearman, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    async with gearman.client() as client:
        with pytest.raises(error, match=message):
            await client.map_reduce(*arguments)

    gearman.assert_not_submitted()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"priority": "high"}, "a job with a reducer has the normal priority, got 'high'"),
        ({"delay": 5}, "only a job in the background can start later"),
        ({"run_at": 5}, "only a job in the background can start later"),
    ],
)
async def test_options_that_the_packet_cannot_carry(gearman: Gearman, options: Any, message: str) -> None:
    async with gearman.client() as client:
        with pytest.raises(ConfigError, match=message):
            await client.with_options(**options).map_reduce("split", "length")

    gearman.assert_not_submitted()
