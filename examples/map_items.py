"""A job for each of many items, some at a time; results are read as they come.

Try: give ordered=True, and see the results wait for those before them; take a larger concurrency than the worker's.
"""

import logging
from collections.abc import Iterator

import trio

import gearman_trio

# The worker logs what it learns; here it would stand between the lines that are printed.
logging.getLogger("gearman_trio").addHandler(logging.NullHandler())

abilities = gearman_trio.Abilities(serializer=gearman_trio.JSON)


@abilities.function
async def letters(word: str) -> int:
    if not word.isalpha():
        raise ValueError("not a word")
    return len(word)


def words() -> Iterator[str]:
    yield from ["as", "many", "as", "there", "are"]


async def main() -> None:
    async with (
        gearman_trio.open_server(port=0) as server,
        gearman_trio.open_worker(abilities, server.url, concurrency=4),
        gearman_trio.open_client(server.url) as client,
    ):
        total = 0
        async with client.map(letters, words(), concurrency=4) as results:
            async for length in results:
                total += length
        print("letters:", total)

        async with client.map(letters, ["one", "2", "three"], ordered=True, on_error="yield") as results:
            async for result in results:
                print(result if isinstance(result, int) else "failed")


trio.run(main)
