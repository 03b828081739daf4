"""One option of the job server: its names, the type of its value, its default, and what is said about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs

from ..errors import ConfigError

__all__ = [
    "FLAG",
    "FRACTION",
    "NUMBER",
    "SECONDS",
    "TEXT",
    "Kind",
    "Option",
    "OptionError",
    "choice",
    "number",
]


class OptionError(ConfigError):
    """An option has a value that cannot be used.

    Attributes:
        option: the option's long name, without dashes.
        origin: where the value came from, as `Settings.origin` tells it.
        reason: the value, and what is allowed.
    """

    def __init__(self, option: str, origin: str, reason: str) -> None:
        super().__init__(f"--{option} ({origin}): {reason}")
        self.option = option
        self.origin = origin
        self.reason = reason


@attrs.frozen
class Kind:
    """A type of values.

    Attributes:
        metavar: what help and documentation call a value; empty for a flag, which is given or not.
        read: makes a value of a text; raises `ConfigError`, which tells the text and what is allowed.
    """

    metavar: str
    read: Callable[[str], object]

    def called(self, metavar: str) -> Kind:
        """The same type under another name."""
        return attrs.evolve(self, metavar=metavar)


def _as_it_is(value: Any) -> Any:
    return value


@attrs.frozen(kw_only=True)
class Option:
    """An option of ``gearman-trio serve``.

    From this record are made: the command line, the readers of configuration files and of the environment,
    ``--print-config``, and the tables of the documentation.

    Attributes:
        name: the long name, without dashes; with capitals and underlines, and ``GEARMAND_`` before it, the name of the
            environment variable; as it is, the key in a TOML file.
        short: the letter of the short name.
        group: the heading of the documentation under which it stands.
        kind: the type of the value.
        help: what it does.
        default: the value where nobody gives one; its text is what the documentation shows, unless `shown` is given.
        shown: what is said of a default that is not a plain value.
        repeated: whether there may be many values; then the value is a list.
        field: the field of `ServerOptions` that it sets.
        for_field: makes the field's value of the option's, where they are not the same.
        variable: gearmand's name of the environment variable, where it has one.
        gearmand: the versions of gearmand that have it; empty for options of our own.
        remark: what someone who comes from gearmand should know.
        inert: whether it is accepted for gearmand's sake only; `help` says why it has no sense here.
        here_only: whether it is given on the command line only.
        secret: whether ``--print-config`` keeps the value to itself.
    """

    name: str
    short: str = ""
    group: str
    kind: Kind
    help: str
    default: object = None
    shown: str = ""
    repeated: bool = False
    field: str = ""
    for_field: Callable[[Any], Any] = _as_it_is
    variable: str = ""
    gearmand: str = ""
    remark: str = ""
    inert: bool = False
    here_only: bool = False
    secret: bool = False

    @property
    def is_flag(self) -> bool:
        """Whether it is given without a value."""
        return not self.kind.metavar

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that are looked for, in this order."""
        if self.here_only:
            return ()
        uniform = "GEARMAND_" + self.name.upper().replace("-", "_")
        return (uniform,) if self.variable in {"", uniform} else (self.variable, uniform)

    @property
    def default_text(self) -> str:
        """What is said of the default; empty where there is none."""
        if self.shown or self.default is None or self.default == []:
            return self.shown
        if isinstance(self.default, bool):
            return "on" if self.default else ""
        return str(self.default)


def _read_flag(text: str) -> bool:
    """A flag as people write it into the environment.

    Raises:
        ConfigError: it is none.
    """
    value = _FLAGS.get(text.lower())
    if value is None:
        raise ConfigError(f"expected one of {', '.join(_FLAGS)}, got {text!r}")
    return value


def choice(metavar: str, *allowed: str) -> Kind:
    """One of some words."""

    def read(text: str) -> str:
        if text not in allowed:
            raise ConfigError(f"{text!r} is not one of {', '.join(map(repr, allowed))}")
        return text

    return Kind(metavar, read)


def number(least: int, most: float = math.inf) -> Kind:
    """A whole number within limits."""
    allowed = f"of at least {least}" if most == math.inf else f"from {least} to {most}"

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise ConfigError(f"expected a whole number {allowed}, got {text!r}")
        return value

    return Kind("N", read)


def _for_the_field(read: Callable[[str], float], text: str) -> object:
    """A number, or the text as it is, for the field's validator to tell what it takes."""
    try:
        return read(text)
    except ValueError:
        return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise ConfigError(f"expected a number of seconds of at least 0, got {text!r}")
    return value


_FLAGS: Final = {
    "yes": True,
    "no": False,
    "true": True,
    "false": False,
    "on": True,
    "off": False,
    "1": True,
    "0": False,
}

FLAG: Final = Kind("", _read_flag)
TEXT: Final = Kind("TEXT", str)
#: A whole number within the limits of the field that it sets.
NUMBER: Final = Kind("N", partial(_for_the_field, int))
#: Any number within the limits of the field that it sets.
FRACTION: Final = Kind("N", partial(_for_the_field, float))
#: May be ``inf``.
SECONDS: Final = Kind("SECONDS", _seconds)
