"""Options of where the server listens, and how connections are looked after."""

from __future__ import annotations

import socket
from typing import Final

from ..errors import ConfigError
from ..transport import DEFAULT_PORT, parse_address
from .option import FLAG, NUMBER, TEXT, Kind, Option, choice, number

__all__ = ["LISTENING_OPTIONS"]

_BOTH: Final = "1.1, 2.x"
_FILE: Final = TEXT.called("FILE")
_LISTENING: Final = "Listening"
_TLS: Final = "TLS"


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    try:
        return socket.getservbyname(text, "tcp")
    except OSError:
        raise ConfigError(f"expected a whole number from 0 to 65535, or the name of a service, got {text!r}") from None


def _address(text: str) -> str:
    host = parse_address(text).host
    try:
        # What the resolver does first, where this error would come out as it is.
        host.encode("idna")
    except UnicodeError as exc:
        raise ConfigError(f"address {text!r}: {host!r} cannot be the name of a host") from exc
    return text


def _mode(text: str) -> str:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ConfigError(f"expected permissions in octal, such as 660, got {text!r}")
    # As it is, for a number would be shown in decimal.
    return text


def _web_address(text: str) -> str:
    if text.isascii() and text.isdigit():
        # This machine alone: whoever reaches it can read everything.
        text = f"127.0.0.1:{text}"
    # -1 stands for a port that was not given; there is no usual one.
    address = parse_address(_address(text), default_port=-1)
    if address.path or not 0 <= address.port <= 65535:
        raise ConfigError(f"expected a port, or HOST:PORT, for example 127.0.0.1:8080, got {text!r}")
    return text


def _web_token(text: str) -> str:
    # What gearman_trio.web takes, which is an extra and so not asked here. The text is not repeated: it is a secret.
    if len(text) < 16 or not all(33 <= ord(character) <= 126 for character in text):
        raise ConfigError("expected at least 16 ASCII characters without spaces")
    return text


_ADDRESS: Final = Kind("ADDRESS", _address)

