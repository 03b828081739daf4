"""What ``gearman-trio doctor`` looks at: is a job server there, and does work get done?"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from ..admin import AdminClient, FunctionRow
from ..client import Client, open_client
from ..errors import RemoteProtocolError, ServerError, ServersUnavailable
from ..transport import Address, Tls
from ..worker import Abilities, open_worker
from .encryption import examine_tls, open_stream, speaks_tls
from .finding import Finding, Verdict

__all__ = ["examine"]

#: How long a woken worker may take to grab. Servers try the next one long before.
_GRAB_SECONDS: Final = 2.0

#: How long anything that should take no time may take.
_PATIENCE_SECONDS: Final = 10.0

#: How long before its time a job is submitted: more than the way to the server takes, and the cut off fraction.
_AHEAD_SECONDS: Final = 3

#: Servers know the time to the second, and look at their clocks once in a second.
_SKEW_SECONDS: Final = 2.0


_NAME: Final = f"gearman-trio-doctor-{os.getpid()}"


async def examine(
    server: Address,
    report: Callable[[Finding], None],
    *,
    ssl_context: Tls | None = None,
    probe: bool = False,
) -> None:
    """Look at a job server.

    Args:
        server: its address.
        report: called with each finding as soon as it is made.
        ssl_context: to speak TLS.
        probe: whether to run jobs of a function of our own through it, which is dropped afterwards.

    Raises:
        ServersUnavailable: it cannot be reached, or went away.
    """
    began = trio.current_time()
    stream = await open_stream(server, ssl_context, patience=_PATIENCE_SECONDS)
    async with stream:
        report(_found("reachable", f"{server} in {trio.current_time() - began:.3f} s"))
        if isinstance(stream, trio.SSLStream):
            report(examine_tls(stream))
        admin = AdminClient(stream, server)
        report(version := await _version(server, admin, ssl_context))
        if version.verdict is not Verdict.OK:
            # What it does not say now it will not say later.
            return
        async with open_client(server, ssl_context=ssl_context, client_id=_NAME) as client:
            report(await _echo(client))
            for finding in await _functions(admin):
                report(finding)
            if probe:
                report(await _job(server, ssl_context, client))
                report(await _clock(server, ssl_context, admin, client))
                await _drop(admin)


def _found(what: str, text: str, verdict: Verdict = Verdict.OK) -> Finding:
    return Finding(what, verdict, text)


async def _version(server: Address, admin: AdminClient, ssl_context: Tls | None) -> Finding:
    """The first answer, which tells whether this is a job server at all."""
    try:
        with trio.move_on_after(_PATIENCE_SECONDS):
            return _found("version", await admin.version())
    except ServersUnavailable as exc:
        if ssl_context is None and await speaks_tls(server, patience=_PATIENCE_SECONDS):
            raise ServersUnavailable([*exc.causes, "it speaks TLS; see --ssl"]) from exc
        raise
    except (ServerError, RemoteProtocolError) as exc:
        return _found("version", f"no answer of a job server: {exc}", Verdict.FAILURE)
    return _found("version", f"no answer within {_PATIENCE_SECONDS:g} s", Verdict.FAILURE)


async def _echo(client: Client) -> Finding:
    """Whether packets go there and back, as text does."""
    workload = os.urandom(1024)
    began = trio.current_time()
    with trio.move_on_after(_PATIENCE_SECONDS):
        if workload != await client.echo(workload):
            return _found("echo", "other bytes came back than were sent", Verdict.FAILURE)
        return _found("echo", f"{len(workload)} bytes there and back in {trio.current_time() - began:.3f} s")
    return _found("echo", f"no answer within {_PATIENCE_SECONDS:g} s", Verdict.FAILURE)


async def _functions(admin: AdminClient) -> list[Finding]:
    """Whether there are jobs that nobody does."""
    before = {row.function: row for row in await admin.status()}
    findings = [_no_worker(row) for row in before.values() if row.total and not row.workers]
    idle = {row.function for row in before.values() if _waits_for_nothing(row)}
    if idle:
        await trio.sleep(_GRAB_SECONDS)
        # Those whose numbers have not changed: neither did a job end nor did a worker take one.
        after = await admin.status()
        findings += [_no_grab(row) for row in after if row.function in idle and row == before[row.function]]
    jobs, workers = sum(row.total for row in before.values()), sum(row.workers for row in before.values())
    return findings or [_found("functions", f"{len(before)} functions, {jobs} jobs, {workers} abilities of workers")]


def _no_worker(row: FunctionRow) -> Finding:
    return _found("functions", f"{row.function!r} has {_jobs(row.total)} and no worker", Verdict.WARNING)


def _jobs(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"


def _waits_for_nothing(row: FunctionRow) -> bool:
    return row.total > row.running and row.workers > row.running


def _no_grab(row: FunctionRow) -> Finding:
    # Jobs with a time to run at are among them: the table does not tell those from the others.
    text = (
        f"{row.function!r} has {_jobs(row.total - row.running)} waiting, and none is taken for {_GRAB_SECONDS:g} s "
        f"though {row.workers - row.running} of its workers are free; is it scheduled for later, or do they hang?"
    )
    return _found("workers", text, Verdict.WARNING)


async def _job(server: Address, ssl_context: Tls | None, client: Client) -> Finding:
    """Whether a job gets from a client to a worker, and its result back."""
    abilities = Abilities()

    @abilities.function(name=_NAME)
    async def answer(workload: bytes) -> bytes:
        return workload

    with trio.move_on_after(_PATIENCE_SECONDS):
        async with open_worker(abilities, server, ssl_context=ssl_context, client_id=_NAME):
            began = trio.current_time()
            await client.run(_NAME, b"")
            return _found("job", f"done in {trio.current_time() - began:.3f} s")
    return _found("job", f"none done within {_PATIENCE_SECONDS:g} s", Verdict.FAILURE)


async def _clock(server: Address, ssl_context: Tls | None, admin: AdminClient, client: Client) -> Finding:
    """Submit a job for a little later by our clock; when it comes tells the server's."""
    abilities = Abilities()
    send, arrivals = trio.open_memory_channel[float](1)

    @abilities.function(name=_NAME)
    async def arrive() -> None:
        await send.send(time.time())

    due = int(time.time()) + _AHEAD_SECONDS
    handle = await client.submit(_NAME, b"", run_at=due)
    with trio.move_on_after(_AHEAD_SECONDS + _PATIENCE_SECONDS):
        # Asking twice a second, since gearmand 1.1 wakes nobody for such a job.
        async with open_worker(abilities, server, ssl_context=ssl_context, poll_interval=0.5):
            late = await arrivals.receive() - due
        if abs(late) <= _SKEW_SECONDS:
            return _found("clock", f"a scheduled job came {late:+.1f} s after its time")
        side = "behind this machine's" if late > 0 else "ahead of this machine's"
        text = f"a scheduled job came {late:+.1f} s after its time; the server's clock is {side}"
        return _found("clock", text, Verdict.WARNING)
    # Or it came at the last moment.
    with suppress(ServerError):
        await admin.cancel(handle)
    text = "a scheduled job did not come; the server's clock is far behind this machine's"
    return _found("clock", text, Verdict.WARNING)


async def _drop(admin: AdminClient) -> None:
    """Let the server forget our function, as soon as it has heard that the workers left."""
    with trio.move_on_after(_PATIENCE_SECONDS):
        while True:
            try:
                await admin.drop_function(_NAME)
            except ServerError as exc:
                if "connected workers" in str(exc):
                    await trio.sleep(0.05)
                    continue
            return
