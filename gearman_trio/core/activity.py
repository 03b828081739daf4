"""The rows of the administrative tables that tell what happens: of this server alone, for `gearman-trio top`.

As those of `tables`, each generator takes what the table is about when its first row is asked for.  Times are whole
milliseconds up to the present, so that nobody needs this server's clock.
"""

from __future__ import annotations

from collections.abc import Iterator

from .function import Function
from .job import HIGH, LOW, NORMAL, RUNNING
from .peer import Peer
from .registry import Registry
from .tables import printable
from .tally import COMPLETE, FAIL, LOST, Histogram

__all__ = ["connection_rows", "function_rows", "running_rows"]


def function_rows(registry: Registry) -> Iterator[bytes]:
    """``show functions``.

    FUNCTION, HIGH, NORMAL, LOW, SCHEDULED, COMMITTING, RUNNING, WORKERS, SLEEPING, PAUSED, SUBMITTED, STARTED, RETRIED,
    COMPLETED, FAILED, ENDED, OLDEST, WAIT-P50, WAIT-P95, RUN-P50, RUN-P95.  Counts are those since the function was
    first heard of; ``-`` stands for a time that there is not.
    """
    for function in list(registry.functions.values()):
        yield _function_row(function, registry.now)


def _function_row(function: Function, now: float) -> bytes:
    tally = function.tally
    since = function.waiting_since()
    numbers = [
        function.waiting(HIGH),
        function.waiting(NORMAL),
        function.waiting(LOW),
        function.scheduled,
        function.committing,
        function.running,
        len(function.workers),
        len(function.sleepers),
        int(function.paused),
        tally.submitted,
        tally.started,
        tally.requeued,
        tally.ended[COMPLETE],
        sum(tally.ended[FAIL : LOST + 1]),
        sum(tally.ended),
    ]
    times = [b"-" if since is None else _ms(now - since), *_quantiles(tally.waited), *_quantiles(tally.ran)]
    return b"\t".join([printable(function.name), *[b"%d" % number for number in numbers], *times]) + b"\n"


def running_rows(peers: dict[int, Peer], now: float) -> Iterator[bytes]:
    """``show running``: HANDLE, FUNCTION, UNIQUE, CONNECTION, CLIENT-ID, ADDRESS, MS, ATTEMPTS, NUMERATOR, DENOMINATOR.

    By connections, and of each in the order in which it got its jobs; O(running) and O(connections).
    """
    for job in [job for peer in peers.values() for job in peer.running]:
        worker = job.worker
        if worker is None or job.state != RUNNING:
            yield b""
            continue
        cells = [
            job.handle,
            printable(job.function.name),
            printable(job.unique),
            b"%d" % worker.number,
            printable(worker.client_id) or b"-",
            worker.address.encode(),
            _ms(now - job.since),
            b"%d" % job.attempts,
            printable(job.numerator),
            printable(job.denominator),
        ]
        yield b"\t".join(cells) + b"\n"


def connection_rows(peers: dict[int, Peer], now: float) -> Iterator[bytes]:
    """``show connections``.

    CONNECTION, ADDRESS, CLIENT-ID, RUNNING, ATTACHED, SLEEPING, CONNECTED, SILENT, RECEIVED, SENT, FUNCTIONS: for how
    long it has been there and said nothing, the bytes that came and went, and its abilities between blanks.
    """
    for peer in list(peers.values()):
        if peer.gone:
            yield b""
            continue
        cells = [
            b"%d" % peer.number,
            peer.address.encode(),
            printable(peer.client_id) or b"-",
            b"%d" % len(peer.running),
            b"%d" % len(peer.attached),
            b"%d" % peer.sleeping,
            _ms(now - peer.connected_at),
            _ms(now - peer.heard_at),
            b"%d" % peer.received_bytes,
            b"%d" % peer.sent_bytes,
            b" ".join([printable(function.name).replace(b" ", b"\\x20") for function in peer.abilities]),
        ]
        yield b"\t".join(cells) + b"\n"


def _quantiles(histogram: Histogram) -> list[bytes]:
    return [
        b"-" if each is None else b"%.1f" % (each * 1000)
        for each in (histogram.quantile(0.5), histogram.quantile(0.95))
    ]


def _ms(seconds: float) -> bytes:
    # A time of another clock, as that of a job of an earlier run, may lie ahead.
    return b"%d" % int(max(seconds, 0.0) * 1000)
