"""Options that several subcommands share, spelled once, with checks that tell the value and what is allowed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Annotated, Final

import typer

from ..client import Priority
from ..errors import ConfigError
from ..names import client_id, function_name, unique_id
from ..transport import parse_address
from .logs import level_number

__all__ = [
    "ClientIdOption",
    "FunctionArgument",
    "JsonLogsOption",
    "JsonOption",
    "LogFileOption",
    "PriorityOption",
    "ServerArgument",
    "ServerOption",
    "ServersOption",
    "UniqueOption",
    "VerboseOption",
    "checked",
    "finite_seconds",
    "seconds",
    "server_address",
    "whole_number",
]

_Value = str | list[str] | None

#: How a job server's address is written.
_FORMS: Final = "HOST, HOST:PORT or unix:PATH"


def checked(check: Callable[[str], object]) -> Callable[[_Value], _Value]:
    """A callback that turns the `ConfigError` of `check` into a usage error, which names the option."""

    def callback(value: _Value) -> _Value:
        for text in value if isinstance(value, list) else [value]:
            try:
                if text is not None:
                    check(text)
            except ConfigError as exc:
                raise typer.BadParameter(str(exc)) from exc
        return value

    return callback


def whole_number(least: int, most: float = math.inf) -> Callable[[str | int], int]:
    """A parser of whole numbers within limits. Typer's own limits do not tell the value that broke them."""
    allowed = f"of at least {least}" if most == math.inf else f"from {least} to {most}"

    def parse(value: str | int) -> int:
        try:
            number = int(value)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise typer.BadParameter(f"expected a whole number {allowed}, got {value!r}")
        return number

    return parse


def seconds(value: str | float) -> float:
    """A parser of a number of seconds, which may be ``inf``."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not number >= 0:
        raise typer.BadParameter(f"expected a number of seconds of at least 0, got {value!r}")
    return number


def finite_seconds(value: str | float) -> float:
    """A parser of a number of seconds, which may not be ``inf``."""
    number = seconds(value)
    if math.isinf(number):
        raise typer.BadParameter(f"expected a number of seconds that is finite, got {value!r}")
    return number


def server_address(text: str) -> None:
    """Check that an address can be looked up.

    Raises:
        ConfigError: it cannot; the message names it.
    """
    host = parse_address(text).host
    try:
        # What the resolver does first, where this error would come out as it is.
        host.encode("idna")
    except UnicodeError as exc:
        raise ConfigError(f"address {text!r}: {host!r} cannot be the name of a host") from exc


FunctionArgument = Annotated[
    str,
    typer.Argument(
        metavar="FUNCTION",
        help="The name of the function.",
        callback=checked(lambda text: function_name(os.fsencode(text))),
    ),
]
ServerOption = Annotated[
    str,
    typer.Option(
        "--server",
        "-s",
        metavar="HOST:PORT",
        envvar="GEARMAN_SERVER",
        help=f"The job server: {_FORMS}.",
        callback=checked(server_address),
    ),
]
ServerArgument = Annotated[
    str,
    typer.Argument(
        metavar="HOST:PORT",
        envvar="GEARMAN_SERVER",
        help=f"The job server: {_FORMS}.",
        callback=checked(server_address),
    ),
]
ServersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--server",
        "-s",
        metavar="HOST:PORT",
        envvar="GEARMAN_SERVER",
        help=f"A job server: {_FORMS}; may be repeated.",
        show_default="127.0.0.1:4730",
        callback=checked(server_address),
    ),
]
PriorityOption = Annotated[Priority, typer.Option("--priority", help="Which queue the job waits in.")]
UniqueOption = Annotated[
    str | None,
    typer.Option(
        "--unique",
        "-u",
        metavar="ID",
        help="Jobs of one function with the same unique ID run once; - takes the workload for the ID.",
        callback=checked(lambda text: unique_id(os.fsencode(text))),
    ),
]
ClientIdOption = Annotated[
    str | None,
    typer.Option(
        "--client-id",
        metavar="ID",
        help="How the servers' tables call it.",
        show_default="gearman_trio-HOST-PID",
        callback=checked(lambda text: client_id(os.fsencode(text))),
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
VerboseOption = Annotated[
    str,
    typer.Option(
        "--verbose",
        metavar="LEVEL",
        help="What is logged: FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG.",
        callback=checked(level_number),
    ),
]
LogFileOption = Annotated[
    str,
    typer.Option("--log-file", "-l", metavar="FILE", help="Where the log goes: a file, 'stderr' or 'none'."),
]
JsonLogsOption = Annotated[bool, typer.Option("--json-logs", help="Write each line of the log as a JSON object.")]
