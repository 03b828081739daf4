"""Options that are made from the fields of `ServerOptions` themselves, so that none has to be written twice."""

from __future__ import annotations

import inspect
import re
from collections.abc import Container, Iterator
from typing import Any, Final

import attrs

from ..server import ServerOptions
from .option import FLAG, FRACTION, NUMBER, TEXT, Kind, Option, choice

__all__ = ["field_options"]


#: By the type of the field.  What it may be is the matter of the field's validator.
_KINDS: Final = {"bool": FLAG, "int": NUMBER, "float": FRACTION, "str": TEXT}

#: By the end of a field's name: what its values are called.
_UNITS: Final = {"_bytes": "BYTES", "_seconds": "SECONDS"}


def field_options(told: Container[str], *, group: str, cls: type[Any] = ServerOptions) -> Iterator[Option]:
    """An option for each field that is not told of, by its name, its type, its default and its documentation.

    A field of another type than ``bool``, ``int``, ``float``, ``str`` or ``Literal[...]`` needs a row of its own in the
    table.
    """
    documented = _documentation(cls)
    for field in attrs.fields(cls):
        kind = _kind(str(field.type))
        if field.name in told or kind is None:
            continue
        text = documented.get(field.name, "")
        yield Option(
            name=field.name.replace("_", "-"),
            group=group,
            kind=_named(kind, field.name),
            default=field.default,
            help=text[:1].upper() + text[1:],
            field=field.name,
        )


def _kind(annotation: str) -> Kind | None:
    """The kind of a field by its annotation, which is a text."""
    if annotation.startswith("Literal["):
        return choice("WORD", *re.findall(r"[\"']([^\"']+)[\"']", annotation))
    return _KINDS.get(annotation)


def _named(kind: Kind, name: str) -> Kind:
    unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
    return kind.called(unit) if unit else kind


def _documentation(cls: type[Any]) -> dict[str, str]:
    """What the docstring of a class says of each attribute, on one line of plain text."""
    text = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", text, re.MULTILINE)
    return {name: " ".join(words.replace("`", "").split()) for name, words in entries}
