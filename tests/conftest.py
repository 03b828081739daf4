"""Says which gearman_trio is tested: the sources, or what is installed; the pure or the compiled core."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import gearman_trio
from gearman_trio.core import COMPILED


def pytest_configure() -> None:
    if os.environ.get("GEARMAN_TRIO_REQUIRE_COMPILED", "0") not in {"", "0"} and not COMPILED:
        raise pytest.UsageError(f"expected a compiled core, and {Path(gearman_trio.__file__).parent} is pure Python")


def pytest_report_header() -> str:
    core = "compiled" if COMPILED else "pure Python"
    return f"gearman_trio: {core} core, from {Path(gearman_trio.__file__).parent}"


@pytest.fixture
def logger_as_before() -> Iterator[None]:
    """What sets up logging does so for its process, which in tests is that of all other tests."""
    logger = logging.getLogger("gearman_trio")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    for handler in logger.handlers:
        if handler not in before[0]:
            handler.close()
    logger.handlers[:], logger.level, logger.propagate = before
