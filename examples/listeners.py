"""One job server, reached in two ways: by programs of this machine over a unix socket, by others over TLS.

`pip install trustme` first; with certificates of your own, TlsOptions names their files and nothing else is needed.

Try: give the worker no certificate, that is only `ca=`; the server then refuses it, and it says so and tries again
until you press Ctrl-C.
"""

import tempfile
from pathlib import Path

import trio
import trustme

import gearman_trio

abilities = gearman_trio.Abilities()


@abilities.function
async def upper(workload: bytes) -> bytes:
    return workload.upper()


async def main(folder: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    authority.issue_cert("worker@example.org").private_key_and_cert_chain_pem.write_to_path(folder / "worker.pem")

    # With `ca` on the server's side, whoever has no certificate of that authority is refused.
    server_tls = gearman_trio.TlsOptions(certificate=folder / "server.pem", ca=folder / "ca.pem")
    worker_tls = gearman_trio.TlsOptions(certificate=folder / "worker.pem", ca=folder / "ca.pem")
    places = [
        gearman_trio.Listen(f"unix:{folder}/gearman.sock", mode=0o600),
        gearman_trio.Listen("127.0.0.1:0", tls=server_tls),
    ]
    async with gearman_trio.open_server(listen=places) as server:
        here, elsewhere = server.addresses
        async with (
            gearman_trio.open_worker(abilities, elsewhere, ssl_context=worker_tls),
            gearman_trio.open_client(here) as client,
        ):
            print(await client.run("upper", b"over a file and under a lock"))
        # When the certificates have been renewed: new connections get the new ones.
        server.reload_tls()


with tempfile.TemporaryDirectory() as name:
    trio.run(main, Path(name))
