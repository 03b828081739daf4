"""The files that start workers elsewhere, in examples/, use options that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from gearman_trio.cli import app

from .commands import ROOT

FILES = [path for path in sorted((ROOT / "examples").iterdir()) if path.suffix in {".service", ".yaml"}]


def test_there_is_one_for_systemd_and_one_for_kubernetes() -> None:
    assert ["gearman-trio-worker.service", "kubernetes-worker.yaml"] == [path.name for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_options_are_those_of_the_worker_command(path: Path) -> None:
    command = typer.main.get_command(app).commands["worker"]  # type: ignore[attr-defined] # of a group
    known = {name for parameter in command.params for name in parameter.opts}
    text = path.read_text()

    used = set(re.findall(r"(?<=[ \[])--[a-z-]+", text))

    assert "--concurrency" in used
    assert used <= known
