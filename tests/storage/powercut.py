"""What a power cut leaves of SQLite's files: what was synced, and of the rest whatever the disk had got to by then.

Run as a program, it stores batches of jobs, and cuts the power again and again: in the middle of commits, where SQLite
waits for the disk, and behind them.  A cut is a folder with the files as they would be found, and a list of the rows
that had been committed.

How it is done: SQLite reaches files through a table of functions, its VFS.  This one is the usual one, but for the
function that syncs, which keeps a copy of the file as it is synced.  A cut then takes each sector of 512 bytes either
from that copy or from the file, by lot; what was never synced may be lost, kept, or both in one file.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import json
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from gearman_trio.storage import Batch, Durability, SQLiteStore, StoredJob

__all__ = ["main"]

_SECTOR: Final = 512

#: How many of the moments at which the disk is waited for are cuts.
_CUT_SHARE: Final = 0.25

_BATCHES: Final = 60

# The name must stay where it is: SQLite keeps the pointer, and has more behind it.
_Open = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _VFS(ctypes.Structure):
    """sqlite3_vfs, of which only the beginning matters; the rest is as in the usual one."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("max_path", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("app_data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
        ("rest", ctypes.c_void_p * 15),
    )


class _Methods(ctypes.Structure):
    """sqlite3_io_methods."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("before", ctypes.c_void_p * 5),
        ("rest", ctypes.c_void_p * 13),
    )


#: In `_Methods.before`: close, read, write, truncate, sync.
_SYNC_AT: Final = 4


class Disk:
    """Files of SQLite, and what of them has been synced.

    Attributes:
        synced: the content of each file when it was last synced.
        at_sync: called before each sync.
    """

    def __init__(self) -> None:
        self.synced: dict[Path, bytes] = {}
        self.at_sync: Callable[[], None] = lambda: None
        self._paths: dict[int, Path] = {}
        # What C holds must not be collected.
        self._kept: list[Any] = []

    def install(self) -> None:
        """Become the way in which this process's SQLite reaches files."""
        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_VFS)
        usual = library.sqlite3_vfs_find(None).contents
        usual_open = _Open(usual.open)
        mine = _VFS.from_buffer_copy(usual)
        mine.name = b"powercut"

        def open_file(vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
            result: int = usual_open(vfs, name, file, flags, out)
            methods = ctypes.cast(file, ctypes.POINTER(ctypes.POINTER(_Methods)))
            if result == 0 and name is not None and methods[0]:
                self._paths[file] = Path(ctypes.string_at(name).decode())
                methods[0] = ctypes.pointer(self._methods(methods[0].contents))
            return result

        mine.open = ctypes.cast(self._keep(_Open(open_file)), ctypes.c_void_p).value
        assert 0 == library.sqlite3_vfs_register(ctypes.byref(self._keep(mine)), 1)

    def cut(self, folder: Path, random: Random) -> None:
        """Put into a folder what a power cut would leave at this moment."""
        folder.mkdir()
        for path, synced in self.synced.items():
            # SQLite deletes files for good: it syncs the folder behind it.
            if not path.exists():
                continue
            now = path.read_bytes()
            # A file is as long as it was, as it is, or anything between.
            length = random.choice([len(synced), len(now), random.randint(*sorted([len(synced), len(now)]))])
            left = bytearray(length)
            for start in range(0, length, _SECTOR):
                source = random.choice([synced, now])
                sector = source[start : min(start + _SECTOR, length)]
                left[start : start + len(sector)] = sector
            (folder / path.name).write_bytes(left)

    def _methods(self, usual: _Methods) -> _Methods:
        usual_sync = _Sync(usual.before[_SYNC_AT])
        mine = _Methods.from_buffer_copy(usual)

        def sync(file: int, flags: int) -> int:
            self.at_sync()
            result: int = usual_sync(file, flags)
            path = self._paths[file]
            self.synced[path] = path.read_bytes()
            return result

        mine.before[_SYNC_AT] = ctypes.cast(self._keep(_Sync(sync)), ctypes.c_void_p).value
        self._keep(mine)
        return mine

    def _keep(self, value: Any) -> Any:
        self._kept.append(value)
        return value


def main(folder: Path, durability: Durability, seed: int) -> None:
    """Store jobs in a file of a folder, and leave the cuts there, as ``cut-0`` and so on."""
    random = Random(seed)
    disk = Disk()
    disk.install()
    store = SQLiteStore(str(folder / "jobs.db"), durability=durability)
    state = store.open("server")
    assert store._db is not None
    # The log is carried into the file every few batches, which is when it matters most.
    store._db.execute("PRAGMA wal_autocheckpoint = 40")
    stored: set[int] = set()
    # What the batch under way removes may be there or not.
    going: set[int] = set()
    cuts = 0

    def cut() -> None:
        nonlocal cuts
        if random.random() < _CUT_SHARE:
            target = folder / f"cut-{cuts}"
            cuts += 1
            disk.cut(target, random)
            (target / "stored.json").write_text(json.dumps({"stored": sorted(stored - going), "going": sorted(going)}))

    disk.at_sync = cut
    row = state.next_row
    for number in range(_BATCHES):
        batch = Batch(number + 1)
        for _ in range(random.randint(1, 40)):
            batch.adds.append(_job(row))
            row += 1
        going = set(random.sample(sorted(stored), len(stored) // 2))
        batch.removes = sorted(going)
        store.commit(batch)
        stored = stored - going | {job.row for job in batch.adds}
        going = set()
        cut()
    disk.at_sync = lambda: None
    store.close()


def _job(row: int) -> StoredJob:
    workload = Random(row).randbytes(row * 37 % 3000)
    return StoredJob(row, b"H:t:%d" % row, b"f", b"", 1, workload, 0.0, b"", 0, 5.0, True, "")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Durability(sys.argv[2]), int(sys.argv[3]))
