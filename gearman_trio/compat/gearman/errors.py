"""The errors of this interface, each of them a `gearman_trio.GearmanError` too.

GearmanError
├── ConnectionError               one job server could not be reached
├── ServerUnavailable             no job server could be reached
├── ProtocolError                 something that cannot be sent, or an answer without sense
├── UnknownCommandError           never raised; here for programs that catch it
├── ExceededConnectionAttempts    a request was lost more often than its ``max_retries`` allow
├── InvalidClientState            a request is not in a state for what was asked
├── InvalidWorkerState            never raised; here for programs that catch it
└── InvalidAdminClientState       the administrative client got no answer in time, or the wrong one
"""

from __future__ import annotations

from ...errors import GearmanError as _GearmanError

__all__ = [
    "ConnectionError",
    "ExceededConnectionAttempts",
    "GearmanError",
    "InvalidAdminClientState",
    "InvalidClientState",
    "InvalidWorkerState",
    "ProtocolError",
    "ServerUnavailable",
    "UnknownCommandError",
]


class GearmanError(_GearmanError):
    """The base of every error here."""


class ConnectionError(GearmanError):
    """One job server could not be reached."""


class ServerUnavailable(GearmanError):
    """No job server could be reached."""


class ProtocolError(GearmanError):
    """Something cannot be sent, or an answer makes no sense."""


class UnknownCommandError(GearmanError):
    """Never raised."""


class ExceededConnectionAttempts(GearmanError):
    """A request was lost more often than it may be."""


class InvalidClientState(GearmanError):
    """A request is not in a state for what was asked."""


class InvalidWorkerState(GearmanError):
    """Never raised."""


class InvalidAdminClientState(GearmanError):
    """The job server did not answer in time, or with something else than was asked."""
