"""One memcached server of a store: its part of the rows, and the item that says which these are.

THE KEYS ARE DESCRIBED in docs/reference/storage.md, for people who look into them.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Sequence
from math import inf
from typing import Any, Final

import attrs

from ..errors import StorageError
from .segments import SEGMENT_ROWS, Segments

__all__ = ["SCHEMA", "Index", "MemcachedServer", "ServerFailed"]

logger = logging.getLogger(__name__)

#: The version of the keys.
SCHEMA: Final = 1

#: Values that are written at once: their answers, and the values themselves, must fit into buffers of both sides.
_WRITTEN_ROWS: Final = 500
_WRITTEN_BYTES: Final = 1_000_000

#: Rows to a command that reads.
_READ_ROWS: Final = 128

#: How often it is asked whether it has thrown something away, in seconds.
_LOOK_SECONDS: Final = 10.0


class ServerFailed(Exception):
    """A server did not do what it was told; the text names it."""


@attrs.frozen(kw_only=True)
class Index:
    """What is written down about a server's part of a store.

    Attributes:
        schema: the version of the keys.
        servers: the addresses of all servers of the store, in order: the place of each row depends on it.
        token: whose the store is, by a random name.
        owner: what the job server is called that opened it last.
        epoch: how often one has.
        last_handle: the highest number in a handle.
        evictions: how many items this server had thrown away, of whomever, when that was last looked at.
        job: the ranges of segments that may have jobs, by the server's own numbers.
        quarantine: likewise rows in quarantine.
    """

    schema: int = SCHEMA
    servers: list[str]
    token: str
    owner: str
    epoch: int
    last_handle: int
    evictions: int
    job: list[tuple[int, int]] = attrs.field(factory=list)
    quarantine: list[tuple[int, int]] = attrs.field(factory=list)


class MemcachedServer:
    """One server of a store, by one connection, which is made when it is needed. Every method raises `ServerFailed`.

    Args:
        client: of pymemcache.
        errors: what that raises.
        address: what it is called.
        name: what the store is called.
        prefix: what its keys begin with.
        number: its place among the servers.
        count: how many these are.
    """

    def __init__(
        self,
        client: Any,
        errors: type[Exception],
        address: str,
        *,
        name: str,
        prefix: str,
        number: int,
        count: int,
    ) -> None:
        self._errors = errors
        self.address = address
        self._name = name
        self._client = client
        self._prefix = prefix
        self._number = number
        self._count = count
        self._index: Index | None = None
        self._segments = {"job": Segments(), "quarantine": Segments()}
        self._looked = -inf

    def read_index(self) -> Index | None:
        """What is written down; `None` for nothing.

        Raises:
            StorageError: by a newer version.
        """
        return self._decoded(self._ask("get", self._key("index")))

    def take(self, index: Index, settings: dict[bytes, Any]) -> None:
        """Make it ours, with the rows that are written down.

        Raises:
            StorageError: somebody else does, too.
        """
        text, cas = self._ask("gets", self._key("index"))
        written = self._decoded(text)
        if written is not None:
            index = attrs.evolve(index, job=written.job, quarantine=written.quarantine)
        self.know(index)
        self._write_index(index, text, cas)
        self._index = index
        if settings[b"evictions"] not in (b"off", False):
            logger.warning(
                "%s: it may throw jobs away when its memory is full; expected memcached to run with -M", self.address
            )
        self._look()

    def prepare(self, rows: Iterable[int], last_handle: int, kind: str = "job") -> None:
        """See that it is still ours, and write down that these rows will be there.

        Raises:
            StorageError: somebody else has it.
        """
        assert self._index is not None
        for row in rows:
            self._segments[kind].add(*self._place(row))
        text, cas = self._ask("gets", self._key("index"))
        index = attrs.evolve(
            self._index,
            last_handle=max(last_handle, self._index.last_handle),
            job=list(self._segments["job"].ranges()),
            quarantine=list(self._segments["quarantine"].ranges()),
        )
        written = self._decoded(text)
        if written is None:
            # What is written down now may name rows that are gone.
            logger.error("%s: it has lost what was stored before: it was started anew, emptied, or full", self.address)
        elif written.token != index.token:
            raise StorageError(f"{self._name} is in use by another job server meanwhile, {written.owner}")
        if written != index:
            self._write_index(index, text, cas)
        self._index = index
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look()

    def segments(self, kind: str) -> list[int]:
        """The segments that may have rows, by the numbers that they have in the whole store."""
        return [segment * self._count + self._number for segment in self._segments[kind]]

    def know(self, index: Index) -> None:
        """Believe what is written down."""
        self._segments = {"job": Segments(index.job), "quarantine": Segments(index.quarantine)}

    def read(self, rows: Sequence[int], kind: str = "job") -> list[bytes | None]:
        """What is stored of each row."""
        found: list[bytes | None] = []
        for start in range(0, len(rows), _READ_ROWS):
            keys = [self._key(f"{kind}:{row}") for row in rows[start : start + _READ_ROWS]]
            values = self._ask("get_many", keys)
            found += map(values.get, keys)
        return found

    def read_segment(self, segment: int, kind: str = "job") -> dict[int, bytes]:
        """The rows of a segment that are there."""
        rows = range(segment * SEGMENT_ROWS, (segment + 1) * SEGMENT_ROWS)
        found = {row: value for row, value in zip(rows, self.read(rows, kind), strict=True) if value is not None}
        self._segments[kind].keep(segment // self._count, (row % SEGMENT_ROWS for row in found))
        return found

    def write(self, values: dict[int, bytes], kind: str = "job") -> None:
        """Add rows for which it was prepared, or replace them.

        Raises:
            ServerFailed: it does not take them.
        """
        some: dict[str, bytes] = {}
        size = 0
        for row, value in values.items():
            if some and (size + len(value) > _WRITTEN_BYTES or len(some) == _WRITTEN_ROWS):
                self._set(some)
                some, size = {}, 0
            some[self._key(f"{kind}:{row}")] = value
            size += len(value)
        if some:
            self._set(some)

    def update(self, row: int, value: bytes) -> None:
        """Change a row that is there. Where that fails, it is as it was; a ``set`` would have removed it."""
        self._ask("replace", self._key(f"job:{row}"), value, noreply=False)

    def remove(self, rows: Sequence[int]) -> None:
        """Remove jobs."""
        for start in range(0, len(rows), _WRITTEN_ROWS):
            some = rows[start : start + _WRITTEN_ROWS]
            self._ask("delete_many", [self._key(f"job:{row}") for row in some], noreply=False)
        for row in rows:
            self._segments["job"].remove(*self._place(row))

    def settings(self) -> dict[bytes, Any]:
        """Its settings."""
        settings: dict[bytes, Any] = self._ask("stats", "settings")
        return settings

    def disconnect(self) -> None:
        """Close the connection; the next call makes a new one."""
        self._client.close()

    def evictions(self) -> int:
        """How many items it has thrown away since it was started."""
        return int(self._ask("stats")[b"evictions"])

    def _ask(self, command: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._client, command)(*arguments, **options)
        except OSError as exc:
            raise ServerFailed(f"{self.address}: {exc}") from exc
        except self._errors as exc:
            # An error of memcached comes as bytes, and one of the connection without a text.
            text = exc.args[0] if exc.args else "it closed the connection"
            words = text.decode(errors="replace") if isinstance(text, bytes) else text
            raise ServerFailed(f"{self.address}: {words}") from exc

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    def _place(self, row: int) -> tuple[int, int]:
        """The segment of a row by the server's own numbers, and its place in it."""
        segment, place = divmod(row, SEGMENT_ROWS)
        return segment // self._count, place

    def _set(self, values: dict[str, bytes]) -> None:
        refused = self._ask("set_many", values, noreply=False)
        if refused:
            raise ServerFailed(f"{self.address}: did not take {len(refused)} items, {refused[0]!r} among them")

    def _decoded(self, text: bytes | None) -> Index | None:
        if text is None:
            return None
        fields = json.loads(text)
        if fields["schema"] > SCHEMA:
            raise StorageError(
                f"{self._name} was made by a newer version of gearman_trio: its keys have version {fields['schema']}, "
                f"expected at most {SCHEMA}"
            )
        for kind in ("job", "quarantine"):
            fields[kind] = [(first, last) for first, last in fields[kind]]
        return Index(**fields)

    def _write_index(self, index: Index, text: bytes | None, cas: Any) -> None:
        key, value = self._key("index"), json.dumps(attrs.asdict(index)).encode("ascii")
        if text is None:
            done = self._ask("add", key, value, noreply=False)
        else:
            done = self._ask("cas", key, value, cas, noreply=False)
        if not done:
            raise StorageError(f"{self._name} is in use by another job server, which opened it just now")

    def _look(self) -> None:
        """Tell of items that were thrown away since it was last looked at, by this server or an earlier one."""
        assert self._index is not None
        self._looked = time.monotonic()
        evictions = self.evictions()
        if evictions > self._index.evictions:
            logger.error(
                "%s: it has thrown %d items away for want of memory, jobs perhaps, which a restart will not bring back",
                *(self.address, evictions - self._index.evictions),
            )
        self._index = attrs.evolve(self._index, evictions=evictions)
