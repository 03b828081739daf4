"""What `gearman-trio top` may have seen."""

from __future__ import annotations

from typing import Any

from gearman_trio.cli.top_look import FunctionLine, JobLine, Picture, WorkerLine

__all__ = ["function", "job", "picture", "worker"]


def function(name: str, **more: Any) -> FunctionLine:
    return FunctionLine(
        **{"function": name, "waiting": 0, "high": 0, "normal": 0, "low": 0, "running": 0, "workers": 1, **more}
    )


def job(handle: str, **more: Any) -> JobLine:
    return JobLine(handle=handle, **more)


def worker(number: int, **more: Any) -> WorkerLine:
    return WorkerLine(**{"number": number, "client_id": "-", "address": "::1", "functions": ("f",), **more})


def picture(*lines: FunctionLine | JobLine | WorkerLine, own: bool = True) -> Picture:
    return Picture(
        version="1",
        own=own,
        taken_at=0.0,
        connections=3,
        functions=tuple(line for line in lines if isinstance(line, FunctionLine)),
        jobs=tuple(line for line in lines if isinstance(line, JobLine)),
        workers=tuple(line for line in lines if isinstance(line, WorkerLine)),
    )
