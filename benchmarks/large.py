"""How much memory the job server needs for a large workload or result.

The client and the worker are here, and hold no more than a megabyte of it at a time: what they send is made on the
way, and what they receive is compared with that.
"""

from __future__ import annotations

import socket
import struct
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from gearman_trio.protocol import PacketType

from .processes import HOST, open_server
from .tables import Table, number, ratio

__all__ = ["CASES", "Case", "measure_large", "pass_through"]

P = PacketType

_CHUNK_BYTES = 1024 * 1024

#: What is sent, again and again. A prime number, so that no part of it can stand in the place of another unnoticed.
_PERIOD = 251
_PATTERN = bytes(range(_PERIOD)) * (_CHUNK_BYTES // _PERIOD + 2)

#: What the small part of a job has.
_SMALL_BYTES = 100

#: A little less than the longest row of SQLite.
_SQLITE_BYTES = 900_000_000

#: How long anything may take.
_PATIENCE_SECONDS = 300.0


@attrs.frozen(kw_only=True)
class Case:
    """What is large, and who gets it.

    Attributes:
        about: what it is, in a few words.
        workload: whether the workload is large.
        result: whether the result is.
        clients: how many clients wait for the result.
        packet: by which the job is submitted.
        store: the kind of store, or ``""`` for none.
        held: how many times the large one is in memory at the same time, where we copy nothing.
    """

    about: str
    workload: bool = False
    result: bool = False
    clients: int = 1
    packet: PacketType = P.SUBMIT_JOB
    store: str = ""
    held: int = 1


#: The cases by name, in the order of the table.
CASES = {
    "workload": Case(about="a large workload, a small result", workload=True),
    "result": Case(about="a small workload, a large result", result=True),
    "clients": Case(about="a large result for 4 clients of the job", result=True, clients=4),
    "both": Case(about="both: the workload stays until the result is there", workload=True, result=True, held=2),
    "background": Case(about="a large background job", workload=True, packet=P.SUBMIT_JOB_BG),
    "stored": Case(
        about="the same in SQLite, which takes at most a gigabyte and makes two copies",
        workload=True,
        packet=P.SUBMIT_JOB_BG,
        store="sqlite",
        held=3,
    ),
}


def measure_large(names: Sequence[str], size: int, *, progress: Callable[[str], None]) -> Table:
    """Pass large workloads and results through a job server.

    Args:
        names: of `CASES`.
        size: of a workload or result, in bytes.
        progress: told of each case before it begins.

    Raises:
        RuntimeError: something came that was not sent.
    """
    table = Table(
        "Memory of the job server for large jobs", ["case", "what it is", "MiB in flight", "peak MiB", "ratio"], 2
    )
    for name in names:
        case = CASES[name]
        progress(f"{name}: {case.about}")
        largest = min(size, _SQLITE_BYTES) if case.store else size
        peak = _measure(case, largest)
        flight = largest * case.held
        table.add(name, case.about, number(flight / 2**20), number(peak / 2**20), ratio(peak / flight))
    return table


def _measure(case: Case, size: int) -> int:
    """How many bytes of memory a job server took at most for one job, after a small one of the same kind."""
    with tempfile.TemporaryDirectory(prefix="gearman-large-") as folder:
        options = ["--store", f"sqlite:{Path(folder) / 'jobs'}"] if case.store else []
        with open_server("gearman_trio", *options) as server:
            address = (HOST, server.port)
            return pass_through(lambda: socket.create_connection(address), server.pid, case, size)


def pass_through(connect: Callable[[], socket.socket], pid: int, case: Case, size: int) -> int:
    """Do a job with a large workload or result; give how many bytes of memory the job server took for it at most.

    Args:
        connect: makes a connection to the job server.
        pid: of the job server, which must be on this machine, and do nothing else.
        case: what is large.
        size: how many bytes it has.

    Raises:
        RuntimeError: something came that was not sent.
    """
    peers = [_Peer(connect()) for _ in range(1 + case.clients)]
    try:
        worker, *clients = peers
        worker.send(P.CAN_DO, b"large")
        _run_job(case, worker, clients, _SMALL_BYTES)
        before = _memory_bytes(pid, "VmRSS")
        # The highest mark of memory begins anew (proc(5)).
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
        _run_job(case, worker, clients, size)
        return _memory_bytes(pid, "VmHWM") - before
    finally:
        for peer in peers:
            peer.close()


def _run_job(case: Case, worker: _Peer, clients: Sequence[_Peer], size: int) -> None:
    for number_of_client, client in enumerate(clients):
        # All but the first one join its job, with a workload that nobody will see.
        workload = size if case.workload and not number_of_client else _SMALL_BYTES
        client.send(case.packet, b"large\0unique\0", workload)
        client.expect(P.JOB_CREATED)
    worker.send(P.GRAB_JOB)
    handle = worker.expect(P.JOB_ASSIGN, arguments=2, size=size if case.workload else _SMALL_BYTES)[0]
    result = size if case.result else _SMALL_BYTES
    worker.send(P.WORK_COMPLETE, handle + b"\0", result)
    if case.packet is P.SUBMIT_JOB:
        for client in clients:
            client.expect(P.WORK_COMPLETE, arguments=1, size=result)
    worker.send(P.ECHO_REQ, b"", _SMALL_BYTES)
    worker.expect(P.ECHO_RES, size=_SMALL_BYTES)


def _memory_bytes(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} does not tell its {name}")


class _Peer:
    """One connection to a job server, whose packets are sent and received piece by piece."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(_PATIENCE_SECONDS)
        self._socket = sock
        self._file = sock.makefile("rb")

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def send(self, kind: PacketType, arguments: bytes = b"", size: int = 0) -> None:
        """Send a packet with these arguments, each with its NUL, and a last field of so many bytes."""
        self._socket.sendall(b"\0REQ" + struct.pack(">II", kind, len(arguments) + size) + arguments)
        pattern = memoryview(_PATTERN)
        for start in range(0, size, _CHUNK_BYTES):
            offset = start % _PERIOD
            self._socket.sendall(pattern[offset : offset + min(_CHUNK_BYTES, size - start)])

    def expect(self, kind: PacketType, *, arguments: int = 0, size: int | None = None) -> list[bytes]:
        """Receive a packet of this type; give so many of its arguments, which end with NUL.

        Args:
            kind: the type.
            arguments: their number.
            size: of the last field, which is what `send` sends; without it, it may be anything.

        Raises:
            RuntimeError: it is another packet.
        """
        magic, came, left = struct.unpack(">4sII", self._read(12))
        values = []
        for _ in range(arguments):
            value = b""
            while not value.endswith(b"\0"):
                value += self._read(1)
            left -= len(value)
            values.append(value[:-1])
        if (magic, came) != (b"\0RES", kind) or (size is not None and left != size):
            raise RuntimeError(f"expected {kind.name} with {size} bytes, got packet {came} with {left}")
        if size is None:
            self._read(left)
        else:
            self._compare(size)
        return values

    def _compare(self, size: int) -> None:
        place = memoryview(bytearray(_CHUNK_BYTES))
        pattern = memoryview(_PATTERN)
        received = 0
        while received < size:
            count = self._file.readinto(place[: min(_CHUNK_BYTES, size - received)])
            offset = received % _PERIOD
            if not count or place[:count] != pattern[offset : offset + count]:
                raise RuntimeError(f"what came is not what was sent, from byte {received} on")
            received += count

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise RuntimeError("the job server closed the connection")
        return data
