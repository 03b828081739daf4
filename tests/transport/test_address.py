"""Addresses as people write them."""

from __future__ import annotations

import pytest

from gearman_trio.errors import ConfigError
from gearman_trio.transport import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("host", Address("host", 4730)),
        ("host:1", Address("host", 1)),
        (":1", Address("127.0.0.1", 1)),
        ("[::1]:1", Address("::1", 1)),
        ("::1", Address("::1", 4730)),
        ("gearman://host:1/", Address("host", 1)),
        ("unix:/run/gearman.sock", Address("", 0, "/run/gearman.sock")),
        ("unix:relative", Address("", 0, "relative")),
        ("gearman://unix:/a:b", Address("", 0, "/a:b")),
    ],
)
def test_text_is_read_and_written(text: str, address: Address) -> None:
    assert address == parse_address(text)
    assert address == parse_address(str(address))


@pytest.mark.parametrize("text", ["host:x", "host:65536", "[::1", "[::1]1", "unix:", "unix:" + "a" * 104, "unix:a\0b"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(text)

    assert repr(text) in str(caught.value)
