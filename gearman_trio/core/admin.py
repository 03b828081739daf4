"""The administrative text protocol, with the replies of gearmand 2.0 text.cc byte for byte.

Actions are answered with ``OK`` and CR LF, values with ``OK <value>`` and LF, tables with rows that end in LF and a
line with a single dot.  Where gearmand has a defect, ours differs: see `docs/reference/compatibility.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from ..protocol.codec import TEXT
from .activity import connection_rows, function_rows, running_rows
from .peer import Peer
from .registry import Registry
from .steering import Steering
from .tables import (
    JobFilter,
    attached_rows,
    function_job_rows,
    job_rows,
    limit_rows,
    listener_rows,
    paused_rows,
    priority_rows,
    status_rows,
    unique_rows,
    worker_rows,
)

__all__ = ["Admin"]

#: Questions of a few bytes have answers of megabytes, and a peer may ask thousands before it reads one. All of them are
#: answered before anything is sent, so the limit is here. It has room for the jobs of a server with a million.
_MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024

_OK: Final = b"OK\r\n"
_END: Final = (b".\n",)
_UNKNOWN: Final = b"ERR UNKNOWN_COMMAND Unknown+server+command%s\r\n"
_INCOMPLETE: Final = b"ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+%s\r\n"
_NO_FUNCTION: Final = b"ERR function not found\r\n"
_IN_USE: Final = b"ERR there are still connected workers or executing clients\r\n"


class Admin:
    """Answers administrative lines.

    Attributes:
        shutdown: ``"now"`` or ``"graceful"`` once an administrator has asked for it, else empty.
    """

    __slots__ = ("_peers", "_policy", "_registry", "_steering", "shutdown")

    def __init__(self, registry: Registry, steering: Steering, peers: dict[int, Peer]) -> None:
        self._registry = registry
        self._policy = registry.policy
        self._steering = steering
        self._peers = peers
        self.shutdown: str = ""

    def command(self, peer: Peer, kind: int, line: bytes, now: float) -> None:
        """Answer one line."""
        assert kind == TEXT
        unsent = peer.outbox_bytes + peer.behind_bytes
        if unsent > _MAX_UNSENT_BYTES:
            peer.failure = f"asked for more while {unsent} bytes of answers wait to be sent"
            return
        words = line.split()
        command = words[0].lower() if words else b""
        match command:
            case b"status":
                self._table(peer, status_rows(self._registry))
            case b"prioritystatus":
                self._table(peer, priority_rows(self._registry))
            case b"workers":
                self._table(peer, worker_rows(self._peers))
            case b"show":
                self._show(peer, words)
            case b"list":
                self._list(peer, words)
            case b"pause" | b"resume" | b"purge":
                self._steer(peer, command, words)
            case b"jobs" | b"clients" | b"shutdown":
                self._for_administrators(peer, command, words)
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

    def _table(self, peer: Peer, rows: Iterator[bytes]) -> None:
        peer.answer(chain(rows, _END))

    def _show(self, peer: Peer, words: list[bytes]) -> None:
        what = [word.lower() for word in words[1:3]]
        if not what:
            peer.send(_UNKNOWN % words[0])
        elif what == [b"jobs"] and len(words) == 2:
            self._table(peer, job_rows(self._registry))
        elif what == [b"unique", b"jobs"] and len(words) == 3:
            self._table(peer, unique_rows(self._registry))
        elif what == [b"functions"] and len(words) == 2:
            self._table(peer, function_rows(self._registry))
        elif what == [b"running"] and len(words) == 2:
            self._table(peer, running_rows(self._peers, self._registry.now))
        elif what == [b"connections"] and len(words) == 2:
            self._table(peer, connection_rows(self._peers, self._registry.now))
        elif what == [b"paused"] and len(words) == 2:
            self._table(peer, paused_rows(self._registry))
        elif what[0] == b"maxqueue" and len(words) == 2:
            self._table(peer, limit_rows([each for each in self._registry.functions.values() if any(each.limits)]))
        elif what[0] == b"maxqueue" and len(words) == 3:
            function = self._registry.functions.get(words[2])
            if function is None:
                peer.send(_NO_FUNCTION)
            else:
                self._table(peer, limit_rows([function]))
        else:
            peer.send(b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n")

    def _list(self, peer: Peer, words: list[bytes]) -> None:
        if len(words) < 3 or words[1].lower() != b"jobs":
            peer.send(_INCOMPLETE % b"list")
            return
        function = self._registry.functions.get(words[2])
        if function is None:
            peer.send(_NO_FUNCTION)
            return
        wanted = JobFilter()
        for word in words[3:]:
            wrong = wanted.read(word)
            if wrong:
                peer.send(b"ERR INVALID_ARGUMENTS %s\r\n" % wrong.replace(" ", "+").encode())
                return
        self._table(peer, function_job_rows(self._registry, function, wanted))

    def _for_administrators(self, peer: Peer, command: bytes, words: list[bytes]) -> None:
        """The commands of Perl's Gearman::Server; for anybody else they do not exist, as in gearmand."""
        if not peer.admin:
            peer.send(_UNKNOWN % words[0])
        elif command == b"jobs":
            self._table(peer, listener_rows(self._registry))
        elif command == b"clients":
            self._table(peer, attached_rows(self._peers))
        elif len(words) == 1 or [word.lower() for word in words[1:]] == [b"graceful"]:
            # The harder one holds.
            self.shutdown = "now" if len(words) == 1 or self.shutdown == "now" else "graceful"
            peer.send(_OK)
        else:
            peer.send(_INCOMPLETE % b"shutdown")

    def _steer(self, peer: Peer, command: bytes, words: list[bytes]) -> None:
        """``pause``, ``resume`` and ``purge`` of a function."""
        if len(words) != 3 or words[1].lower() != b"function":
            peer.send(_INCOMPLETE % command)
            return
        name = words[2]
        steering = self._steering
        if command == b"purge":
            purged = steering.purge_named(name)
            if purged is None:
                peer.send(_NO_FUNCTION)
            else:
                peer.answer(_purge_rows(purged))
        elif command == b"pause":
            peer.send(_OK if steering.pause(name) else _NO_FUNCTION)
        else:
            peer.send(_OK if steering.resume(name) else _NO_FUNCTION)

    def _cancel(self, words: list[bytes]) -> bytes:
        if len(words) < 3:
            return _UNKNOWN % words[0]
        if words[1].lower() != b"job":
            return b"ERR UNKNOWN_ERROR\r\n"
        return _OK if self._steering.cancel(words[2]) else b"ERR UNKNOWN_JOB\r\n"

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
            return _NO_FUNCTION
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
        # Where there is nothing to limit, gearmand says OK too.
        self._steering.limit(words[1], (sizes[0], sizes[1], sizes[2]))
        return _OK


def _purge_rows(purged: Iterator[int]) -> Iterator[bytes]:
    """A row for each job looked at; the last one tells how many were ended."""
    ended = 0
    for count in purged:
        ended += count
        yield b""
    yield b"OK %d\n" % ended


def _size(word: bytes) -> int:
    """A queue size as gearmand reads it: what is not a number above zero means no limit."""
    return int(word) if word.isdigit() and len(word) <= 18 else 0
