"""Where the command's log lines go, by gearmand's names for levels."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import Final

from ..errors import ConfigError

__all__ = ["LEVELS", "NOTICE", "level_number", "set_up_logging"]

#: Between INFO (a line for every connection) and WARNING: what an operator wants to see of a healthy server.
NOTICE: Final = 25

#: gearmand's names, loudest last.
LEVELS: Final = {
    "FATAL": logging.CRITICAL,
    "ALERT": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "NOTICE": NOTICE,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
}


def level_number(level: str) -> int:
    """The number that `logging` has for one of gearmand's names, in capitals or not.

    Raises:
        ConfigError: there is no such name.
    """
    number = LEVELS.get(level.upper())
    if number is None:
        raise ConfigError(f"expected one of {', '.join(LEVELS)}, got {level!r}")
    return number


def set_up_logging(level: str, destination: str, *, json_lines: bool = False, prefix: str = "") -> None:
    """Send log lines of `level` and above to a file, which may be moved away under it, or to stderr, or nowhere.

    Args:
        level: one of `LEVELS`, in capitals or not.
        destination: the file's name, or "stderr" or "none".
        json_lines: whether each line is a JSON object.
        prefix: what each message begins with.

    Raises:
        ConfigError: the level has no such name, or the file cannot be opened.
    """
    number = level_number(level)
    handler: logging.Handler
    if destination == "stderr":
        handler = logging.StreamHandler()
    elif destination == "none":
        handler = logging.NullHandler()
    else:
        try:
            handler = WatchedFileHandler(destination, encoding="utf-8")
        except OSError as exc:
            raise ConfigError(f"--log-file: {destination!r} cannot be written: {exc.strerror}") from exc
    logging.addLevelName(NOTICE, "NOTICE")
    text = logging.Formatter(f"%(asctime)s %(levelname)7s %(name)s: {prefix.replace('%', '%%')}%(message)s")
    handler.setFormatter(_JsonFormatter(prefix) if json_lines else text)
    logger = logging.getLogger("gearman_trio")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(number)


class _JsonFormatter(logging.Formatter):
    """One JSON object in a line: time (UTC), level, logger, message, and the traceback if there is one."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def format(self, record: logging.LogRecord) -> str:
        content = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._prefix + record.getMessage(),
        }
        if record.exc_info:
            content["exception"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False)
