"""A large file as many jobs: cut at the ends of its lines, done by several workers at once, put together in order.

Try: cut at nothing (`separator=None`), and see where the jobs begin then; take another `chunk_bytes`; give
`run_chunks` a list of pieces, or a stream, instead of a path.
"""

import tempfile

import trio

import gearman_trio

abilities = gearman_trio.Abilities()


@abilities.function
def shout(chunk: bytes) -> bytes:
    return chunk.upper()


async def main(quiet: trio.Path, loud: trio.Path) -> None:
    await quiet.write_text("".join(f"this is line {number}\n" for number in range(20_000)))
    async with (
        gearman_trio.open_server(port=0) as server,
        gearman_trio.open_worker(abilities, server.url, concurrency=4),
        gearman_trio.open_client(server.url) as client,
    ):
        async with (
            client.run_chunks(shout, quiet, chunk_bytes=50_000, separator=b"\n", concurrency=4) as results,
            await loud.open("wb") as file,
        ):
            async for result in results:
                await file.write(result)
        print("lines:", (await loud.read_bytes()).count(b"\n"))
        print("all loud:", (await loud.read_text()) == (await quiet.read_text()).upper())


with tempfile.TemporaryDirectory() as folder:
    trio.run(main, trio.Path(folder, "quiet.txt"), trio.Path(folder, "loud.txt"))
