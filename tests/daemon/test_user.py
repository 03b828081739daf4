"""Becoming another user, for which only root can be asked."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from gearman_trio.daemon import switch_user
from gearman_trio.errors import ConfigError

ROOT = Path(__file__).parents[2]

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def run_here(code: str) -> str:
    """What a program prints that runs in a process of its own, which it does not come back from."""
    program = f"import os\nfrom gearman_trio.daemon import switch_user\n{code}"
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
