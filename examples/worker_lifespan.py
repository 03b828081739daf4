"""What a worker opens once, a database for instance, goes to every function that asks for it; middleware sees each job.

Try: open two workers with the same lifespan, and see that each has a database of its own.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio

import gearman_trio
from gearman_trio.worker import CallNext

abilities = gearman_trio.Abilities(serializer=gearman_trio.TEXT)


class Prices(gearman_trio.Injected):
    """Deriving from Injected says that the worker fills the parameter, and not the client."""

    def __init__(self) -> None:
        self.table = {"apple": "30 cents"}


@asynccontextmanager
async def open_prices() -> AsyncIterator[Prices]:
    print("open")
    yield Prices()
    print("closed, after the last job")


@abilities.function
async def price(prices: Prices, name: str) -> str:
    return prices.table[name]


async def tell(job: gearman_trio.Job, call_next: CallNext) -> bytes:
    try:
        result = await call_next()
    except KeyError as exc:
        # What is raised here, or comes through from the function, decides how the job ends.
        raise gearman_trio.Fail(f"no price of {exc}") from exc
    print(job.function.decode(), "gave", result.decode())
    return result


async def main() -> None:
    async with trio.open_nursery() as nursery:
        server: gearman_trio.Server = await nursery.start(partial(gearman_trio.serve, port=0))
        run_worker = partial(gearman_trio.open_worker, lifespan=open_prices, middleware=[tell, gearman_trio.log_jobs])
        async with run_worker(abilities, server.url), server.open_client() as client:
            print(await client.run(price, "apple"))
        await server.drain()


trio.run(main)
