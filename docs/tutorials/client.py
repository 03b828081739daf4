import trio

import gearman_trio


async def show(client: gearman_trio.Client, text: bytes) -> None:
    print(text, "reversed is", await client.run("reverse", text))


async def main() -> None:
    async with gearman_trio.open_client("127.0.0.1:4730") as client:
        async with trio.open_nursery() as nursery:
            for text in (b"stressed", b"drawer", b"level"):
                nursery.start_soon(show, client, text)

        async with client.stream("count", b"5") as job:
            async for event in job:
                print(event)


trio.run(main)
