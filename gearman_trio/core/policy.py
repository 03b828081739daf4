"""What an operator may decide about the broker's behaviour, with the reason of each default."""

from __future__ import annotations

from datetime import tzinfo

from ..protocol.codec import MAX_PACKET_BYTES

__all__ = ["Policy"]


class Policy:
    """The broker's switches and limits.

    Attributes:
        handle_prefix: job handles are ``<prefix>:<number>``; clients expect ``H:<host name>``.
        first_handle: the first number. The runtime derives it from the time of the start, so that a handle of an
            earlier run never names a job of this one.
        version: the answer to the administrative command ``version``.
        process_id: the answer to ``getpid``.
        verbosity: the answer to ``verbose``, one of gearmand's level names.
        max_attempts: after so many assignments that ended with a lost worker the job fails; 0 for no limit
            (gearmand 2.x: ``--job-retries -1``).
        max_packet_bytes: the largest packet body taken; the default is what the protocol can announce.
        max_function_bytes: the longest function name (libgearman's GEARMAN_FUNCTION_MAX_SIZE).
        max_unique_bytes: the longest unique ID (gearmand's GEARMAN_MAX_UNIQUE_SIZE).
        max_handle_bytes: the longest job handle that is looked up (gearmand's GEARMAND_JOB_HANDLE_SIZE).
        max_client_id_bytes: the longest client ID (libgearman's own limit).
        max_jobs: how many live jobs there may be, queued, scheduled and running; 0 for no limit.
        max_jobs_per_function: likewise of each function, besides its ``maxqueue``.
        max_held_bytes: how long the workloads of all live jobs may be together; 0 for no limit.
        max_held_bytes_per_function: likewise of each function.
        round_robin: whether a worker's functions take turns within a priority (gearmand 2.x), or the ability that was
            registered last comes first (1.1).
        global_priority: whether priorities hold over all functions of a worker (2.x), or within each (1.1).
        worker_wakeup: how many sleepers are woken for each job; 0 for all (gearmand's default, a stampede).
        wake_seconds: how long a woken worker may take to grab before the next one is woken. Perl's Gearman::Server
            wakes more sleepers after the same time.
        requeue_on_timeout: whether a job that outlives CAN_DO_TIMEOUT is queued again, as gearmand does, and not
            failed, as the protocol document says.
        requeue_on_cant_do: whether CANT_DO and RESET_ABILITIES take the worker's running jobs of the function from it,
            as gearmand does, and do not let them go on.
        unique_jobs_with_handles: whether ``show unique jobs`` gives handles too (gearmand 2.2).
        exceptions: whether every connection starts with the ``exceptions`` option on (gearmand's ``--exceptions``).
        durable: whether background jobs are stored before they are acknowledged.
        store_foreground: whether foreground jobs are, too.
        first_row: the number of the first job that is stored.
        max_stored_bytes: the largest workload that the store takes.
        spill_bytes: workloads longer than this are kept in the store alone until a worker gets the job; 0 for none.
            That of a job with the unique ID ``-`` is kept here too: other submissions are compared with it.
        time_zone: in which SUBMIT_JOB_SCHED is read; ``None`` for the local zone of the process.
    """

    __slots__ = (
        "durable",
        "exceptions",
        "first_handle",
        "first_row",
        "global_priority",
        "handle_prefix",
        "max_attempts",
        "max_client_id_bytes",
        "max_function_bytes",
        "max_handle_bytes",
        "max_held_bytes",
        "max_held_bytes_per_function",
        "max_jobs",
        "max_jobs_per_function",
        "max_packet_bytes",
        "max_stored_bytes",
        "max_unique_bytes",
        "process_id",
        "requeue_on_cant_do",
        "requeue_on_timeout",
        "round_robin",
        "spill_bytes",
        "store_foreground",
        "time_zone",
        "unique_jobs_with_handles",
        "verbosity",
        "version",
        "wake_seconds",
        "worker_wakeup",
    )

    def __init__(
        self,
        *,
        handle_prefix: bytes = b"H:localhost",
        first_handle: int = 1,
        version: str = "0",
        process_id: int = 0,
        verbosity: str = "ERROR",
        max_attempts: int = 0,
        max_packet_bytes: int = MAX_PACKET_BYTES,
        max_function_bytes: int = 512,
        max_unique_bytes: int = 64,
        max_handle_bytes: int = 64,
        max_client_id_bytes: int = 254,
        max_jobs: int = 0,
        max_jobs_per_function: int = 0,
        max_held_bytes: int = 0,
        max_held_bytes_per_function: int = 0,
        round_robin: bool = True,
        global_priority: bool = True,
        worker_wakeup: int = 1,
        wake_seconds: float = 0.1,
        requeue_on_timeout: bool = False,
        requeue_on_cant_do: bool = False,
        unique_jobs_with_handles: bool = False,
        exceptions: bool = False,
        durable: bool = False,
        store_foreground: bool = False,
        first_row: int = 1,
        max_stored_bytes: int = MAX_PACKET_BYTES,
        spill_bytes: int = 0,
        time_zone: tzinfo | None = None,
    ) -> None:
        self.handle_prefix = handle_prefix
        self.first_handle = first_handle
        self.version = version
        self.process_id = process_id
        self.verbosity = verbosity
        self.max_attempts = max_attempts
        self.max_packet_bytes = max_packet_bytes
        self.max_function_bytes = max_function_bytes
        self.max_unique_bytes = max_unique_bytes
        self.max_handle_bytes = max_handle_bytes
        self.max_client_id_bytes = max_client_id_bytes
        self.max_jobs, self.max_jobs_per_function = max_jobs, max_jobs_per_function
        self.max_held_bytes, self.max_held_bytes_per_function = max_held_bytes, max_held_bytes_per_function
        self.round_robin = round_robin
        self.global_priority = global_priority
        self.worker_wakeup = worker_wakeup
        self.wake_seconds = wake_seconds
        self.requeue_on_timeout = requeue_on_timeout
        self.requeue_on_cant_do = requeue_on_cant_do
        self.unique_jobs_with_handles = unique_jobs_with_handles
        self.exceptions = exceptions
        self.durable = durable
        self.store_foreground = store_foreground
        self.first_row = first_row
        self.max_stored_bytes = max_stored_bytes
        self.spill_bytes = spill_bytes
        self.time_zone = time_zone
