"""The views of the page, and what a worker does for them: one job is always running, one always fails."""

from __future__ import annotations

import trio

from gearman_trio import Abilities, Job

__all__ = ["VIEWS", "abilities"]

VIEWS = ["", "running", "queued", "scheduled", "failed", "workers", "server"]

abilities = Abilities()


@abilities.function
async def resize(workload: bytes, job: Job) -> None:
    await job.status(3, 4)
    await trio.sleep_forever()


@abilities.function
async def fail(workload: bytes) -> None:
    raise ValueError("the picture is broken: a PNG was expected, and something else came")
