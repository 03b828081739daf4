"""The client of this interface."""

from __future__ import annotations

import os
import random
import time
import weakref
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Final, TypeVar

import trio

from ...blocking.loop import Loop
from ...blocking.portal import Portal
from ...client import JobState
from ...errors import GearmanError, ServersUnavailable
from .connection import GearmanConnection
from .connection_manager import GearmanConnectionManager, task_name, unique_name
from .constants import (
    JOB_FAILED,
    JOB_PENDING,
    JOB_UNKNOWN,
    PRIORITY_HIGH,
    PRIORITY_LOW,
    PRIORITY_NONE,
)
from .errors import ConnectionError as GearmanConnectionError
from .errors import ExceededConnectionAttempts, InvalidClientState, ProtocolError, ServerUnavailable
from .following import Followed, status_of
from .job import GearmanJobRequest
from .submitting import Submission, Submitter, open_submitter

__all__ = ["GearmanClient"]

_Requests = TypeVar("_Requests", bound=Collection[GearmanJobRequest])

_PRIORITIES: Final = {PRIORITY_NONE: "normal", PRIORITY_LOW: "low", PRIORITY_HIGH: "high"}

#: 32 characters in hexadecimal; a unique ID may have 64.
_RANDOM_UNIQUE_BYTES: Final = 16


