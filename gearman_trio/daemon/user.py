"""The user that the process runs as."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import trio

from ..errors import ConfigError

__all__ = ["check_installation", "switch_user"]

#: What more is imported of while a server runs, and a file of each.
_INSTALLED: Final = {"Python": os.__file__, "trio": trio.__file__, "gearman_trio": __file__}


def switch_user(name: str) -> None:
    """Become another user for good, with that user's groups. Who is that user already stays as it is.

    Raises:
        ConfigError: there is no such user, or the process does not run as root.
    """
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(f"--user: there is no user {name!r}") from None
    if user.pw_uid == os.geteuid():
        return
    if os.geteuid() != 0:
        raise ConfigError(f"--user: only root can become {name!r}")
    try:
        # Groups first: afterwards the process may no longer change them.
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except OSError as exc:
        raise ConfigError(f"--user: cannot become {name!r}: {exc.strerror}") from exc


def check_installation(name: str, installed: Mapping[str, str] = _INSTALLED) -> None:
    """See that this process, which is another user now, can still read what it runs.

    Modules are imported when they are first needed; without this, a server would fail at any of them, at any time.

    Args:
        name: of the user, for the message.
        installed: what is looked for, and a file of each; those that are in no file of their own are not looked at.

    Raises:
        ConfigError: one of them cannot be read.
    """
    for what, file in installed.items():
        try:
            with open(file, "rb"):
                os.listdir(Path(file).parent)
        except PermissionError as exc:
            raise ConfigError(f"--user: {name!r} cannot read {exc.filename}, where {what} is installed") from exc
        except OSError:
            # Of an archive, which is open.
            continue
