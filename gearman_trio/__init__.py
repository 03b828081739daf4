"""A complete Gearman system on Trio: job server, client, worker and tools.

    await nursery.start(partial(gearman_trio.serve, port=0))     a job server inside a program
    async with gearman_trio.open_server(port=0) as server        the same, for the length of a block
    async with gearman_trio.open_client("host:4730") as client   submit jobs
    async with gearman_trio.open_worker(abilities, "host:4730")  do jobs
    async with gearman_trio.open_admin("host:4730") as admin     look and steer

A name is imported when it is first used, so that who imports only this package, as pytest does for the plugin, pays for
no more.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .admin import AdminClient, open_admin
    from .client import (
        Client,
        ForegroundJob,
        JobData,
        JobItem,
        JobState,
        JobStatus,
        JobWarning,
        Pipeline,
        PipelineEntry,
        PipelineError,
        Priority,
        TypedJob,
        open_client,
    )
    from .errors import (
        ConfigError,
        GearmanError,
        JobError,
        JobFailed,
        JobLost,
        JobRaised,
        LocalProtocolError,
        ProcessDied,
        ProcessRaised,
        ProtocolError,
        RemoteProtocolError,
        SerializationError,
        ServerError,
        ServersUnavailable,
        StorageError,
    )
    from .serializers import BYTES, JSON, TEXT, Serializer
    from .server import Listen, Server, ServerOptions, ServerStatistics, open_server, serve
    from .transport import Address, TlsOptions
    from .worker import (
        Abilities,
        Fail,
        Injected,
        Job,
        Partition,
        Retry,
        Shutdown,
        ThreadJob,
        Worker,
        log_jobs,
        open_worker,
        run_worker,
    )

__all__ = [
    "BYTES",
    "JSON",
    "TEXT",
    "Abilities",
    "Address",
    "AdminClient",
    "Client",
    "ConfigError",
    "Fail",
    "ForegroundJob",
    "GearmanError",
    "Injected",
    "Job",
    "JobData",
    "JobError",
    "JobFailed",
    "JobItem",
    "JobLost",
    "JobRaised",
    "JobState",
    "JobStatus",
    "JobWarning",
    "Listen",
    "LocalProtocolError",
    "Partition",
    "Pipeline",
    "PipelineEntry",
    "PipelineError",
    "Priority",
    "ProcessDied",
    "ProcessRaised",
    "ProtocolError",
    "RemoteProtocolError",
    "Retry",
    "SerializationError",
    "Serializer",
    "Server",
    "ServerError",
    "ServerOptions",
    "ServerStatistics",
    "ServersUnavailable",
    "Shutdown",
    "StorageError",
    "ThreadJob",
    "TlsOptions",
    "TypedJob",
    "Worker",
    "log_jobs",
    "open_admin",
    "open_client",
    "open_server",
    "open_worker",
    "run_worker",
    "serve",
]

#: Where the names above are, in the order in which they are looked for.
_HOMES: Final = ("errors", "serializers", "transport", "client", "worker", "admin", "server")


def __getattr__(name: str) -> object:
    if name in __all__:
        for home in _HOMES:
            module = import_module(f".{home}", __name__)
            if name in module.__all__:
                globals()[name] = value = getattr(module, name)
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
