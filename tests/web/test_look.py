"""What the page looks like: everything can be read, in light and in dark, on screens of every width."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gearman_trio import JobError, open_worker

from .browser import Page
from .functions import VIEWS, abilities

pytestmark = [pytest.mark.slow, pytest.mark.interop]


# Text whose contrast with what is behind it is less than WCAG 2.1 asks for, rule 1.4.3: 4.5, or 3 where it is large.
FAINT_TEXT = """
const parse = (color) => { const [r, g, b, a = 1] = color.match(/[0-9.]+/g).map(Number); return { r, g, b, a }; };
const mixed = (front, back) => (k) => [k, front[k] * front.a + back[k] * (1 - front.a)];
const over = (front, back) => Object.fromEntries(["r", "g", "b"].map(mixed(front, back)));
const behind = (element) => {
  if (!element) return { r: 255, g: 255, b: 255 };
  const own = parse(getComputedStyle(element).backgroundColor);
  return own.a === 1 ? own : over(own, behind(element.parentElement));
};
const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
const luminance = ({ r, g, b }) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const contrast = (a, b) => {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
const shown = [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility()
  && (["INPUT", "SELECT"].includes(e.tagName) || [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())));
const faint = shown.filter((e) => {
  const style = getComputedStyle(e), size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  const back = behind(e);
  return contrast(over(parse(style.color), back), back) < (large ? 3 : 4.5);
});
return [shown.length > 5, faint.map((e) => [e.tagName, e.className, e.textContent.slice(0, 40)])];
"""

# Parts that the browser paints in colours of its own, and not in those of the page.
FOREIGN_COLOURS = """
const probe = document.createElement("span");
document.body.append(probe);
const known = ["back", "card", "bad-back", "text", "faint", "bad", "one", "two", "good"].map((name) => {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
});
probe.remove();
const none = "rgba(0, 0, 0, 0)";
return [...document.querySelectorAll("body, body *")].filter((e) => e.checkVisibility()).filter((e) => {
  const style = getComputedStyle(e);
  return !known.includes(style.color) || ![none, ...known].includes(style.backgroundColor);
}).map((e) => [e.tagName, e.className, getComputedStyle(e).color, getComputedStyle(e).backgroundColor]);
"""

# Cells of the overview of which another part of the page stands in front, wherever it is scrolled to.
COVERED = """
return [...document.querySelectorAll("#functions td")].filter((cell) => {
  if (!cell.checkVisibility() || !cell.textContent) return false;
  cell.scrollIntoView({ block: "center", inline: "nearest" });
  const range = document.createRange();
  range.selectNodeContents(cell);
  return [...range.getClientRects()].some((box) => {
    const there = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    return !cell.contains(there);
  });
}).map((cell) => cell.textContent);
"""

OUTSIDE = """
return [...document.querySelectorAll("#functions td.actions button")].filter((each) => {
  const { left, right } = each.getBoundingClientRect();
  return left < 0 || right > innerWidth;
}).length
"""

WIDER = "const s = document.querySelector('.scroll'); return s.scrollWidth > s.clientWidth"


@asynccontextmanager
async def open_jobs(page: Page) -> AsyncIterator[str]:
    """Jobs in every state; gives the handle of one that is queued."""
    async with open_worker(abilities, page.site.server.url, client_id="worker-1", concurrency=2, drain_seconds=0):
        async with page.site.server.open_client() as client:
            await client.submit("resize", b'{"width": 640}')
            with pytest.raises(JobError):
                await client.run("fail", b"broken.png", unique="broken")
            handle = (await client.submit("without-a-worker", b'{"order": 1}', unique="order-1")).decode()
            await client.submit("a-function-with-a-name-that-is-rather-long", b"", run_at=4_000_000_000)
        await page.until("return document.querySelectorAll('#functions tr').length", 5)
        yield handle


async def check_colours(page: Page, place: str) -> None:
    legible, faint = await page.run(FAINT_TEXT)

    assert legible, place
    assert (place, []) == (place, faint)
    assert (place, []) == (place, await page.run(FOREIGN_COLOURS))


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_everything_can_be_read(page: Page, scheme: str) -> None:
    async with page.preference(scheme), open_jobs(page) as handle:
        for view in VIEWS:
            await page.visit(view)
            await page.until("return document.querySelector('nav a[aria-current]').hash", f"#/{view}")
            await page.until("return !!document.querySelector('main td, main dd')", True)
            await check_colours(page, view)
            await page.picture(f"{scheme}-{view or 'overview'}")
        await page.visit(f"job/{handle}")
        await page.until("return !!document.querySelector('main pre')", True)
        await check_colours(page, "job")
        await page.picture(f"{scheme}-job")
        await page.click("#access", "Unlock actions")
        await page.type("#ask input", "wrong")
        await page.click("#ask-yes")
        page.forgiven.append(f"{page.site.url}api/v1/token")
        await page.until("return document.getElementById('ask-error').hidden", False)
        await check_colours(page, "dialog")
        await page.picture(f"{scheme}-dialog")
        await page.click("#ask-no")
        back = await page.run("return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0] < 128")

    assert (scheme == "dark") == back


@pytest.mark.parametrize(("width", "wider"), [(1440, False), (1180, False), (800, True), (390, True)])
async def test_nothing_on_the_overview_is_covered(page: Page, width: int, wider: bool) -> None:
    async with open_jobs(page), page.screen(width, 900):
        await page.until(WIDER, wider)
        assert 0 == await page.run(OUTSIDE)
        assert [] == await page.run(COVERED)
        await page.picture(f"overview-{width}")
