"""``gearman-trio bench``: how many jobs a job server gets done; blobslap_client's and blobslap_worker's work."""

from __future__ import annotations

import json
import math
import os
from typing import Annotated, Final

import attrs
import trio
import typer

from ..client import Priority
from ..errors import ConfigError
from ..names import function_name
from .destination import Destination, asks_server
from .load import Load, Work, run_load, run_workers
from .measuring import Measurement
from .options import ClientIdOption, PriorityOption, checked, seconds, whole_number
from .rate import open_rate, result_lines
from .running import Exit, errors_reported, fail, run_async

__all__ = ["bench_command"]

#: What a packet can carry.
_MAX_WORKLOAD_BYTES: Final = 2**32 - 1

_Functions = Annotated[
    list[str] | None,
    typer.Option(
        "--function",
        "-f",
        metavar="NAME",
        help="The function; may be repeated, and that of each job is drawn by lot then.",
        show_default="gb",
        callback=checked(lambda text: function_name(os.fsencode(text))),
    ),
]
_Worker = Annotated[bool, typer.Option("--worker", help="Do jobs; submit none.")]
_WithWorker = Annotated[bool, typer.Option("--with-worker", help="Do the jobs too, in this process.")]
_Connections = Annotated[
    int,
    typer.Option(
        "--connections",
        "-C",
        metavar="N",
        parser=whole_number(1, 10_000),
        help="How many clients there are, or with --worker how many workers, each with a connection of its own.",
    ),
]
_Jobs = Annotated[
    int,
    typer.Option(
        "--jobs", "-n", metavar="N", parser=whole_number(1), help="How many jobs of each client are under way at once."
    ),
]
_Count = Annotated[
    int | None,
    typer.Option(
        "--count",
        "-c",
        metavar="N",
        parser=whole_number(1),
        help="How many times --jobs each client submits; with --worker, after how many jobs the workers end.",
        show_default="1; with --worker, no end",
    ),
]
_MinSize = Annotated[
    int,
    typer.Option(
        "--min-size",
        "-m",
        metavar="BYTES",
        parser=whole_number(0, _MAX_WORKLOAD_BYTES),
        help="The size of the smallest workload; each is drawn by lot.",
    ),
]
_MaxSize = Annotated[
    int,
    typer.Option(
        "--max-size",
        "-M",
        metavar="BYTES",
        parser=whole_number(0, _MAX_WORKLOAD_BYTES),
        help="The size of the largest workload.",
    ),
]
_Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", parser=whole_number(0), help="Draw what was drawn with this number before."),
]
_Background = Annotated[
    bool, typer.Option("--background", "-b", help="Wait for the handles only, not for the ends of the jobs.")
]
_UniqueIds = Annotated[
    int,
    typer.Option(
        "--unique-ids",
        metavar="N",
        parser=whole_number(0),
        help="Draw the unique ID of each job from so many; 0 for none.",
    ),
]
_Concurrency = Annotated[
    int,
    typer.Option("--concurrency", metavar="N", parser=whole_number(1), help="How many jobs a worker does at once."),
]
_Chunk = Annotated[bool, typer.Option("--chunk", help="The worker sends each workload back, in ten parts.")]
_Status = Annotated[bool, typer.Option("--status", help="The worker tells ten times how far each job is.")]
_Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        "-t",
        metavar="SECONDS",
        parser=seconds,
        help="Give up after this time; with --worker, end after this time without a job.",
        show_default="no limit",
    ),
]
_StopWorker = Annotated[
    bool, typer.Option("--stop-worker", "-e", help="At the end, stop a worker by a job called shutdown.")
]
_StopServer = Annotated[
    bool, typer.Option("--stop-server", help="At the end, stop the server; only over a listener for administrators.")
]
_Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell the rate once in a second, also where no terminal is.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")]


