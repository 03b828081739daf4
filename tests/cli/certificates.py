"""Certificates in files, for servers on this machine and their peers."""

from __future__ import annotations

import datetime
from pathlib import Path

import attrs
import trustme

from gearman_trio import TlsOptions

__all__ = ["Certificates", "make_certificates"]


@attrs.frozen
class Certificates:
    """Files in PEM.

    Attributes:
        ca: the authority of the server and of its peers.
        other_ca: another one.
        certificate: of the server, with its key; and of the peers.
        key: the key alone.
    """

    ca: str
    other_ca: str
    certificate: str
    key: str

    def of_server(self, *, asks_peers: bool = False) -> TlsOptions:
        """What the server's side is made from."""
        return TlsOptions(certificate=self.certificate, key=self.key, ca=self.ca if asks_peers else None)


def make_certificates(folder: Path, *, not_after: datetime.datetime | None = None) -> Certificates:
    """Make files for the names that servers on this machine are connected to by."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1", not_after=not_after)
    found = Certificates(*(str(folder / name) for name in ("ca.pem", "other-ca.pem", "cert.pem", "key.pem")))
    authority.cert_pem.write_to_path(found.ca)
    trustme.CA().cert_pem.write_to_path(found.other_ca)
    issued.private_key_pem.write_to_path(found.key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(found.certificate, append=True)
    return found
