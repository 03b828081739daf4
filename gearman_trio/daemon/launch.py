"""What a job server's process is started with."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

import attrs

from ..config import Settings
from ..errors import ConfigError
from ..server import ServerOptions
from ..transport import Address, parse_address
from .tls import TlsFiles

__all__ = ["Launch"]

#: Where gearmand writes its log unless told otherwise; a background process has no other place.
_DAEMON_LOG: Final = "/var/log/gearmand.log"


@attrs.frozen(kw_only=True)
class Launch:
    """The settings of a job server's process, checked together.

    Attributes:
        options: the broker's.
        addresses: where to listen; none for `port` on all addresses of this machine.
        port: TCP port where no address is given.
        backlog: of listen(2); ``None`` for as many as the kernel allows.
        tls: the files of TLS, which is then spoken on every address; ``None`` for plain TCP.
        drain_seconds: how long SIGTERM lets running jobs go on.
        pid_file: holds the process ID.
        log_file: a path, ``"stderr"`` or ``"none"``.
        log_format: ``"text"`` or ``"json"``.
        syslog: whether to log to the system's log too.
        verbosity: gearmand's name of the level from which lines are logged.
        daemon: whether to go into the background.
        user: whom to become.
        file_descriptors: how many may be open.
        coredump: whether a crash leaves a core file.
    """

    options: ServerOptions
    addresses: tuple[Address, ...]
    port: int
    backlog: int | None
    tls: TlsFiles | None
    drain_seconds: float
    pid_file: Path | None
    log_file: str
    log_format: str
    syslog: bool
    verbosity: str
    daemon: bool
    user: str | None
    file_descriptors: int | None
    coredump: bool

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What settings ask for.

        Raises:
            ConfigError: two options do not go together.
        """
        if settings.store_url() is not None:
            raise ConfigError(
                f"--queue-type: expected 'builtin', for jobs are kept in memory, got {settings['queue-type']!r}"
            )
        port: int = settings["port"]
        pid_file = settings["pid-file"]
        return cls(
            options=settings.server_options(),
            addresses=tuple(parse_address(text, default_port=port) for text in settings["listen"]),
            port=port,
            backlog=settings["backlog"],
            tls=_tls(settings),
            drain_seconds=settings["drain-timeout"],
            pid_file=Path(pid_file) if pid_file else None,
            log_file=settings["log-file"] or _default_log_file(settings),
            log_format=settings["log-format"],
            syslog=settings["syslog"],
            verbosity=settings["verbose"],
            daemon=settings["daemon"],
            user=settings["user"],
            file_descriptors=settings["file-descriptors"],
            coredump=settings["coredump"],
        )


def _tls(settings: Settings) -> TlsFiles | None:
    if not settings["ssl"]:
        return None
    certificate, key = settings["ssl-certificate"], settings["ssl-key"]
    if not certificate or not key:
        raise ConfigError("--ssl: --ssl-certificate and --ssl-key must be given too")
    return TlsFiles(certificate=certificate, key=key, authority=settings["ssl-ca-file"])


def _default_log_file(settings: Settings) -> str:
    if settings["syslog"]:
        return "none"
    return _DAEMON_LOG if settings["daemon"] else "stderr"
