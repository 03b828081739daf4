"""The user that the process runs as."""

from __future__ import annotations

import os
import pwd

from ..errors import ConfigError

__all__ = ["switch_user"]


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
