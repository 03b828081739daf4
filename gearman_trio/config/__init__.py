"""Every option of the job server's command, once: names, types, defaults, sources.

    settings = resolve({"port": "4731"}, os.environ)
    settings["port"], settings.origin("port")     4731, "command line"
    settings.server_options()                     what `gearman_trio.serve` takes

The command line, the readers of files and of the environment, and the tables of the documentation are made from
`OPTIONS`.
"""

from __future__ import annotations

from .option import Option, OptionError
from .process import COMPAT
from .queues import store_url
from .settings import COMMAND_LINE, Settings, resolve
from .table import OPTIONS

__all__ = ["COMMAND_LINE", "COMPAT", "OPTIONS", "Option", "OptionError", "Settings", "resolve", "store_url"]
