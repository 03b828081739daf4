"""What ``gearman-trio doctor`` looks at before a word is said: the connection, and TLS on it."""

from __future__ import annotations

import ssl
import time
from typing import Any, Final

import trio

from ..admin import open_admin
from ..errors import GearmanError, ServersUnavailable
from ..transport import UNREACHABLE, Address, Tls, dialer, why_unreachable
from .finding import Finding, Verdict

__all__ = ["examine_tls", "open_stream", "speaks_tls"]

#: Those who renew certificates by hand need so much time; what renews them by itself has done so long before.
_RENEWAL_DAYS: Final = 14

_DAY_SECONDS: Final = 86400


async def open_stream(server: Address, tls: Tls | None, *, patience: float) -> trio.abc.Stream:
    """Connect, with TLS where it is asked for.

    Args:
        server: where to.
        tls: to speak it.
        patience: how many seconds this may take.

    Raises:
        ServersUnavailable: there is no connection; it says so if it is TLS that the server does not speak.
        ConfigError: a file of TLS cannot be used.
    """
    try:
        with trio.fail_after(patience):
            return await dialer(None, tls)(server)
    except trio.TooSlowError as exc:
        causes = [f"{server}: no connection within {patience:g} s"]
        error: Exception = exc
    except UNREACHABLE as exc:
        causes = [f"{server}: {why_unreachable(exc)}"]
        error = exc
    if tls is not None and await _answers_in_plain_text(server, patience):
        causes.append("it answers without TLS")
    raise ServersUnavailable(causes) from error


async def _answers_in_plain_text(server: Address, patience: float) -> bool:
    try:
        with trio.move_on_after(patience):
            async with open_admin(server) as admin:
                await admin.version()
                return True
    except GearmanError:
        pass
    return False


async def speaks_tls(server: Address, *, patience: float) -> bool:
    """Whether a server that does not talk in plain text agrees to TLS, whatever its certificate is worth."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with trio.move_on_after(patience):
            stream = await dialer(None, context)(server)
            await trio.aclose_forcefully(stream)
            return True
    except UNREACHABLE:
        pass
    return False


def examine_tls(stream: trio.SSLStream[Any]) -> Finding:
    """What was agreed on, and how long the server's certificate holds."""
    certificate: dict[str, Any] = stream.getpeercert()
    ends = ssl.cert_time_to_seconds(certificate["notAfter"])
    date = time.strftime("%Y-%m-%d", time.gmtime(ends))
    text = f"{stream.version()}, {stream.cipher()[0]}, certificate until {date}"
    days = (ends - time.time()) / _DAY_SECONDS
    if days < _RENEWAL_DAYS:
        return Finding("tls", Verdict.WARNING, f"{text}, which is in {days:.1f} days")
    return Finding("tls", Verdict.OK, text)
