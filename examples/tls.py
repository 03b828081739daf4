"""TLS between the job server and its peers, with a certificate authority that lives as long as this program.

`pip install trustme` first; with certificates of your own, the two contexts are made with
ssl.create_default_context() and load_cert_chain() instead.

Try: take away the line with `configure_trust(server_context)`; the server then refuses the worker, which says so and
tries again until you press Ctrl-C.
"""

import ssl

import trio
import trustme

import gearman_trio

abilities = gearman_trio.Abilities()


@abilities.function
async def upper(workload: bytes) -> bytes:
    return workload.upper()


authority = trustme.CA()

server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
authority.issue_cert("localhost", "127.0.0.1").configure_cert(server_context)
# Peers must show a certificate of their own; without these two lines anybody may connect.
server_context.verify_mode = ssl.CERT_REQUIRED
authority.configure_trust(server_context)

peer_context = ssl.create_default_context()
authority.configure_trust(peer_context)
authority.issue_cert("worker@example.org").configure_cert(peer_context)


async def main() -> None:
    async with (
        gearman_trio.open_server(port=0, ssl_context=server_context) as server,
        gearman_trio.open_worker(abilities, server.url, ssl_context=peer_context),
        gearman_trio.open_client(server.url, ssl_context=peer_context) as client,
    ):
        print(await client.run("upper", b"nobody else can read this"))


trio.run(main)
