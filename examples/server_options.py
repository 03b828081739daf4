"""A job server with limits of its own, and what a client sees of one of them.

Try: `gearman_trio.ServerOptions(max_attempts=-1)`, and see what the error says; find out in the reference what else
there is.
"""

import logging

import trio

import gearman_trio

logging.getLogger("gearman_trio").addHandler(logging.NullHandler())

options = gearman_trio.ServerOptions(
    # A job that has cost three workers their life is not given to a fourth.
    max_attempts=3,
    # Nobody here sends more than this.
    max_packet_bytes=16 * 1024,
    # No function may fill the memory with jobs that nobody does.
    max_held_bytes_per_function=256 * 1024 * 1024,
    # Nor may one machine take all connections.
    max_connections_per_address=1000,
    # A client that does not read its results is disconnected when so much waits for it.
    outbox_limit_bytes=64 * 1024 * 1024,
)


async def main() -> None:
    async with (
        gearman_trio.open_server(port=0, options=options) as server,
        gearman_trio.open_client(server.url) as client,
    ):
        print(len(await client.echo(bytes(1000))), "bytes came back")
        try:
            await client.submit("resize", bytes(17_000))
        except gearman_trio.GearmanError as exc:
            print(exc)


trio.run(main)
