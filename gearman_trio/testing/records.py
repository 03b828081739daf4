"""What the model of the broker knows of one connection and of one job."""

from __future__ import annotations

from attrs import define, field

__all__ = ["SUBMISSIONS", "ModelJob", "ModelPeer", "ModelPolicy", "Reply"]

#: A packet of the server: its name, its fields.
Reply = tuple[str, *tuple[bytes, ...]]

#: By the packet: (priority, background); a lower number is served first.
SUBMISSIONS = {
    "SUBMIT_JOB": (1, False),
    "SUBMIT_JOB_BG": (1, True),
    "SUBMIT_JOB_HIGH": (0, False),
    "SUBMIT_JOB_HIGH_BG": (0, True),
    "SUBMIT_JOB_LOW": (2, False),
    "SUBMIT_JOB_LOW_BG": (2, True),
    "SUBMIT_JOB_EPOCH": (1, True),
    "SUBMIT_REDUCE_JOB": (1, False),
    "SUBMIT_REDUCE_JOB_BACKGROUND": (1, True),
}


@define(kw_only=True)
class ModelPolicy:
    """The operator's choices, named as in `core`."""

    handle_prefix: bytes = b"H:t"
    round_robin: bool = True
    global_priority: bool = True
    worker_wakeup: int = 1
    wake_seconds: float = 0.1
    max_attempts: int = 0
    requeue_on_timeout: bool = False
    requeue_on_cant_do: bool = False
    max_jobs: int = 0
    max_jobs_per_function: int = 0
    max_held_bytes: int = 0
    max_held_bytes_per_function: int = 0
    exceptions: bool = False


@define(eq=False)
class ModelPeer:
    """One connection.

    Attributes:
        heard: what the server has sent and the test has not taken yet.
        abilities: functions with their time limit in seconds, 0 for none, in the order in which they were said.
        woken_for: the function whose job it was woken for, until it grabs.
        woken_until: when another is woken in its place.
        released: handles of its running jobs that were cancelled.
        raised: the handle of the last job it ended by WORK_EXCEPTION.
        passed_over: by function, which other functions were served since it could have been.
    """

    exceptions: bool = False
    heard: list[Reply] = field(factory=list)
    abilities: dict[bytes, float] = field(factory=dict)
    sleeping: bool = False
    woken_for: bytes | None = None
    woken_until: tuple[float, int] = (0.0, 0)
    released: list[bytes] = field(factory=list)
    raised: bytes = b""
    passed_over: dict[bytes, set[bytes]] = field(factory=dict)

    def forget(self, function: bytes) -> None:
        """It cannot do a function any more."""
        del self.abilities[function]
        self.passed_over.pop(function, None)
        for others in self.passed_over.values():
            others.discard(function)

    def check_turn(self, ready: set[bytes], chosen: bytes) -> None:
        """No function is served twice while another one, that could have been served as well, is not."""
        for function in self.abilities:
            others = self.passed_over.setdefault(function, set())
            if function not in ready or function == chosen:
                others.clear()
            else:
                assert chosen not in others, f"{chosen!r} was served twice, {function!r} not once"
                others.add(chosen)


@define(eq=False)
class ModelJob:
    """One job.

    Attributes:
        state: ``"committing"``, ``"scheduled"``, ``"queued"`` or ``"running"``.
        place: grows with every job that is queued, assigned or scheduled; orders the jobs of one state.
        stored: whether the store has it, or will have.
        commit: the number of the batch that stores it, until that is done; else 0.
        deadline: when its time limit ends, and a number that orders equal times; `None` without a limit.
    """

    handle: bytes
    function: bytes
    unique: bytes
    workload: bytes
    reducer: bytes = b""
    priority: int = 0
    background: bool = False
    state: str = ""
    place: int = 0
    run_at: float = 0.0
    attempts: int = 0
    clients: list[ModelPeer] = field(factory=list)
    worker: ModelPeer | None = None
    deadline: tuple[float, int] | None = None
    progress: tuple[bytes, bytes] = (b"0", b"0")
    stored: bool = False
    commit: int = 0
