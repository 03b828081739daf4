"""Type checkers take the calls of accepted.py and refuse each of those in rejected.py.

A checker that is not installed is skipped, unless GEARMAN_TRIO_REQUIRE_CHECKERS=1 says that all must be there.  Pyright
comes as ``basedpyright``, whose package brings the node that it runs on; ``pyright`` itself, which fetches its program
from npm when it first runs, is asked too where it is there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

#: A checker that starts without a cache reads Trio and the standard library first.
LIMIT_SECONDS = 300

REQUIRED = os.environ.get("GEARMAN_TRIO_REQUIRE_CHECKERS") == "1"


def program(name: str) -> str:
    """The checker of this Python's environment, or else of the path."""
    found = shutil.which(name, path=os.path.dirname(sys.executable)) or shutil.which(name)
    if found is None:
        if REQUIRED and name != "pyright":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("mypy", ["--follow-imports=silent", "tests/typing"]),
        ("basedpyright", ["--project", "tests/typing", "--pythonpath", sys.executable]),
        ("pyright", ["--project", "tests/typing", "--pythonpath", sys.executable]),
    ],
)
def test_right_calls_pass_and_each_wrong_one_is_refused(name: str, arguments: list[str]) -> None:
    done = subprocess.run(
        [program(name), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
