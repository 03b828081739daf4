"""The pytest plugin: the fixture is there, costs nothing where it is not used, and says what it needs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from ..patience import PATIENCE

ROOT = Path(__file__).parents[2]

USES_IT = """
    import pytest
    from gearman_trio import Abilities

    @pytest.mark.trio
    async def test_reverse(gearman, autojump_clock):
        abilities = Abilities()

        @abilities.function
        async def reverse(workload: bytes) -> bytes:
            return workload[::-1]

        async with gearman.worker(abilities), gearman.client() as client:
            assert await client.run("reverse", b"abc") == b"{expected}"
"""


def test_plugin_is_installed() -> None:
    (plugin,) = entry_points(group="pytest11", name="gearman_trio")

    assert "gearman_trio.pytest_plugin" == plugin.value
    assert hasattr(plugin.load(), "gearman")


def test_fixture_is_found_and_described(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess("--fixtures")

    result.stdout.fnmatch_lines(["gearman_options -- *", "gearman -- *", "    A Gearman in memory*"])
    result.stdout.no_fnmatch_line("_gearman_needs_trio*")


def test_fixture_works(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USES_IT.format(expected="cba"))

    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_fixture_works_in_trio_mode(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ntrio_mode = true")
    pytester.makepyfile(USES_IT.format(expected="cba").replace("@pytest.mark.trio", ""))

    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_failing_test_shows_the_packets(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USES_IT.format(expected="abc"))
    result = pytester.runpytest_inprocess()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: assert b'cba' == b'abc'*",
            "*Captured gearman call*",
            "worker-1: * packets",
            "*-> WORK_COMPLETE handle=* result=b'cba'",
            "client-1: * packets",
            "*<- WORK_COMPLETE handle=* result=b'cba'",
        ]
    )


def test_options_of_the_server_can_be_overridden(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from gearman_trio import ServerOptions

        @pytest.fixture
        def gearman_options():
            return ServerOptions(handle_prefix="H:mine")

        @pytest.mark.trio
        async def test_handle(gearman):
            async with gearman.client() as client:
                assert (await client.submit("f")).startswith(b"H:mine:")
        """
    )

    pytester.runpytest_inprocess().assert_outcomes(passed=1)


def test_missing_pytest_trio_is_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("async def test(gearman): ...")
    result = pytester.runpytest_inprocess("-p", "no:trio", "-p", "no:anyio")

    result.stdout.fnmatch_lines(["the fixture 'gearman' needs pytest-trio: pip install pytest-trio"])


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_missing_mark_is_named(pytester: pytest.Pytester, kind: str) -> None:
    pytester.makepyfile(f"{kind} test(gearman): ...")
    result = pytester.runpytest_inprocess()

    result.stdout.fnmatch_lines(["the fixture 'gearman' needs an `async def` test that pytest-trio runs*"])


@pytest.mark.slow
def test_run_that_does_not_use_it_does_not_import_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test():
            names = {name for name in sys.modules if name.partition(".")[0] in {"gearman_trio", "trio"}}
            assert {"gearman_trio", "gearman_trio.pytest_plugin"} == names
        """
    )

    others = [part for name in ("trio", "anyio", "hypothesispytest", "schemathesis") for part in ("-p", f"no:{name}")]

    pytester.runpytest_subprocess(*others).assert_outcomes(passed=1)


@pytest.mark.slow
def test_import_of_the_kit_brings_no_test_tools() -> None:
    code = (
        "import sys; from gearman_trio import *; before = set(sys.modules); "
        "import gearman_trio.testing; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)

    assert {"gearman_trio"} == {name.partition(".")[0] for name in done.stdout.split()}
