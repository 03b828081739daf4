"""The worker of this interface."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeAlias, TypeVar

from ...blocking.portal import Portal
from ...errors import ServersUnavailable
from ...names import client_id as check_client_id
from ...protocol import PacketType, encode_request
from .connection_manager import GearmanConnectionManager, checked, task_name
from .errors import ServerUnavailable
from .job import GearmanJob
from .serving import Assigned, Greeting, ServerSaid, Station, Unreachable, open_station

__all__ = ["POLL_TIMEOUT_IN_SECONDS", "GearmanWorker"]

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

POLL_TIMEOUT_IN_SECONDS: Final = 60.0

_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
_Callback: TypeAlias = Callable[[Any, Any], Any]


class GearmanWorker(GearmanConnectionManager):
    """Does the jobs of any number of job servers, one at a time, in the thread that calls `work`.

    The mutable state: the functions, the client ID, and while `work` runs the jobs that have not ended.

    Attributes:
        worker_abilities: the functions by their tasks, as they were registered.
        worker_client_id: how job servers call this worker, or ``None``.
    """

    def __init__(self, host_list: Iterable[str | tuple[str, int] | dict[str, Any]] | None = None) -> None:
        """Take the job servers; nothing connects before `work`."""
        super().__init__(host_list=host_list)
        self.worker_abilities: dict[Any, _Callback] = {}
        self.worker_client_id: str | bytes | None = None
        self._portal: Portal[Station] | None = None
        # By handle; from assignment to the packet that ends the job.
        self._assigned: dict[Any, Assigned] = {}

    # ---- what the worker can do ----------------------------------------------------------------------------

    def register_task(self, task: Any, callback_function: _Callback) -> Any:
        """Have jobs of a function done by ``callback_function(worker, job)``, whose result is encoded and sent.

        A job shows its task as it is given here, whether that is ``str`` or bytes.  May be called while `work` runs.

        Raises:
            ProtocolError: the task cannot be sent.
        """
        task_name(task)
        self.worker_abilities[task] = callback_function
        self._greet()
        return task

    def unregister_task(self, task: Any) -> Any:
        """Do no more jobs of a function."""
        self.worker_abilities.pop(task, None)
        self._greet()
        return task

    def set_client_id(self, client_id: str | bytes) -> str | bytes:
        """Tell job servers what to call this worker.

        Raises:
            ProtocolError: it is not printable ASCII without blanks.
        """
        checked(check_client_id, client_id)
        self.worker_client_id = client_id
        self._greet()
        return client_id

    # ---- work ----------------------------------------------------------------------------------------------

    def work(self, poll_timeout: float | None = POLL_TIMEOUT_IN_SECONDS) -> None:
        """Do jobs until `after_poll` or `after_job` says otherwise.

        A connection that is lost is made again.

        Args:
            poll_timeout: the seconds after which `after_poll` is called although nothing happened; ``None`` for never.

        Raises:
            ServerUnavailable: no job server can be reached.
            Exception: what `after_poll`, `after_job` or the handlers below raise.
        """
        open_ = partial(open_station, connections=tuple(self.connection_list), greeting=self._greeting())
        portal: Portal[Station] = Portal(open_, "worker")
        self._portal = portal
        try:
            while self._work_for(portal, poll_timeout):
                _call(portal, lambda station: station.poll(), None)
            _call(portal, lambda station: station.leave(), None)
        finally:
            self._portal = None
            self._assigned.clear()
            portal.close()

    def shutdown(self) -> None:
        """Close every connection. `work`, if it runs, ends with `ServerUnavailable`; jobs go back to their servers."""
        portal = self._portal
        if portal is not None:
            portal.close()

    def after_poll(self, any_activity: bool) -> bool:
        """Called whenever something happened, and at least every ``poll_timeout`` seconds, to be overridden.

        Args:
            any_activity: whether something happened.

        Returns:
            Whether to go on.
        """
        return True

    def after_job(self) -> bool:
        """Called after each job, to be overridden; gives whether to go on. Nothing is grabbed before it returns."""
        return True

    def on_job_execute(self, current_job: GearmanJob) -> Any:
        """Called with each job: does it, and goes on to `on_job_complete` or `on_job_exception`."""
        try:
            result = self.worker_abilities[current_job.task](self, current_job)
        except Exception:  # noqa: BLE001 - a stranger's function; on_job_exception logs it
            return self.on_job_exception(current_job, sys.exc_info())
        return self.on_job_complete(current_job, result)

    def on_job_exception(self, current_job: GearmanJob, exc_info: _ExcInfo) -> bool:
        """Called when a function raised: logs the exception, and fails the job."""
        _log.error("handle=%r task=%r raised", current_job.handle, current_job.task, exc_info=exc_info)
        self.send_job_failure(current_job)
        return False

    def on_job_complete(self, current_job: GearmanJob, job_result: Any) -> bool:
        """Called with the result of a function: sends it."""
        self.send_job_complete(current_job, job_result)
        return True

    # ---- what functions send -------------------------------------------------------------------------------
    #
    # Each returns when the system has taken the packet.  Nothing is sent for a job that has ended, or whose
    # connection was lost, since the job server has given it to another worker by then.

    def send_job_status(
        self, current_job: GearmanJob, numerator: float, denominator: float, poll_timeout: float | None = None
    ) -> None:
        """Tell the clients how far a job has come: WORK_STATUS."""
        for number in (numerator, denominator):
            if not isinstance(number, int | float):
                raise TypeError(f"expected a number, got {number!r}")
        fields = str(numerator).encode(), str(denominator).encode()
        self._send(current_job, [(PacketType.WORK_STATUS, fields)], poll_timeout)

    def send_job_data(self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None) -> None:
        """Give the clients a part of the result ahead of its end: WORK_DATA."""
        self._send(current_job, [(PacketType.WORK_DATA, (self._encode(data),))], poll_timeout)

    def send_job_warning(self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None) -> None:
        """Warn the clients of something: WORK_WARNING."""
        self._send(current_job, [(PacketType.WORK_WARNING, (self._encode(data),))], poll_timeout)

    def send_job_complete(self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None) -> None:
        """End a job with its result: WORK_COMPLETE."""
        self._send(current_job, [(PacketType.WORK_COMPLETE, (self._encode(data),))], poll_timeout, last=True)

    def send_job_failure(self, current_job: GearmanJob, poll_timeout: float | None = None) -> None:
        """End a job without a result: WORK_FAIL."""
        self._send(current_job, [(PacketType.WORK_FAIL, ())], poll_timeout, last=True)

    def send_job_exception(self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None) -> None:
        """End a job with an exception: WORK_EXCEPTION, for clients that asked for it, and WORK_FAIL."""
        packets = [(PacketType.WORK_EXCEPTION, (self._encode(data),)), (PacketType.WORK_FAIL, ())]
        self._send(current_job, packets, poll_timeout, last=True)

    # ---- what goes on behind -------------------------------------------------------------------------------

    def _work_for(self, portal: Portal[Station], poll_timeout: float | None) -> bool:
        """Do jobs for `poll_timeout` seconds; give whether to go on."""
        deadline = None if poll_timeout is None else time.monotonic() + poll_timeout
        go_on = self.after_poll(False)
        while go_on:
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                event = _call(portal, lambda station: station.next(), remaining)
            except TimeoutError:
                return True
            match event:
                case Assigned():
                    self._do(event)
                    go_on = self.after_poll(True) and self.after_job()
                case ServerSaid():
                    self._heard(event)
                    go_on = self.after_poll(True)
                case Unreachable():
                    raise ServerUnavailable(f"no job server can be reached: {'; '.join(event.causes)}")
        return False

    def _do(self, assigned: Assigned) -> None:
        self._assigned[assigned.handle] = assigned
        task = self._registered(assigned.function)
        job = self.job_class(assigned.connection, assigned.handle, task, assigned.unique, assigned.workload)
        try:
            job.data = self._decode(assigned.workload)
        except Exception:  # noqa: BLE001 - a stranger's decoder; the next job may be better
            self.on_job_exception(job, sys.exc_info())
        else:
            self.on_job_execute(job)

    def _registered(self, function: bytes) -> Any:
        """The task as it was registered; as bytes if it no longer is."""
        text = function.decode("utf-8", "surrogateescape")
        return text if text in self.worker_abilities else function

    def _heard(self, said: ServerSaid) -> None:
        if said.code == "JOB_NOT_FOUND":
            # The answer of gearmand to the WORK_FAIL that follows a WORK_EXCEPTION, and to results that come too late.
            _log.debug("the job server said ERROR %s: %s", said.code, said.text)
        else:
            self.on_gearman_error(said.code, said.text)

    def _greeting(self) -> Greeting:
        client_id = self.worker_client_id
        return Greeting(
            client_id=None if client_id is None else check_client_id(client_id),
            functions=[task_name(task) for task in self.worker_abilities],
        )

    def _greet(self) -> None:
        """Tell the job servers what has changed."""
        portal = self._portal
        if portal is None:
            return
        greeting = self._greeting()
        _call(portal, lambda station: station.greet(greeting), None)

    def _send(
        self,
        job: GearmanJob,
        packets: list[tuple[PacketType, tuple[bytes, ...]]],
        poll_timeout: float | None,
        *,
        last: bool = False,
    ) -> None:
        assigned = self._assigned.get(job.handle)
        portal = self._portal
        if assigned is None or portal is None:
            _log.debug("handle=%r has ended; %s is not sent", job.handle, packets[0][0].name)
            return
        if last:
            del self._assigned[job.handle]
        encoded = [encode_request(kind, assigned.handle, *fields) for kind, fields in packets]
        try:
            sent = _call(portal, lambda station: station.send(assigned, encoded), poll_timeout)
        except TimeoutError:
            # It stays queued, as it does where the caller gives no time.
            return
        if not sent:
            _log.warning("handle=%r was lost with its connection; %s is not sent", job.handle, packets[0][0].name)


def _call(portal: Portal[Station], function: Callable[[Station], Awaitable[_T]], timeout: float | None) -> _T:
    """As `Portal.call`, with the error of this interface where `shutdown` was called by a job or another thread."""
    try:
        return portal.call(function, timeout)
    except ServersUnavailable as exc:
        raise ServerUnavailable(str(exc)) from exc
