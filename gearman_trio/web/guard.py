"""Who may ask, and who may change something.

| danger | answer |
|---|---|
| a page of another site makes a reader's browser ask | a request that says it comes from another site is refused |
| a name of another site is made to lead here (DNS rebinding) | a request for a host that is not known is refused |
| anybody who can reach the port | nothing can be changed without the token |
| guessing the token | each address has a few wrong ones a minute; tokens are compared in constant time |
"""

from __future__ import annotations

import hmac
import logging
from collections import OrderedDict, deque
from collections.abc import Iterable
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

import trio
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import ConfigError
from .problems import problem

__all__ = ["MIN_TOKEN_CHARACTERS", "Guard", "Keeper", "check_token"]

logger = logging.getLogger(__name__)

#: A token of random letters and digits of this length cannot be guessed, however long somebody tries.
MIN_TOKEN_CHARACTERS: Final = 16

#: How many wrong tokens an address may send in how long.
_GUESSES: Final = 10
_GUESSING_SECONDS: Final = 60.0

#: Of how many addresses wrong tokens are remembered; the others share what is left.
_ADDRESSES: Final = 1000

#: Asked by machines, which come by whatever name is theirs for this one; they tell nothing of single jobs.
_PROBES: Final = ("/healthz", "/readyz", "/metrics")


def check_token(token: str) -> str:
    """The same token.

    Raises:
        ConfigError: it is too short, or no header can carry it.
    """
    if len(token) < MIN_TOKEN_CHARACTERS or not all(33 <= ord(character) <= 126 for character in token):
        raise ConfigError(
            f"a token for the web interface needs at least {MIN_TOKEN_CHARACTERS} characters, which are ASCII letters, "
            f"digits and signs; this one has {len(token)}"
        )
    return token


class Guard:
    """Middleware that refuses what browsers send on behalf of other sites.

    Args:
        app: what is guarded.
        hosts: the names by which the server is asked, besides IP addresses and ``localhost``; ``None`` to take any,
            where whoever mounts the application sees to that.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str] | None) -> None:
        self._app = app
        self._any_host = hosts is None
        self._hosts = {"localhost", *(host.lower().rstrip(".") for host in hosts or ())}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application do so."""
        objection = "" if scope["type"] != "http" else self._objection(scope)
        if objection:
            await problem(HTTPStatus.FORBIDDEN, objection)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _objection(self, scope: Scope) -> str:
        """Why a request is refused, or ``""``."""
        headers = Headers(scope=scope)
        if scope["path"].removeprefix(scope.get("root_path", "")) in _PROBES:
            return ""
        # Every browser sends it.
        host = headers.get("host", "")
        name = _host_name(host)
        if host and not self._any_host and not self._knows(name):
            return f"this server is not known as {name[:100]!r}; --web-host allows a name"
        origin = headers.get("origin")
        if origin is not None:
            place = urlsplit(origin) if origin != "null" else None
            # Behind a proxy that changes Host the origin is a name that was allowed.
            if place is None or (place.netloc.lower() != host.lower() and (place.hostname or "") not in self._hosts):
                return f"a page of {origin[:100]!r} must not ask this server"
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return "a page of another site must not ask this server"
        return ""

    def _knows(self, name: str) -> bool:
        if name in self._hosts:
            return True
        try:
            # No name can be made to lead elsewhere when there is none.
            ip_address(name)
        except ValueError:
            return False
        return True


class Keeper:
    """Asks for the token.

    Args:
        token: what lets people change something; ``None`` where nothing can be changed.
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else check_token(token).encode()
        # When an address sent wrong tokens; the address that did so last comes last.
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed."""
        return self._token is None

    def admit(self, request: Request) -> None:
        """Return if the request has the token.

        Raises:
            HTTPException: 403, nothing can be changed here; 401, the token is wrong or missing; 429, too many were.
        """
        if self._token is None:
            raise HTTPException(HTTPStatus.FORBIDDEN, "this server is shown only: it was started without --web-token")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        challenge = {"WWW-Authenticate": 'Bearer realm="gearman_trio"'}
        if scheme.lower() != "bearer" or not given:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "expected the header 'Authorization: Bearer TOKEN'", challenge)
        guesses = self._guesses(request)
        if len(guesses) >= _GUESSES:
            wait = max(1, int(guesses[0] + _GUESSING_SECONDS - trio.current_time()) + 1)
            raise HTTPException(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{_GUESSES} wrong tokens came from this address; ask again in {wait} seconds",
                {"Retry-After": str(wait)},
            )
        if not hmac.compare_digest(self._token, given.strip().encode()):
            guesses.append(trio.current_time())
            if len(guesses) == _GUESSES:
                logger.warning("web: %d wrong tokens came from %s; it is refused for a while", _GUESSES, _host(request))
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "the token is wrong", challenge)

    def _guesses(self, request: Request) -> deque[float]:
        """When wrong tokens came from where this request comes from, as long as they count."""
        now = trio.current_time()
        self._forget(now - _GUESSING_SECONDS)
        address = _origin(request)
        if address not in self._wrong and len(self._wrong) >= _ADDRESSES:
            address = "elsewhere"
        guesses = self._wrong.setdefault(address, deque())
        while guesses and guesses[0] <= now - _GUESSING_SECONDS:
            guesses.popleft()
        return guesses

    def _forget(self, before: float) -> None:
        for address in [each for each, guesses in self._wrong.items() if not guesses or guesses[-1] <= before]:
            del self._wrong[address]


def _host(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _origin(request: Request) -> str:
    """The address that a request comes from; of IPv6 the network, of which one machine has many addresses."""
    text = _host(request)
    try:
        address = ip_address(text)
    except ValueError:
        return text
    if not isinstance(address, IPv6Address):
        return text
    # A socket that listens for both kinds has those of IPv4 in this form, all of them in one network.
    return str(address.ipv4_mapped or int(address) >> 64)


def _host_name(host: str) -> str:
    """The name in a Host header, in small letters and without a port."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().rstrip(".")
