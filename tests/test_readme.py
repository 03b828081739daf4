"""The README: its program runs as it stands, and its set-up commands are those of .ci/run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .patience import PATIENCE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, heading: str) -> list[str]:
    """The code blocks of one section."""
    section = re.split(r"^## ", README, flags=re.MULTILINE)
    (text,) = [part for part in section if part.startswith(f"{heading}\n")]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def ci_commands() -> list[str]:
    return (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_quick_start_prints_what_the_readme_says(tmp_path: Path) -> None:
    (program,) = blocks("python", "Quick start")
    promised = re.search(r"It prints `(.*)`\.", README)
    assert promised is not None
    (tmp_path / "quick_start.py").write_text(program)

    done = subprocess.run(
        [sys.executable, "-W", "error", "quick_start.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert (0, f"{promised[1]}\n", "") == (done.returncode, done.stdout, done.stderr)


def test_quick_start_is_short() -> None:
    (program,) = blocks("python", "Quick start")

    assert 15 >= len([line for line in program.splitlines() if line])


def test_set_up_commands_are_those_of_ci() -> None:
    demo, tests = [block.removesuffix("\n").split(" && ") for block in blocks("sh", "Set up")]

    assert ["python -m pip install .", "gearman-trio demo"] == demo
    assert ["python -m pip install '.[test]'", "python -m pytest"] == tests
    # CI installs what the tests need, which holds the package, then runs the demo, then the tests.
    assert [tests[0], demo[1], tests[1]] == [line for line in ci_commands() if line in {*demo, *tests}]


def test_other_commands_of_the_readme_exist() -> None:
    """Those for three terminals name a function of the quick start."""
    (program,) = blocks("python", "Quick start")
    three_terminals = blocks("sh", "Quick start")[0]

    assert "gearman-trio serve\n" in three_terminals
    assert "gearman-trio worker jobs:abilities " in three_terminals
    (function,) = re.findall(r"^gearman-trio run (\w+) ", three_terminals, re.MULTILINE)
    assert f'@abilities.function(name="{function}"' in program
    assert "abilities = " in program
