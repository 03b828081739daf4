"""The benchmarks are not part of the package; they are found in the root of the tree, after whatever is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ..peers import require

sys.path.append(str(Path(__file__).parents[2]))


@pytest.fixture
def compiler() -> None:
    """The load generator can be compiled."""
    require("cc")
