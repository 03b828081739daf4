"""Virtual environments for other libraries, one each: pygearman and gearman3 share the name of their package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .processes import BUILD, Missing

__all__ = ["LIBRARIES", "python_with"]

#: What is compared, in the versions that the drivers were written for.
LIBRARIES = {"pygearman": "pygearman==0.2.6", "gearman3": "gearman3==0.2.1", "gear": "gear==0.16.0"}


def python_with(library: str) -> str:
    """The Python of an environment that has one of `LIBRARIES`, made now if there is none.

    Raises:
        Missing: it cannot be installed.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    environment = BUILD / f"{LIBRARIES[library]}-python{version}"
    python = environment / "bin" / "python"
    ready = environment / "ready"
    if not ready.exists():
        _run(library, sys.executable, "-m", "venv", "--clear", str(environment))
        _run(library, str(python), "-m", "pip", "install", "--quiet", LIBRARIES[library])
        Path(ready).touch()
    return str(python)


def _run(library: str, *command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{library} cannot be installed: {done.stderr.strip() or done.stdout.strip()}")
