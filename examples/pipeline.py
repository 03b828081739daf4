"""Many background jobs submitted together: one write instead of a question and an answer for each.

Try: give the job server room for a few jobs only (`maxqueue`, with `open_admin`), and see which entries were refused;
ask the client for the status of a handle.
"""

import logging

import trio

import gearman_trio

# The worker logs what it learns; here it would stand between the lines that are printed.
logging.getLogger("gearman_trio").addHandler(logging.NullHandler())

abilities = gearman_trio.Abilities(serializer=gearman_trio.JSON)

sent: set[str] = set()
all_sent = trio.Event()


@abilities.function
async def send(address: str) -> None:
    sent.add(address)
    if len(sent) == 10_003:
        all_sent.set()


async def main() -> None:
    async with (
        gearman_trio.open_server(port=0) as server,
        gearman_trio.open_client(server.url) as client,
    ):
        async with client.pipeline() as pipeline:
            first = pipeline.submit(send, "ann@example.org")
            pipeline.submit("send", b'"ben@example.org"', priority="high")
            pipeline.with_options(unique="mail-3").submit(send, "cid@example.org")
        print(first.function, "known:", (await client.status(first.handle or b"")).known)

        # A pipeline of any length takes no more memory than one piece of it.
        async with client.pipeline() as pipeline:
            for number in range(10_000):
                pipeline.submit(send, f"{number}@example.org")
                if pipeline.unsent_bytes > 100_000:
                    await pipeline.flush()

        async with gearman_trio.open_worker(abilities, server.url, concurrency=100):
            await all_sent.wait()
        print("sent:", len(sent))


trio.run(main)
