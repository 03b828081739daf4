"""Functions in processes: what comes back, what dies, what is killed, and which functions can run there at all."""

from __future__ import annotations

import builtins
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from gearman_trio.errors import ConfigError, ProcessDied, ProcessRaised
from gearman_trio.protocol import Decoder, PacketType, split_arguments
from gearman_trio.signature import Injected
from gearman_trio.transport import Address, PacketLink
from gearman_trio.worker import Abilities, CallNext, Job, ThreadJob, open_worker
from gearman_trio.worker.execution import End, Ending, Places, execute, open_places
from gearman_trio.worker.processes import active_process_count

from ..patience import PATIENCE
from . import in_processes
from .fakes import Peer, ready_worker

Clock = trio.testing.MockClock
Log = pytest.LogCaptureFixture
P = PacketType

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
FAIL = (P.WORK_FAIL, b"H:1")


def make_job(workload: bytes = b"") -> Job:
    return Job(handle=b"H:1", function=b"f", workload=workload, link=PacketLink(Peer().worker_end))  # type: ignore[arg-type]  # new types


@pytest.fixture
async def places() -> AsyncIterator[Places]:
    async with open_places(2, processes=True) as opened:
        yield opened


async def end_of(places: Places, name: bytes, workload: bytes = b"", **options: Any) -> Ending:
    (ability,) = [each for each in in_processes.abilities if each.name == name]
    with trio.fail_after(PATIENCE):
        return await execute(ability, make_job(workload), places, **options)


def packets_of(ending: Ending) -> list[tuple[Any, ...]]:
    return [(P(kind), *split_arguments(kind, body)) for kind, body in Decoder().feed(b"".join(ending.packets))]


async def result_of(places: Places, name: bytes, workload: bytes = b"") -> bytes:
    ((kind, _, result),) = packets_of(await end_of(places, name, workload))
    assert kind is P.WORK_COMPLETE
    assert isinstance(result, bytes)
    return result


async def exception_of(places: Places, name: bytes, workload: bytes = b"") -> str:
    (kind, _, text), fail = packets_of(await end_of(places, name, workload))
    assert (P.WORK_EXCEPTION, FAIL) == (kind, fail)
    assert isinstance(text, bytes)
    return text.decode()


async def kill(pid: int) -> None:
    """Kill a process, and wait until it is no more."""
    descriptor = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        with trio.fail_after(PATIENCE):
            await trio.lowlevel.wait_readable(descriptor)
    finally:
        os.close(descriptor)


