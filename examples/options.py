"""Options stand apart from the arguments of a call: who is first, what is joined, when it starts, which server gets it.

Try: `run_at=` and `delay=` in one call of `with_options`; a `server=` that the client does not know.
"""

import logging

import trio

import gearman_trio

# The worker logs what it learns; here it would stand between the lines that are printed.
logging.getLogger("gearman_trio").addHandler(logging.NullHandler())

abilities = gearman_trio.Abilities(serializer=gearman_trio.JSON)
rang = trio.Event()


@abilities.function
async def count_words(text: str) -> int:
    return len(text.split())


@abilities.function
async def ring(why: str) -> None:
    print("ring:", why)
    rang.set()


async def main() -> None:
    async with (
        gearman_trio.open_server(port=0) as one,
        gearman_trio.open_server(port=0) as other,
        gearman_trio.open_worker(abilities, one.url, other.url, concurrency=2),
        gearman_trio.open_client(one.url, other.url) as client,
    ):
        urgent = client.with_options(priority="high", unique="-")
        print("words:", await urgent.run(count_words, "a cat and a dog"))

        began = trio.current_time()
        await client.with_options(delay=0.5).submit(ring, "the bread is done")
        await rang.wait()
        print(f"after {trio.current_time() - began:.1f} s")

        # A view of a view has the options of both; by name, a call may have options of its own.
        there = urgent.with_options(server=other.url)
        print("words:", await there.run("count_words", b'"two words"', priority="low"))
        print("at the other server:", there.server == other.addresses[0])


trio.run(main)
