"""A lock in memcached, which knows no locks and forgets no connection: a key that ends unless it is renewed.

It tells where its holder runs, so that one that died on this machine need not be waited for.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, Final

from ..errors import StorageError

__all__ = ["Lease"]

#: After how long without renewal somebody else may have it, in whole seconds: memcached's clock ticks once a second.
_LEASE_SECONDS: Final = 5

#: How often it is renewed, and how often somebody who wants it looks, in seconds.
_RENEWAL_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.1


class Lease:
    """A key that only one has at a time, from `take` to `release`. A thread renews it.

    Args:
        client: of pymemcache, used for nothing else.
        key: the key.
        name: what the store is called.
        owner: what the server is called.
        errors: what the client raises.
    """

    def __init__(self, client: Any, key: str, name: str, owner: str, errors: tuple[type[Exception], ...]) -> None:
        self._client = client
        self._key = key
        self._name = name
        self._owner = owner
        self._errors = errors
        self._token = secrets.token_hex(8).encode()
        self._renewals = 0
        self._renewed = -inf
        self._over = threading.Event()
        # Guards all of the above: the client is for one thread at a time, and a renewal must not come after the end.
        self._mutex = threading.Lock()

    def take(self) -> None:
        """Wait until nobody has it, at most as long as somebody who died may have it.

        Raises:
            StorageError: somebody else has it, and renews it.
        """
        try:
            self._wait()
        except BaseException:
            self._client.close()
            raise
        self._renewed = time.monotonic()
        threading.Thread(target=self._renew_again_and_again, name=f"lease of {self._name}", daemon=True).start()

    def check(self) -> None:
        """See that nobody else has it.

        Raises:
            StorageError: somebody has, after this process or memcached was not there for some time.
        """
        with self._mutex:
            if time.monotonic() - self._renewed > 2 * _RENEWAL_SECONDS:
                self._renew()

    def doubt(self) -> None:
        """Let the next `check` look, by a new connection, however short ago the last renewal was."""
        with self._mutex:
            self._renewed = -inf
            self._client.close()

    def release(self) -> None:
        """Let go of it, if it is ours."""
        with self._mutex:
            self._over.set()
            with suppress(*self._errors):
                value, cas = self._client.gets(self._key)
                if self._is_ours(value):
                    # It ends at once, unless somebody has changed it by now.
                    self._client.cas(self._key, b"", cas, expire=-1, noreply=False)
            self._client.close()

    def _wait(self) -> None:
        first = None
        deadline = time.monotonic() + _LEASE_SECONDS + 2 * _RENEWAL_SECONDS
        while not self._client.add(self._key, self._value(), expire=_LEASE_SECONDS, noreply=False):
            holder, cas = self._client.gets(self._key)
            first = first or holder
            if _died(holder) and self._client.cas(self._key, self._value(), cas, expire=_LEASE_SECONDS, noreply=False):
                return
            # Who renews it lives.
            if (holder is not None and holder != first) or time.monotonic() > deadline:
                raise StorageError(
                    f"{self._name} is in use by another job server, {_owner(holder)}; "
                    "two servers cannot share one prefix"
                )
            time.sleep(_LOOK_SECONDS)

    def _renew_again_and_again(self) -> None:
        while not self._over.wait(_RENEWAL_SECONDS):
            with self._mutex, suppress(*self._errors, StorageError):
                if not self._over.is_set():
                    self._renew()

    def _renew(self) -> None:
        asked = time.monotonic()
        value, cas = self._client.gets(self._key)
        self._renewals += 1
        if value is None:
            # memcached was started anew, or this process has slept.
            done = self._client.add(self._key, self._value(), expire=_LEASE_SECONDS, noreply=False)
        elif self._is_ours(value):
            done = self._client.cas(self._key, self._value(), cas, expire=_LEASE_SECONDS, noreply=False)
        else:
            done = False
        if not done:
            # So that no commit relies on an earlier renewal.
            self._renewed = -inf
            raise StorageError(f"{self._name} is in use by another job server meanwhile, {_owner(value)}")
        self._renewed = asked

    def _is_ours(self, value: bytes | None) -> bool:
        return value is not None and value.startswith(self._token)

    def _value(self) -> bytes:
        return b"%b %d %b %d %b" % (self._token, self._renewals, _place(), os.getpid(), self._owner.encode())


def _owner(value: bytes | None) -> str:
    parts = (value or b"").split(b" ", 4)
    return parts[4].decode(errors="replace") if len(parts) == 5 else "which opened it just now"


def _died(value: bytes | None) -> bool:
    """Whether the process that has a lease was one of this machine, and has ended."""
    parts = (value or b"").split(b" ", 4)
    if len(parts) != 5 or parts[2] != _place() or parts[2] == b"-":
        return False
    try:
        os.kill(int(parts[3]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, OverflowError):
        pass
    return False


def _place() -> bytes:
    """What names the processes among which this one has its number, as long as the machine runs; ``-`` for nothing."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}".encode()
    except OSError:
        return b"-"
