"""The demo without its command: which files, which totals, what is checked, and that nothing stays."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from gearman_trio import demo
from gearman_trio.client import JobStatus
from gearman_trio.demo import DemoResult, FileCount, Totals, count_file, find_files, run_demo

from .patience import PATIENCE

# ---- files -----------------------------------------------------------------------------------------------------------


def test_regular_files_below_a_folder_are_found_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b", "a/z", "a/b/c", "c.pyc", "__pycache__/d", "site-packages/e", ".hidden"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo")

    found = [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path)]

    assert [".hidden", "__pycache__/d", "a/b/c", "a/z", "b", "c.pyc", "site-packages/e"] == found


def test_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert [tmp_path / "link" / "file"] == find_files(tmp_path / "link")


def test_without_a_folder_it_is_the_standard_library() -> None:
    found = find_files(None)

    assert Path(os.__file__) in found
    assert {".py"} == {path.suffix for path in found}
    assert not [path for path in found if {"site-packages", "__pycache__"} & set(path.parts)]
    assert sorted(found) == found


@pytest.mark.parametrize("name", ["absent", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotADirectoryError) as caught:
        find_files(tmp_path / name)

    assert f"expected a folder that exists, got {str(tmp_path / name)!r}" == str(caught.value)


@pytest.mark.parametrize(
    ("data", "lines", "words"),
    [(b"", 0, 0), (b"\n", 1, 0), (b"a b\n\tc", 1, 3), (b"\0\xff \r\n\x0b", 1, 1), (b"no end", 0, 2)],
)
def test_count_is_that_of_wc(tmp_path: Path, data: bytes, lines: int, words: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)

    assert FileCount(lines, words, len(data), hashlib.sha256(data).hexdigest()) == count_file(str(path))


# ---- totals ----------------------------------------------------------------------------------------------------------

ONE, TWO = FileCount(1, 2, 3, "aa"), FileCount(10, 20, 30, "bb")


def test_totals_add_up() -> None:
    digest = hashlib.sha256(b"aabb").hexdigest()

    assert Totals(files=2, unreadable=1, lines=11, words=22, size=33, sha256=digest) == Totals.of([ONE, None, TWO])


def test_totals_of_nothing() -> None:
    assert Totals(0, 0, 0, 0, 0, hashlib.sha256().hexdigest()) == Totals.of([])


def test_totals_tell_the_order_of_the_files() -> None:
    assert Totals.of([ONE, TWO]) != Totals.of([TWO, ONE])


# ---- checks ----------------------------------------------------------------------------------------------------------

RESULT = DemoResult(
    by_gearman=Totals.of([ONE]),
    directly=Totals.of([ONE]),
    latencies=[0.1],
    seconds=0.1,
    raised="ValueError: this job fails on purpose",
    status_updates=20,
    progress=1.0,
    pair_results=(b"144", b"144"),
    pair_runs=1,
)


def test_good_result_holds_everything() -> None:
    assert {True} == set(RESULT.checks.values())


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({"directly": Totals.of([TWO])}, "totals agree with a direct computation"),
        ({"by_gearman": Totals.of([None])}, "totals agree with a direct computation"),
        ({"raised": ""}, "the failing job raised"),
        ({"raised": "ValueError: another"}, "the failing job raised"),
        ({"progress": 0.95}, "the slow job told its progress"),
        ({"progress": 0.0, "status_updates": 0}, "the slow job told its progress"),
        ({"pair_runs": 2}, "the coalesced pair ran once"),
        ({"pair_results": (b"144", b"")}, "the coalesced pair ran once"),
    ],
)
def test_each_check_can_fail(changes: dict[str, Any], failing: str) -> None:
    checks = attrs.evolve(RESULT, **changes).checks

    assert [failing] == [name for name, holds in checks.items() if not holds]


# ---- the whole -------------------------------------------------------------------------------------------------------


class Witness:
    """Remembers what the demo told, and may end it in the middle."""

    def __init__(self) -> None:
        self.address = ""
        self.begun: tuple[int, int] | None = None
        self.done: list[int] = []
        self.fractions: list[float] = []
        self.stop_at: trio.CancelScope | None = None

    def started(self, address: str, workers: int, files: int) -> None:
        self.address = address
        self.begun = workers, files
        if self.stop_at is not None:
            self.stop_at.cancel()

    def counted(self, files: int) -> None:
        self.done.append(files)

    def slow(self, status: JobStatus) -> None:
        self.fractions.append(status.numerator / status.denominator)

    @property
    def listening(self) -> bool:
        host, _, port = self.address.rpartition(":")
        with socket.socket() as client:
            return client.connect_ex((host, int(port))) == 0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_SLOW_STEP_SECONDS", 0.001)


@pytest.mark.slow
async def test_demo_counts_every_file_and_leaves_nothing(tmp_path: Path) -> None:
    data = [b"x y\n" * number for number in range(50)]
    files = [tmp_path / f"{number:02}" for number in range(50)]
    for path, contents in zip(files, data, strict=True):
        path.write_bytes(contents)
    absent = tmp_path / "absent"
    witness, tasks = Witness(), trio.lowlevel.current_statistics().tasks_living

    with trio.fail_after(PATIENCE):
        result = await run_demo([*files, absent], witness)

    assert {True} == set(result.checks.values())
    assert Totals.of([*(count_file(str(path)) for path in files), None]) == result.by_gearman
    assert 51 == len(result.latencies)
    assert result.seconds >= max(result.latencies) > 0
    assert (4, 51) == witness.begun
    assert list(range(1, 52)) == sorted(witness.done)
    # The client may see two at once as the newer one.
    assert witness.fractions == sorted(set(witness.fractions) & {number / 20 for number in range(1, 21)})
    assert 1.0 == witness.fractions[-1]
    assert not witness.listening
    assert tasks == trio.lowlevel.current_statistics().tasks_living


async def test_cancelled_demo_leaves_nothing() -> None:
    witness, tasks = Witness(), trio.lowlevel.current_statistics().tasks_living
    with trio.fail_after(PATIENCE), trio.CancelScope() as scope:
        witness.stop_at = scope
        await run_demo([Path(sys.executable)], witness)

    assert scope.cancelled_caught
    assert not witness.listening
    assert tasks == trio.lowlevel.current_statistics().tasks_living
