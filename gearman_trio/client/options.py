"""The options of calls, apart from their arguments."""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import attrs

from ..errors import ConfigError
from ..names import FunctionName, UniqueId, function_name, unique_id
from .job import DEFAULT_MAX_UNREAD_BYTES
from .submission import (
    Priority,
    Workload,
    check_priority,
    encode_background,
    encode_epoch,
    encode_foreground,
    encode_reduction,
)

__all__ = ["DEFAULT_OPTIONS", "CallOptions", "Resubmit", "RunAt"]

#: Whether a foreground job whose server is lost is sent to the next one.
Resubmit = Literal["never", "if-unique"]

#: When a job may start at the earliest: seconds since 1970, UTC, or a datetime with a time zone.
RunAt = float | datetime.datetime


@attrs.frozen(kw_only=True)
class CallOptions:
    """How jobs are submitted, where a call does not say otherwise; `Client.with_options` describes each option.

    Attributes:
        epoch_clock: gives the seconds since 1970 from which a delay is counted.
    """

    priority: Priority | str = Priority.NORMAL
    unique: str | bytes | None = None
    run_at: RunAt | None = None
    delay: float | None = None
    name: FunctionName | None = None
    max_unread_bytes: int = DEFAULT_MAX_UNREAD_BYTES
    resubmit: Resubmit = "never"
    epoch_clock: Callable[[], float] = time.time

    def changed(self, **changes: Any) -> CallOptions:
        """These options with those that are not ``None`` put in their place.

        Raises:
            ConfigError: a value cannot be used.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        if not given:
            return self
        if given.keys() & {"run_at", "delay"}:
            # The one takes the place of the other, too.
            given = {"run_at": None, "delay": None, **given}
        if given.get("name") is not None:
            given["name"] = function_name(given["name"])
        options = attrs.evolve(self, **given)
        check_priority(options.priority)
        unique_id(options.unique)
        if options.resubmit not in get_args(Resubmit):
            raise ConfigError(f"resubmit: expected 'never' or 'if-unique', got {options.resubmit!r}")
        if options.delay is not None:
            _check_delay(options.delay)
            if options.run_at is not None:
                raise ConfigError("run_at and delay: a job starts at one time; give one of them")
        return options

    def unique_of(self, call: Mapping[str, Any]) -> UniqueId:
        """The unique ID of a call with these keyword arguments."""
        unique = call.get("unique")
        return unique_id(self.unique if unique is None else unique)

    def foreground(
        self,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
    ) -> bytes:
        """The packet that submits a foreground job, by these options where no other is given."""
        self._refuse_later()
        return encode_foreground(
            function,
            workload,
            self.priority if priority is None else priority,
            self.unique if unique is None else unique,
        )

    def reduction(
        self,
        function: str | bytes,
        reducer: str | bytes,
        workload: Workload = b"",
        *,
        unique: str | bytes | None = None,
    ) -> bytes:
        """The packet that submits a foreground job with a reducer, by these options where no other is given."""
        self._refuse_later()
        if self.priority != Priority.NORMAL:
            raise ConfigError(f"priority: a job with a reducer has the normal priority, got {self.priority!r}")
        return encode_reduction(function, reducer, workload, self.unique if unique is None else unique)

    def background(
        self,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        run_at: RunAt | None = None,
        delay: float | None = None,
    ) -> bytes:
        """The packet that submits a background job, by these options where no other is given."""
        if run_at is not None or delay is not None:
            return self.changed(run_at=run_at, delay=delay).background(
                function, workload, priority=priority, unique=unique
            )
        priority = self.priority if priority is None else priority
        unique = self.unique if unique is None else unique
        starts = self.run_at if self.delay is None else self.epoch_clock() + self.delay
        if starts is None:
            return encode_background(function, workload, priority, unique)
        if priority != Priority.NORMAL:
            raise ConfigError(f"priority: a job with run_at or delay has the normal priority, got {priority!r}")
        return encode_epoch(function, workload, starts, unique)

    def _refuse_later(self) -> None:
        if self.run_at is not None or self.delay is not None:
            raise ConfigError("run_at and delay: only a job in the background can start later; use submit")


def _check_delay(delay: object) -> None:
    if not isinstance(delay, int | float) or not (math.isfinite(delay) and delay >= 0):
        raise ConfigError(f"delay: expected seconds from 0 on, got {delay!r}")


#: What holds where nobody says anything.
DEFAULT_OPTIONS = CallOptions()
