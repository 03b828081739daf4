"""Which functions are taken as abilities, and what they are called with."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import memory_stream_pair

from gearman_trio.errors import ConfigError
from gearman_trio.names import FunctionName, JobHandle
from gearman_trio.transport import PacketLink
from gearman_trio.worker import Abilities, Job, ThreadJob
from gearman_trio.worker.parameters import Kind

if TYPE_CHECKING:
    import gearman_trio.worker as only_for_type_checkers


async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


def make_job() -> Job:
    return Job(
        handle=JobHandle(b"H:1"),
        function=FunctionName(b"f"),
        workload=b"work",
        link=PacketLink(memory_stream_pair()[0]),
    )


def arguments(function: Callable[..., Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the worker calls this function with, as positional and keyword arguments."""
    abilities = Abilities()
    abilities.function(name="f")(function)
    (ability,) = abilities
    bound = ability.bind(make_job())
    assert isinstance(bound, functools.partial)
    return bound.args, bound.keywords


def test_bare_decorator_takes_the_name_of_the_function() -> None:
    abilities = Abilities()

    assert abilities.function(reverse) is reverse
    (ability,) = abilities
    assert (b"reverse", None, Kind.ASYNC) == (ability.name, ability.timeout, ability.kind)


def test_decorator_with_arguments_leaves_the_function_as_it_is() -> None:
    abilities = Abilities()

    assert abilities.function(name="rückwärts", timeout=2.5)(reverse) is reverse
    (ability,) = abilities
    assert ("rückwärts".encode(), 2.5) == (ability.name, ability.timeout)


def test_abilities_keep_their_order_and_number() -> None:
    abilities = Abilities()
    abilities.function(name="b")(reverse)
    abilities.function(name="a")(reverse)

    assert [b"b", b"a"] == [ability.name for ability in abilities]
    assert 2 == len(abilities)
    assert "<Abilities b, a>" == repr(abilities)


async def generator(workload: bytes) -> AsyncIterator[bytes]:
    yield workload


def plain(workload: bytes) -> bytes:
    return workload


class AsyncCallable:
    async def __call__(self, workload: bytes) -> bytes:
        return workload


class WithMethod:
    async def method(self, workload: bytes) -> bytes:
        return workload


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (reverse, Kind.ASYNC),
        (AsyncCallable(), Kind.ASYNC),
        (WithMethod().method, Kind.ASYNC),
        (functools.partial(reverse), Kind.ASYNC),
        (generator, Kind.GENERATOR),
        (plain, Kind.THREAD),
        (len, Kind.THREAD),
        (lambda workload: workload, Kind.THREAD),
    ],
)
def test_kind_is_seen(function: Callable[..., Any], kind: Kind) -> None:
    abilities = Abilities()
    abilities.function(name="f")(function)

    assert [kind] == [ability.kind for ability in abilities]


@pytest.mark.parametrize(
    ("function", "run_in", "kind"),
    [
        (reverse, "task", Kind.ASYNC),
        (generator, "task", Kind.GENERATOR),
        (plain, "task", Kind.INLINE),
        (plain, "thread", Kind.THREAD),
        (plain, "process", Kind.PROCESS),
    ],
)
def test_place_can_be_chosen(function: Callable[..., Any], run_in: Any, kind: Kind) -> None:
    abilities = Abilities()
    abilities.function(run_in=run_in)(function)

    assert [kind] == [ability.kind for ability in abilities]


