"""The life of ``gearman-trio top``: one task looks at the server, one reads keys, and each draws the screen anew.

watch()
└─ keys           read and heeded; what they ask for is done over the connection that is there
   └─ looking     connects, looks again and again, connects anew when the server has gone
   └─ resizing    draws when the terminal has another size
"""

from __future__ import annotations

import signal
import sys
from math import inf
from typing import Final

import trio
from rich.console import Console
from rich.live import Live

from ..admin import AdminClient, open_admin
from ..errors import ConfigError, GearmanError, ServersUnavailable
from .destination import Destination
from .top_keys import read_keys, single_keys
from .top_look import Picture, look
from .top_screen import age, draw, page_rows
from .top_view import Action, View

__all__ = ["look_once", "watch"]

#: How long a look may take before the server counts as gone.
_PATIENCE_SECONDS: Final = 10.0

#: Between which limits the keys + and - move the interval.
_SHORTEST_SECONDS: Final = 0.1
_LONGEST_SECONDS: Final = 60.0


async def look_once(server: Destination) -> Picture:
    """One look at a server.

    Raises:
        ServersUnavailable: it cannot be reached, or does not answer.
    """
    async with open_admin(server.address, ssl_context=server.tls) as admin:
        return await look(admin, None)


async def watch(server: Destination, interval: float) -> None:
    """Show a server on the terminal until the user leaves.

    Raises:
        ConfigError: there is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("top needs a terminal; --once prints one look, and --once --json gives it to a program")
    console = Console()
    with single_keys(sys.stdin.fileno()), Live(console=console, screen=True, auto_refresh=False) as live:
        top = _Top(server, interval, live)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(top.keep_looking)
            nursery.start_soon(top.keep_size)
            await top.heed_keys()
            nursery.cancel_scope.cancel(reason="the user leaves")


class _Top:
    """What runs. Its mutable state is the view, the last picture, and why there is no newer one."""

    def __init__(self, server: Destination, interval: float, live: Live) -> None:
        self._server = server
        self._interval = interval
        self._live = live
        self._view = View()
        self._picture: Picture | None = None
        self._trouble = ""
        self._admin: AdminClient | None = None
        # Ends the pause between two looks.
        self._pause = trio.CancelScope()

    async def keep_looking(self) -> None:
        """Look at the server until cancelled, however often it comes and goes."""
        while True:
            try:
                with trio.fail_after(_PATIENCE_SECONDS) as connecting:
                    async with open_admin(self._server.address, ssl_context=self._server.tls) as self._admin:
                        connecting.deadline = inf
                        await self._keep_looking(self._admin)
            except ServersUnavailable as exc:
                self._trouble = "; ".join(exc.causes)
            except GearmanError as exc:
                self._trouble = str(exc)
            except trio.TooSlowError:
                self._trouble = f"{self._server.address} has not answered for {_PATIENCE_SECONDS:g} seconds"
            self._admin = None
            self._draw()
            await self._wait()

    async def _keep_looking(self, admin: AdminClient) -> None:
        while True:
            with trio.fail_after(_PATIENCE_SECONDS):
                self._picture = await look(admin, self._picture)
            self._trouble = ""
            self._draw()
            await self._wait()

    async def keep_size(self) -> None:
        """Draw again whenever the terminal gets another size."""
        with trio.open_signal_receiver(signal.SIGWINCH) as signals:
            async for _ in signals:
                self._draw()

    async def heed_keys(self) -> None:
        """Do what keys ask for, until one of them is to leave or there is no terminal any more."""
        self._draw()
        async for key in read_keys():
            action = self._view.press(key, self._picture, page_rows(self._live.console.height))
            if action is not None:
                if action.verb == "quit":
                    return
                await self._do(action)
            self._draw()

    async def _do(self, action: Action) -> None:
        if action.verb == "slower":
            self._interval = min(self._interval * 2, _LONGEST_SECONDS)
        elif action.verb == "faster":
            self._interval = max(self._interval / 2, _SHORTEST_SECONDS)
        elif action.verb != "look":
            self._view.message = await self._steer(action)
        self._pause.cancel()

    async def _steer(self, action: Action) -> str:
        """Have the server do something; say what came of it."""
        admin = self._admin
        if admin is None:
            return "there is no connection"
        verbs = {"cancel": admin.cancel, "pause": admin.pause_function, "resume": admin.resume_function}
        done = {"cancel": "cancelled", "pause": "paused", "resume": "resumed"}[action.verb]
        try:
            with trio.fail_after(_PATIENCE_SECONDS):
                await verbs[action.verb](action.name)
        except GearmanError as exc:
            return f"{action.name}: {exc}"
        except trio.TooSlowError:
            return f"{action.name}: no answer"
        return f"{action.name} is {done}"

    async def _wait(self) -> None:
        """Wait until it is time for the next look, or somebody wants one."""
        with trio.CancelScope(deadline=trio.current_time() + self._interval) as self._pause:
            await trio.sleep_forever()

    def _draw(self) -> None:
        picture = self._picture
        kind = "" if picture is None else f" {'gearman_trio' if picture.own else 'gearmand'} {picture.version}"
        trouble = self._trouble
        if trouble:
            seen = "" if picture is None else f"; {age(trio.current_time() - picture.taken_at)}"
            trouble = f"no connection{seen}: {trouble}"
        screen = draw(
            self._view,
            picture,
            header=f"gearman-trio top  {self._server.address}{kind}  every {self._interval:g} s",
            trouble=trouble,
            size=(self._live.console.width, self._live.console.height),
        )
        self._live.update(screen, refresh=True)
