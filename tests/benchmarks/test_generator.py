"""The load generator: what it counts, and that no fault of a job server escapes it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial

import pytest
import trio

from benchmarks.generator import Report, generate, serve_command
from benchmarks.processes import HOST, Missing, find, open_process, open_server
from gearman_trio.protocol import Decoder, PacketType, encode_response, split_arguments

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("compiler")]

P = PacketType

#: How a faulty server changes the jobs that it has, (handle, workload), before it says that they are complete.
Fault = Callable[[list[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]]

JOBS = 6


def swapped(done: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    (one, a), (two, b), *rest = done
    return [(one, b), (two, a), *rest]


FAULTS: dict[str, tuple[Fault, str]] = {
    "a job ends twice": (lambda done: [*done[:-1], done[0]], "ended twice"),
    "results are swapped": (swapped, "the result of another job came"),
    "a result is cut": (lambda done: [(done[0][0], done[0][1][:-1]), *done[1:]], "31 bytes came instead of 32"),
    "a result is changed": (lambda done: [(done[0][0], done[0][1][:-1] + b"?"), *done[1:]], "never sent"),
}


class FaultyServer:
    """Takes `JOBS` foreground jobs of one client, and ends them in a wrong way; gives workers what it is told to."""

    def __init__(self, fault: Fault | None = None, assigned: list[bytes] | None = None) -> None:
        self._fault = fault
        self._assigned = assigned or []
        self._done: list[tuple[bytes, bytes]] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        decoder = Decoder()
        async for data in stream:
            for kind, body in decoder.feed(bytes(data)):
                for answer in self._answers(P(kind), split_arguments(kind, body)):
                    await stream.send_all(answer)

    def _answers(self, kind: PacketType, fields: list[bytes]) -> list[bytes]:
        if kind == P.ECHO_REQ:
            return [encode_response(P.ECHO_RES, fields[0])]
        if kind == P.SUBMIT_JOB:
            handle = b"H:%d" % len(self._done)
            self._done.append((handle, fields[2]))
            answers = [encode_response(P.JOB_CREATED, handle)]
            if len(self._done) == JOBS and self._fault is not None:
                answers += [encode_response(P.WORK_COMPLETE, *each) for each in self._fault(self._done)]
            return answers
        if kind == P.GRAB_JOB_UNIQ and self._assigned:
            return [encode_response(P.JOB_ASSIGN_UNIQ, b"H:1", b"f", b"", self._assigned.pop(0))]
        return []


async def against(server: FaultyServer, mode: str, *, depth: int = 1) -> str:
    """Run the generator against a faulty server, and give what it complains of."""
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        with pytest.raises(RuntimeError) as caught:
            await trio.to_thread.run_sync(partial(generate, mode, port, jobs=JOBS, depth=depth, stall=1))
        nursery.cancel_scope.cancel()
    return str(caught.value)


@pytest.mark.parametrize("fault", FAULTS)
async def test_wrong_results_are_found(fault: str) -> None:
    change, complaint = FAULTS[fault]

    assert complaint in await against(FaultyServer(change), "run", depth=JOBS)


async def test_a_job_that_never_ends_is_found() -> None:
    said = await against(FaultyServer(lambda done: done[1:]), "run", depth=JOBS)

    assert "nothing came for 1 s: 6 submitted, 6 created, 0 assigned, 5 completed" in said


def stamped(*numbers: int) -> list[bytes]:
    """Workloads as the generator makes them, of its one client."""
    return [(0).to_bytes(8, "little") + number.to_bytes(8, "little") + b"x" * 16 for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "complaint"),
    [((0, 1, 3, 2, 4, 5), "job 2 came after job 3"), ((0, 1, 2, 2, 3, 4), "job 5 was lost"), ((9,), "never sent")],
)
async def test_wrong_assignments_are_found(numbers: tuple[int, ...], complaint: str) -> None:
    assert complaint in await against(FaultyServer(assigned=stamped(*numbers)), "drain")


@pytest.mark.parametrize("kind", ["gearman_trio", pytest.param("gearmand", marks=pytest.mark.interop)])
def test_every_mode_with_a_good_server(kind: str) -> None:
    with open_server(kind) as server:
        run = partial(generate, port=server.port, watched=server)
        reports: list[Report] = [
            run("run", jobs=500, clients=3, depth=7, workers=4, sleepers=5, idlers=5),
            run("run", jobs=20, clients=2, depth=2, workers=2, size=1_000_000),
            run("spread", jobs=500, workers=2),
            run("enqueue", jobs=500, unique=1),
            run("drain", jobs=500),
        ]

    assert [500, 20, 500, 500, 500] == [report.jobs for report in reports]
    assert all(report.resident_kib > 1000 for report in reports)
    assert all(0 < report.p50_us <= report.p99_us <= report.max_us for report in reports[:4])
    assert reports[0].noops > 0


def test_a_part_of_a_queue_leaves_the_rest() -> None:
    with open_server("gearman_trio") as server:
        generate("enqueue", server.port, jobs=100)
        assert 30 == generate("drain", server.port, jobs=30).jobs
        with socket.create_connection((HOST, server.port)) as admin:
            admin.sendall(b"status\n")
            status = admin.makefile("rb").readline()

    assert b"benchmark\t70\t0\t0\n" == status


def test_a_worker_for_clients_of_others() -> None:
    with open_server("gearman_trio") as server, open_process(serve_command(server.port, function="f", workers=2)):
        assert 100 == generate("run", server.port, function="f", jobs=100, workers=0).jobs


def test_what_it_cannot_understand() -> None:
    with pytest.raises(RuntimeError, match="unknown option deep"):
        generate("run", 1, deep=1)
    with pytest.raises(RuntimeError, match="size: expected at least 16"):
        generate("run", 1, size=8)
    with pytest.raises(RuntimeError, match="connect: Connection refused"):
        generate("run", 1)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(Missing, match="no-such-program is not installed: look in the cellar"):
        find("no-such-program", "look in the cellar")
