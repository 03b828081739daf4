"""What an installation holds: names, types, extras, and no import that was not asked for."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import gearman_trio
from gearman_trio.core import COMPILED

from .patience import PATIENCE

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "gearman_trio").rglob("*.py"))


def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """The top-level packages of others that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names)


def test_types_are_shipped() -> None:
    assert files("gearman_trio").joinpath("py.typed").is_file()
    assert "py.typed" in project()["tool"]["setuptools"]["package-data"]["gearman_trio"]


def test_every_folder_with_modules_is_a_package() -> None:
    """Or else it is not installed, and only this tree knows it."""
    assert [] == [path for path in {path.parent for path in MODULES} if not (path / "__init__.py").is_file()]


def test_core_is_compiled_as_a_whole_or_not_at_all() -> None:
    """Compiled and plain classes of one module beside the other would work, slowly, and nobody would notice."""
    hot = [path for path in MODULES if path.parent.name in {"protocol", "core"} and path.name[0] != "_"]
    runtime = ["transport/pump.py", "server/connection.py", "server/hub.py"]
    hot += [ROOT / "gearman_trio" / path for path in runtime]

    extensions = {importlib.import_module(module_name(path)).__file__ for path in hot}

    assert len(hot) == len(extensions)
    assert {COMPILED} == {str(file).endswith(tuple(EXTENSION_SUFFIXES)) for file in extensions}


@pytest.mark.parametrize("name", [module_name(path) for path in MODULES if path.name == "__init__.py"])
def test_public_names_are_there_and_told_once(name: str) -> None:
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])

    assert sorted(names) == sorted(set(names))
    assert [] == [public for public in names if not hasattr(module, public)]


def test_names_of_the_package_are_in_order() -> None:
    """Constants, classes, functions, as Ruff sorts them."""
    names = gearman_trio.__all__

    assert sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name)) == names


def test_all_names_every_extra() -> None:
    extras = project()["project"]["optional-dependencies"]

    (requirement,) = extras["all"]
    match = re.fullmatch(r"gearman-trio\[([a-z,]+)\]", requirement)
    assert match is not None
    assert sorted(set(extras) - {"all"}) == sorted(match[1].split(","))


def test_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="gearman-trio")

    assert importlib.import_module("gearman_trio.cli").main is command.load()


@pytest.mark.slow
def test_import_brings_only_what_a_program_needs() -> None:
    code = "import sys; from gearman_trio import *; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )

    unwanted = {
        "asyncio",
        "click",
        "hypercorn",
        "hypothesis",
        "multiprocessing",
        "pydantic",
        "pytest",
        "rich",
        "starlette",
        "trio_parallel",
        "typer",
    }
    assert set() == unwanted & set(done.stdout.split())


@pytest.mark.slow
def test_import_of_the_package_alone_brings_nothing_of_it() -> None:
    """Pytest does that in every run, for the plugin."""
    code = "import sys, gearman_trio; print(*sys.modules)"
    command = [sys.executable, "-c", code]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE)

    ours = {name for name in done.stdout.split() if name.startswith(("gearman_trio", "trio"))}
    assert {"gearman_trio"} == ours


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_module_imports_only_what_is_installed_with_it(path: Path) -> None:
    libraries = {"attrs", "gearman_trio", "trio"}
    # Rich comes with Typer; who loads the plugin is pytest; who imports from mypy is mypyc.
    tools = {"cli": {"rich", "typer"}, "pytest_plugin": {"pytest"}, "_compiler": {"mypy_extensions"}}
    place = path.parent.name if path.parent.name in tools else path.stem
    # Imported where they are needed, and an error names the extra where they are not there.
    extras = {
        "gearman_trio.cli.reload": {"watchfiles"},
        "gearman_trio.tracing": {"opentelemetry"},
        "gearman_trio.web.actions": {"starlette"},
        "gearman_trio.web.answers": {"starlette"},
        "gearman_trio.web.api": {"starlette"},
        "gearman_trio.web.asking": {"starlette"},
        "gearman_trio.web.door": {"starlette"},
        "gearman_trio.web.gateway": {"starlette"},
        "gearman_trio.web.guard": {"starlette"},
        "gearman_trio.web.jobs": {"starlette"},
        "gearman_trio.web.page": {"starlette"},
        "gearman_trio.web.problems": {"starlette"},
        "gearman_trio.web.results": {"starlette"},
        "gearman_trio.web.streamed": {"starlette"},
        "gearman_trio.web.app": {"prometheus_client", "starlette"},
        "gearman_trio.web.metrics": {"prometheus_client"},
        "gearman_trio.web.serving": {"hypercorn", "starlette"},
        "gearman_trio.worker.health": {"h11"},
        "gearman_trio.worker.processes": {"trio_parallel"},
    }

    assert imported(path) <= libraries | tools.get(place, set()) | extras.get(module_name(path), set())


def test_what_is_imported_is_required() -> None:
    required = {re.match(r"[a-z]+", line)[0] for line in project()["project"]["dependencies"]}  # type: ignore[index] # names all

    assert {"attrs", "trio", "typer"} == required
