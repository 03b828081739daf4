"""Where a subcommand finds its job server, and whether it speaks TLS there: the same options everywhere."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Callable
from functools import partial, wraps
from typing import Annotated, Any, Final, Literal

import attrs
import typer

from ..transport import TlsOptions
from .options import ServerArgument, ServerOption, ServersOption

__all__ = ["TLS_OPTIONS", "Destination", "asks_server", "asks_server_argument", "asks_servers"]

_HERE: Final = "127.0.0.1:4730"

_TLS_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@attrs.frozen
class Destination:
    """Job servers, and how they are talked to.

    Attributes:
        addresses: one or several, checked.
        tls: the files of TLS, or ``None`` for none of it.
    """

    addresses: tuple[str, ...]
    tls: TlsOptions | None = None

    @property
    def address(self) -> str:
        """The only address, where an option takes no more than one."""
        (address,) = self.addresses
        return address

    def arguments(self) -> list[str]:
        """The words of a command line that say the same."""
        words = [f"--server={address}" for address in self.addresses]
        if self.tls is None:
            return words
        files = {"ca-file": self.tls.ca, "certificate": self.tls.certificate, "key": self.tls.key}
        words += ["--ssl", *(f"--ssl-{name}={path}" for name, path in files.items() if path is not None)]
        version = next(name for name, version in _TLS_VERSIONS.items() if version is self.tls.minimum_version)
        return [*words, f"--ssl-minimum-version={version}"]


def _file(name: str, variable: str, text: str, default: str | bool = False) -> inspect.Parameter:
    option = typer.Option(f"--{name}", metavar="FILE", envvar=variable, help=text, show_default=default)
    return _parameter(name, Annotated[str | None, option], None)


def _parameter(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name.replace("-", "_"), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


#: The files of TLS. Their variables are those of libgearman.
_FILES: Final = (
    _file(
        "ssl-ca-file",
        "GEARMAND_CA_CERTIFICATE",
        "Who must have signed the server's certificate.",
        default="those that the system trusts",
    ),
    _file("ssl-certificate", "GEARMAN_CLIENT_PEM", "The certificate to show to a server that asks for one."),
    _file("ssl-key", "GEARMAN_CLIENT_KEY", "The key of that certificate, if it is in another file."),
)

_SSL: Final = _parameter(
    "ssl",
    Annotated[
        bool,
        typer.Option("--ssl", "-S", help="Speak TLS; another option about it on the command line says so too."),
    ],
    False,
)

_MINIMUM_VERSION: Final = _parameter(
    "ssl-minimum-version",
    Annotated[
        Literal["1.2", "1.3"],
        typer.Option("--ssl-minimum-version", help="The oldest version of TLS that is spoken."),
    ],
    "1.2",
)

_TLS: Final = (_SSL, *_FILES, _MINIMUM_VERSION)

#: The names of the parameters about TLS, which every command has that connects to a job server.
TLS_OPTIONS: Final = frozenset(parameter.name for parameter in _TLS)

#: Tells a value of the command line from one of the environment.
_CONTEXT: Final = _parameter("context", typer.Context, inspect.Parameter.empty)


def _asks(server: inspect.Parameter, command: Callable[..., None]) -> Callable[..., None]:
    """Put the options that make a destination where a command has its parameter of that name."""

    @wraps(command)
    def ask(*, context: typer.Context, **given: Any) -> None:
        tls = {parameter.name: given.pop(parameter.name) for parameter in _TLS}
        asked = given.pop("server") or [_HERE]
        addresses = (asked,) if isinstance(asked, str) else tuple(asked)
        command(destination=Destination(addresses, _tls(context, tls)), **given)

    parameters = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        added = [server, *_TLS] if parameter.name == "destination" else [parameter]
        parameters += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in added]
    parameters.append(_CONTEXT)
    # Typer reads the options of a command from its signature, and looks for their types there too.
    ask.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    ask.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return ask


def _tls(context: typer.Context, given: dict[str, Any]) -> TlsOptions | None:
    def on_command_line(parameter: inspect.Parameter) -> bool:
        source = context.get_parameter_source(parameter.name)
        return source is not None and source.name == "COMMANDLINE"

    # A file that the environment names serves those who say --ssl; what was typed in must not be passed over.
    if not (given["ssl"] or any(map(on_command_line, _TLS))):
        return None
    return TlsOptions(
        ca=given["ssl_ca_file"] or None,
        certificate=given["ssl_certificate"] or None,
        key=given["ssl_key"] or None,
        minimum_version=_TLS_VERSIONS[given["ssl_minimum_version"]],
    )


#: For a command that talks to one job server, which it gets as its parameter `destination`.
asks_server = partial(_asks, _parameter("server", ServerOption, _HERE))

#: For a command that talks to several.
asks_servers = partial(_asks, _parameter("server", ServersOption, None))

#: For a command whose argument is a job server.
asks_server_argument = partial(_asks, _parameter("server", ServerArgument, _HERE))
