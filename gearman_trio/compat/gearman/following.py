"""The caller's side of what a submitter hears: updates are taken here, in the thread that called the client."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, assert_never

import trio

from ...blocking.loop import Loop
from ...client import JobData, JobState, JobStatus, JobWarning
from .constants import JOB_COMPLETE, JOB_CREATED, JOB_FAILED, JOB_UNKNOWN
from .errors import ServerUnavailable
from .job import GearmanJobRequest
from .submitting import (
    Completed,
    Created,
    Failed,
    Inbox,
    Lost,
    Refused,
    Submission,
    Submitter,
    Unreachable,
    Update,
)

__all__ = ["Followed", "status_of"]


class Followed:
    """The requests of one client that were submitted, and what was heard of them.

    The mutable state: the submission of each request that somebody keeps, and the inbox.

    Attributes:
        inbox: what was heard and not taken yet.
    """

    def __init__(self, *, decode: Callable[[bytes], Any], on_refusal: Callable[[str, str], object]) -> None:
        self._decode = decode
        self._on_refusal = on_refusal
        self._submissions: weakref.WeakKeyDictionary[GearmanJobRequest, Submission] = weakref.WeakKeyDictionary()
        # Guards the taking of updates, so that those of one request are taken in their order.
        self._taking = threading.Lock()
        self.inbox: Inbox = deque()

    def add(self, request: GearmanJobRequest, submission: Submission) -> None:
        """Follow a request, by its latest submission only."""
        self._submissions[request] = submission

    def events(self, what: str, requests: Iterable[GearmanJobRequest], loop: Loop[Submitter]) -> list[trio.Event]:
        """What to wait for: the event of that name of each request.

        A request that is followed in another loop went with a connection that this process or client has no more.
        """
        events = []
        for request in requests:
            submission = self._submissions.get(request)
            if submission is not None and submission.loop is loop:
                events.append(getattr(submission, what))
            elif submission is not None:
                self.inbox.append((submission, Lost()))
        return events

    def take_updates(self) -> None:
        """Make the requests show what was heard.

        Raises:
            ServerUnavailable: for one of them, no job server could be reached.
            Exception: what the decoder or the handler of refusals raises.
        """
        unreachable: Unreachable | None = None
        with self._taking:
            while self.inbox:
                submission, update = self.inbox.popleft()
                request = submission.request()
                if request is None or self._submissions.get(request) is not submission:
                    continue
                self._take(request, update)
                if isinstance(update, Unreachable):
                    unreachable = update
        if unreachable is not None:
            raise ServerUnavailable(f"no job server could be reached: {'; '.join(unreachable.causes)}")

    def _take(self, request: GearmanJobRequest, update: Update) -> None:
        match update:
            case Created():
                request.job.connection = update.connection
                request.job.handle = update.handle
                request.state = JOB_CREATED
            case JobData():
                request.data_updates.append(self._decode(update.data))
            case JobWarning():
                request.warning_updates.append(self._decode(update.data))
            case JobStatus():
                request.status = status_of(request.job.handle, update, known=True, running=True)
            case Completed():
                request.result = self._decode(update.result)
                request.state = JOB_COMPLETE
            case Failed():
                request.exception = None if update.exception is None else self._decode_exception(update.exception)
                request.state = JOB_FAILED
            case Refused():
                request.state = JOB_FAILED
                self._on_refusal(update.code, update.text)
            case Lost():
                request.state = JOB_UNKNOWN
            case Unreachable():
                request.state = JOB_UNKNOWN
                # It was sent to nobody.
                request.connection_attempts -= 1
            case _:
                assert_never(update)

    def _decode_exception(self, data: bytes) -> Any:
        """Decode what a worker said of its exception, which need not be in the encoding of results at all."""
        try:
            return self._decode(data)
        except Exception:  # noqa: BLE001 - a stranger's decoder, and the bytes say more than its complaint
            return data


def status_of(handle: Any, numbers: JobStatus | JobState, *, known: bool, running: bool) -> dict[str, Any]:
    """A status as requests show it."""
    return {
        "handle": handle,
        "known": known,
        "running": running,
        "numerator": numbers.numerator,
        "denominator": numbers.denominator,
        "time_received": time.time(),
    }