class GearmanClient(GearmanConnectionManager):
    """Submits jobs to any of several job servers, each time to a random one that can be reached.

    Requests change only while a method of this class runs, in the thread that called it, and so do the encoders.
     Several threads may use one client.

    Attributes:
        options: asked for on each connection; without ``"exceptions"``, job servers keep the exceptions of workers to
            themselves.
    """

    options: ClassVar[Sequence[str]] = ("exceptions",)

    def __init__(
        self,
        host_list: Iterable[str | tuple[str, int] | dict[str, Any]] | None = None,
        random_unique_bytes: int = _RANDOM_UNIQUE_BYTES,
    ) -> None:
        """Take the job servers.

        Args:
            host_list: as for `GearmanConnectionManager`.
            random_unique_bytes: of how many random bytes a unique ID is made where none is given.
        """
        super().__init__(host_list=host_list)
        self.random_unique_bytes = random_unique_bytes
        self._followed = Followed(decode=self._decode, on_refusal=self.on_gearman_error)
        self._portal = self._make_portal()

    # ---- submitting ----------------------------------------------------------------------------------------

    def submit_job(
        self,
        task: Any,
        data: Any,
        unique: Any = None,
        priority: str | None = PRIORITY_NONE,
        *,
        background: bool = False,
        wait_until_complete: bool = True,
        max_retries: int = 0,
        poll_timeout: float | None = None,
    ) -> GearmanJobRequest:
        """Submit one job; as `submit_multiple_jobs` with one, except that it gives the request itself."""
        job_info = {"task": task, "data": data, "unique": unique, "priority": priority}
        (request,) = self.submit_multiple_jobs(
            [job_info],
            background=background,
            max_retries=max_retries,
            wait_until_complete=wait_until_complete,
            poll_timeout=poll_timeout,
        )
        return request

    def submit_multiple_jobs(
        self,
        jobs_to_submit: Iterable[dict[str, Any]],
        background: bool = False,
        max_retries: int = 0,
        *,
        wait_until_complete: bool = True,
        poll_timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Submit jobs, and wait for them.

        Args:
            jobs_to_submit: each a dictionary with ``task``, ``data``, and perhaps ``unique`` and ``priority``.
            background: whether nobody waits for their results.
            max_retries: how often each may be sent again where its connection was lost before it was accepted.
            wait_until_complete: whether to wait for the end of foreground jobs.
            poll_timeout: the seconds that all of this may take; ``None`` is without limit.

        Raises:
            ServerUnavailable, ExceededConnectionAttempts: as `submit_multiple_requests`.
            ProtocolError: a name or priority cannot be sent, or the encoder gave no bytes.
            Exception: whatever the encoder raises.
        """
        if isinstance(jobs_to_submit, dict | str):
            raise TypeError(f"expected several jobs, got a {type(jobs_to_submit).__name__}; submit_job takes one")
        requests = [
            self._create_request_from_dictionary(job_info, background=background, max_retries=max_retries)
            for job_info in jobs_to_submit
        ]
        return self.submit_multiple_requests(
            requests, wait_until_complete=wait_until_complete, poll_timeout=poll_timeout
        )

    def submit_multiple_requests(
        self, job_requests: _Requests, wait_until_complete: bool = True, poll_timeout: float | None = None
    ) -> _Requests:
        """Submit those requests that are not submitted, and wait for all of them.

        A request that was not accepted, or has not ended, when the time is over has ``timed_out``; its job goes on,
        and it can be waited for again.  One whose connection was lost has the state ``JOB_UNKNOWN``.

        Raises:
            ServerUnavailable: no job server could be reached, or the last connection was lost.
            ExceededConnectionAttempts: a request was lost, and may not be sent again.
        """
        deadline = _deadline(poll_timeout)
        self.wait_until_jobs_accepted(job_requests, poll_timeout=poll_timeout)
        if wait_until_complete:
            self.wait_until_jobs_completed(job_requests, poll_timeout=_remaining(deadline))
        return job_requests

    def wait_until_jobs_accepted(self, job_requests: _Requests, poll_timeout: float | None = None) -> _Requests:
        """Submit those requests that are not submitted, and wait until all have handles.  Raises as above."""
        _check_several(job_requests)
        deadline = _deadline(poll_timeout)
        while True:
            self._begin([request for request in job_requests if request.state == JOB_UNKNOWN])
            self._wait("accepted", [request for request in job_requests if request.state == JOB_PENDING], deadline)
            again = any(request.state == JOB_UNKNOWN for request in job_requests)
            if not again or _remaining(deadline) == 0.0:
                break
        for request in job_requests:
            request.timed_out = request.state in {JOB_PENDING, JOB_UNKNOWN}
        return job_requests

    def wait_until_jobs_completed(self, job_requests: _Requests, poll_timeout: float | None = None) -> _Requests:
        """Wait for the end of requests that were submitted; background jobs end when they are accepted.

        Nothing is sent again, because nobody knows how far a worker came.

        Raises:
            ServerUnavailable: a connection was lost meanwhile, and no other is left.
        """
        _check_several(job_requests)
        deadline = _deadline(poll_timeout)
        waiting = [request for request in job_requests if not request.complete and request.state != JOB_UNKNOWN]
        self._wait("ended", waiting, deadline)
        for request in job_requests:
            request.timed_out = not request.complete and request.state != JOB_FAILED
        if any(request.state == JOB_UNKNOWN for request in waiting):
            self._check_connected()
        return job_requests

    def send_job_request(self, current_request: GearmanJobRequest) -> GearmanJobRequest:
        """Send one request without waiting for anything.

        Raises:
            InvalidClientState: it was sent already.
            ExceededConnectionAttempts: it may not be sent again.
        """
        if current_request.state != JOB_UNKNOWN:
            raise InvalidClientState(f"expected a request in the state {JOB_UNKNOWN}, got {current_request!r}")
        self._begin([current_request])
        return current_request

    # ---- asking --------------------------------------------------------------------------------------------

    def get_job_status(
        self, current_request: GearmanJobRequest, poll_timeout: float | None = None
    ) -> GearmanJobRequest:
        """Ask the job server how far a request is; as `get_job_statuses` with one."""
        self.get_job_statuses([current_request], poll_timeout=poll_timeout)
        return current_request

    def get_job_statuses(self, job_requests: _Requests, poll_timeout: float | None = None) -> _Requests:
        """Ask the job servers how far requests are: ``status`` says it, or ``timed_out`` that no answer came.

        Raises:
            InvalidClientState: a request has no connection or no handle.
            ServerUnavailable: none of the job servers can be reached.
        """
        _check_several(job_requests)
        questions = [(request, *_question(request)) for request in job_requests]
        answers: list[tuple[GearmanJobRequest, JobState]] = []

        async def ask(
            submitter: Submitter, request: GearmanJobRequest, where: GearmanConnection, handle: bytes
        ) -> None:
            state = await submitter.status(where, handle)
            if state is not None:
                answers.append((request, state))

        async def ask_all(submitter: Submitter) -> None:
            async with trio.open_nursery() as nursery:
                for request, connection, handle in questions:
                    nursery.start_soon(ask, submitter, request, connection, handle)

        for request in job_requests:
            request.status["last_time_received"] = request.status.get("time_received")
            request.timed_out = True
        self._call(ask_all, poll_timeout)
        self._followed.take_updates()
        for request, state in answers:
            request.status = status_of(request.job.handle, state, known=state.known, running=state.running)
            request.timed_out = False
        if questions and not answers:
            self._check_connected()
        return job_requests

    # ---- connections ---------------------------------------------------------------------------------------

    def establish_connection(self, current_connection: GearmanConnection) -> GearmanConnection:
        """Connect to a job server, unless there is a connection.

        Raises:
            ConnectionError: it cannot be reached.
        """
        try:
            self._call(lambda submitter: submitter.connect(current_connection), None)
        except (GearmanError, OSError) as exc:
            raise GearmanConnectionError(f"<{current_connection.address()}> {exc}") from exc
        return current_connection

    def shutdown(self) -> None:
        """Close every connection; requests that were waited for are lost. The next call connects again."""
        portal, self._portal = self._portal, self._make_portal()
        portal.close()

    # ---- what goes on behind -------------------------------------------------------------------------------

    def _create_request_from_dictionary(
        self, job_info: dict[str, Any], background: bool = False, max_retries: int = 0
    ) -> GearmanJobRequest:
        unique = job_info.get("unique") or os.urandom(self.random_unique_bytes).hex()
        job = self.job_class(connection=None, handle=None, task=job_info["task"], unique=unique, data=job_info["data"])
        return GearmanJobRequest(
            job,
            initial_priority=job_info.get("priority", PRIORITY_NONE),
            background=background,
            max_attempts=max_retries + 1,
        )

    def _make_portal(self) -> Portal[Submitter]:
        return Portal(partial(open_submitter, inbox=self._followed.inbox, options=tuple(self.options)), "client")

    def _begin(self, requests: Sequence[GearmanJobRequest]) -> None:
        """Send requests; none of them where one cannot be sent."""
        if not requests:
            return
        for request in requests:
            if request.connection_attempts >= request.max_connection_attempts:
                raise ExceededConnectionAttempts(
                    f"{request.max_connection_attempts} attempt(s) to submit were allowed, and lost: {request!r}"
                )
        if not self.connection_list:
            raise ServerUnavailable("the client has no job servers")
        loop = self._portal.loop()
        submissions = [self._submission(request, loop) for request in requests]
        for request, submission in zip(requests, submissions, strict=True):
            request.state = JOB_PENDING
            request.timed_out = False
            request.connection_attempts += 1
            self._followed.add(request, submission)
        loop.spawn(lambda submitter: submitter.begin(submissions))

    def _submission(self, request: GearmanJobRequest, loop: Loop[Submitter]) -> Submission:
        job = request.job
        if request.priority not in _PRIORITIES:
            raise ProtocolError(f"priority: expected one of {list(_PRIORITIES)}, got {request.priority!r}")
        return Submission(
            function=task_name(job.task),
            unique=unique_name(job.unique),
            workload=self._encode(job.data),
            priority=_PRIORITIES[request.priority],
            background=request.background,
            connections=random.sample(self.connection_list, len(self.connection_list)),
            loop=loop,
            request=weakref.ref(request),
        )

    def _wait(self, what: str, requests: Sequence[GearmanJobRequest], deadline: float | None) -> None:
        """Wait for an event of each request, and make what was heard theirs."""
        if requests:
            events = self._followed.events(what, requests, self._portal.loop())
            self._call(lambda submitter: submitter.wait(events), _remaining(deadline))
        self._followed.take_updates()

    def _call(self, function: Any, timeout: float | None) -> None:
        """Have something done in the loop, for so long as there is time."""
        try:
            self._portal.call(function, timeout)
        except TimeoutError:
            pass
        except ServersUnavailable as exc:
            raise ServerUnavailable(str(exc)) from exc

    def _check_connected(self) -> None:
        if not any(connection.connected for connection in self.connection_list):
            raise ServerUnavailable(f"no connection is left: {self.connection_list!r}")


def _check_several(job_requests: object) -> None:
    if isinstance(job_requests, GearmanJobRequest):
        raise TypeError("expected several requests, got one; put it into a list")


def _question(request: GearmanJobRequest) -> tuple[GearmanConnection, bytes]:
    connection, handle = request.job.connection, request.job.handle
    if connection is None or handle is None:
        raise InvalidClientState(f"only a request that was accepted has a status, got {request!r}")
    return connection, handle.encode("utf-8") if isinstance(handle, str) else handle


def _deadline(poll_timeout: float | None) -> float | None:
    return None if poll_timeout is None else time.monotonic() + poll_timeout


def _remaining(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
