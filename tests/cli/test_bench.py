"""``gearman-trio bench``: both of its sides, together and with the C programs."""

from __future__ import annotations

import json
import signal
from array import array
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from gearman_trio import Abilities, Fail, Job, JobData, JobStatus, Listen, Server, open_client, open_server, open_worker
from gearman_trio.cli.load import SHUTDOWN, Work, load_abilities
from gearman_trio.cli.measuring import Latency, Measurement, Result
from gearman_trio.cli.rate import result_lines
from gearman_trio.client import Priority

from ..interop.conftest import open_server_of
from ..interop.programs import run_program, wait_until
from ..peers import open_gearman_worker, require
from .commands import Output, invoke, open_command
from .terminal import open_terminal


async def bench(*arguments: str) -> Any:
    """What it finds, as JSON."""
    result = await invoke("bench", *arguments, "--json")
    assert (0, "") == (result.exit_code, result.stderr)
    return json.loads(result.stdout)


class Seen:
    """What a worker got."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.abilities = Abilities()

        @self.abilities.function(name="gb")
        async def keep(job: Job) -> None:
            self.jobs.append(job)


class TestMeasurement:
    def test_percentiles_are_values_that_there_were(self) -> None:
        found = Latency.of(array("d", [number / 1000 for number in range(1, 101)]))

        assert Latency(min=1, mean=50.5, p50=50, p90=90, p95=95, p99=99, max=100) == found
        assert Latency(min=7, mean=7, p50=7, p90=7, p95=7, p99=7, max=7) == Latency.of(array("d", [0.007]))

    async def test_what_was_counted_comes_out(self, autojump_clock: MockClock) -> None:
        measurement = Measurement()
        await trio.sleep(100)
        measurement.begin()
        measurement.add(1000, 0.5)
        measurement.add(3000, 1.5)
        measurement.failed += 1
        measurement.refused += 2
        await trio.sleep(4)

        result = measurement.result()

        assert (5, 0.5) == (measurement.ended, measurement.rate())
        assert (2, 1, 2, 4.0, 0.5, 4000, 1000.0) == attrs.astuple(result)[:7]
        assert result.latency_ms is not None
        assert (500, 1000, 1500) == (result.latency_ms.min, result.latency_ms.mean, result.latency_ms.max)
        assert [
            "jobs      2 in 4.00 s: 0 jobs/s",
            "failed    1",
            "refused   2",
            "workloads 4.0 kB: 1.0 kB/s",
            "latency   50 % 500.00, 90 % 1500.00, 95 % 1500.00, 99 % 1500.00, mean 1000.00, max 1500.00 ms",
        ] == list(result_lines(result))

    async def test_nothing_in_no_time_is_nothing(self, autojump_clock: MockClock) -> None:
        result = Measurement().result()

        assert (
            Result(
                jobs=0,
                failed=0,
                refused=0,
                seconds=0,
                jobs_per_second=0,
                workload_bytes=0,
                bytes_per_second=0,
                latency_ms=None,
            )
            == result
        )
        assert ["jobs      0 in 0.00 s: 0 jobs/s", "workloads 0 bytes: 0 bytes/s"] == list(result_lines(result))


@pytest.mark.parametrize("kind", ["our server", "gearmand"])
@pytest.mark.parametrize("options", ["", "--chunk", "--status", "--chunk --status --concurrency 3", "-b --with-worker"])
async def test_client_and_worker_in_one_process(kind: str, options: str) -> None:
    async with open_server_of(kind) as port:
        found = await bench(
            "-s", f"127.0.0.1:{port}", "--with-worker", "-n", "4", "-c", "5", "-C", "2", *options.split()
        )

    assert (40, 0, 0) == (found["jobs"], found["failed"], found["refused"])
    assert 0 < found["workload_bytes"] <= 40 * 1024
    latency = found["latency_ms"]
    assert 0 < latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    assert found["seconds"] > latency["max"] / 1000


async def test_result_for_people(server: Server) -> None:
    result = await invoke("bench", "--with-worker", "-m", "100", "-M", "100")

    assert (0, "") == (result.exit_code, result.stderr)
    lines = result.stdout.splitlines()
    assert ["jobs", "workloads", "latency"] == [line.split()[0] for line in lines]
    assert lines[0].startswith("jobs      10 in 0.")
    assert lines[1].startswith("workloads 1.0 kB: ")


async def test_sizes_and_contents_are_drawn_by_the_seed(server: Server) -> None:
    seen = Seen()
    async with open_worker(seen.abilities, server.url):
        for seed in ("7", "7", "8"):
            await bench("-n", "1", "-c", "20", "-m", "5", "-M", "9", "--seed", seed)

    workloads = [job.workload for job in seen.jobs]
    assert workloads[:20] == workloads[20:40] != workloads[40:]
    assert {5, 6, 7, 8, 9} == {len(workload) for workload in workloads}


async def test_unique_ids_are_drawn_from_so_many(server: Server) -> None:
    seen = Seen()
    async with open_worker(seen.abilities, server.url):
        await bench("-n", "1", "-c", "40", "--unique-ids", "3")
        await bench("-n", "1", "-c", "5")

    assert {b"0", b"1", b"2"} == {job.unique for job in seen.jobs[:40]}
    assert {b""} == {job.unique for job in seen.jobs[40:]}


@pytest.mark.parametrize("priority", list(Priority))
async def test_priority_in_the_background_waits_for_handles_only(server: Server, priority: Priority) -> None:
    found = await bench("-b", "-n", "3", "--priority", priority.value)

    (function,) = server.statistics().functions
    assert 3 == found["jobs"]
    assert {"high": 0, "normal": 0, "low": 0, priority.value: 3} == {
        name: getattr(function, name) for name in ("high", "normal", "low")
    }


@pytest.mark.parametrize("priority", list(Priority))
async def test_priority_in_the_foreground(server: Server, priority: Priority, nursery: trio.Nursery) -> None:
    nursery.start_soon(invoke, "bench", "-n", "3", "--priority", priority.value)

    await wait_until(lambda: [getattr(row, priority.value) for row in server.statistics().functions] == [3])
    async with open_worker(Seen().abilities, server.url):
        await wait_until(lambda: server.statistics().counters.completed == 3)


async def test_so_many_jobs_of_each_client_are_under_way(server: Server, nursery: trio.Nursery) -> None:
    nursery.start_soon(invoke, "bench", "-n", "3", "-c", "2", "-C", "4")

    await wait_until(lambda: [row.normal for row in server.statistics().functions] == [12])
    async with open_worker(Seen().abilities, server.url, concurrency=100):
        await wait_until(lambda: server.statistics().counters.completed == 24)


async def test_functions_are_drawn_by_lot(server: Server) -> None:
    found = await bench("-b", "-n", "1", "-c", "40", "-f", "one", "-f", "two", "-f", "three", "--seed", "1")

    rows = {row.name: row.normal for row in server.statistics().functions}
    assert {b"one", b"two", b"three"} == set(rows)
    assert 40 == found["jobs"] == sum(rows.values())


class TestTrouble:
    async def test_failed_jobs_are_exit_code_1(self, server: Server) -> None:
        abilities = Abilities()

        @abilities.function(name="gb")
        async def fail_sometimes(workload: bytes) -> None:
            if len(workload) == 0:
                raise Fail("no")

        async with open_worker(abilities, server.url):
            result = await invoke("bench", "-n", "1", "-c", "30", "-M", "1", "--seed", "1", "--json")

        found = json.loads(result.stdout)
        assert 1 == result.exit_code
        assert 30 == found["jobs"] + found["failed"]
        assert found["jobs"] > 0
        assert result.stderr.startswith(f"gearman-trio: {found['failed']} jobs failed, the last one with: ")

    async def test_refused_jobs_are_exit_code_4(self, server: Server) -> None:
        await invoke("admin", "maxqueue", "gb", "3")

        result = await invoke("bench", "-b", "--json")

        found = json.loads(result.stdout)
        assert (4, 3, 7) == (result.exit_code, found["jobs"], found["refused"])
        assert "gearman-trio: 7 jobs were refused, the last one with: QUEUE_ERROR: " in result.stderr

    async def test_without_a_worker_it_takes_too_long(self, server: Server) -> None:
        result = await invoke("bench", "-t", "0.05")

        message = "gearman-trio: --timeout: not done within 0.05 s; is there a worker for 'gb'?\n"
        assert (1, "", message) == (result.exit_code, result.stdout, result.stderr)

    @pytest.mark.parametrize("options", [[], ["--worker"], ["--with-worker"]])
    async def test_no_server_is_exit_code_3(self, options: list[str]) -> None:
        result = await invoke("bench", "-s", "127.0.0.1:1", *options)

        assert (3, "") == (result.exit_code, result.stdout)
        assert result.stderr.startswith("gearman-trio: no job server could be reached: 127.0.0.1:1: ")
        assert 1 == len(result.stderr.splitlines())

    async def test_server_that_goes_away_is_exit_code_3(self, server: Server, nursery: trio.Nursery) -> None:
        async with open_command("bench", "-s", server.url, "-n", "5", "-c", "2") as command:
            await wait_until(lambda: [row.normal for row in server.statistics().functions] == [5])
            await server.drain(0)
            code = await command.wait_ended()

        assert 3 == code
        assert "failed    5" in command.stdout.text
        assert command.stderr.text.startswith("gearman-trio: no job server could be reached: ")

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("--worker --with-worker", "--with-worker: a worker submits no jobs; leave out --worker"),
            ("--worker -b", "--background: a worker submits no jobs"),
            ("--worker -e", "--stop-worker: a worker submits no jobs"),
            ("--worker --seed 0", "--seed: a worker submits no jobs"),
            ("--chunk", "--chunk: only a worker heeds it; see --worker and --with-worker"),
            ("--status", "--status: only a worker heeds it"),
            ("--concurrency 2", "--concurrency: only a worker heeds it"),
            ("-m 2 -M 1", "--min-size: expected at most --max-size, 1, got 2"),
            ("-n 0", "expected a whole number of at least 1, got '0'"),
            ("-M -1", "expected a whole number from 0 to 4294967295, got '-1'"),
        ],
    )
    async def test_wrong_usage_is_exit_code_2(self, line: str, message: str) -> None:
        result = await invoke("bench", *line.split())

        assert (2, "") == (result.exit_code, result.stdout)
        assert message in result.stderr


class TestWorker:
    async def test_it_sends_chunks_and_statuses(self, server: Server) -> None:
        work = Work(functions=(b"gb",), chunk=True, status=True)
        async with (
            open_worker(load_abilities(work, Measurement()), server.url),
            open_client(server.url) as client,
            client.stream("gb", b"x" * 28) as job,
        ):
            events = [event async for event in job]

        chunks = [event.data for event in events if isinstance(event, JobData)]
        assert [3] * 9 + [1] == [len(chunk) for chunk in chunks if chunk]
        # The client keeps the newest of several that it has not read.
        statuses = [event for event in events if isinstance(event, JobStatus)]
        assert JobStatus(10, 10) == statuses[-1]
        assert set(statuses) <= {JobStatus(number, 10) for number in range(1, 11)}

    @pytest.mark.parametrize("by", ["job", "signal", "client"])
    async def test_it_works_until_it_is_told_to_end(self, server: Server, by: str) -> None:
        async with open_command("bench", "--worker", "-C", "2", "--json", "-s", server.url) as command:
            await command.stderr.wait_for(b"ready to do 'gb'")
            if by == "client":
                await bench("-c", "2", "-e")
            else:
                await bench("-c", "2")
            if by == "job":
                async with open_client(server.url) as client:
                    assert b"" == await client.run(SHUTDOWN)
            elif by == "signal":
                command.send_signal(signal.SIGTERM)
            code = await command.wait_ended()

        found = json.loads(command.stdout.data)
        assert (0, 20, None) == (code, found["jobs"], found["latency_ms"])

    async def test_it_ends_after_so_many_jobs(self, server: Server) -> None:
        async with open_command("bench", "--worker", "-c", "10", "--json", "-s", server.url) as command:
            await bench("-b", "-c", "2")
            code = await command.wait_ended()

        assert (0, 10) == (code, json.loads(command.stdout.data)["jobs"])
        assert [10] == [row.normal for row in server.statistics().functions if row.name == b"gb"]

    @pytest.mark.parametrize(("count", "code"), [([], 0), (["-c", "1"], 1)])
    async def test_it_ends_after_a_time_without_jobs(self, server: Server, count: list[str], code: int) -> None:
        async with open_command("bench", "--worker", "-t", "0.05", "--json", *count, "-s", server.url) as command:
            assert code == await command.wait_ended()

        assert 0 == json.loads(command.stdout.data)["jobs"]

    async def test_it_has_the_names_that_it_is_given(self, server: Server) -> None:
        async with open_command(
            "bench", "--worker", "--client-id", "mine", "-f", "g", "-f", "h", "-s", server.url
        ) as command:
            await command.stderr.wait_for(b"ready to do 'g' and 'h'")
            result = await invoke("admin", "workers", "--json")

        row = json.loads(result.stdout)[0]
        assert ("mine", ["g", "h", "shutdown", "blobslap_worker_ping"]) == (row["client_id"], row["functions"])


class TestRate:
    async def test_terminal_shows_it_while_jobs_are_done(self, server: Server) -> None:
        screen = Output()
        async with open_terminal() as (terminal, theirs), terminal.kept(screen):
            arguments = ["--with-worker", "-c", "1000000", "-s", server.url]
            async with open_command("bench", *arguments, stderr=theirs) as command:
                await screen.wait_for(b"jobs/s", times=2)
                command.send_signal(signal.SIGINT)
                code = await command.wait_ended()

        assert 130 == code
        assert "/10000000" in screen.text
        # What was found until then is not lost.
        assert command.stdout.text.startswith("jobs ")

    async def test_elsewhere_there_are_lines_on_demand(self, server: Server) -> None:
        arguments = ["--with-worker", "-c", "1000000", "-v", "-s", server.url]
        async with open_command("bench", *arguments) as command:
            await command.stderr.wait_for(b"jobs/s ]\n", times=2)

        assert command.stderr.text.startswith("[ Current: ")


async def test_server_is_stopped_where_that_is_allowed(tmp_path: Path) -> None:
    url = f"unix:{tmp_path}/s"
    async with open_server(listen=[Listen("127.0.0.1:0"), Listen(url, admin=True)]) as server:
        refused = await invoke("bench", "--with-worker", "--stop-server", "-s", str(server.addresses[0]))
        stopped = await invoke("bench", "--with-worker", "--stop-server", "-s", url)
        await server.wait_ended()

    assert [4, 0] == [refused.exit_code, stopped.exit_code]


@pytest.mark.interop
class TestWithC:
    @pytest.mark.parametrize("kind", ["our server", "gearmand"])
    async def test_the_tool_does_the_jobs(self, kind: str) -> None:
        """As blobslap_worker would, which Debian does not ship."""
        async with open_server_of(kind) as port, open_gearman_worker(port, "gb", "cat"):
            found = await bench("-s", f"127.0.0.1:{port}", "-n", "5", "-c", "2")

        assert (10, 0, 0) == (found["jobs"], found["failed"], found["refused"])

    @pytest.mark.parametrize("kind", ["our server", "gearmand"])
    async def test_the_tool_submits_the_jobs(self, kind: str) -> None:
        async with open_server_of(kind) as port:
            gearman = [require("gearman"), "-h", "127.0.0.1", "-p", str(port)]
            arguments = ["--chunk", "--json", "-s", f"127.0.0.1:{port}"]
            async with open_command("bench", "--worker", *arguments) as command:
                await command.stderr.wait_for(b"ready to do 'gb'")
                back = await run_program(*gearman, "-f", "gb", stdin=bytes(range(256)))
                await run_program(*gearman, "-s", "-f", "blobslap_worker_ping")
                await run_program(*gearman, "-s", "-f", "shutdown")
                code = await command.wait_ended()

        assert (0, 1) == (code, json.loads(command.stdout.data)["jobs"])
        assert bytes(range(256)) == back
