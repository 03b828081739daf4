"""What the kernel lets the process have; in processes of their own, for it cannot be given back."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_here(code: str) -> str:
    program = f"import os, resource\nfrom gearman_trio.daemon import allow_core_dumps, raise_descriptor_limit\n{code}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_so_many_descriptors_as_were_asked_for() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    printed = run_here("raise_descriptor_limit(100); print(resource.getrlimit(resource.RLIMIT_NOFILE))")

    assert f"{(100, hard)}\n" == printed


def test_as_many_descriptors_as_the_user_may_have() -> None:
    code = """
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
raise_descriptor_limit(None)
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""

    assert "(200, 200)\n" == run_here(code)


def test_too_many_descriptors_are_told_with_what_is_allowed() -> None:
    code = """
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
if os.geteuid() == 0:
    os.setuid(65534)
try:
    raise_descriptor_limit(300)
except ValueError as exc:
    print(exc)
"""

    assert "--file-descriptors: expected at most 200, which root may raise, got 300\n" == run_here(code)


def test_core_dumps_are_as_large_as_they_may_be() -> None:
    code = """
_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
allow_core_dumps()
soft, _ = resource.getrlimit(resource.RLIMIT_CORE)
print(soft == hard)
"""

    assert "True\n" == run_here(code)
