"""TLS of the job server's listeners, from files."""

from __future__ import annotations

import ssl

import attrs

from ..errors import ConfigError

__all__ = ["TlsFiles"]


@attrs.frozen(kw_only=True)
class TlsFiles:
    """Where certificate and key are, and who may connect.

    Attributes:
        certificate: the server's certificate, with the chain behind it.
        key: its key.
        authority: who must have signed the certificate that clients and workers then need; ``None`` to ask for none.
    """

    certificate: str
    key: str
    authority: str | None = None

    def context(self) -> ssl.SSLContext:
        """A context for listeners, TLS 1.2 or newer.

        Raises:
            ConfigError: a file cannot be read, or does not hold what it should.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.load(context)
        if self.authority is not None:
            try:
                context.load_verify_locations(self.authority)
            except OSError as exc:
                raise ConfigError(f"--ssl-ca-file: {self.authority!r} cannot be used: {_reason(exc)}") from exc
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def load(self, context: ssl.SSLContext) -> None:
        """Read certificate and key, for connections that come from now on.

        Raises:
            ConfigError: a file cannot be read, or does not hold what it should; the context stays as it was.
        """
        try:
            # Into another one first, for a certificate that does not fit its key would stay half loaded.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password=_no_password)
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except OSError as exc:
            raise ConfigError(
                f"--ssl-certificate, --ssl-key: {self.certificate!r} and {self.key!r} cannot be used: {_reason(exc)}"
            ) from exc


def _no_password() -> str:
    # Without this, OpenSSL asks for it on the terminal, and a server would wait there for ever.
    raise ConfigError("--ssl-key: the key must not be protected by a password")


def _reason(exc: OSError) -> str:
    return exc.strerror or str(exc)