LISTENING_OPTIONS: Final = [
    Option(
        name="port",
        short="p",
        group=_LISTENING,
        kind=Kind("PORT", _port),
        default=DEFAULT_PORT,
        help="TCP port, where --listen does not say; 0 for a free one.",
        gearmand=_BOTH,
        remark="0 takes a free port, and the log tells which.",
    ),
    Option(
        name="listen",
        short="L",
        group=_LISTENING,
        kind=_ADDRESS,
        repeated=True,
        default=[],
        shown="all addresses of this machine",
        help="Address to listen on, HOST[:PORT] or unix:PATH; may be repeated.",
        gearmand=_BOTH,
        remark="Several times, with a port of its own, and unix sockets: `-L 127.0.0.1 -L [::1]:4731 -L unix:/run/g`.",
    ),
    Option(
        name="listen-tls",
        group=_LISTENING,
        kind=_ADDRESS,
        repeated=True,
        default=[],
        help="Address to listen on with TLS, besides those of --listen; may be repeated.",
    ),
    Option(
        name="listen-admin",
        group=_LISTENING,
        kind=_ADDRESS,
        repeated=True,
        default=[],
        help="Address for administrators, who may shut the server down there; may be repeated.",
        remark="`shutdown [graceful]`, `jobs` and `clients` of Perl's job server, and of early gearmand.",
    ),
    Option(
        name="listen-mode",
        group=_LISTENING,
        kind=Kind("MODE", _mode),
        default="660",
        help="Permissions of unix sockets, in octal: who may connect.",
    ),
    Option(
        name="backlog",
        short="b",
        group=_LISTENING,
        kind=number(1),
        shown="as many as the kernel allows",
        help="How many connections may wait to be accepted: the backlog of listen(2).",
        gearmand=_BOTH,
        remark="gearmand's default is 32.",
    ),
    Option(
        name="keepalive",
        group=_LISTENING,
        kind=FLAG,
        default=True,
        field="keepalive",
        help="Have the kernel probe silent peers, so that dead ones are noticed.",
        gearmand=_BOTH,
        remark="On is the default; the options below have an effect on every connection, which gearmand 1.1's do not.",
    ),
    Option(
        name="keepalive-idle",
        group=_LISTENING,
        kind=NUMBER.called("SECONDS"),
        default=60,
        field="keepalive_idle_seconds",
        help="How long a peer may be silent before it is probed; -1 for the kernel's own value.",
        gearmand=_BOTH,
        remark="gearmand's default is -1.",
    ),
    Option(
        name="keepalive-interval",
        group=_LISTENING,
        kind=NUMBER.called("SECONDS"),
        default=20,
        field="keepalive_interval_seconds",
        help="How long after a probe the next one follows; -1 for the kernel's own value.",
        gearmand=_BOTH,
        remark="gearmand's default is -1.",
    ),
    Option(
        name="keepalive-count",
        group=_LISTENING,
        kind=NUMBER,
        default=3,
        field="keepalive_count",
        help="After how many probes without an answer a peer is dead; -1 for the kernel's own value.",
        gearmand=_BOTH,
        remark="gearmand's default is -1.",
    ),
    Option(
        name="protocol",
        short="r",
        group=_LISTENING,
        kind=choice("NAME", "gear", "http"),
        default="gear",
        help="With http, jobs are run for requests over HTTP too, at --http-port. Needs gearman-trio[web].",
        gearmand=_BOTH,
        remark="What gearmand answers over HTTP is often of no use; "
        "[what is answered instead](../how-to/call-over-http.md#what-differs-from-gearmand).",
    ),
    Option(
        name="http-port",
        group=_LISTENING,
        kind=Kind("PORT", _port),
        default=8080,
        help="Where --protocol http listens, on the hosts of --listen; 0 for a free port.",
        gearmand=_BOTH,
    ),
    Option(
        name="web",
        group=_LISTENING,
        kind=Kind("[HOST:]PORT", _web_address),
        help="Where to answer HTTP: health, metrics and what the server does; on this machine alone unless a host is "
        "given.",
    ),
    Option(
        name="web-token",
        group=_LISTENING,
        kind=Kind("TOKEN", _web_token),
        help="Lets people who have it cancel jobs, pause functions, and more, with --web; without one nothing can be "
        "changed there.  Better in the environment or a file, for everybody sees command lines.",
        secret=True,
    ),
    Option(
        name="web-host",
        group=_LISTENING,
        kind=Kind("NAME", str.lower),
        repeated=True,
        default=[],
        help="A name by which --web, and --http-port on this machine alone, may be asked, besides those of this "
        "machine and IP addresses.",
    ),
    Option(
        name="web-hide-workloads",
        group=_LISTENING,
        kind=FLAG,
        default=False,
        help="Show nothing of the workloads of jobs with --web.",
    ),
    Option(
        name="ssl",
        group=_TLS,
        kind=FLAG,
        default=False,
        help="Speak TLS on every TCP address; --listen-tls does on some.",
        gearmand=_BOTH,
        remark="A stalled handshake holds up nobody.",
    ),
    Option(
        name="ssl-certificate",
        group=_TLS,
        kind=_FILE,
        help="The server's certificate, with the chain behind it.",
        variable="GEARMAND_SERVER_PEM",
        gearmand=_BOTH,
        remark="The variable does not override the command line.",
    ),
    Option(
        name="ssl-key",
        group=_TLS,
        kind=_FILE,
        help="The key of that certificate, if it is in another file.",
        variable="GEARMAND_SERVER_KEY",
        gearmand=_BOTH,
        remark="The variable does not override the command line.",
    ),
    Option(
        name="ssl-ca-file",
        group=_TLS,
        kind=_FILE,
        help="Who must have signed the certificates of clients and workers; given, they need one.",
        variable="GEARMAND_CA_CERTIFICATE",
        gearmand=_BOTH,
        remark="gearmand reads it, and verifies nobody. The variable does not override the command line.",
    ),
    Option(
        name="ssl-minimum-version",
        group=_TLS,
        kind=choice("VERSION", "1.2", "1.3"),
        default="1.2",
        help="The oldest version of TLS that is spoken, 1.2 or 1.3.",
    ),
]
