"""The pytest plugin of gearman_trio: the fixture `gearman`.

pytest loads this module into every run where gearman_trio is installed, so it imports Trio, the client, the worker and
the server only where the fixture is used.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gearman_trio import ServerOptions
    from gearman_trio.testing import Gearman

#: How much of each connection a failing test shows: what happened last is what matters, and fits on two screens.
_SHOWN_PACKETS = 50


@pytest.fixture
def gearman_options() -> ServerOptions | None:
    """The options of the job server that `gearman` starts; override it in a conftest.py, a module or a class."""
    return None


@pytest.fixture
def _gearman_needs_trio(request: pytest.FixtureRequest) -> None:
    """Say what is missing, before pytest says that nobody takes care of an asynchronous fixture."""
    if not request.config.pluginmanager.hasplugin("trio"):
        pytest.fail("the fixture 'gearman' needs pytest-trio: pip install pytest-trio", pytrace=False)
    if request.node.get_closest_marker("trio") is None:
        pytest.fail(
            "the fixture 'gearman' needs an `async def` test that pytest-trio runs: "
            "mark it with @pytest.mark.trio, or set trio_mode = true in pytest's configuration",
            pytrace=False,
        )


@pytest.fixture
async def gearman(
    _gearman_needs_trio: None, gearman_options: ServerOptions | None, request: pytest.FixtureRequest
) -> AsyncGenerator[Gearman]:
    """A Gearman in memory: `gearman_trio.testing.Gearman`.

    With pytest-trio's ``autojump_clock`` time-outs, delays and back-off take no real time.  A test that fails shows the
    last packets of each connection.
    """
    from gearman_trio.testing import open_gearman  # noqa: PLC0415 - only runs that use it pay for it

    async with open_gearman(options=gearman_options) as opened:
        try:
            yield opened
        finally:
            request.node.add_report_section("call", "gearman", opened.transcript(last=_SHOWN_PACKETS))
