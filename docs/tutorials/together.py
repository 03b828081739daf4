import trio

import gearman_trio
from jobs import abilities


async def main() -> None:
    async with (
        gearman_trio.open_server(port=0) as server,
        gearman_trio.open_worker(abilities, server.url, concurrency=4),
        gearman_trio.open_client(server.url) as client,
    ):
        print(await client.run("reverse", b"!dlrow olleH"))


trio.run(main)