class Door:
    """Where the jobs of `in_processes.stuck` knock; the connection of each ends when its process does."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self._listener = listener
        self.workload = b"%d" % listener.socket.getsockname()[1]

    async def next(self) -> trio.SocketStream:
        """Give the connection of the next job that runs."""
        with trio.fail_after(PATIENCE):
            stream = await self._listener.accept()
            assert int(await stream.receive_some()) != os.getpid()
        return stream


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        yield Door(listener)


async def wait_dead(process: trio.SocketStream) -> None:
    with trio.fail_after(PATIENCE):
        assert b"" == await process.receive_some()
    await process.aclose()


# ---- what comes back -----------------------------------------------------------------------------------------------


async def test_results_come_from_another_process_which_is_used_again(places: Places) -> None:
    first = await result_of(places, b"pid")

    assert b"\n\0cba" == await result_of(places, b"reverse", b"abc\0\n")
    assert b'{"power":81}' == await result_of(places, b"power", b'{"base":3,"exponent":4}')
    assert b"ABC" == await result_of(places, b"on_it", b"abc")
    assert first == await result_of(places, b"pid") != str(os.getpid()).encode()


async def test_large_workloads_and_results_cross(places: Places) -> None:
    workload = bytes(range(256)) * 20_000

    assert workload[::-1] == await result_of(places, b"reverse", workload)


async def test_serializers_read_and_write_in_the_process(places: Places) -> None:
    pid = await result_of(places, b"pid")

    assert b"%s written in %s" % (pid, pid) == await result_of(places, b"reader", b"5")


async def test_jobs_run_side_by_side(places: Places, door: Door) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(end_of, places, b"stuck", door.workload)
        processes = [await door.next(), await door.next()]
        nursery.cancel_scope.cancel()

    for process in processes:
        await wait_dead(process)


async def test_exception_comes_back_with_its_traceback(places: Places, caplog: Log) -> None:
    assert "ValueError: wrong" == await exception_of(places, b"raises", b"wrong")
    (record,) = caplog.records
    assert "conn=0 handle=H:1 function=f raised ValueError" == record.getMessage()
    # Of the function itself, and of what led to it.
    assert "raise ValueError(workload.decode()) from exc" in caplog.text
    assert "KeyError: b'wrong'" in caplog.text


async def test_middleware_sees_the_exception_itself(places: Places, caplog: Log) -> None:
    seen: list[Exception] = []

    async def watch(job: Job, call_next: CallNext) -> bytes:
        try:
            return await call_next()
        except Exception as exc:
            seen.append(exc)
            raise

    await end_of(places, b"raises", b"wrong", middleware=[watch])
    await end_of(places, b"raises_picky", middleware=[watch])
    await end_of(places, b"exits", b"3", middleware=[watch])

    assert [ValueError, ProcessRaised, ProcessDied] == [type(exc) for exc in seen]
    assert ("wrong",) == seen[0].args


async def test_exception_that_cannot_be_pickled_is_told_by_its_text(places: Places, caplog: Log) -> None:
    assert "PickyError: 7: no bananas" == await exception_of(places, b"raises_picky")
    assert 'raise PickyError(7, "no bananas")' in caplog.text


async def test_wrong_results_and_workloads_are_told(places: Places, caplog: Log) -> None:
    assert (await exception_of(places, b"wrong_result")).startswith("TypeError: function 'wrong_result' returned str")
    assert "lacks 'base'" in await exception_of(places, b"power", b"{}")
    assert "cannot be read as JSON" in await exception_of(places, b"power", b"{")


async def test_orders_to_the_worker_come_back(places: Places) -> None:
    failed = await end_of(places, b"fails")
    retried = await end_of(places, b"retries")
    last = await end_of(places, b"shuts_down")

    assert [(P.WORK_WARNING, b"H:1", b"not today"), FAIL] == packets_of(failed)
    assert (End.RETRIED, 1.5) == (retried.end, retried.retry_after)
    assert ([(P.WORK_COMPLETE, b"H:1", b"last")], True) == (packets_of(last), last.shutdown)


# ---- processes that die --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "workload", "told"),
    [
        (b"is_killed", b"9", "ProcessDied: the process that ran the function was killed by SIGKILL"),
        (b"is_killed", b"11", "ProcessDied: the process that ran the function was killed by SIGSEGV"),
        (b"exits", b"3", "ProcessDied: the process that ran the function ended with exit code 3"),
        (b"exits", b"0", "ProcessDied: the process that ran the function ended with exit code 0"),
        (b"leaves", b"4", "ProcessRaised: SystemExit: 4"),
    ],
)
async def test_process_that_dies_fails_its_job_alone(
    places: Places, name: bytes, workload: bytes, told: str, caplog: Log
) -> None:
    assert told.removeprefix("ProcessRaised: ") == await exception_of(places, name, workload)
    assert b"cba" == await result_of(places, b"reverse", b"abc")


async def test_process_that_dies_without_a_job_is_replaced(places: Places) -> None:
    pid = int(await result_of(places, b"pid"))
    await kill(pid)

    assert pid != int(await result_of(places, b"pid"))


async def test_process_that_died_without_a_job_does_not_disturb_the_end(caplog: Log) -> None:
    caplog.set_level(logging.INFO)
    async with open_places(1, processes=True) as places:
        await kill(int(await result_of(places, b"pid")))

    assert "a process without a job ended badly" in caplog.text


async def test_signal_to_all_processes_of_a_service_leaves_the_jobs_to_the_worker(places: Places) -> None:
    assert b"still here" == await result_of(places, b"is_terminated")


@pytest.mark.parametrize("how", ["lost", "timeout"])
async def test_cancelled_job_takes_its_process_with_it(how: str, places: Places, door: Door, caplog: Log) -> None:
    (ability,) = [each for each in in_processes.abilities if each.name == b"stuck"]
    job = make_job(door.workload)
    endings = []

    async def run() -> None:
        endings.append(await execute(ability, job, places))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        process = await door.next()
        assert 1 == active_process_count()
        if how == "lost":
            job.lost = True
            job.scope.cancel()
        else:
            job.scope.deadline = trio.current_time()
        await wait_dead(process)

    expected = [] if how == "lost" else [FAIL]
    assert [expected] == [packets_of(ending) for ending in endings]
    assert 0 == active_process_count()
    assert b"cba" == await result_of(places, b"reverse", b"abc")


async def test_hard_stop_of_the_worker_kills(door: Door) -> None:
    async with ready_worker(in_processes.abilities, concurrency=2) as (_, peer, _):
        await peer.assign(1, b"stuck", door.workload)
        process = await door.next()

    await wait_dead(process)


async def test_processes_end_with_a_worker_that_was_killed(tmp_path: Path, door: Door) -> None:
    """They would go on with a job for nobody, and wait for the next one for ten minutes."""
    program = tmp_path / "program.py"
    program.write_text(
        "import trio\n"
        "from gearman_trio.worker.execution import open_places\n"
        "from tests.worker.test_processes import end_of\n"
        "async def main():\n"
        "    async with open_places(1, processes=True) as places:\n"
        f"        await end_of(places, b'stuck', {door.workload!r})\n"
        "if __name__ == '__main__':\n"
        "    trio.run(main)\n",
        encoding="utf-8",
    )
    run = partial(trio.run_process, [sys.executable, str(program)], env=ENVIRONMENT, check=False)
    async with trio.open_nursery() as nursery:
        worker: trio.Process = await nursery.start(run)
        process = await door.next()
        worker.kill()
        await wait_dead(process)


async def test_clock_of_a_test_stands_still_meanwhile(autojump_clock: Clock) -> None:
    from gearman_trio.testing import open_gearman  # noqa: PLC0415

    async with open_gearman() as gearman, gearman.worker(in_processes.abilities), gearman.client() as client:
        assert b"cba" == await client.run("reverse", b"abc")

    assert 1 > trio.current_time()


# ---- what cannot run there -----------------------------------------------------------------------------------------


class Database(Injected):
    pass


def takes_job(job: ThreadJob) -> None: ...


def takes_other_job(workload: bytes, job: Job) -> None: ...


def takes_job_by_name(workload, job) -> None: ...  # type: ignore[no-untyped-def]  # that is what is tested


def takes_lifespan(database: Database) -> None: ...


def takes_two(first: bytes, second: bytes) -> None: ...


class Unpicklable:
    structured = True

    def __init__(self) -> None:
        self.dumps = lambda value: b""
        self.loads = lambda data: None


def nested() -> Callable[..., bytes]:
    def inside(workload: bytes) -> bytes:
        return workload

    return inside


class Callables:
    def __call__(self, workload: bytes) -> bytes:
        return workload


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (takes_job, {}, ["'f'", "parameter 'job'", "takes the job", "cannot go into a process"]),
        (takes_other_job, {}, ["parameter 'job'", "takes the job"]),
        (takes_job_by_name, {}, ["parameter 'job'", "takes the job"]),
        (takes_lifespan, {}, ["parameter 'database'", "lifespan"]),
        (takes_two, {}, ["'second'", "at most one workload"]),
        (nested(), {}, ["'f'", "<locals>.inside", "top of a module"]),
        (lambda workload: workload, {}, ["<lambda>", "top of a module"]),
        (Callables(), {}, ["'f'", "module and name"]),
        (in_processes.first, {"serializer": Unpicklable()}, ["'f'", "serializer cannot be pickled"]),
    ],
)
def test_what_no_process_could_call_is_refused_when_it_is_decorated(
    function: Any, options: dict[str, Any], words: list[str]
) -> None:
    abilities = Abilities()
    with pytest.raises(ConfigError) as caught:
        abilities.function(name="f", run_in="process", **options)(function)

    assert [] == [word for word in words if word not in str(caught.value)]
    assert 0 == len(abilities)


def vanishing(workload: bytes) -> bytes:
    return workload


def abilities_of(function: Callable[..., Any]) -> Abilities:
    abilities = Abilities()
    abilities.function(name="f", run_in="process")(function)
    return abilities


async def connect_nowhere(address: Address) -> trio.abc.Stream:
    raise AssertionError("the abilities are wrong")


async def refused(abilities: Abilities) -> str:
    """Start a worker, and give the reason why it does not start."""
    with pytest.raises(ConfigError) as caught:
        async with open_worker(abilities, connect=connect_nowhere):
            pass
    return str(caught.value)


async def test_function_that_is_not_found_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    abilities = abilities_of(vanishing)
    monkeypatch.delattr(sys.modules[__name__], "vanishing")

    assert f"would look for {__name__}.vanishing in vain" in await refused(abilities)


async def test_function_whose_name_means_another_is_refused_at_the_start() -> None:
    words = await refused(abilities_of(in_processes.decorated_too_early))

    assert "would find something else as tests.worker.in_processes.first" in words


async def test_function_of_a_program_that_is_no_file_is_refused_at_the_start() -> None:
    code = (
        "import trio, gearman_trio\n"
        "abilities = gearman_trio.Abilities()\n"
        "@abilities.function(run_in='process')\n"
        "def f(): pass\n"
        "trio.run(gearman_trio.run_worker, abilities)\n"
    )
    done = await trio.run_process([sys.executable, "-c", code], cwd=ROOT, capture_stderr=True, check=False)

    assert b"the program was not started from a file" in done.stderr


async def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "trio_parallel":
            raise ModuleNotFoundError("No module named 'trio_parallel'")
        return load(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)

    assert "function 'f' runs in a process" in await refused(abilities_of(vanishing))
    assert "pip install 'gearman-trio[processes]'" in await refused(abilities_of(vanishing))


async def test_program_that_its_own_processes_would_run_again_is_told_so(tmp_path: Path) -> None:
    """Each process imports the program; without a guard it would start workers, whose processes would start more."""
    program = tmp_path / "program.py"
    program.write_text(
        "import trio, gearman_trio\n"
        "abilities = gearman_trio.Abilities()\n"
        "@abilities.function(run_in='process')\n"
        "def f(): pass\n"
        "async def main():\n"
        "    async with gearman_trio.open_server(port=0) as server:\n"
        "        async with gearman_trio.open_worker(abilities, server.url), server.open_client() as client:\n"
        "            await client.run('f')\n"
        "trio.run(main)\n",
        encoding="utf-8",
    )
    with trio.fail_after(PATIENCE):
        done = await trio.run_process([sys.executable, str(program)], env=ENVIRONMENT, capture_stderr=True, check=False)

    assert b'start the worker under `if __name__ == "__main__":`' in done.stderr
    assert b"ProcessDied: the process that ran the function ended with exit code 1" in done.stderr


def test_errors_tell_what_happened() -> None:
    assert "the process that ran the function was killed by signal 200" == str(ProcessDied(-200))
    assert "the process that ran the function died" == str(ProcessDied(None))
    assert "KeyError: 'k'" == str(ProcessRaised("KeyError", "'k'"))
