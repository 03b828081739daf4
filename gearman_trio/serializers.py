"""Serializers: how the values of a call become bytes, and bytes become values again."""

from __future__ import annotations

import json
from typing import Any, Final, Protocol, get_origin, runtime_checkable

__all__ = ["BYTES", "JSON", "TEXT", "Serializer", "never_fits"]

_BUFFERS: Final = (bytearray, memoryview)


@runtime_checkable
class Serializer(Protocol):
    """What carries values over the wire: `BYTES`, `TEXT`, `JSON`, or any object with these three members.

    Its `repr` names it in error messages, which never show a value.

    Attributes:
        structured: whether one value may be made of others, as in JSON.  Then a function may have any number of
            parameters, which go as one ``dict`` by name where there are several, and its result is one value, to be
            read as a whole.  Without structure, as with bytes and text, a function has one parameter at most, a
            result of ``None`` is sent as no bytes at all, and a result that comes in parts is put together.
    """

    @property
    def structured(self) -> bool:
        """Whether one value may be made of others."""
        ...

    def dumps(self, value: Any, /) -> bytes:
        """Write a value; any exception says that the value does not fit, and its message what would."""
        ...

    def loads(self, data: bytes, /) -> Any:
        """Read a value; any exception says that these bytes are none."""
        ...


class _Bytes:
    """Bytes as they are.

    Pickled by its name, as the others are, so that it is the same object in every process.
    """

    structured: Final = False

    def __repr__(self) -> str:
        return "BYTES"

    def __reduce__(self) -> str:
        return "BYTES"

    def dumps(self, value: Any, /) -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(value, _BUFFERS):
            return bytes(value)
        raise TypeError("expected bytes, bytearray or memoryview")

    def loads(self, data: bytes, /) -> Any:
        return data


class _Text:
    """Text as UTF-8."""

    structured: Final = False

    def __repr__(self) -> str:
        return "TEXT"

    def __reduce__(self) -> str:
        return "TEXT"

    def dumps(self, value: Any, /) -> bytes:
        if isinstance(value, str):
            return value.encode("utf-8")
        raise TypeError("expected str")

    def loads(self, data: bytes, /) -> Any:
        return data.decode("utf-8")


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


class _Json:
    """JSON as RFC 8259 has it: UTF-8, without NaN and the infinities; nothing is escaped that need not be."""

    structured: Final = True

    def __init__(self) -> None:
        self._encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
        self._decode = json.JSONDecoder(parse_constant=_no_constant).decode

    def __repr__(self) -> str:
        return "JSON"

    def __reduce__(self) -> str:
        return "JSON"

    def dumps(self, value: Any, /) -> bytes:
        try:
            return self._encode(value).encode("utf-8")
        except TypeError as exc:
            raise TypeError(f"expected None, bool, int, float, str, or lists and dicts of them: {exc}") from exc

    def loads(self, data: bytes, /) -> Any:
        return self._decode(data.decode("utf-8"))


#: Bytes as they are: ``bytes``, ``bytearray`` or ``memoryview`` in, ``bytes`` out.
BYTES: Final[Serializer] = _Bytes()

#: ``str`` in and out, UTF-8 between.
TEXT: Final[Serializer] = _Text()

#: What JSON has, as `json` of the standard library maps it: a tuple arrives as a list, keys of a ``dict`` as text.
JSON: Final[Serializer] = _Json()

_SCALARS: Final = (int, float, bool, complex)
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)

#: Types that can never be what `Serializer.loads` gives.
_NEVER_READ: Final[list[tuple[Serializer, tuple[type, ...]]]] = [
    (BYTES, (str, *_SCALARS, *_CONTAINERS, *_BUFFERS)),
    (TEXT, (bytes, *_SCALARS, *_CONTAINERS, *_BUFFERS)),
    (JSON, (bytes, complex, set, frozenset, *_BUFFERS)),
]


def never_fits(serializer: Serializer, annotation: object, *, written: bool = False) -> bool:
    """Whether a parameter or result with this annotation can only be a mistake; of strangers nothing is known.

    Args:
        serializer: what carries the value.
        annotation: a type; anything else may fit.
        written: whether the value is only ever written here, so that BYTES takes a bytearray.
    """
    plain = get_origin(annotation) or annotation
    if written and serializer is BYTES and plain in _BUFFERS:
        return False
    return any(serializer is known and plain in types for known, types in _NEVER_READ)
