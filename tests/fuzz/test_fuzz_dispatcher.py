"""The fuzz target for a moment, always the same one; the target itself checks that it can find something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from . import fuzz_dispatcher


@pytest.mark.parametrize("seed", range(10))
def test_mutated_conversations(seed: int) -> None:
    assert 30 == fuzz_dispatcher.run(seed, iterations=30)


@pytest.mark.parametrize(
    "answer", [b"\0RES\0\0\0\x06\0\0\0\x01", b"\0REQ\0\0\0\x06\0\0\0\0", b"\0RES\0\0\0\x09\0\0\0\0", b"\0RES\0\0\0\x06"]
)
def test_a_broken_answer_would_be_found(answer: bytes) -> None:
    with pytest.raises(AssertionError):
        fuzz_dispatcher.check_answers(b"OK\r\n" + answer)


@pytest.mark.slow
def test_the_script_runs_by_itself() -> None:
    script = Path(fuzz_dispatcher.__file__)
    result = subprocess.run(
        [sys.executable, str(script), "--iterations", "3", "--seed", "5"], capture_output=True, text=True, check=False
    )

    assert ("3 iterations, no finding\n", "") == (result.stdout, result.stderr)
