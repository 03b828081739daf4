"""TLS as files and a version: what servers and their peers make their contexts from, and can make them from again."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from ..errors import ConfigError

__all__ = ["Tls", "TlsOptions", "client_context", "server_context"]


def _path(value: str | os.PathLike[str] | None) -> str | None:
    return None if value is None else os.fspath(value)


def _version(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value not in {ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3}:
        raise ConfigError(f"{attribute.name}: expected TLSv1_2 or TLSv1_3 of ssl.TLSVersion, got {value!r}")


@attrs.frozen(kw_only=True)
class TlsOptions:
    """Certificates in files, in PEM.

    A server needs a certificate; with `ca` it asks every peer for one too, and lets nobody in without.  A client,
    worker or administrator checks the server's certificate and that it names the host it connected to, always; over a
    unix socket the name is ``localhost``.  It needs a certificate of its own where the server asks for one.

    Attributes:
        certificate: this side's certificate, and those between it and its authority.
        key: its private key, not encrypted; ``None`` where it is in the file of the certificate.
        ca: the authorities that the other side's certificate must come from. ``None``: a server asks for none, and a
            client goes by those that the system trusts.
        minimum_version: the oldest version that is spoken, TLS 1.2 or 1.3.
    """

    certificate: str | None = attrs.field(default=None, converter=_path)
    key: str | None = attrs.field(default=None, converter=_path)
    ca: str | None = attrs.field(default=None, converter=_path)
    minimum_version: ssl.TLSVersion = attrs.field(default=ssl.TLSVersion.TLSv1_2, validator=_version)

    def with_server_environment(self, environ: Mapping[str, str] = os.environ) -> TlsOptions:
        """These options, but for what gearmand's variables say.

        They are ``GEARMAND_CA_CERTIFICATE``, ``GEARMAND_SERVER_PEM`` and ``GEARMAND_SERVER_KEY``.
        """
        return self._with(environ, "GEARMAND_SERVER_PEM", "GEARMAND_SERVER_KEY")

    def with_client_environment(self, environ: Mapping[str, str] = os.environ) -> TlsOptions:
        """These options, but for what libgearman's variables say.

        They are ``GEARMAND_CA_CERTIFICATE``, ``GEARMAN_CLIENT_PEM`` and ``GEARMAN_CLIENT_KEY``.
        """
        return self._with(environ, "GEARMAN_CLIENT_PEM", "GEARMAN_CLIENT_KEY")

    def server_context(self) -> ssl.SSLContext:
        """A context for the server's side, from the files as they are now.

        Raises:
            ConfigError: there is no certificate, or a file cannot be used.
        """
        if self.certificate is None:
            raise ConfigError("TLS: a server needs a certificate, and there is none")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._prepare(context)
        if self.ca is not None:
            _trust(context, self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self) -> ssl.SSLContext:
        """A context for the side that connects, from the files as they are now.

        Raises:
            ConfigError: a file cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._prepare(context)
        if self.ca is None:
            context.load_default_certs()
        else:
            _trust(context, self.ca)
        return context

    def _with(self, environ: Mapping[str, str], certificate: str, key: str) -> TlsOptions:
        return attrs.evolve(
            self,
            ca=environ.get("GEARMAND_CA_CERTIFICATE") or self.ca,
            certificate=environ.get(certificate) or self.certificate,
            key=environ.get(key) or self.key,
        )

    def _prepare(self, context: ssl.SSLContext) -> None:
        context.minimum_version = self.minimum_version
        if self.certificate is None:
            if self.key is not None:
                raise ConfigError(f"TLS: the key {self.key!r} has no certificate")
            return
        _check_readable("certificate", self.certificate)
        if self.key is not None:
            _check_readable("key", self.key)

        def no_password() -> str:
            # Without this OpenSSL asks on the terminal, and waits.
            raise ConfigError(f"TLS: the key in {self.key or self.certificate!r} is encrypted; store it without")

        try:
            context.load_cert_chain(self.certificate, self.key, no_password)
        except ssl.SSLError as exc:
            files = repr(self.certificate) if self.key is None else f"{self.certificate!r} and {self.key!r}"
            raise ConfigError(f"TLS: no certificate and key that belong together in {files}: {exc}") from exc


#: How an interface takes TLS: a context made by the caller, or options to make one from.
Tls = ssl.SSLContext | TlsOptions


def server_context(tls: Tls) -> ssl.SSLContext:
    """The context for the server's side.

    Raises:
        ConfigError: as `TlsOptions.server_context`.
    """
    return tls.server_context() if isinstance(tls, TlsOptions) else tls


def client_context(tls: Tls) -> ssl.SSLContext:
    """The context for the side that connects.

    Raises:
        ConfigError: as `TlsOptions.client_context`.
    """
    return tls.client_context() if isinstance(tls, TlsOptions) else tls


def _trust(context: ssl.SSLContext, path: str) -> None:
    _check_readable("CA", path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as exc:
        raise ConfigError(f"TLS: no CA certificates in {path!r}: {exc}") from exc


def _check_readable(what: str, path: str) -> None:
    # OpenSSL does not say which file it could not read.
    try:
        with Path(path).open("rb"):
            pass
    except OSError as exc:
        raise ConfigError(f"TLS: the {what} {path!r} cannot be read: {exc.strerror}") from exc
