"""A page of the web interface in a real browser."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import trio
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from ..patience import PATIENCE

if TYPE_CHECKING:
    from .conftest import Site

__all__ = ["STATE", "Page"]

STATE = "return document.getElementById('state').textContent"


@attrs.frozen
class Page:
    """A page in a browser, whose driver blocks and so is used in threads."""

    driver: Chrome
    site: Site
    # Beginnings of what the browser may complain about, where a test brings it about.
    forgiven: list[str] = attrs.field(factory=list)

    async def do(self, action: Callable[[Chrome], Any]) -> Any:
        with trio.fail_after(PATIENCE):
            return await trio.to_thread.run_sync(action, self.driver)

    async def run(self, script: str) -> Any:
        return await self.do(lambda driver: driver.execute_script(script))

    async def until(self, script: str, wanted: object) -> None:
        """Wait until a script gives what is wanted."""
        found = None
        with trio.move_on_after(PATIENCE):
            while (found := await self.run(script)) != wanted:  # noqa: ASYNC110 nothing tells when a browser has drawn
                await trio.sleep(0.05)
        assert wanted == found

    async def visit(self, view: str) -> None:
        """Go to a view by its link, or by an address of its own; what was shown before is gone afterwards."""
        await self.run(
            f"const there = '#/{view}'; if (location.hash === there) return;"
            "return new Promise(done => {"
            " addEventListener('hashchange', () => done(), { once: true }); location.hash = there; })"
        )

    async def picture(self, name: str) -> None:
        """Keep what it looks like, where somebody asks for it."""
        folder = os.environ.get("GEARMAN_TRIO_SCREENSHOTS")
        if folder:
            await self.do(lambda driver: driver.save_screenshot(str(Path(folder) / f"{name}.png")))

    @asynccontextmanager
    async def screen(self, width: int, height: int = 740) -> AsyncIterator[None]:
        """Show it on a screen of this size, which is a telephone's if it is narrow."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        await self.do(lambda driver: driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size))
        try:
            yield
        finally:
            await self.do(lambda driver: driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {}))

    @asynccontextmanager
    async def preference(self, scheme: str) -> AsyncIterator[None]:
        """Show it to somebody who prefers ``"dark"`` or ``"light"``."""
        wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        await self.do(lambda driver: driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted))
        try:
            yield
        finally:
            await self.do(lambda driver: driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []}))

    async def click(self, selector: str, text: str = "") -> None:
        """Click the first element that is selected and has just this text, when it is there."""
        await self.until(f"return !!({_element(selector, text)})", True)

        def press(driver: Chrome) -> None:
            driver.execute_script(f"return {_element(selector, text)}").click()

        await self.do(press)

    async def type(self, selector: str, text: str) -> None:
        """Type into an element."""
        await self.do(lambda driver: driver.find_element(By.CSS_SELECTOR, selector).send_keys(text))

    async def cells(self, selector: str = "main table") -> list[list[str]]:
        """What the rows of a table show."""
        lines = f"[...document.querySelectorAll('{selector} tbody tr')]"
        rows: list[list[str]] = await self.run(f"return {lines}.map(r => [...r.cells].map(c => c.textContent))")
        return rows


def _element(selector: str, text: str) -> str:
    return (
        f"[...document.querySelectorAll({selector!r})].find(e => e.checkVisibility() && "
        f"({text!r} === '' || e.textContent.trim() === {text!r}))"
    )