@pytest.mark.parametrize(
    ("function", "run_in", "words"),
    [
        (reverse, "thread", "'reverse': an async function runs as a task of the worker's event loop, not in a thread"),
        (generator, "process", "'generator': an async generator runs as a task .*, not in a process"),
        (plain, "fork", "'plain': run_in: expected 'task', 'thread' or 'process', got 'fork'"),
    ],
)
def test_place_where_a_function_cannot_run_is_refused(function: Callable[..., Any], run_in: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Abilities().function(run_in=run_in)(function)


@pytest.mark.parametrize("number", [0, -1])
def test_max_running_must_be_a_number_from_one_on(number: int) -> None:
    with pytest.raises(ConfigError, match="'reverse': max_running must be a number from 1 on or None, got"):
        Abilities().function(max_running=number)(reverse)


def test_options_go_with_a_function_that_is_included() -> None:
    inner, outer = Abilities(), Abilities()
    inner.function(timeout=3, max_running=2, run_in="process")(plain)
    outer.include(inner, prefix="p.")

    (ability,) = outer
    assert (b"p.plain", 3, 2, Kind.PROCESS) == (ability.name, ability.timeout, ability.max_running, ability.kind)


async def no_parameters() -> None: ...


async def job_after(workload: bytes, job: Job) -> None: ...


async def job_before(context: Job, workload: bytes) -> None: ...


async def job_alone(job: Job) -> None: ...


async def job_by_name(workload, job) -> None: ...  # type: ignore[no-untyped-def]  # that is what is tested


async def workload_named_job(job: bytes) -> None: ...


async def job_optional(workload: bytes, job: Job | None = None) -> None: ...


async def job_by_text(workload: bytes, told: only_for_type_checkers.Job) -> None: ...


def in_thread(workload: bytes, job: ThreadJob) -> None: ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (no_parameters, []),
        (reverse, [bytes]),
        (job_after, [bytes, Job]),
        (job_before, [Job, bytes]),
        (job_alone, [Job]),
        (job_by_name, [bytes, Job]),
        (workload_named_job, [bytes]),
        (job_optional, [bytes, Job]),
        (job_by_text, [bytes, Job]),
        (in_thread, [bytes, ThreadJob]),
    ],
)
async def test_parameters_are_filled_by_what_they_mean(function: Callable[..., Any], expected: list[type]) -> None:
    positional, keywords = arguments(function)

    assert expected == [type(value) for value in positional]
    assert {} == keywords


async def job_by_keyword(workload: bytes, *, progress: Job) -> None: ...


async def test_job_is_injected_by_keyword_under_any_name() -> None:
    positional, keywords = arguments(job_by_keyword)

    assert (b"work",) == positional
    assert ["progress"] == list(keywords)


async def test_annotations_of_a_local_scope_are_left_alone() -> None:
    class Local(bytes): ...

    async def function(workload: Local, job: Job) -> None: ...

    assert [bytes, Job] == [type(value) for value in arguments(function)[0]]


async def two_workloads(first: bytes, second: bytes) -> None: ...


async def two_jobs(workload: bytes, job: Job, other: Job) -> None: ...


async def keyword_workload(*, workload: bytes) -> None: ...


async def variable(*workloads: bytes) -> None: ...


async def variable_keywords(workload: bytes, **options: bytes) -> None: ...


async def text(workload: str) -> None: ...


async def wrong_job(workload: bytes, job: ThreadJob) -> None: ...


def wrong_thread_job(workload: bytes, job: Job) -> None: ...


def plain_generator(workload: bytes) -> Iterator[bytes]:
    yield workload


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (two_workloads, ["'two_workloads'", "'second'", "at most one workload", "annotated Job"]),
        (two_jobs, ["'two_jobs'", "'other'"]),
        (keyword_workload, ["'keyword_workload'", "'workload'"]),
        (variable, ["'variable'", "'workloads'", "variable arguments"]),
        (variable_keywords, ["'variable_keywords'", "'options'"]),
        (text, ["'text'", "'workload'", "'str'", "bytes"]),
        (wrong_job, ["'wrong_job'", "'job'", "async functions take a Job"]),
        (wrong_thread_job, ["'wrong_thread_job'", "plain functions take a ThreadJob"]),
        (plain_generator, ["'plain_generator'", "async def"]),
        (functools.partial(reverse), ["no name of its own", "name="]),
        ("reverse", ["'reverse'", "name="]),
        (bytes.upper, ["'upper'", "does not tell its parameters"]),
    ],
)
def test_what_cannot_be_filled_is_refused_by_name(function: Any, words: list[str]) -> None:
    abilities = Abilities()

    with pytest.raises(ConfigError) as caught:
        abilities.function(function)

    assert [] == [word for word in words if word not in str(caught.value)]
    assert 0 == len(abilities)


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_timeout_must_be_a_positive_number(timeout: float) -> None:
    with pytest.raises(ConfigError, match="timeout must be a positive number"):
        Abilities().function(timeout=timeout)(reverse)


@pytest.mark.parametrize("name", ["", b"", "a\0b", b"x" * 513])
def test_names_that_cannot_be_sent_are_refused(name: str | bytes) -> None:
    with pytest.raises(ConfigError, match="function name"):
        Abilities().function(name=name)(reverse)


def test_duplicate_name_is_refused() -> None:
    abilities = Abilities()
    abilities.function(reverse)

    with pytest.raises(ConfigError, match=r"'reverse'.*already"):
        abilities.function(name=b"reverse")(plain)


async def test_decorated_function_is_called_as_before() -> None:
    abilities = Abilities()

    @abilities.function(timeout=1)
    async def double(workload: bytes) -> bytes:
        await trio.lowlevel.checkpoint()
        return workload * 2

    assert b"abab" == await double(b"ab")
