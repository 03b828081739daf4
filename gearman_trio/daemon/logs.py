"""Where the log lines of a process go, by gearmand's names for levels."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import SysLogHandler, WatchedFileHandler
from typing import Final

from ..errors import ConfigError
from ..server.levels import NOTICE

__all__ = ["LEVELS", "NOTICE", "level_number", "reopen_log_files", "set_up_logging"]

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

#: Where the system's log takes lines: Linux and the BSDs, macOS.
_SYSLOG_SOCKETS: Final = ("/dev/log", "/var/run/syslog")


def level_number(level: str) -> int:
    """The number that `logging` has for one of gearmand's names, in capitals or not.

    Raises:
        ConfigError: there is no such name.
    """
    number = LEVELS.get(level.upper())
    if number is None:
        raise ConfigError(f"expected one of {', '.join(LEVELS)}, got {level!r}")
    return number


def set_up_logging(
    level: str, destination: str, *, json_lines: bool = False, prefix: str = "", syslog: bool = False
) -> None:
    """Send log lines of `level` and above to a place, and perhaps to the system's log as well.

    Args:
        level: one of `LEVELS`, in capitals or not.
        destination: a file, which may be moved away under it, ``"stderr"``, or ``"none"``.
        json_lines: whether each line is a JSON object; the system's log takes text.
        prefix: what each message begins with.
        syslog: whether lines go to the system's log too.

    Raises:
        ConfigError: the level has no such name, the file cannot be opened, or there is no system's log.
    """
    number = level_number(level)
    logging.addLevelName(NOTICE, "NOTICE")
    handlers = [_handler(destination)]
    begin = prefix.replace("%", "%%")
    text = logging.Formatter(f"%(asctime)s %(levelname)7s %(name)s: {begin}%(message)s")
    handlers[0].setFormatter(_JsonLines(prefix) if json_lines else text)
    if syslog:
        handlers.append(_syslog_handler(begin))
    logger = logging.getLogger("gearman_trio")
    logger.handlers[:] = handlers
    logger.propagate = False
    logger.setLevel(number)


def reopen_log_files() -> None:
    """Open the log files again by their names, for whoever moved them away; what cannot be opened stays as it was."""
    for handler in logging.getLogger("gearman_trio").handlers:
        if isinstance(handler, _LogFile):
            try:
                handler.reopen()
            except OSError as exc:
                logging.getLogger(__name__).error("%s cannot be opened anew: %s", handler.baseFilename, exc.strerror)


def _handler(destination: str) -> logging.Handler:
    if destination == "stderr":
        return logging.StreamHandler()
    if destination == "none":
        return logging.NullHandler()
    try:
        return _LogFile(destination, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"--log-file: {destination!r} cannot be written: {exc.strerror}") from exc


class _LogFile(WatchedFileHandler):
    """A file that is opened anew when it was moved away, or when somebody asks for it.

    Where that fails, the one that is open is written to. The base class raises then, into whoever logs a line.
    """

    def reopen(self) -> None:
        """Open the file anew.

        Raises:
            OSError: it cannot be opened.
        """
        self.acquire()
        try:
            old = self.setStream(self._open())
            if old is not None:
                old.close()
            self._statstream()
        finally:
            self.release()

    def reopenIfNeeded(self) -> None:  # noqa: N802 - the base class calls it so, before each line
        try:
            found = os.stat(self.baseFilename)
            if (found.st_dev, found.st_ino) == (self.dev, self.ino):
                return
        except OSError:
            pass
        with suppress(OSError):
            self.reopen()


class _JsonLines(logging.Formatter):
    """One JSON object in a line: time (ISO 8601, UTC), level, logger, message, and exception if there is one."""

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


class _SyslogHandler(SysLogHandler):
    """The system's log, which knows NOTICE."""

    # In the manner of the base class: without it NOTICE would be a warning.
    priority_map = {**SysLogHandler.priority_map, "NOTICE": "notice"}  # noqa: RUF012


def _syslog_handler(begin: str) -> logging.Handler:
    for path in _SYSLOG_SOCKETS:
        if os.path.exists(path):
            try:
                handler = _SyslogHandler(path, facility=SysLogHandler.LOG_DAEMON)
            except OSError as exc:
                raise ConfigError(f"--syslog: {path} takes no lines: {exc.strerror}") from exc
            handler.ident = f"{os.path.basename(sys.argv[0])}[{os.getpid()}]: "
            handler.setFormatter(logging.Formatter(f"%(levelname)s %(name)s: {begin}%(message)s"))
            return handler
    raise ConfigError(f"--syslog: there is no system's log: expected one of {', '.join(_SYSLOG_SOCKETS)}")
