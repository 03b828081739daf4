"""The administrative text protocol, with the replies of gearmand 2.0 text.cc byte for byte.

Actions are answered with ``OK`` and CR LF, values with ``OK <value>`` and LF, tables with rows that end in LF and a
line with a single dot.  Where gearmand has a defect, ours differs: see `docs/reference/compatibility.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..protocol.codec import TEXT
from .job import HIGH, LOW, NORMAL, RUNNING
from .outcome import Outcomes
from .peer import Peer
from .registry import Registry

__all__ = ["Admin"]

#: Questions of a few bytes have answers of megabytes, and a peer may ask thousands before it reads one. All of them are
#: answered before anything is sent, so the limit is here. It has room for the jobs of a server with a million.
_MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024

_CONTROL: Final = bytes(range(32)) + b"\x7f"

_OK: Final = b"OK\r\n"
_END: Final = b".\n"
_UNKNOWN: Final = b"ERR UNKNOWN_COMMAND Unknown+server+command%s\r\n"
_INCOMPLETE: Final = b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+%s\r\n"
_IN_USE: Final = b"ERR there are still connected workers or executing clients\r\n"


class Admin:
    """Answers administrative lines."""

    __slots__ = ("_outcomes", "_peers", "_policy", "_registry")

    def __init__(self, registry: Registry, outcomes: Outcomes, peers: dict[int, Peer]) -> None:
        self._registry = registry
        self._policy = registry.policy
        self._outcomes = outcomes
        self._peers = peers

    def command(self, peer: Peer, kind: int, line: bytes, now: float) -> None:
        """Answer one line."""
        assert kind == TEXT
        unsent = peer.outbox_bytes + peer.held_bytes
        if unsent > _MAX_UNSENT_BYTES:
            peer.failure = f"asked for more while {unsent} bytes of answers wait to be sent"
            return
        words = line.split()
        command = words[0].lower() if words else b""
        match command:
            case b"status":
                peer.send(self._status())
            case b"prioritystatus":
                peer.send(self._priority_status())
            case b"workers":
                peer.send(self._workers())
            case b"show":
                peer.send(self._show(words))
            case b"cancel":
                peer.send(self._cancel(words))
            case b"create" | b"drop":
                peer.send(self._create_or_drop(command, words))
            case b"maxqueue":
                peer.send(self._maxqueue(words))
            case b"version":
                peer.send(b"OK %s\n" % self._policy.version.encode())
            case b"getpid":
                peer.send(b"OK %d\n" % self._policy.process_id)
            case b"verbose":
                peer.send(b"OK %s\n" % self._policy.verbosity.encode())
            case _:
                peer.send(_UNKNOWN % (words[0] if words else b""))

    def _status(self) -> bytes:
        return _table(
            b"%s\t%d\t%d\t%d\n" % (printable(function.name), function.total, function.running, len(function.workers))
            for function in self._registry.functions.values()
        )

    def _priority_status(self) -> bytes:
        return _table(
            b"%s\t%d\t%d\t%d\t%d\n"
            % (
                printable(function.name),
                function.waiting(HIGH),
                function.waiting(NORMAL),
                function.waiting(LOW),
                len(function.workers),
            )
            for function in self._registry.functions.values()
        )

    def _workers(self) -> bytes:
        return _table(
            b"%d %s %s :%s\n"
            % (
                peer.number,
                peer.address.encode(),
                printable(peer.client_id).replace(b" ", b"\\x20") or b"-",
                b"".join(b" " + printable(function.name) for function in peer.abilities),
            )
            for peer in self._peers.values()
        )

    def _show(self, words: list[bytes]) -> bytes:
        what = [word.lower() for word in words[1:]]
        if not what:
            return _UNKNOWN % words[0]
        if what == [b"jobs"]:
            # The last column says of background jobs that they are queued for good, as gearmand's builtin queue has it.
            return _table(
                b"%s\t%d\t0\t%d\n"
                % (job.handle, job.attempts - 1 if job.state == RUNNING else job.attempts, job.background)
                for job in self._registry.jobs.values()
            )
        if what == [b"unique", b"jobs"]:
            return _table(b"%s\n" % printable(job.unique) for job in self._registry.jobs.values())
        return b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n"

    def _cancel(self, words: list[bytes]) -> bytes:
        if len(words) < 3:
            return _UNKNOWN % words[0]
        if words[1].lower() != b"job":
            return b"ERR UNKNOWN_ERROR\r\n"
        return _OK if self._outcomes.cancel(words[2]) else b"ERR UNKNOWN_JOB\r\n"

    def _create_or_drop(self, command: bytes, words: list[bytes]) -> bytes:
        if len(words) != 3 or words[1].lower() != b"function":
            return _INCOMPLETE % command
        name = words[2]
        functions = self._registry.functions
        if command == b"create":
            if len(name) > self._policy.max_function_bytes:
                return b"ERR CREATE_FUNCTION %s\r\n" % name
            self._registry.function(name).pinned = True
            return _OK
        function = functions.get(name)
        if function is None:
            return b"ERR function not found\r\n"
        if function.workers or function.total:
            return _IN_USE
        del functions[name]
        return _OK

    def _maxqueue(self, words: list[bytes]) -> bytes:
        if len(words) < 2:
            return _INCOMPLETE % b"maxqueue"
        sizes = [_size(word) for word in words[2:5]]
        if len(sizes) <= 1:
            sizes = (sizes or [0]) * 3
        elif len(sizes) == 2:
            sizes.append(0)
        name = words[1]
        # Unlike in gearmand, a limit may be set before the function is first used; not where that cannot happen.
        if name in self._registry.functions or (any(sizes) and len(name) <= self._policy.max_function_bytes):
            self._registry.function(name).limits = (sizes[0], sizes[1], sizes[2])
        return _OK


def _table(rows: Iterable[bytes]) -> bytes:
    return b"".join(rows) + _END


def _size(word: bytes) -> int:
    """A queue size as gearmand reads it: what is not a number above zero means no limit."""
    return int(word) if word.isdigit() and len(word) <= 18 else 0


def printable(value: bytes) -> bytes:
    """Text for one cell of a table: control characters, which would break the table, as ``\\x0a``."""
    if len(value.translate(None, _CONTROL)) != len(value):
        return b"".join(b"\\x%02x" % byte if byte < 32 or byte == 127 else b"%c" % byte for byte in value)
    return value
