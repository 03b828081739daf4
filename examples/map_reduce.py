"""A large job that one worker splits, many workers do, and one result comes of: which words are most frequent.

Try: let `count` raise for some part; take the partition's concurrency for 1, and see how long it takes.
"""

from collections import Counter
from collections.abc import AsyncIterator

import trio

import gearman_trio

splitting = gearman_trio.Abilities(serializer=gearman_trio.JSON)
counting = gearman_trio.Abilities(serializer=gearman_trio.JSON)

TEXT = """
the quick brown fox jumps over the lazy dog
the dog sleeps on
a fox is not a dog
"""


def most_frequent(counts: list[dict[str, int]]) -> list[str]:
    total = Counter[str]()
    for count in counts:
        total.update(count)
    return [word for word, _ in total.most_common(2)]


@splitting.partition(aggregate=most_frequent, concurrency=20)
async def words(text: str) -> AsyncIterator[str]:
    for line in text.splitlines():
        yield line


@counting.function
async def count(line: str) -> dict[str, int]:
    return Counter(line.split())


async def main() -> None:
    async with (
        gearman_trio.open_server(port=0) as server,
        gearman_trio.open_worker(splitting, server.url),
        gearman_trio.open_worker(counting, server.url, concurrency=10),
        gearman_trio.open_client(server.url) as client,
    ):
        frequent = await client.map_reduce(words, count, TEXT)
        print("most frequent:", frequent)


trio.run(main)
