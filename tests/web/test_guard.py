"""Who is refused, and who may change something."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from starlette.exceptions import HTTPException
from starlette.requests import Request

from gearman_trio import ConfigError, open_server
from gearman_trio.web import make_app
from gearman_trio.web.guard import Keeper

from .conftest import TOKEN, Site


def request(token: str | None, address: str = "10.0.0.1", scheme: str = "Bearer") -> Request:
    headers = [] if token is None else [(b"authorization", f"{scheme} {token}".encode())]
    return Request({"type": "http", "headers": headers, "client": (address, 1)})


def status(keeper: Keeper, *arguments: Any) -> int:
    """What a request is answered with; 200 where it is admitted."""
    try:
        keeper.admit(request(*arguments))
    except HTTPException as exc:
        return exc.status_code
    return 200


# ---- other sites ----


@pytest.mark.parametrize(
    "headers",
    [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost:1\r\nSec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
    ],
)
async def test_page_of_another_site_is_refused(site: Site, headers: str) -> None:
    answer = await site.ask("/api/v1/server", headers=headers)

    assert 403 == answer.status
    assert answer.json["detail"].endswith("must not ask this server")
    assert 403 == (await site.ask("/api/v1/events", headers=headers)).status


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[evil]", "1.2.3"])
async def test_name_that_is_not_known_is_refused(site: Site, host: str) -> None:
    """DNS rebinding: a page at such a name is of the same origin as this server."""
    answer = await site.ask("/api/v1/server", host=host)

    assert 403 == answer.status
    assert "this server is not known as" in answer.json["detail"]
    assert "--web-host" in answer.json["detail"]
    assert 403 == (await site.ask("/", host=host)).status


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.:8080", "127.0.0.1", "192.168.1.7:80", "[::1]:8080", "jobs.example"]
)
async def test_addresses_and_known_names_are_right(site: Site, host: str) -> None:
    answer = await site.ask(
        "/api/v1/server", host=host, headers=f"Origin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n"
    )

    assert 200 == answer.status


async def test_proxy_may_ask_by_another_name_than_the_page_has(site: Site) -> None:
    answer = await site.ask("/api/v1/server", host="127.0.0.1:80", headers="Origin: https://jobs.example\r\n")

    assert 200 == answer.status


async def test_link_from_another_site_is_followed(site: Site) -> None:
    headers = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"

    assert 200 == (await site.ask("/", headers=headers)).status


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_come_by_any_name(site: Site, path: str) -> None:
    assert 200 == (await site.ask(path, host="gearman.default.svc")).status


# ---- the token ----


@pytest.mark.parametrize("token", ["", "short", "fifteen-letters", "sixteen letters!", "sixteen-lettérs!!"])
async def test_token_that_is_no_good(token: str) -> None:
    async with open_server(listeners=[]) as server:
        with pytest.raises(ConfigError, match="at least 16 characters"):
            make_app(server, token=token)


def test_only_the_token_lets_in(autojump_clock: trio.testing.MockClock) -> None:
    async def main() -> None:
        keeper = Keeper(TOKEN)

        assert [200, 200] == [status(keeper, TOKEN), status(keeper, TOKEN, "10.0.0.1", "bearer")]
        assert [401, 401] == [status(keeper, TOKEN + "x"), status(keeper, TOKEN[:-1])]
        assert [401, 401, 401] == [status(keeper, None), status(keeper, ""), status(keeper, TOKEN, "10.0.0.1", "Basic")]
        assert 403 == status(Keeper(None), TOKEN)

    trio.run(main, clock=autojump_clock)


async def test_guesses_are_counted_by_address(autojump_clock: trio.testing.MockClock) -> None:
    keeper = Keeper(TOKEN)

    assert [401] * 10 + [429] == [status(keeper, f"wrong-{number}") for number in range(11)]
    # Also the right one: whoever guesses must not learn that it was.
    assert 429 == status(keeper, TOKEN)
    assert 200 == status(keeper, TOKEN, "10.0.0.2")
    await trio.sleep(61)
    assert 200 == status(keeper, TOKEN)


async def test_addresses_of_one_network_count_together(autojump_clock: trio.testing.MockClock) -> None:
    keeper = Keeper(TOKEN)

    assert [401] * 10 + [429] == [status(keeper, "wrong", f"2001:db8::{number}") for number in range(11)]
    assert 200 == status(keeper, TOKEN, "2001:db8:0:1::1")


async def test_addresses_of_ipv4_count_apart_also_where_both_kinds_come(autojump_clock: trio.testing.MockClock) -> None:
    keeper = Keeper(TOKEN)

    assert [401] * 10 + [429] == [status(keeper, "wrong", "::ffff:10.0.0.1") for _ in range(11)]
    assert (429, 200) == (status(keeper, TOKEN, "10.0.0.1"), status(keeper, TOKEN, "::ffff:10.0.0.2"))


async def test_guessing_is_logged_once_and_without_the_tokens(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Keeper(TOKEN)
    for number in range(20):
        status(keeper, f"wrong-{number}")

    assert ["web: 10 wrong tokens came from 10.0.0.1; it is refused for a while"] == caplog.messages


async def test_addresses_beyond_number_share_their_guesses(autojump_clock: trio.testing.MockClock) -> None:
    keeper = Keeper(TOKEN)
    for number in range(1000):
        status(keeper, "wrong", f"10.1.{number // 250}.{number % 250}")

    assert [401] * 10 + [429] == [status(keeper, "wrong", f"10.2.0.{number}") for number in range(11)]


async def test_wait_is_told(autojump_clock: trio.testing.MockClock) -> None:
    keeper = Keeper(TOKEN)
    for _ in range(10):
        status(keeper, "wrong")
    await trio.sleep(20)
    with pytest.raises(HTTPException) as caught:
        keeper.admit(request("wrong"))

    assert caught.value.headers is not None
    assert "41" == caught.value.headers["Retry-After"]
    assert "10 wrong tokens came from this address; ask again in 41 seconds" == caught.value.detail
