"""What every test has: the gearman_trio that is tested, and how Hypothesis looks.

`HYPOTHESIS_PROFILE=thorough` looks for several minutes. It never gives up for slowness, for machines differ.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import gearman_trio
from gearman_trio.core import COMPILED

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("default"), max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


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