@asks_server
def bench_command(
    destination: Destination,
    *,
    function: _Functions = None,
    worker: _Worker = False,
    with_worker: _WithWorker = False,
    connections: _Connections = 1,
    jobs: _Jobs = 10,
    count: _Count = None,
    min_size: _MinSize = 0,
    max_size: _MaxSize = 1024,
    seed: _Seed = None,
    background: _Background = False,
    priority: PriorityOption = Priority.NORMAL,
    unique_ids: _UniqueIds = 0,
    concurrency: _Concurrency = 1,
    chunk: _Chunk = False,
    status: _Status = False,
    client_id: ClientIdOption = None,
    timeout: _Timeout = math.inf,
    stop_worker: _StopWorker = False,
    stop_server: _StopServer = False,
    verbose: _Verbose = False,
    as_json: _Json = False,
) -> None:
    """Submit jobs as fast as they are done; say how many that are in a second, and how long they take.

    Somebody must do them: "gearman-trio bench --worker", or blobslap_worker, or this process with --with-worker.

    Exit codes: 0 all were done, 1 some failed or were lost, or it took too long, 2 wrong usage, 3 the job server was
    not reached or went away, 4 it refused some.
    """
    names = tuple(map(os.fsencode, function or ["gb"]))
    work = Work(
        functions=names,
        concurrency=concurrency,
        chunk=chunk,
        status=status,
        connections=connections if worker else 1,
        count=count if worker else None,
        patience=timeout if worker else math.inf,
        client_id=client_id,
    )
    load = Load(
        functions=names,
        connections=connections,
        jobs=jobs,
        count=count or 1,
        min_bytes=min_size,
        max_bytes=max_size,
        seed=seed,
        background=background,
        priority=priority,
        unique_ids=unique_ids,
        worker=work if with_worker else None,
        stop_worker=stop_worker,
        stop_server=stop_server,
    )
    with errors_reported():
        _check(load, work, worker=worker)
    run_async(_bench, destination, work if worker else load, timeout, _Output(verbose=verbose, as_json=as_json))


def _check(load: Load, work: Work, *, worker: bool) -> None:
    """Refuse what would be passed over in silence."""
    if worker:
        given = {
            "--with-worker": load.worker is not None,
            "--background": load.background,
            "--unique-ids": load.unique_ids != 0,
            "--seed": load.seed is not None,
            "--stop-worker": load.stop_worker,
            "--stop-server": load.stop_server,
        }
        reason = "a worker submits no jobs; leave out --worker"
    else:
        given = {"--chunk": work.chunk, "--status": work.status, "--concurrency": work.concurrency != 1}
        given = {} if load.worker is not None else given
        reason = "only a worker heeds it; see --worker and --with-worker"
    for option, there in given.items():
        if there:
            raise ConfigError(f"{option}: {reason}")
    if load.min_bytes > load.max_bytes:
        raise ConfigError(f"--min-size: expected at most --max-size, {load.max_bytes}, got {load.min_bytes}")


@attrs.frozen(kw_only=True)
class _Output:
    """What is told, and how: as the options of these names say."""

    verbose: bool
    as_json: bool


async def _bench(destination: Destination, asked: Load | Work, limit: float, output: _Output) -> None:
    """Do what was asked; the result is printed however it ends, if any job was done."""
    measurement = Measurement()
    total = asked.total if isinstance(asked, Load) else asked.count
    ended = False
    try:
        async with open_rate(measurement, total, verbose=output.verbose):
            if isinstance(asked, Work):
                await run_workers(asked, destination, measurement, ready=lambda: _say_ready(asked))
                ended = True
            else:
                with trio.move_on_after(limit):
                    await run_load(asked, destination, measurement)
                    ended = True
    finally:
        if measurement.ended or ended:
            _print_result(measurement, as_json=output.as_json)
    if not ended:
        hint = "" if measurement.ended else f"; is there a worker for {_text(asked)}?"
        fail(Exit.JOB_FAILED, f"--timeout: not done within {limit:g} s{hint}")
    if measurement.failed:
        fail(Exit.JOB_FAILED, f"{measurement.failed} jobs failed, the last one with: {measurement.trouble}")
    if measurement.refused:
        fail(Exit.REFUSED, f"{measurement.refused} jobs were refused, the last one with: {measurement.trouble}")
    if isinstance(asked, Work) and asked.count is not None and measurement.jobs < asked.count:
        raise typer.Exit(Exit.JOB_FAILED)


def _say_ready(work: Work) -> None:
    typer.echo(f"gearman-trio: ready to do {_text(work)}; Ctrl-C or a job called shutdown ends this", err=True)


def _text(asked: Load | Work) -> str:
    return " and ".join(repr(name.decode("utf-8", "backslashreplace")) for name in asked.functions)


def _print_result(measurement: Measurement, *, as_json: bool) -> None:
    result = measurement.result()
    for line in [json.dumps(result.as_dict())] if as_json else result_lines(result):
        typer.echo(line)
