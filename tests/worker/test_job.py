"""What a function can do with its job while it runs."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing

from gearman_trio.errors import LocalProtocolError
from gearman_trio.protocol import PacketType
from gearman_trio.transport import PacketLink
from gearman_trio.worker import Abilities, Job, ThreadJob

from .fakes import Peer, ready_worker


async def run_one(function: Any, workload: bytes = b"") -> list[tuple[Any, ...]]:
    """Give what a worker sends of one job, up to its next grab."""
    abilities = Abilities()
    abilities.function(name="f")(function)
    async with ready_worker(abilities) as (_, peer, _):
        await peer.assign(1, b"f", workload)
        packets: list[tuple[Any, ...]] = []
        while (packet := await peer.receive())[0] is not PacketType.GRAB_JOB_UNIQ:
            packets.append(packet)
        return packets


async def test_status_data_and_warning_go_out_in_order() -> None:
    async def function(job: Job) -> bytes:
        await job.status(1, 3)
        await job.data(b"a\0b")
        await job.data(bytearray(b"c"))
        await job.data(memoryview(b"d"))
        await job.warning("späť")
        await job.warning(b"\xff")
        return b"end"

    assert [
        (PacketType.WORK_STATUS, b"H:1", b"1", b"3"),
        (PacketType.WORK_DATA, b"H:1", b"a\0b"),
        (PacketType.WORK_DATA, b"H:1", b"c"),
        (PacketType.WORK_DATA, b"H:1", b"d"),
        (PacketType.WORK_WARNING, b"H:1", "späť".encode()),
        (PacketType.WORK_WARNING, b"H:1", b"\xff"),
        (PacketType.WORK_COMPLETE, b"H:1", b"end"),
    ] == await run_one(function)


async def test_thread_job_has_the_same_methods_without_await() -> None:
    threads = []

    def function(workload: bytes, job: ThreadJob) -> bytes:
        threads.append(threading.current_thread())
        job.status(1, 2)
        job.data(job.workload + workload)
        job.warning("careful")
        return b" ".join([job.handle, job.function, job.unique, job.reducer])

    assert [
        (PacketType.WORK_STATUS, b"H:1", b"1", b"2"),
        (PacketType.WORK_DATA, b"H:1", b"xx"),
        (PacketType.WORK_WARNING, b"H:1", b"careful"),
        (PacketType.WORK_COMPLETE, b"H:1", b"H:1 f  "),
    ] == await run_one(function, b"x")
    assert [threading.main_thread()] != threads


async def test_error_in_a_method_of_thread_job_comes_out_of_it() -> None:
    def function(job: ThreadJob) -> bytes:
        with pytest.raises(LocalProtocolError):
            job.status(-1, 2)
        return b"caught"

    assert [(PacketType.WORK_COMPLETE, b"H:1", b"caught")] == await run_one(function)


async def test_items_of_an_async_generator_are_data() -> None:
    async def function(workload: bytes) -> AsyncIterator[bytes | bytearray]:
        yield workload
        await trio.lowlevel.checkpoint()
        yield bytearray(b"second")

    assert [
        (PacketType.WORK_DATA, b"H:1", b"first"),
        (PacketType.WORK_DATA, b"H:1", b"second"),
        (PacketType.WORK_COMPLETE, b"H:1", b""),
    ] == await run_one(function, b"first")


@pytest.mark.parametrize(("numerator", "denominator"), [(-1, 2), (1, -2)])
async def test_negative_status_is_refused(numerator: int, denominator: int) -> None:
    with pytest.raises(LocalProtocolError, match="from 0 on"):
        await make_job(Peer()).status(numerator, denominator)


async def test_wrong_types_are_refused() -> None:
    job: Any = make_job(Peer())

    with pytest.raises(TypeError):
        await job.status(0.5, 1)
    with pytest.raises(TypeError, match=r"job\.data\(\) got str, expected bytes.*encode it"):
        await job.data("text")
    with pytest.raises(TypeError, match=r"job\.warning\(\) got int"):
        await job.warning(1)


def make_job(peer: Peer) -> Job:
    return Job(handle=b"H:1", function=b"f", link=PacketLink(peer.worker_end), connection=7)  # type: ignore[arg-type]  # new types


async def test_nothing_can_be_sent_for_a_job_that_has_ended() -> None:
    job = make_job(Peer())
    job.ended = True

    with pytest.raises(LocalProtocolError, match="job H:1 has ended"):
        await job.data(b"late")


async def test_nothing_happens_where_the_connection_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    peer = Peer()
    link = PacketLink(peer.worker_end)
    await peer.stream.aclose()
    await link.run(lambda packets: None)
    job = Job(handle=b"H:1", function=b"f", link=link)  # type: ignore[arg-type]  # new types

    with trio.fail_after(1):
        await job.data(b"x" * 2_000_000)
        await job.data(b"x" * 2_000_000)


async def test_data_is_a_checkpoint_and_sends_nothing_where_it_is_cancelled() -> None:
    peer = Peer()
    link = PacketLink(peer.worker_end)
    job = Job(handle=b"H:1", function=b"f", link=link)  # type: ignore[arg-type]  # new types

    with trio.testing.assert_checkpoints():
        await job.data(b"")
    queued = link.packets_queued
    with trio.CancelScope() as scope:
        scope.cancel()
        await job.data(b"never")

    assert scope.cancelled_caught
    assert queued == link.packets_queued


async def test_data_waits_while_a_megabyte_is_unsent(autojump_clock: trio.testing.MockClock) -> None:
    """Nothing writes here, so what is queued stays; the cancellation comes while `data` waits for room."""
    link = PacketLink(Peer().worker_end)
    job = Job(handle=b"H:1", function=b"f", link=link)  # type: ignore[arg-type]  # new types
    await job.data(b"x" * 1_100_000)
    queued = link.packets_queued

    with trio.move_on_after(1) as scope:
        await job.data(b"never")

    assert scope.cancelled_caught
    assert queued == link.packets_queued


async def test_text_of_a_job_names_its_ids_and_never_the_workload() -> None:
    job = Job(handle=b"H:1\n", function=b"f", workload=b"secret", link=PacketLink(Peer().worker_end), connection=7)  # type: ignore[arg-type]  # new types

    assert r"conn=7 handle=H:1\n function=f" == str(job)
    assert "secret" not in repr(job)
