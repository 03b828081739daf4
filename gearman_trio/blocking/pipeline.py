"""Many background jobs at once, for a thread."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from .. import client as _async
from ..client import PipelineEntry, Priority
from ..signature import Injected
from .loop import Loop

__all__ = ["Pipeline"]

_P = ParamSpec("_P")
_Job = TypeVar("_Job", bound=Injected)


class Pipeline:
    """Collects submissions of background jobs; `gearman_trio.blocking.Client.pipeline` gives it.

    It is for one thread at a time.
    """

    def __init__(self, pipeline: _async.Pipeline, loop: Loop[_async.Client]) -> None:
        self._pipeline = pipeline
        self._loop = loop

    def __len__(self) -> int:
        """How many submissions were not sent."""
        return len(self._pipeline)

    @property
    def unsent_bytes(self) -> int:
        """How many bytes of packets were not sent; they are in memory until `flush`."""
        return self._pipeline.unsent_bytes

    @overload
    def submit(
        self,
        /,
        function: str | bytes,
        workload: bytes | bytearray | memoryview = b"",
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        run_at: float | datetime.datetime | None = None,
        delay: float | None = None,
    ) -> PipelineEntry: ...
    @overload
    def submit(
        self, function: Callable[Concatenate[_Job, _P], Any], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> PipelineEntry: ...
    @overload
    def submit(self, function: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> PipelineEntry: ...
    def submit(self, /, *args: Any, **kwargs: Any) -> PipelineEntry:
        """Add a background job; never waits, and sends nothing.

        Args:
            args: as for `Client.submit`.
            kwargs: as for `Client.submit`, but for its ``timeout``.

        Raises:
            SerializationError, ConfigError, TypeError: as `gearman_trio.Client.submit`; nothing was added.
            RuntimeError: the block of the pipeline was left.
        """
        return self._pipeline.submit(*args, **kwargs)

    def clear(self) -> None:
        """Forget what was not sent; its entries get neither a handle nor an error."""
        self._pipeline.clear()

    def flush(self, *, timeout: float | None = None) -> None:
        """Send what was submitted so far, and wait until the job servers have answered all of it.

        Raises:
            TimeoutError: the answers did not come within `timeout` seconds.  What was sent stays with the job servers,
                what was not is dropped, and entries without an answer stay without one.
            PipelineError: as `gearman_trio.Pipeline.flush`.
            ServersUnavailable: the client was closed.
        """
        self._loop.call(lambda _: self._pipeline.flush(), timeout)
