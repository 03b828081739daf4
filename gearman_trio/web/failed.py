"""The last jobs that failed, and how one of them is submitted again.

The server remembers some hundred of them, with their workloads where those are short.  A job that is submitted again is
a new background job, whatever the one that failed was: nobody waits for it any more.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

import trio

from ..core import PRIORITIES, Failure
from ..errors import GearmanError
from ..server import Server
from .snapshot import failure_value

__all__ = ["FailedJobs"]

#: How many handles are remembered of jobs that were submitted again: more than there are failures.
_REMEMBERED: Final = 1000

#: How long a submission may take; a store that is slow is told of by the server.
_SUBMIT_SECONDS: Final = 60.0


class FailedJobs:
    """Those of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        # The new handle of each that was submitted again, empty while that is under way.
        self._again: OrderedDict[bytes, bytes] = OrderedDict()

    def newest(self, function: bytes | None = None) -> list[Failure]:
        """The latest first; of one function, if it is given."""
        failures = self._server.operator.failures()
        return [each for each in reversed(failures) if function is None or each.function == function]

    def find(self, handle: bytes) -> Failure | None:
        """The one with this handle, as long as it is remembered."""
        return next((each for each in self.newest() if each.handle == handle), None)

    def value(self, failure: Failure) -> dict[str, Any]:
        """One, for JSON: ``requeueable`` says whether it can be submitted again, ``requeued_as`` how it was."""
        again = self._again.get(failure.handle)
        return {
            **failure_value(failure, self._server.epoch() - trio.current_time()),
            "priority": PRIORITIES[failure.priority],
            "requeueable": failure.workload is not None and again is None,
            "requeued_as": again.decode("utf-8", "backslashreplace") if again else None,
        }

    async def submit_again(self, failure: Failure) -> bytes:
        """Submit the job anew, in the background; give its new handle.

        Raises:
            ValueError: it was submitted again already, or its workload was not kept; the message is for people.
            GearmanError: the server refuses it.
            trio.TooSlowError: the server does not answer.

        Cancellation: it may have been submitted.
        """
        if failure.handle in self._again:
            again = self._again[failure.handle]
            raise ValueError(f"the job was submitted again, as {again.decode('utf-8', 'backslashreplace')}")
        if failure.workload is None:
            why = "it was in the store alone" if failure.spilled else "it is too long"
            raise ValueError(f"the workload of {failure.workload_bytes} bytes was not kept, for {why}")
        # At once, so that a second click does not submit a second job.
        self._again[failure.handle] = b""
        try:
            with trio.fail_after(_SUBMIT_SECONDS):
                async with self._server.open_client(client_id="web") as client:
                    handle: bytes = await client.submit(
                        failure.function,
                        bytes(failure.workload),
                        unique=failure.unique,
                        priority=PRIORITIES[failure.priority],
                    )
        except (GearmanError, OSError, trio.TooSlowError):
            del self._again[failure.handle]
            raise
        self._again[failure.handle] = handle
        while len(self._again) > _REMEMBERED:
            self._again.popitem(last=False)
        return handle
