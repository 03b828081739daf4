"""What ``gearman-trio doctor`` says of one thing that it looked at."""

from __future__ import annotations

from enum import StrEnum

import attrs

__all__ = ["Finding", "Verdict"]


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@attrs.frozen
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        verdict: how bad it is.
        text: what was seen.
    """

    what: str
    verdict: Verdict
    text: str
