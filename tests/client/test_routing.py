"""Which of several servers gets a job, and what a client knows of them."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio.client import Client, Routing, open_client
from gearman_trio.client.ketama import Ring
from gearman_trio.errors import ConfigError, ServersUnavailable
from gearman_trio.transport import Address

from .farm import Farm
from .outcome import Outcome

HOSTS = ["a", "b", "c"]


async def hosts(client: Client, count: int) -> str:
    """Which server did each of some jobs."""
    return "".join([(await client.run("f")).decode()[0] for _ in range(count)])


async def test_round_robin_takes_each_server_in_turn(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    async with open_client(*HOSTS, routing="round-robin", connect=farm.connect) as client:
        assert "abcabca" == await hosts(client, 7)
        assert 3 == len(client.statistics().servers)

    assert HOSTS == farm.tried


async def test_round_robin_shares_the_turns_of_a_server_that_is_down(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.down = {"c"}
    async with open_client(*HOSTS, routing=Routing.ROUND_ROBIN, connect=farm.connect) as client:
        assert "abababa" == await hosts(client, 7)


async def test_a_server_that_is_down_costs_time_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    farm = Farm(nursery)
    farm.silent = {"b"}
    async with open_client(*HOSTS, routing="round-robin", connect=farm.connect) as client:
        began = trio.current_time()
        assert "ac" == await hosts(client, 2)
        assert 10 == trio.current_time() - began
        for _ in range(10):
            await trio.sleep(60)
            began = trio.current_time()
            assert "ac" == await hosts(client, 2)
            assert began == trio.current_time()

        # It was tried again all the time, beside the jobs.
        assert 11 == farm.tried.count("b")
        farm.silent.clear()
        await trio.sleep(60)
        await client.run("f")
        await wait_all_tasks_blocked()
        assert "abc" == "".join(sorted(await hosts(client, 3)))


async def test_a_lost_server_is_passed_over_at_once_and_used_again_later(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    farm = Farm(nursery)
    async with open_client("a", "b", routing="round-robin", connect=farm.connect) as client:
        assert "ab" == await hosts(client, 2)
        await farm.kill("a")
        await wait_all_tasks_blocked()
        assert "bb" == await hosts(client, 2)
        a, b = client.statistics().servers
        assert (Address("a"), False, 1) == (a.address, a.connected, a.failures)
        assert "closed" in a.reason
        assert 0.1 <= a.retry_in <= 0.2
        assert (True, 0, "", 0.0) == (b.connected, b.failures, b.reason, b.retry_in)

        farm.down.clear()
        await trio.sleep(0.3)
        assert 0.0 == client.statistics().servers[0].retry_in
        assert "b" == await hosts(client, 1)
        await wait_all_tasks_blocked()
        assert "ab" == "".join(sorted(await hosts(client, 2)))
        assert 0 == client.statistics().servers[0].failures
        assert 1 == client.statistics().reconnects


async def test_waits_grow_to_a_cap(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    farm = Farm(nursery)
    farm.down = {"a"}
    async with open_client("a", "b", routing="round-robin", connect=farm.connect) as client:
        waits = []
        for _ in range(12):
            await client.run("f")
            await wait_all_tasks_blocked()
            waits.append(client.statistics().servers[0].retry_in)
            await trio.sleep(31)

        assert 12 == client.statistics().servers[0].failures

    assert waits[0] <= 0.2
    assert all(15 <= wait <= 30 for wait in waits[-3:])


async def test_all_servers_down(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.down = {*HOSTS}
    async with open_client(*HOSTS, routing="round-robin", connect=farm.connect) as client:
        for _ in range(2):
            with pytest.raises(ServersUnavailable) as caught:
                await client.run("f")
            assert tuple(f"{host}:4730: nobody listens" for host in HOSTS) == caught.value.causes
        farm.down = {"a", "b"}
        # No back-off stands between a job and the only server that is there.
        assert "c" == await hosts(client, 1)


async def test_of_servers_that_failed_the_first_to_answer_is_taken(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    farm = Farm(nursery)
    farm.down = {"a", "b"}
    async with open_client("a", "b", routing="round-robin", connect=farm.connect) as client:
        with pytest.raises(ServersUnavailable):
            await client.run("f")
        farm.down.clear()
        farm.silent = {"a"}
        began = trio.current_time()
        assert "b" == await hosts(client, 1)
        assert began == trio.current_time()


async def test_ketama_goes_by_the_unique_id(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    ring = Ring([Address(host) for host in HOSTS])
    async with open_client(*HOSTS, routing="ketama", connect=farm.connect) as client:
        for number in range(20):
            unique = b"user-%d" % number
            result = await client.run("f", unique=unique)
            assert HOSTS[ring.order(unique)[0]] == result.decode()[0]
            handle = await client.with_options(unique=unique).submit("f")
            assert HOSTS[ring.order(unique)[0]].encode() == handle.split(b":")[1]
        assert "aaa" == await hosts(client, 3)


async def test_ketama_stands_in_by_the_ring(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    order = Ring([Address(host) for host in HOSTS]).order(b"u")
    farm.down = {HOSTS[order[0]]}
    async with open_client(*HOSTS, routing="ketama", connect=farm.connect) as client:
        assert HOSTS[order[1]] == (await client.run("f", unique="u")).decode()[0]
        assert (await client.status_by_unique("u")).known


async def test_failover_stays_with_a_server_and_leaves_one_that_failed_for_later(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    farm = Farm(nursery)
    farm.silent = {"a"}
    async with open_client(*HOSTS, connect=farm.connect) as client:
        assert "bb" == await hosts(client, 2)
        await farm.kill("b")
        await wait_all_tasks_blocked()
        began = trio.current_time()
        assert "c" == await hosts(client, 1)
        assert ["a", "b", "c"] == farm.tried
        assert [1, 1, 0] == [server.failures for server in client.statistics().servers]
        assert [False, False, True] == [server.connected for server in client.statistics().servers]
        assert began == trio.current_time()


async def test_a_view_of_one_server(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    async with open_client(*HOSTS, routing="round-robin", connect=farm.connect) as client:
        assert "bbb" == await hosts(client.with_options(server="b"), 3)
        assert "abc" == await hosts(client.with_options(priority="low"), 3)
        assert Address("a") == client.server
        assert b"a" == await client.echo(b"")


async def test_an_option_goes_to_every_server(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    async with open_client(*HOSTS, routing="round-robin", connect=farm.connect, options=()) as client:
        assert "ab" == await hosts(client, 2)
        await client.set_option("exceptions")
        assert "cab" == await hosts(client, 3)

    assert {(host, b"exceptions"): 1 for host in HOSTS} == farm.options


async def test_the_same_server_twice_is_one(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    async with open_client("a", "a:4730", routing="round-robin", connect=farm.connect) as client:
        assert "aa" == await hosts(client, 2)
        assert 1 == len(client.statistics().servers)

    assert ["a"] == farm.tried


async def test_closing_ends_jobs_at_all_servers(nursery: trio.Nursery) -> None:
    farm, one, two, late = Farm(nursery), Outcome(), Outcome(), Outcome()
    farm.held = {"a", "b"}
    async with trio.open_nursery() as calls:
        async with open_client("a", "b", routing="round-robin", connect=farm.connect) as client:
            await one.start(calls, partial(client.run, "f"))
            await two.start(calls, partial(client.run, "f"))
            assert 2 == client.statistics().jobs
        await late.catch(partial(client.run, "f"))

    assert "the client was closed" in str(one.lost)
    assert "the client was closed" in str(two.lost)
    assert isinstance(late.error, ServersUnavailable)


@pytest.mark.parametrize("arguments", [{"routing": "random"}, {"resubmit": "always"}])
async def test_arguments_that_are_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"routing: expected|resubmit: expected"):
        async with open_client("a", **arguments):  # type: ignore[arg-type]  # wrong on purpose
            pytest.fail("opened")
