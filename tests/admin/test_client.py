"""The administrative client against scripted answers: every split, every break, every wrong answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, wait_all_tasks_blocked

from gearman_trio import (
    Address,
    AdminClient,
    ConfigError,
    RemoteProtocolError,
    ServerError,
    ServersUnavailable,
    open_admin,
)
from gearman_trio.admin import (
    ConnectionActivityRow,
    ConnectionRow,
    FunctionActivityRow,
    FunctionRow,
    JobRow,
    PriorityRow,
    RunningJobRow,
)

from .scripted_server import ScriptedServer, open_scripted

Question = Callable[[AdminClient], Awaitable[object]]

#: What is asked, the line that is sent, the answer as gearmand 2.0 writes it, and what is made of it.
EXCHANGES: dict[str, tuple[Question, bytes, bytes, object]] = {
    "status": (
        AdminClient.status,
        b"status",
        b"a\t2\t1\t3\np\tb\t0\t0\t0\n.\n",
        [FunctionRow("a", 2, 1, 3), FunctionRow("p\tb", 0, 0, 0)],
    ),
    "no functions": (AdminClient.status, b"status", b".\n", []),
    "priority status": (
        AdminClient.priority_status,
        b"prioritystatus",
        b"a\t1\t2\t3\t4\n.\n",
        [PriorityRow("a", 1, 2, 3, 4)],
    ),
    "workers": (
        AdminClient.workers,
        b"workers",
        b"30 ::1 - : a b\n31 10.0.0.1 me :\n.\n",
        [ConnectionRow(30, "::1", "-", ("a", "b")), ConnectionRow(31, "10.0.0.1", "me", ())],
    ),
    "jobs": (AdminClient.jobs, b"show jobs", b"H:x:1\t0\t1\t0\n.\n", [JobRow("H:x:1", 0, True, False)]),
    "unique jobs": (AdminClient.unique_jobs, b"show unique jobs", b"a b\n\n\xff\n.\n", ["a b", "", "\\xff"]),
    "cancel": (lambda admin: admin.cancel("H:x:1"), b"cancel job H:x:1", b"OK\r\n", None),
    "cancel bytes": (lambda admin: admin.cancel(b"H:x:1"), b"cancel job H:x:1", b"OK\r\n", None),
    "create function": (lambda admin: admin.create_function("ä"), b"create function \xc3\xa4", b"OK\r\n", None),
    "create bytes": (lambda admin: admin.create_function(b"\xff"), b"create function \xff", b"OK\r\n", None),
    "drop function": (lambda admin: admin.drop_function("a"), b"drop function a", b"OK\r\n", None),
    "maxqueue none": (lambda admin: admin.maxqueue("a"), b"maxqueue a", b"OK\r\n", None),
    "maxqueue one": (lambda admin: admin.maxqueue("a", 5), b"maxqueue a 5", b"OK\r\n", None),
    "maxqueue three": (lambda admin: admin.maxqueue("a", 5, 0, 1), b"maxqueue a 5 0 1", b"OK\r\n", None),
    "function activity": (
        AdminClient.function_activity,
        b"show functions",
        b"a\t1\t2\t3\t4\t5\t6\t7\t8\t1\t9\t10\t11\t12\t13\t14\t15\t1.5\t2.5\t-\t-\n.\n",
        [
            FunctionActivityRow(
                function="a",
                high=1,
                normal=2,
                low=3,
                scheduled=4,
                committing=5,
                running=6,
                workers=7,
                sleeping=8,
                paused=True,
                submitted=9,
                started=10,
                retried=11,
                completed=12,
                failed=13,
                ended=14,
                oldest_ms=15,
                wait_p50_ms=1.5,
                wait_p95_ms=2.5,
                run_p50_ms=None,
                run_p95_ms=None,
            )
        ],
    ),
    "running jobs": (
        AdminClient.running_jobs,
        b"show running",
        b"H:x:1\tf\t\t3\t-\t::1\t1200\t2\t1\t\n.\n",
        [
            RunningJobRow(
                handle="H:x:1",
                function="f",
                unique="",
                connection=3,
                client_id="-",
                address="::1",
                running_ms=1200,
                attempts=2,
                numerator="1",
                denominator="",
            )
        ],
    ),
    "connection activity": (
        AdminClient.connection_activity,
        b"show connections",
        b"3\t::1\tme too\t1\t2\t0\t9\t8\t7\t6\ta b\n4\t::1\t-\t0\t0\t1\t0\t0\t0\t0\t\n.\n",
        [
            ConnectionActivityRow(
                number=3,
                address="::1",
                client_id="me too",
                running=1,
                attached=2,
                sleeping=False,
                connected_ms=9,
                silent_ms=8,
                received_bytes=7,
                sent_bytes=6,
                functions=("a", "b"),
            ),
            ConnectionActivityRow(
                number=4,
                address="::1",
                client_id="-",
                running=0,
                attached=0,
                sleeping=True,
                connected_ms=0,
                silent_ms=0,
                received_bytes=0,
                sent_bytes=0,
                functions=(),
            ),
        ],
    ),
    "version": (AdminClient.version, b"version", b"OK 1.1.21.4 (x)\n", "1.1.21.4 (x)"),
    "process id": (AdminClient.process_id, b"getpid", b"OK 4711\n", 4711),
    "verbosity": (AdminClient.verbosity, b"verbose", b"OK ERROR\n", "ERROR"),
}


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("piece", [0, 1, 3], ids=["whole", "byte by byte", "by three"])
async def test_answer_is_read_however_it_is_cut(name: str, piece: int) -> None:
    ask, line, answer, expected = EXCHANGES[name]
    async with open_scripted() as (admin, server), trio.open_nursery() as nursery:
        nursery.start_soon(partial(server.answer, answer, expected=line, piece=piece))

        assert expected == await ask(admin)


async def test_one_connection_takes_any_number_of_questions() -> None:
    async with open_scripted() as (admin, server):
        for ask, line, answer, expected in EXCHANGES.values():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(server.answer, answer, expected=line))

                assert expected == await ask(admin)


async def test_tasks_that_ask_at_once_take_turns() -> None:
    versions: list[str] = []
    async with open_scripted() as (admin, server), trio.open_nursery() as nursery:

        async def ask() -> None:
            versions.append(await admin.version())

        for _ in range(3):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        for number in range(3):
            await server.answer(b"OK %d" % number, expected=b"version")
            await wait_all_tasks_blocked()
            assert number == len(versions)
            await server.stream.send_all(b"\n")
            await wait_all_tasks_blocked()

    assert ["0", "1", "2"] == versions


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (b"ERR UNKNOWN_COMMAND Unknown+server+command\r\n", "UNKNOWN_COMMAND", "Unknown server command"),
        (b"ERR UNKNOWN_JOB\r\n", "UNKNOWN_JOB", "the answer to 'cancel job H:x:1'"),
        (b"ERR function not found\r\n", "ERR", "function not found"),
        (b"ERR there are still connected workers\r\n", "ERR", "there are still connected workers"),
    ],
)
async def test_err_is_a_server_error_and_the_connection_goes_on(answer: bytes, code: str, text: str) -> None:
    async with open_scripted() as (admin, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.answer, answer)
        with pytest.raises(ServerError) as caught:
            await admin.cancel("H:x:1")
        nursery.start_soon(server.answer, b"OK 1\n")
        await admin.version()

    assert (code, text) == (caught.value.code, caught.value.text)


async def test_err_instead_of_a_table_is_a_server_error() -> None:
    async with open_scripted() as (admin, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.answer, b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n")
        with pytest.raises(ServerError, match="UNKNOWN_SHOW_ARGUMENTS: the answer to 'show jobs'"):
            await admin.jobs()


@pytest.mark.parametrize(
    ("ask", "answer", "message"),
    [
        (AdminClient.status, b"a\t1\t0\t0\nresize 1 2 3\n.\n", "'resize 1 2 3'"),
        (AdminClient.priority_status, b"a\t1\t0\t0\n.\n", "'a\\t1\\t0\\t0'"),
        (AdminClient.workers, b"no worker\n.\n", "'no worker'"),
        (AdminClient.jobs, b"H:x:1\tmany\t0\t0\n.\n", "'H:x:1\\tmany\\t0\\t0'"),
        (AdminClient.version, b"1.1.21\n", "expected OK after 'version', got '1.1.21'"),
        (AdminClient.version, b"OKAY 1\n", "expected OK after 'version', got 'OKAY 1'"),
        (AdminClient.version, b"ERR\n", "expected OK after 'version', got 'ERR'"),
        (AdminClient.process_id, b"OK none\n", "expected a number after 'getpid', got 'none'"),
        (AdminClient.process_id, b"OK\r\n", "expected a number after 'getpid', got ''"),
    ],
)
async def test_answer_that_makes_no_sense_is_named_and_the_connection_goes_on(
    ask: Question, answer: bytes, message: str
) -> None:
    async with open_scripted() as (admin, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.answer, answer)
        with pytest.raises(RemoteProtocolError) as caught:
            await ask(admin)
        nursery.start_soon(server.answer, b"OK 1\n")
        assert "1" == await admin.version()

    assert message in str(caught.value)


async def test_line_that_does_not_end_closes_the_connection() -> None:
    async with open_scripted() as (admin, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.answer, b"x" * (2 * 1024 * 1024))
        with pytest.raises(RemoteProtocolError, match="scripted:1 sent a line of over 1048576 bytes"):
            await admin.status()
        # The rest of the line is not taken for an answer.
        with pytest.raises(ServersUnavailable):
            await admin.version()
        assert await server.closed()


async def test_long_line_is_read() -> None:
    functions = [f"function-{number}" for number in range(50_000)]
    row = f"1 ::1 - : {' '.join(functions)}\n.\n".encode()
    async with open_scripted() as (admin, server), trio.open_nursery() as nursery:
        nursery.start_soon(server.answer, row)
        (connection,) = await admin.workers()

    assert functions == list(connection.functions)


@pytest.mark.parametrize("said", [b"", b"a\t1\t0", b"a\t1\t0\t0\n", b"a\t1\t0\t0\n."])
async def test_end_in_the_middle_of_an_answer_is_told(said: bytes) -> None:
    async def answer(server: ScriptedServer) -> None:
        await server.answer(said)
        await server.stream.aclose()

    async with open_scripted() as (admin, server), trio.open_nursery() as nursery:
        nursery.start_soon(answer, server)
        with pytest.raises(ServersUnavailable, match="scripted:1 closed the connection"):
            await admin.status()
        with pytest.raises(ServersUnavailable, match="scripted:1"):
            await admin.version()


# ---- names -----------------------------------------------------------------------------------------------------------

WITH_NAME: dict[str, Callable[[AdminClient, str | bytes], Awaitable[None]]] = {
    "cancel": AdminClient.cancel,
    "create": AdminClient.create_function,
    "drop": AdminClient.drop_function,
    "maxqueue": AdminClient.maxqueue,
}


@pytest.mark.parametrize("method", WITH_NAME)
@pytest.mark.parametrize(
    "name", ["", "a b", "a\nstatus", "a\r\nstatus", "a\tb", "a\0b", "a\x0bb", "\x7f", b"a b", b"a\n"], ids=repr
)
async def test_name_that_would_break_the_line_is_refused_before_anything_is_sent(
    method: str, name: str | bytes
) -> None:
    async with open_scripted() as (admin, server):
        with pytest.raises(ConfigError):
            await WITH_NAME[method](admin, name)
        await admin._stream.aclose()
        assert await server.closed()


@pytest.mark.parametrize("sizes", [(1, 2), (1, 2, 3, 4), (-1,), (1, -1, 1)])
async def test_maxqueue_takes_no_other_sizes(sizes: tuple[int, ...]) -> None:
    async with open_scripted() as (admin, server):
        with pytest.raises(ConfigError) as caught:
            await admin.maxqueue("a", *sizes)
        await admin._stream.aclose()
        assert await server.closed()

    assert f"maxqueue: expected no size, one or three, of at least 0, got {sizes!r}" == str(caught.value)


# ---- cancellation ----------------------------------------------------------------------------------------------------


async def test_cancelled_question_closes_the_connection() -> None:
    async with open_scripted() as (admin, server):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(admin.status)
            await server.answer(b"a\t1\t0")
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert await server.closed()
        with pytest.raises(ServersUnavailable):
            await admin.version()


async def test_question_that_is_cancelled_while_it_is_sent_closes_the_connection() -> None:
    stream = trio.StapledStream(MemorySendStream(send_all_hook=trio.sleep_forever), MemoryReceiveStream())
    admin = AdminClient(stream, Address("stuck"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(admin.version)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()


async def test_question_that_is_cancelled_before_its_turn_costs_nothing() -> None:
    async with open_scripted() as (admin, server), trio.open_nursery() as nursery:
        versions: list[str] = []

        async def ask() -> None:
            versions.append(await admin.version())

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as waiting:
            waiting.start_soon(ask)
            await wait_all_tasks_blocked()
            waiting.cancel_scope.cancel()
        await server.answer(b"OK 1\n", expected=b"version")
        nursery.start_soon(ask)
        await server.answer(b"OK 2\n", expected=b"version")
        await wait_all_tasks_blocked()

        assert ["1", "2"] == versions


# ---- opening ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message"),
    [(ConnectionRefusedError(111, "refused"), "refused"), (trio.BrokenResourceError("no handshake"), "no handshake")],
)
async def test_server_that_cannot_be_reached_is_told_with_the_reason(error: Exception, message: str) -> None:
    async def connect(address: Address) -> trio.abc.Stream:
        raise error

    with pytest.raises(ServersUnavailable) as caught:
        async with open_admin("nowhere:7", connect=connect):
            pass

    (cause,) = caught.value.causes
    assert cause.startswith("nowhere:7: ")
    assert message in cause


async def test_reason_is_the_systems_own() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()

    with pytest.raises(ServersUnavailable, match=rf"127\.0\.0\.1:{port}: .*Connection refused$"):
        async with open_admin(Address("127.0.0.1", port)):
            pass


async def test_address_that_cannot_be_read_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="the port must be a number"):
        async with open_admin("localhost:http"):
            pass


async def test_block_closes_the_connection() -> None:
    async with open_scripted() as (admin, server):
        pass

    assert await server.closed()
    with pytest.raises(ServersUnavailable):
        await admin.version()


@pytest.mark.parametrize("line", [b"u", b"H:a-b:12\tu"], ids=["1.1", "2.2"])
async def test_unique_jobs_in_both_forms(line: bytes) -> None:
    async with open_scripted() as (admin, server), trio.open_nursery() as nursery:
        nursery.start_soon(partial(server.answer, line + b"\n.\n", expected=b"show unique jobs"))

        assert ["u"] == await admin.unique_jobs()
