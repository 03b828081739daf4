"""The value of every option, from all of its sources, with the one that won.

A value is taken from the first of these that has one:

1. the command line,
2. the environment,
3. the TOML file of ``--config``,
4. gearmand's file, that of ``--config-file`` or ``/etc/gearmand.conf``,
5. what ``--compat`` implies,
6. the default.

Values of an option that may be repeated are not put together: those of one source replace those of the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs

from ..errors import ConfigError
from ..server import ServerOptions
from .option import Option, OptionError
from .process import COMPAT
from .queues import store_url
from .sources import DEFAULT_CONFIG_FILE, Raw, read_environment, read_toml, read_words
from .table import OPTIONS

__all__ = ["COMMAND_LINE", "Settings", "resolve"]

COMMAND_LINE: Final = "command line"

_DEFAULT: Final = "default"

#: Options of which each comes to nothing without one of some others.
_NEEDED: Final = {
    "web-token": ("web",),
    "web-hide-workloads": ("web",),
    "ssl-certificate": ("ssl", "listen-tls"),
    "durability": ("store", "queue-type"),
}


@attrs.frozen
class _Setting:
    value: Any
    origin: str


class Settings:
    """The value of every option.

    Args:
        settings: by the option's long name.
    """

    def __init__(self, settings: Mapping[str, _Setting]) -> None:
        self._settings = settings

    def __getitem__(self, name: str) -> Any:
        """The value of an option, by its long name."""
        return self._settings[name].value

    def origin(self, name: str) -> str:
        """Where a value came from: the command line, a file, an environment variable, ``--compat 1.1``, default."""
        return self._settings[name].origin

    def given(self, option: Option) -> bool:
        """Whether anybody gave a value, or ``--compat`` implies one."""
        return self.origin(option.name) != _DEFAULT

    def server_options(self) -> ServerOptions:
        """What of it is the broker's matter."""
        values = {option.field: (option, self[option.name]) for option in OPTIONS if option.field}
        fields = {field: option.for_field(value) for field, (option, value) in values.items() if value is not None}
        if self["compat"] == "1.1" and self["job-retries"] == 0:
            # To 1.1 this is no limit.
            fields["max_attempts"] = 0
        return ServerOptions(**fields)

    def store_url(self) -> str | None:
        """The store that gearmand's options for its queue ask for; see `gearman_trio.config.store_url`.

        Raises:
            ConfigError: as there.
        """
        return store_url({name: setting.value for name, setting in self._settings.items()})

    def without_effect(self) -> list[Option]:
        """Options that were given although they are accepted for gearmand's sake only."""
        return [option for option in OPTIONS if option.inert and self.given(option)]

    def remarks(self) -> list[str]:
        """What of the options comes to nothing, and why: those that gearmand alone needs, or that need another one."""
        lines = [
            f"--{option.name} has no effect: {option.help.removeprefix('Accepted; ')}"
            for option in self.without_effect()
        ]
        for name, needed in _NEEDED.items():
            if self._chosen(name) and not any(map(self._chosen, needed)):
                lines.append(f"--{name} has no effect without {' or '.join(f'--{each}' for each in needed)}")
        return lines

    def _chosen(self, name: str) -> bool:
        return self.origin(name) != _DEFAULT and bool(self[name])

    def as_toml(self) -> str:
        """A file for ``--config`` with every value, and behind each where it came from."""
        lines = []
        for option in OPTIONS:
            if option.here_only or option.name in {"config", "config-file"}:
                continue
            value = self[option.name]
            if value is None:
                line = f"# {option.name} ="
            elif option.secret:
                line = f"# {option.name} = (not shown)"
            else:
                line = f"{option.name} = {_toml(value)}"
            lines.append(f"{line:<40}  # {self.origin(option.name)}\n")
        return "".join(lines)


def _toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool | int | float | str | list):
        # A text of JSON is one of TOML, and so are lists of them, true and false.
        return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    return json.dumps(str(value), ensure_ascii=False)


def resolve(given: Mapping[str, Raw], environ: Mapping[str, str]) -> Settings:
    """Find the value of every option.

    Args:
        given: what the command line says, by long names.
        environ: the environment.

    Raises:
        OptionError: a value cannot be used; the error names the option, where the value is from, and what is allowed.
        ConfigError: a file cannot be read, or has something that is no option.
    """
    found: dict[str, _Setting] = {}
    command_line = [(option, given[option.name], COMMAND_LINE) for option in OPTIONS if option.name in given]
    _add(found, command_line)
    _add(found, read_environment(environ))
    if "config" in found:
        _add(found, read_toml(Path(found["config"].value)))
    if "config-file" in found:
        _add(found, read_words(Path(found["config-file"].value)))
    elif DEFAULT_CONFIG_FILE.exists():
        _add(found, read_words(DEFAULT_CONFIG_FILE))
    compat = found["compat"].value if "compat" in found else "none"
    implied = {name: _Setting(value, f"--compat {compat}") for name, value in COMPAT[compat].items()}
    defaults = {option.name: _Setting(option.default, _DEFAULT) for option in OPTIONS}
    return Settings({**defaults, **implied, **found})


def _add(found: dict[str, _Setting], source: Iterable[tuple[Option, Raw, str]]) -> None:
    """Add what a source says of options that no earlier one had; check all that it says."""
    values: dict[str, _Setting] = {}
    for option, raw, origin in source:
        value = _read(option, raw, origin)
        if option.repeated and option.name in values:
            value = [*values[option.name].value, *value]
        values[option.name] = _Setting(value, origin)
    for name, setting in values.items():
        found.setdefault(name, setting)


def _read(option: Option, raw: Raw, origin: str) -> Any:
    read = partial(_read_one, option, origin)
    if isinstance(raw, bool):
        return raw
    return [read(text) for text in raw] if isinstance(raw, list) else read(raw)


def _read_one(option: Option, origin: str, text: str) -> Any:
    try:
        value = option.kind.read(text)
        if option.field:
            ServerOptions(**{option.field: option.for_field(value)})
    except ConfigError as exc:
        raise OptionError(option.name, origin, str(exc).removeprefix(f"{option.field}: ")) from exc
    return value
