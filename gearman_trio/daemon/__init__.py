"""From settings to a running process: the job server as operators run it.

launch = Launch.of(settings)     what the settings ask for, checked
await run_server(launch)         listeners, pid file, signals, service manager, until it is stopped
"""

from __future__ import annotations

from .detachment import Detachment, detach
from .launch import Launch
from .limits import allow_core_dumps, raise_descriptor_limit
from .logs import LEVELS, NOTICE, level_number, reopen_log_files, set_up_logging
from .pidfile import PidFile
from .running import run_server
from .user import check_installation, switch_user

__all__ = [
    "LEVELS",
    "NOTICE",
    "Detachment",
    "Launch",
    "PidFile",
    "allow_core_dumps",
    "check_installation",
    "detach",
    "level_number",
    "raise_descriptor_limit",
    "reopen_log_files",
    "run_server",
    "set_up_logging",
    "switch_user",
]
