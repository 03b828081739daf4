"""Where values of options come from besides the command line: files of two formats, and the environment."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigError
from .option import Option, OptionError
from .table import OPTIONS, by_name, by_short_name

__all__ = ["DEFAULT_CONFIG_FILE", "Raw", "read_environment", "read_toml", "read_words"]

#: A value as its source has it: `True` and `False` for flags, otherwise text, or a list of texts.
Raw = bool | str | list[str]

#: What gearmand reads without being told; that it is missing is no error.
DEFAULT_CONFIG_FILE: Final = Path("/etc/gearmand.conf")

#: These say which files there are, so no file can say them.
_NOT_IN_FILES: Final = {"config", "config-file"}


def read_environment(environ: Mapping[str, str]) -> Iterator[tuple[Option, Raw, str]]:
    """The options that the environment gives, each with the name of its variable. An empty variable counts as unset.

    Raises:
        OptionError: a flag is neither yes nor no.
    """
    for option in OPTIONS:
        for variable in option.variables:
            text = environ.get(variable, "")
            if text:
                yield option, _from_text(option, text, variable), variable
                break


def _from_text(option: Option, text: str, origin: str) -> Raw:
    if option.repeated:
        return text.replace(",", " ").split()
    if not option.is_flag:
        return text
    try:
        return bool(option.kind.read(text))
    except ConfigError as exc:
        raise OptionError(option.name, origin, str(exc)) from exc


def read_toml(path: Path) -> Iterator[tuple[Option, Raw, str]]:
    """The options that a TOML file gives; underlines in keys count as dashes.

    Raises:
        ConfigError: the file cannot be read, is not TOML, or has a key that is no option.
        OptionError: a value has the wrong type.
    """
    try:
        values = tomllib.loads(_read(path, "--config"))
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"--config: {str(path)!r} is not TOML: {exc}") from exc
    for key, value in values.items():
        option = _known(by_name(key.replace("_", "-")), key, path)
        yield option, _from_toml(option, value, str(path)), str(path)


def _from_toml(option: Option, value: Any, origin: str) -> Raw:
    if option.is_flag:
        if not isinstance(value, bool):
            raise OptionError(option.name, origin, f"expected true or false, got {value!r}")
        return value
    if option.repeated and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    if isinstance(value, bool | list | dict) or not isinstance(value, str | int | float):
        expected = "a text or a list of texts" if option.repeated else "a text or a number"
        raise OptionError(option.name, origin, f"expected {expected}, got {value!r}")
    return [str(value)] if option.repeated else str(value)


def read_words(path: Path) -> Iterator[tuple[Option, Raw, str]]:
    """The options that a file of gearmand's format gives: words as on the command line, with white space between.

    There is no quoting, as in gearmand. Lines that begin with ``#`` are passed over, whereas gearmand finds options in
    them too.

    Raises:
        ConfigError: the file cannot be read, has a word that is no option, or an option without its value.
    """
    lines = _read(path, "--config-file").splitlines()
    words = iter([word for line in lines if not line.lstrip().startswith("#") for word in line.split()])
    for word in words:
        if word.startswith("--"):
            yield _long(word, words, path)
        elif word.startswith("-") and len(word) > 1:
            yield from _short(word, words, path)
        else:
            raise ConfigError(f"--config-file: {str(path)!r}: expected an option, got {word!r}")


def _long(word: str, words: Iterator[str], path: Path) -> tuple[Option, Raw, str]:
    name, equals, value = word[2:].partition("=")
    negated = by_name(name.removeprefix("no-")) if name.startswith("no-") else None
    if negated is not None and negated.is_flag:
        option, flag = _known(negated, word, path), False
    else:
        option, flag = _known(by_name(name), word, path), True
    if option.is_flag:
        if equals:
            raise OptionError(option.name, str(path), f"takes no value, got {value!r}")
        return option, flag, str(path)
    return _with_value(option, (lambda: value) if equals else words.__next__, path)


def _short(word: str, words: Iterator[str], path: Path) -> Iterator[tuple[Option, Raw, str]]:
    """``-p 1``, ``-p1``, and flags one after another, as in ``-dR``."""
    for position, letter in enumerate(word[1:], start=2):
        option = _known(by_short_name(letter), f"-{letter}", path)
        if not option.is_flag:
            rest = word[position:].removeprefix("=")
            # The loop variable is bound at once, for the value is read before the loop goes on.
            yield _with_value(option, iter([rest]).__next__ if rest else words.__next__, path)
            return
        yield option, True, str(path)


def _with_value(option: Option, take: Callable[[], str], path: Path) -> tuple[Option, Raw, str]:
    try:
        value = take()
    except StopIteration:
        raise OptionError(option.name, str(path), "expected a value after it") from None
    return option, [value] if option.repeated else value, str(path)


def _known(option: Option | None, name: str, path: Path) -> Option:
    if option is None:
        raise ConfigError(f"{str(path)!r}: there is no option {name!r}")
    if option.here_only or option.name in _NOT_IN_FILES:
        raise ConfigError(f"{str(path)!r}: {name!r} is an option of the command line only")
    return option


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{option}: {str(path)!r} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{option}: {str(path)!r} is not UTF-8: {exc.reason} at byte {exc.start}") from exc
