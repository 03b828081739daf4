"""The page in a real browser: it shows what is so, goes on by itself, and asks nobody else."""

from __future__ import annotations

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from gearman_trio import Abilities, open_admin, open_worker

from .browser import Page
from .conftest import Site

pytestmark = [pytest.mark.slow, pytest.mark.interop]

abilities = Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


ROWS = "return [...document.querySelectorAll('#functions tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
NAMES = "return [...document.querySelectorAll('#functions tbody tr')].map(r => r.cells[0].textContent)"
WAITING = "return document.querySelector('[data-tile=queued]').textContent"


async def submit(site: Site, *names: str | bytes) -> None:
    async with site.server.open_client() as client:
        for name in names:
            await client.submit(name, b"")


async def test_server_without_jobs(page: Page) -> None:
    shown = await page.run("return [...document.querySelectorAll('.empty')].map(p => !p.hidden)")

    assert [True] == shown
    assert "0" == await page.run(WAITING)
    await page.picture("empty")


async def test_changes_are_shown_without_loading_again(page: Page) -> None:
    await page.run("window.same = true")
    await submit(page.site, "reverse", "reverse", "resize")

    await page.until(WAITING, "3")
    waiting = ["reverse", "0", "2", "0", "0", "0", "0", "0", "no worker"]
    await page.until(f"{ROWS}[0]?.slice(0, 9)", waiting)
    await page.until("return document.querySelectorAll('#functions tr.stalled').length", 2)
    await page.picture("few")
    async with open_worker(abilities, page.site.server.url, client_id="worker-1"):
        await page.until(WAITING, "1")
        await page.until("return document.querySelectorAll('#functions tr.stalled').length", 1)
        await page.until(NAMES, ["resize", "reverse"])
        await page.visit("workers")
        worker = "return document.querySelector('#workers tbody tr')?.cells[0].textContent"
        await page.until(worker, "worker-1")
        await page.picture("worker")
    await page.until("return document.querySelectorAll('#workers tbody tr').length", 0)
    assert await page.run("return window.same")


async def test_function_that_is_dropped_goes(page: Page) -> None:
    async with open_admin(page.site.server.addresses[0]) as admin:
        await admin.create_function("a")
        await admin.pause_function("a")
        await page.until(f"{ROWS}.map(row => row.slice(0, 9))", [["a", "0", "0", "0", "0", "0", "0", "0", "paused"]])
        await admin.resume_function("a")
        await admin.drop_function("a")
        await page.until(ROWS, [])


async def test_names_are_text_and_never_markup(page: Page) -> None:
    name = "<img src=x onerror=alert(1)>"
    await submit(page.site, name, b"\xff")

    await page.until(f"{NAMES}.sort()", [name, "\\xff"])
    assert 0 == await page.run("return document.querySelectorAll('td img').length")


async def test_many_functions_are_filtered_and_sorted_by_keyboard(page: Page) -> None:
    await submit(page.site, *(f"job-{number:03}" for number in range(300)), "job-123")
    await page.until("return document.querySelectorAll('#functions tbody tr').length", 300)
    await page.picture("many")

    def type_it(driver: Chrome) -> None:
        driver.find_element(By.ID, "filter").send_keys("12")

    await page.do(type_it)
    matching = ["job-012", "job-112", *(f"job-12{digit}" for digit in range(10)), "job-212"]
    await page.until(NAMES, ["job-123", *(name for name in matching if name != "job-123")])

    def sort_by_name(driver: Chrome) -> None:
        driver.find_element(By.CSS_SELECTOR, "#functions th button").send_keys(Keys.ENTER)

    await page.do(sort_by_name)
    await page.until(NAMES, matching)
    await page.until("return document.querySelector('#functions th').ariaSort", "ascending")
    await page.type("#filter", "x")
    empty = "return [...document.querySelectorAll('.empty')].filter(p => !p.hidden).map(p => p.textContent)"
    await page.until(empty, ["Nothing that is shown here holds “12x”."])


async def test_dark_and_light(page: Page) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"

    def press(driver: Chrome) -> None:
        driver.find_element(By.ID, "theme").click()

    before = await page.run(background)
    await page.do(press)
    await page.until(f"{background} !== {before!r}", True)
    await page.picture("other-theme")
    await page.do(press)
    await page.until(background, before)


async def test_narrow_screen_needs_no_scrolling_sideways(page: Page) -> None:
    await submit(page.site, "a-function-with-a-name-that-is-rather-long-for-a-telephone" * 3)
    await page.until(WAITING, "1")
    async with page.screen(360):
        assert 360 == await page.run("return document.documentElement.scrollWidth")
        await page.picture("narrow")


async def test_charts_go_on(page: Page) -> None:
    points = "return document.querySelector('polyline').getAttribute('points').split(' ').length > 2"

    await page.until(points, True)


async def test_nothing_is_asked_of_anybody_else(page: Page) -> None:
    asked = await page.run("return performance.getEntriesByType('resource').map(entry => entry.name)")

    assert {f"{page.site.url}api/v1/history"} <= set(asked)
    assert [] == [name for name in asked if not name.startswith((page.site.url, "data:"))]


async def test_page_may_run_only_what_is_in_it(site: Site) -> None:
    answer = await site.ask("/")

    assert (200, "text/html; charset=utf-8") == (answer.status, answer.headers["content-type"])
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'sha256-")
    assert b"http://" not in answer.body.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"https://" not in answer.body
