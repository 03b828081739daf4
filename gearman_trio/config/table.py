"""Every option of ``gearman-trio serve``, once: gearmand's by their own names, and ours."""

from __future__ import annotations

from typing import Final

from .fields import field_options
from .jobs import JOB_OPTIONS
from .listening import LISTENING_OPTIONS
from .option import Option
from .process import PROCESS_OPTIONS
from .queues import QUEUE_OPTIONS

__all__ = ["OPTIONS", "by_name", "by_short_name"]

_TOLD: Final = [*LISTENING_OPTIONS, *JOB_OPTIONS, *PROCESS_OPTIONS, *QUEUE_OPTIONS]

#: In the order of the help. What has only its field in `ServerOptions` to say is made from that.
OPTIONS: Final = [*_TOLD, *field_options({option.field for option in _TOLD}, group="Limits")]

_BY_NAME: Final = {option.name: option for option in OPTIONS}
_BY_SHORT_NAME: Final = {option.short: option for option in OPTIONS if option.short}


def by_name(name: str) -> Option | None:
    """The option with a long name."""
    return _BY_NAME.get(name)


def by_short_name(letter: str) -> Option | None:
    """The option with a short name."""
    return _BY_SHORT_NAME.get(letter)
