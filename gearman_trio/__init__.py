"""A complete Gearman system on Trio: job server, client, worker and tools.

    await nursery.start(partial(gearman_trio.serve, port=0))     a job server inside a program
    async with gearman_trio.open_server(port=0) as server        the same, for the length of a block
    async with gearman_trio.open_client("host:4730") as client   submit jobs
    async with gearman_trio.open_worker(abilities, "host:4730")  do jobs
    async with gearman_trio.open_admin("host:4730") as admin     look and steer
"""

from __future__ import annotations

from .admin import AdminClient, open_admin
from .client import Client, ForegroundJob, JobData, JobState, JobStatus, JobWarning, Priority, open_client
from .errors import (
    ConfigError,
    GearmanError,
    JobError,
    JobFailed,
    JobLost,
    JobRaised,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    ServerError,
    ServersUnavailable,
)
from .server import Server, ServerOptions, ServerStatistics, open_server, serve
from .transport import Address
from .worker import Abilities, Job, ThreadJob, Worker, open_worker, run_worker

__all__ = [
    "Abilities",
    "Address",
    "AdminClient",
    "Client",
    "ConfigError",
    "ForegroundJob",
    "GearmanError",
    "Job",
    "JobData",
    "JobError",
    "JobFailed",
    "JobLost",
    "JobRaised",
    "JobState",
    "JobStatus",
    "JobWarning",
    "LocalProtocolError",
    "Priority",
    "ProtocolError",
    "RemoteProtocolError",
    "Server",
    "ServerError",
    "ServerOptions",
    "ServerStatistics",
    "ServersUnavailable",
    "ThreadJob",
    "Worker",
    "open_admin",
    "open_client",
    "open_server",
    "open_worker",
    "run_worker",
    "serve",
]
