"""Where a job server is."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from ...transport import Address
from .constants import DEFAULT_GEARMAN_PORT
from .errors import ServerUnavailable

__all__ = ["GearmanConnection"]


class GearmanConnection:
    """One job server of a client or worker, with or without a connection to it just now.

    TLS is used where all three files are given.

    Attributes:
        gearman_host: a name or an address.
        gearman_port: a TCP port.
        keyfile: the private key of this side, PEM.
        certfile: the certificate of this side, PEM.
        ca_certs: the certificates that the server's is checked against, PEM.
        use_ssl: whether TLS is used.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = DEFAULT_GEARMAN_PORT,
        keyfile: str | None = None,
        certfile: str | None = None,
        ca_certs: str | None = None,
    ) -> None:
        if host is None:
            raise ServerUnavailable("a connection needs a host")
        self.gearman_host = host
        self.gearman_port = int(port or DEFAULT_GEARMAN_PORT)
        self.keyfile = keyfile
        self.certfile = certfile
        self.ca_certs = ca_certs
        self.use_ssl = all([keyfile, certfile, ca_certs])
        # Set by whoever uses the connection; only reads what another thread writes.
        self.probe: Callable[[], bool] | None = None

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(host={self.gearman_host!r}, port={self.gearman_port!r}, keyfile={self.keyfile!r}, "
            f"certfile={self.certfile!r}, ca_certs={self.ca_certs!r})"
        )

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self.probe is not None and self.probe()

    def get_address(self) -> tuple[str, int]:
        """The host and the port."""
        return self.gearman_host, self.gearman_port

    def address(self) -> Address:
        """The same as the rest of gearman_trio takes it."""
        return Address(self.gearman_host, self.gearman_port)

    def ssl_context(self) -> ssl.SSLContext | None:
        """What TLS needs to know, or ``None`` without TLS.

        Raises:
            OSError: a file cannot be read.
        """
        if not self.use_ssl:
            return None
        assert self.certfile is not None
        context = ssl.create_default_context(cafile=self.ca_certs)
        context.load_cert_chain(self.certfile, self.keyfile)
        return context
