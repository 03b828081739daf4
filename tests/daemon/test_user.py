"""Becoming another user, for which only root can be asked."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gearman_trio.daemon import check_installation, switch_user
from gearman_trio.errors import ConfigError

ROOT = Path(__file__).parents[2]

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def run_here(code: str) -> str:
    """What a program prints that runs in a process of its own, which it does not come back from."""
    program = f"import os\nfrom gearman_trio.daemon import check_installation, switch_user\n{code}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_user_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match="--user: there is no user 'nobody-of-that-name'"):
        switch_user("nobody-of-that-name")


def test_whoever_is_that_user_already_stays_so() -> None:
    before = os.getresuid(), os.getgroups()
    switch_user(pwd.getpwuid(os.geteuid()).pw_name)

    assert before == (os.getresuid(), os.getgroups())


@only_root
def test_root_becomes_another_user_for_good() -> None:
    user = pwd.getpwnam("nobody")
    groups = os.getgrouplist("nobody", user.pw_gid)

    printed = run_here("switch_user('nobody'); print(os.getresuid(), os.getresgid(), sorted(os.getgroups()))")

    assert f"{(user.pw_uid,) * 3} {(user.pw_gid,) * 3} {sorted(groups)}\n" == printed


@only_root
def test_others_cannot() -> None:
    code = """
switch_user("nobody")
try:
    switch_user("root")
except ValueError as exc:
    print(exc)
"""

    assert "--user: only root can become 'root'\n" == run_here(code)


@only_root
@pytest.mark.parametrize(("folder_mode", "mode"), [(0o711, 0o644), (0o755, 0o600)])
def test_what_a_user_cannot_read_is_told_at_once(folder_mode: int, mode: int) -> None:
    # Not below the folder of the tests, which others may not enter.
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder, "module.py")
        module.touch()
        module.chmod(mode)
        os.chmod(folder, folder_mode)
        code = f"""
switch_user("nobody")
try:
    check_installation("nobody", {{"Python": "/etc/passwd", "trio": {str(module)!r}}})
except ValueError as exc:
    print(exc)
"""
        hidden = module if mode == 0o600 else folder

        assert f"--user: 'nobody' cannot read {hidden}, where trio is installed\n" == run_here(code)


def test_what_runs_is_readable_for_whoever_runs_it() -> None:
    check_installation("me")


def test_what_is_in_no_file_is_not_looked_at() -> None:
    check_installation("me", {"Python": "/nonexistent/python.zip/os.pyc"})
