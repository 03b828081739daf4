"""Builds the package; what it is and needs stands in pyproject.toml.

A wheel gets the modules of `gearman_trio.protocol` and `gearman_trio.core`, and the pump, the connections and the hub
of the runtime, compiled by mypyc where a C compiler works, and as plain Python where none does, or where
``GEARMAN_TRIO_PURE=1`` is in the environment.  The sources are in both, and the programs behave the same.  Editable
installations stay pure: compiled modules beside the sources would go on running after the sources have changed.
"""

from __future__ import annotations

import logging
import os
import platform
from pathlib import Path
from typing import Any

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel

#: Where C code and mypy's cache go; setuptools builds there too.
BUILD = Path("build") / "mypyc"


def compiled_sources() -> list[str]:
    """The modules to compile: the hot ones, which are plain typed classes."""
    packages = [Path("gearman_trio") / name for name in ("protocol", "core")]
    # Without __init__.py, which holds imports alone, and _compiler.py.
    modules = [path for package in packages for path in sorted(package.glob("[!_]*.py"))]
    runtime = [Path("transport") / "pump.py", Path("server") / "connection.py", Path("server") / "hub.py"]
    return [str(path) for path in [*modules, *(Path("gearman_trio") / path for path in runtime)]]


# Any: setuptools and mypyc know the class of an extension by different names.
def make_extensions() -> list[Any]:
    """Turn the modules into C.

    Raises:
        ImportError: mypyc is not installed.
        SystemExit: mypyc does not take the modules.
    """
    from mypyc.build import mypycify  # noqa: PLC0415 - a pure build works without it

    sources = compiled_sources()
    options = [
        # The project's own options are about the whole tree, tests and all.
        "--config-file=",
        "--strict",
        # Nothing that is not compiled needs a look, but for the errors that are raised and what mypyc is told.
        "--follow-imports=skip",
        # What the package needs when it runs is not there when it is built.
        "--ignore-missing-imports",
        f"--cache-dir={BUILD / 'cache'}",
        str(Path("gearman_trio") / "errors.py"),
        str(Path("gearman_trio") / "core" / "_compiler.py"),
    ]
    extensions = mypycify(
        [*options, *sources], only_compile_paths=sources, target_dir=str(BUILD), group_name="gearman_trio_core"
    )
    if os.name == "posix":
        for extension in extensions:
            # Nobody links with what is in there, so that calls within it need not go through a table.
            extension.extra_compile_args.append("-fvisibility=hidden")
    return extensions


class Wheel(bdist_wheel):
    """Makes a compiled wheel if it can, else a pure one."""

    def run(self) -> None:
        """Compile first, for the result decides on the wheel's name and on the place of its files."""
        self._try_to_compile()
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()

    def _try_to_compile(self) -> None:
        if os.environ.get("GEARMAN_TRIO_PURE", "0") not in {"", "0"}:
            self._use([], "GEARMAN_TRIO_PURE asks for pure Python")
            return
        if platform.python_implementation() != "CPython":
            self._use([], "mypyc compiles for CPython only")
            return
        try:
            self._use(make_extensions(), "compiling the core with mypyc")
            self.run_command("build_ext")
        # SystemExit: mypyc's way to say no.  Whatever goes wrong here, the plain modules work.
        except (Exception, SystemExit) as exc:  # noqa: BLE001
            self._use([], f"THE CORE STAYS PURE PYTHON, for it could not be compiled: {str(exc)[:300]}")

    def _use(self, extensions: list[Any], reason: str) -> None:
        self.distribution.ext_modules = extensions
        # They may have chosen their folders already, by whether there is something to compile.
        for command in ("build", "build_py", "build_ext"):
            self.reinitialize_command(command)
        self.announce(f"gearman_trio: {reason}", level=logging.WARNING)


setup(cmdclass={"bdist_wheel": Wheel})
