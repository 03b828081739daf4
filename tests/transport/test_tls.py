"""TLS from files: what is checked, what is refused, and in which words."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from gearman_trio.errors import ConfigError
from gearman_trio.transport import TlsOptions, client_context, server_context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, cert.pem, key.pem, both.pem, other-key.pem, locked.pem, and nonsense.pem."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    leaf, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    leaf.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    other.private_key_pem.write_to_path(folder / "other-key.pem")
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    encryption = BestAvailableEncryption(b"secret")
    (folder / "locked.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption))
    (folder / "nonsense.pem").write_text("nonsense")
    return folder


def test_server_asks_for_certificates_where_it_has_an_authority(files: Path) -> None:
    plain = TlsOptions(certificate=files / "both.pem").server_context()
    asking = TlsOptions(certificate=files / "cert.pem", key=files / "key.pem", ca=files / "ca.pem").server_context()

    assert (ssl.CERT_NONE, ssl.CERT_REQUIRED) == (plain.verify_mode, asking.verify_mode)
    assert ssl.TLSVersion.TLSv1_2 == plain.minimum_version


def test_client_always_checks(files: Path) -> None:
    trusting_system = TlsOptions().client_context()
    context = TlsOptions(ca=files / "ca.pem", minimum_version=ssl.TLSVersion.TLSv1_3).client_context()

    assert [ssl.CERT_REQUIRED] * 2 == [trusting_system.verify_mode, context.verify_mode]
    assert trusting_system.check_hostname
    assert context.check_hostname
    assert 1 == len(context.get_ca_certs())
    assert ssl.TLSVersion.TLSv1_3 == context.minimum_version


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "TLS: a server needs a certificate, and there is none"),
        ({"certificate": "missing.pem"}, "TLS: the certificate '{}/missing.pem' cannot be read: No such file"),
        ({"certificate": "cert.pem", "key": "missing"}, "TLS: the key '{}/missing' cannot be read: No such file"),
        ({"certificate": "both.pem", "ca": "missing"}, "TLS: the CA '{}/missing' cannot be read: No such file"),
        ({"certificate": "both.pem", "ca": "nonsense.pem"}, "TLS: no CA certificates in '{}/nonsense.pem': "),
        ({"certificate": "cert.pem"}, "TLS: no certificate and key that belong together in '{}/cert.pem': "),
        (
            {"certificate": "cert.pem", "key": "other-key.pem"},
            "TLS: no certificate and key that belong together in '{0}/cert.pem' and '{0}/other-key.pem': ",
        ),
        (
            {"certificate": "cert.pem", "key": "locked.pem"},
            "TLS: the key in '{}/locked.pem' is encrypted; store it without",
        ),
    ],
)
def test_file_that_cannot_be_used_is_named(files: Path, options: dict[str, str], message: str) -> None:
    paths = {name: files / file for name, file in options.items()}

    with pytest.raises(ConfigError) as caught:
        TlsOptions(**paths).server_context()  # type: ignore[arg-type]  # a converter takes paths of both kinds

    assert str(caught.value).startswith(message.format(files))


def test_key_without_certificate_is_refused(files: Path) -> None:
    with pytest.raises(ConfigError, match="has no certificate"):
        TlsOptions(key=files / "key.pem").client_context()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, "1.2", None])
def test_old_versions_are_refused(version: object) -> None:
    with pytest.raises(ConfigError, match="minimum_version: expected TLSv1_2 or TLSv1_3"):
        TlsOptions(minimum_version=version)  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize(
    ("apply", "prefix"),
    [(TlsOptions.with_server_environment, "GEARMAND_SERVER"), (TlsOptions.with_client_environment, "GEARMAN_CLIENT")],
)
def test_variables_of_gearmand_override_the_options(
    apply: Callable[[TlsOptions, dict[str, str]], TlsOptions], prefix: str
) -> None:
    options = TlsOptions(certificate="a", key="b", ca="c")
    environ = {f"{prefix}_PEM": "1", f"{prefix}_KEY": "2", "GEARMAND_CA_CERTIFICATE": "3"}

    assert attrs.evolve(options, certificate="1", key="2", ca="3") == apply(options, environ)
    assert options == apply(options, {"GEARMAND_CA_CERTIFICATE": ""})


def test_contexts_of_the_caller_are_taken_as_they_are(files: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    assert context is server_context(context)
    assert context is client_context(context)
    assert server_context(TlsOptions(certificate=files / "both.pem")) is not context
