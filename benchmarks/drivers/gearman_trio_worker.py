"""The worker of gearman_trio."""

from __future__ import annotations

import trio

import gearman_trio

from .measure import worker_settings


def main() -> None:
    """Work until killed."""
    settings = worker_settings()
    abilities = gearman_trio.Abilities()

    @abilities.function(name=settings.function)
    async def echo(workload: bytes) -> bytes:
        return workload

    async def run() -> None:
        server = f"{settings.host}:{settings.port}"
        await gearman_trio.run_worker(abilities, server, concurrency=settings.depth)

    trio.run(run)


if __name__ == "__main__":
    main()
