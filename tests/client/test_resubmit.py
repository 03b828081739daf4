"""Jobs whose server is lost: sent to the next one where that was asked for, else ended with an error."""

from __future__ import annotations

import itertools
import signal
from functools import partial
from typing import Literal

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gearman_trio import Abilities, open_worker
from gearman_trio.client import open_client
from gearman_trio.errors import GearmanError, JobLost, ServersUnavailable

from ..cli.commands import open_command
from ..patience import PATIENCE
from .farm import Farm
from .outcome import Outcome


async def test_a_job_with_a_unique_id_goes_to_the_next_server(nursery: trio.Nursery) -> None:
    farm, unique, plain = Farm(nursery), Outcome(), Outcome()
    farm.held = {"a"}
    async with (
        open_client("a", "b", connect=farm.connect, resubmit="if-unique") as client,
        trio.open_nursery() as calls,
    ):
        await unique.start(calls, partial(client.run, "f", b"w", unique="u"))
        await plain.start(calls, partial(client.run, "f", b"w"))
        await farm.kill("a")

    assert b"b:w" == unique.value
    assert plain.lost.may_have_run
    assert {"a": [b"u", b""], "b": [b"u"]} == farm.jobs


@pytest.mark.parametrize("routing", ["failover", "round-robin", "ketama"])
async def test_it_is_an_option_of_calls_too(nursery: trio.Nursery, routing: str) -> None:
    farm, again, lost = Farm(nursery), Outcome(), Outcome()
    async with (
        open_client("a", "b", connect=farm.connect, routing=routing) as client,
        trio.open_nursery() as calls,
    ):
        farm.held = {"a", "b"}
        await again.start(calls, partial(client.with_options(resubmit="if-unique", unique="u").run, "f"))
        (first,) = farm.jobs
        await lost.start(calls, partial(client.with_options(server=first, unique="u").run, "f"))
        farm.held = set()
        await farm.kill(first)

    assert again.value in {b"a:", b"b:"} - {first.encode() + b":"}
    assert lost.lost.may_have_run


async def test_where_no_server_is_left_the_job_is_lost(nursery: trio.Nursery) -> None:
    farm, outcome = Farm(nursery), Outcome()
    farm.held, farm.down = {"a"}, {"b"}
    async with (
        open_client("a", "b", connect=farm.connect, resubmit="if-unique") as client,
        trio.open_nursery() as calls,
    ):
        await outcome.start(calls, partial(client.run, "f", unique="u"))
        await farm.kill("a")

    assert b"H:a:1" == outcome.lost.handle
    assert isinstance(outcome.lost.__cause__, ServersUnavailable)


async def test_a_job_that_takes_its_servers_down_does_not_go_round_for_ever(nursery: trio.Nursery) -> None:
    farm, outcome = Farm(nursery), Outcome()
    farm.held = {"a", "b"}
    async with (
        open_client("a", "b", connect=farm.connect, resubmit="if-unique") as client,
        trio.open_nursery() as calls,
    ):
        await outcome.start(calls, partial(client.run, "f", unique="u"))
        for host in ("a", "b", "a"):
            assert outcome.error is None
            await farm.kill(host)
            farm.down.clear()
            await wait_all_tasks_blocked()

    assert b"H:a:2" == outcome.lost.handle


async def test_a_streamed_job_is_lost(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.held = {"a"}
    async with (
        open_client("a", "b", connect=farm.connect, resubmit="if-unique") as client,
        client.stream("f", unique="u") as job,
    ):
        await farm.kill("a")
        with pytest.raises(JobLost):
            await job.result()


abilities = Abilities()


@abilities.function
async def echo_slowly(workload: bytes) -> bytes:
    await trio.sleep(0.05)
    return workload


@pytest.mark.slow
@pytest.mark.parametrize("routing", ["failover", "round-robin"])
async def test_kill_9_of_one_of_two_servers_under_load(routing: Literal["failover", "round-robin"]) -> None:
    """Ten callers each way, 200 jobs a second: what may be sent again ends well, the rest says what happened."""
    results: list[bytes] = []
    errors: list[GearmanError] = []
    numbers = itertools.count()
    sent: list[int] = []
    under_load = trio.Event()

    async def call_again_and_again(*, unique: bool) -> None:
        while (number := next(numbers)) < 700:
            if number == 300:
                under_load.set()
            workload = b"%d" % number
            if unique:
                sent.append(number)
                results.append(await client.run("echo_slowly", workload, unique=b"u%d" % number))
            else:
                try:
                    assert workload == await client.run("echo_slowly", workload)
                except GearmanError as exc:
                    errors.append(exc)

    with trio.fail_after(PATIENCE):
        async with open_command("serve", "--port", "0") as one, open_command("serve", "--port", "0") as two:
            servers = [f"127.0.0.1:{await each.wait_port()}" for each in (one, two)]
            async with (
                open_worker(abilities, *servers, concurrency=100),
                open_client(*servers, routing=routing, resubmit="if-unique") as client,
                trio.open_nursery() as calls,
            ):
                for _ in range(10):
                    calls.start_soon(partial(call_again_and_again, unique=True))
                    calls.start_soon(partial(call_again_and_again, unique=False))
                await under_load.wait()
                one.send_signal(signal.SIGKILL)

    assert sorted(sent) == sorted(map(int, results))
    assert {JobLost} == {type(error) for error in errors}
