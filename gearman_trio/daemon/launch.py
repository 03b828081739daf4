"""What a job server's process is started with."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Final, Self

import attrs

from ..config import Settings
from ..errors import ConfigError
from ..server import Listen, ServerOptions
from ..storage import Store, make_store
from ..transport import Address, TlsOptions, parse_address

__all__ = ["Launch"]

_TLS_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

#: Where gearmand writes its log unless told otherwise; a background process has no other place.
_DAEMON_LOG: Final = "/var/log/gearmand.log"


@attrs.frozen(kw_only=True)
class Launch:
    """The settings of a job server's process, checked together.

    Attributes:
        options: the broker's.
        listens: where to listen.
        everywhere: where to listen besides if `listens` has no place for clients and workers, and no service manager
            has opened one.
        web: where to answer HTTP, if anywhere.
        web_token: lets people change something there.
        web_hosts: names by which browsers may ask there.
        web_hide_workloads: whether workloads stay unseen there.
        backlog: of listen(2); ``None`` for as many as the kernel allows.
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
        store: where background jobs are kept, not open yet; ``None`` for memory.
        gateway: where to run jobs for requests over HTTP, if anywhere.
    """

    options: ServerOptions
    listens: tuple[Listen, ...]
    everywhere: Listen
    web: Address | None
    web_token: str | None
    web_hosts: tuple[str, ...]
    web_hide_workloads: bool
    backlog: int | None
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
    store: Store | None = None
    gateway: tuple[Address, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What settings ask for.

        Raises:
            ConfigError: two options do not go together, or a library that one needs is not installed.
        """
        everywhere = Address("*", settings["port"])
        pid_file = settings["pid-file"]
        return cls(
            options=settings.server_options(),
            listens=tuple(_listens(settings)),
            everywhere=Listen(everywhere, tls=_tls(settings) if settings["ssl"] else None),
            web=_web(settings),
            web_token=settings["web-token"],
            web_hosts=tuple(settings["web-host"]),
            web_hide_workloads=settings["web-hide-workloads"],
            backlog=settings["backlog"],
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
            store=_store(settings),
            gateway=_gateway(settings),
        )


def _store(settings: Settings) -> Store | None:
    url = settings.store_url()
    return None if url is None else make_store(url, durability=settings["durability"])


def _listens(settings: Settings) -> Iterator[Listen]:
    """Every place that is asked for, plain or with TLS, for everybody or for administrators."""
    port, mode = settings["port"], int(settings["listen-mode"], 8)
    for option in ("listen", "listen-tls", "listen-admin"):
        for text in settings[option]:
            address = parse_address(text, default_port=port)
            # A unix socket is reached from this machine only; there it is asked for by --listen-tls.
            secure = option == "listen-tls" or (settings["ssl"] and not address.path)
            yield Listen(address, tls=_tls(settings) if secure else None, admin=option == "listen-admin", mode=mode)


def _web(settings: Settings) -> Address | None:
    if settings["web"] is None:
        return None
    # Now, so that a missing library is known before anything is started.
    import_module("gearman_trio.web")
    return parse_address(settings["web"])


def _gateway(settings: Settings) -> tuple[Address, ...]:
    """Wherever clients and workers are listened for, at the other port."""
    if settings["protocol"] != "http":
        return ()
    import_module("gearman_trio.web")
    addresses = [parse_address(text) for option in ("listen", "listen-tls") for text in settings[option]]
    hosts = dict.fromkeys(address.host for address in addresses if not address.path)
    return tuple(Address(host, settings["http-port"]) for host in hosts or ("*",))


def _tls(settings: Settings) -> TlsOptions:
    certificate = settings["ssl-certificate"]
    if not certificate:
        option = "--ssl" if settings["ssl"] else "--listen-tls"
        raise ConfigError(f"{option}: --ssl-certificate must be given too, and --ssl-key unless the key is in its file")
    return TlsOptions(
        certificate=certificate,
        key=settings["ssl-key"],
        ca=settings["ssl-ca-file"],
        minimum_version=_TLS_VERSIONS[settings["ssl-minimum-version"]],
    )


def _default_log_file(settings: Settings) -> str:
    if settings["syslog"]:
        return "none"
    return _DAEMON_LOG if settings["daemon"] else "stderr"
