"""What keys send, and what they are called."""

from __future__ import annotations

import os
import pty
import termios

import pytest

from gearman_trio.cli.top_keys import decode_keys, single_keys


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", ["q"]),
        (b"ab", ["a", "b"]),
        ("ä/".encode(), ["ä", "/"]),
        (b"\x1b[A\x1b[B\x1bOA\x1bOB", ["up", "down", "up", "down"]),
        (b"\x1b[5~\x1b[6~\x1b[H\x1b[F\x1b[1~\x1b[4~", ["page up", "page down", "home", "end", "home", "end"]),
        (b"\x1b", ["escape"]),
        (b"\r\n\t\x7f\x08", ["enter", "enter", "tab", "backspace", "backspace"]),
        (b"\x1b[15~x", ["x"]),
        (b"\x1b[1;5Cx", ["x"]),
        (b"\x00\x01\xff", ["\ufffd"]),
        (b"", []),
    ],
)
def test_keys_are_told_by_name(data: bytes, keys: list[str]) -> None:
    assert keys == decode_keys(data)


def test_terminal_is_left_as_it_was() -> None:
    ours, theirs = pty.openpty()
    try:
        before = termios.tcgetattr(theirs)
        with single_keys(theirs):
            within = termios.tcgetattr(theirs)
        after = termios.tcgetattr(theirs)
    finally:
        os.close(ours)
        os.close(theirs)

    assert before == after
    assert not within[3] & (termios.ICANON | termios.ECHO)
    # Ctrl-C is still a signal.
    assert within[3] & termios.ISIG
