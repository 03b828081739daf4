"""The views of single jobs, workers and the server in a real browser, and what can be done there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import cast

import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIFramework
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys
from starlette.applications import Starlette
from starlette.routing import Mount

from gearman_trio import Abilities, Job, JobError, open_worker
from gearman_trio.protocol import Decoder, PacketType, encode_request
from gearman_trio.web import make_app

from .browser import STATE, Page
from .conftest import TOKEN, Site
from .functions import VIEWS, abilities

P = PacketType

pytestmark = [pytest.mark.slow, pytest.mark.interop]

ROWS = "return document.querySelectorAll('main table tbody tr').length"
NOTE = "return document.getElementById('notice').textContent"
TITLE = "return document.querySelector('main h2')?.textContent.trim()"


async def ask_all(site: Site, requests: Iterable[bytes], answers: int) -> None:
    """Send many packets over one connection, and wait for so many answers."""
    host, port = str(site.server.addresses[0]).rsplit(":", 1)
    async with await trio.open_tcp_stream(host, int(port)) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, b"".join(requests))
        decoder, came = Decoder(responses=True), 0
        while came < answers:
            came += sum(1 for _ in decoder.feed(bytes(await stream.receive_some())))


async def submit(site: Site, count: int, function: bytes = b"resize") -> None:
    await ask_all(site, (encode_request(P.SUBMIT_JOB_BG, function, b"u-%d" % n, b"{}") for n in range(count)), count)


async def unlock(page: Page) -> None:
    await page.click("#access", "Unlock actions")
    await page.type("#ask input", TOKEN + Keys.ENTER)
    await page.until("return document.getElementById('access').textContent", "Lock actions")


# ---- nothing, one, many ----


@pytest.mark.parametrize("view", VIEWS)
async def test_view_of_nothing(page: Page, view: str) -> None:
    await page.visit(view)

    await page.until("return document.querySelector('nav a[aria-current]').hash", f"#/{view}")
    await page.until(
        f"return [...document.querySelectorAll('main .empty')].every(p => !p.hidden) && ({ROWS[7:]}) === 0", True
    )
    await page.picture(f"none-{view or 'overview'}")


async def test_one_job_in_each_view(page: Page) -> None:
    async with open_worker(abilities, page.site.server.url, client_id="worker-1", concurrency=2, drain_seconds=0):
        async with page.site.server.open_client() as client:
            running = (await client.submit("resize", b'{"width": 640}')).decode()
            with pytest.raises(JobError):
                await client.run("fail", b"broken.png", unique="broken")
            queued = (await client.submit("other", b"", unique="order-1")).decode()
            scheduled = (await client.submit("other", b"", run_at=4_000_000_000)).decode()
        for view, expected in {
            "running": [running, "resize", " 75 %"],
            "queued": [queued, "other", "normal", "order-1"],
            "scheduled": [scheduled, "other"],
        }.items():
            await page.visit(view)
            await page.until(f"{TITLE} === '{view.capitalize()} jobs' && ({ROWS[7:]}) === 1", True)
            (row,) = await page.cells()
            assert expected == row[: len(expected)]
            await page.picture(f"one-{view}")
        await page.visit("failed")
        await page.until(ROWS, 1)
        (row,) = await page.cells()
        assert ("fail", "broken", "raised", "worker-1") == (row[1], row[2], row[4], row[8])
        await page.visit("workers")
        await page.until(f"{TITLE}.startsWith('Workers 1')", True)
        # The page hears once a second how many jobs a worker has: what it knows may be of when the other one ran.
        await page.until("return document.querySelector('main tbody tr')?.cells[2].textContent", "1")
        (row,) = await page.cells()
        assert ("worker-1", "1", "fail, resize") == (row[0], row[2], ", ".join(sorted(row[6].split(", "))))


async def test_every_view_of_a_hundred_thousand_jobs(page: Page) -> None:
    many = 100_000
    await submit(page.site, many, b"busy")
    numbers = range(many)
    await ask_all(
        page.site,
        (encode_request(P.SUBMIT_JOB_EPOCH, b"later", b"", b"%d" % (4_000_000_000 + n), b"") for n in numbers),
        many,
    )
    host, port = str(page.site.server.addresses[0]).rsplit(":", 1)
    async with await trio.open_tcp_stream(host, int(port)) as worker, trio.open_nursery() as nursery:
        grabs = encode_request(P.GRAB_JOB) * (many // 2)
        nursery.start_soon(worker.send_all, encode_request(P.CAN_DO, b"busy") + grabs)
        decoder = Decoder(responses=True)
        handles: list[bytes] = []
        while len(handles) < many // 2:
            handles += [body.split(b"\0")[0] for _, body in decoder.feed(bytes(await worker.receive_some()))]
        await worker.send_all(b"".join(encode_request(P.WORK_FAIL, handle) for handle in handles[:1000]))
        for view, rows in {"": 2, "running": 100, "queued": 100, "scheduled": 100, "failed": 500, "workers": 1}.items():
            await page.visit(view)
            await page.until(ROWS, rows)
            await page.picture(f"many-{view or 'overview'}")
        await page.visit("server")
        # Submitted, given to workers, and failed.
        for count in ("200,000", "50,000", "1,000"):
            await page.until(
                f"return [...document.querySelectorAll('main dd')].some(e => e.textContent === '{count}')", True
            )
        await page.picture("many-server")
        nursery.cancel_scope.cancel()


# ---- live ----


async def test_queue_is_browsed_by_links_and_goes_on_by_itself(page: Page) -> None:
    await page.visit("queued")
    await page.until("return document.querySelector('main .empty')?.hidden", False)
    await submit(page.site, 150)
    await page.until(ROWS, 100)

    await page.click(".pager a", "Next page")
    await page.until(ROWS, 50)
    await page.click(".pager a", "First page")
    await page.until(ROWS, 100)
    await page.do(lambda driver: driver.back())
    await page.until(ROWS, 50)


async def test_queue_is_filtered(page: Page) -> None:
    await submit(page.site, 30)
    await submit(page.site, 3, b"other")
    await page.visit("queued")
    await page.until(ROWS, 33)

    await page.type("[name=unique]", "u-2*")
    await page.type("[name=function]", "resize" + Keys.ENTER)

    await page.until(ROWS, 11)
    assert {"resize"} == {row[1] for row in await page.cells()}
    assert "#/queued?function=resize&unique=u-2*" == await page.run("return location.hash")
    # The address says it all.
    await page.do(lambda driver: driver.refresh())
    await page.until(ROWS, 11)
    assert "u-2*" == await page.run("return document.querySelector('[name=unique]').value")


async def test_running_job_moves_on_without_loading_again(page: Page) -> None:
    steps = trio.Semaphore(0)
    counting = Abilities()

    @counting.function
    async def count(workload: bytes, job: Job) -> None:
        for done in range(1, 5):
            await job.status(done, 4)
            await steps.acquire()

    await page.visit("running")
    progress = "return document.querySelector('main progress')?.value ?? null"
    async with open_worker(counting, page.site.server.url), page.site.server.open_client() as client:
        await client.submit("count", b"")
        for done in (0.25, 0.5, 0.75, 1):
            await page.until(progress, done)
            steps.release()
        await page.until(ROWS, 0)


async def test_job_has_a_view_of_its_own(page: Page) -> None:
    async with page.site.server.open_client() as client:
        handle = (await client.submit("resize", b'{"width": 640}', unique="order-1", priority="high")).decode()
        binary = (await client.submit("resize", bytes(range(64)))).decode()
    await page.visit("queued")

    await page.click("main table a", handle)

    await page.until(TITLE, f"Job {handle}")
    await page.until("return document.querySelector('pre')?.textContent", '{\n  "width": 640\n}')
    shown = await page.run("return document.querySelector('main').textContent")
    assert all(words in shown for words in ("order-1", "high", "submitted", "queued", "It is queued."))
    await page.picture("job")
    async with open_worker(abilities, page.site.server.url, drain_seconds=0):
        await page.until("return document.querySelector('main').textContent.includes('attempt 1 began')", True)
    await page.visit(f"job/{binary}")
    await page.until("return document.querySelector('pre')?.className", "hex")
    # A line of sixteen bytes, with what they are as text, is seen whole.
    await page.until("const pre = document.querySelector('pre'); return pre.scrollWidth <= pre.clientWidth", True)
    await page.picture("job-binary")
    page.site.server.operator.cancel(binary.encode())
    await page.until("return document.querySelector('main').textContent.includes('There is no such live job')", True)
    page.forgiven.append("404")


@pytest.mark.parametrize("hide_workloads", [True])
async def test_hidden_workload_is_not_shown(page: Page) -> None:
    async with page.site.server.open_client() as client:
        handle = (await client.submit("resize", b"hush-hush")).decode()
    await page.visit(f"job/{handle}")

    await page.until("return document.querySelector('main').textContent.includes('Not shown')", True)
    assert "hush-hush" not in await page.run("return document.documentElement.textContent")


# ---- actions ----


async def test_job_is_cancelled_by_clicks(page: Page) -> None:
    await submit(page.site, 2)
    await page.visit("queued")
    await page.click("main table button", "Cancel")
    await page.until("return document.getElementById('ask-title').textContent", "Unlock actions")
    await page.type("#ask input", TOKEN + Keys.ENTER)
    await page.until("return document.getElementById('ask-title').textContent", "Cancel the job?")
    await page.picture("cancel")
    await page.click("#ask-yes", "Cancel it")

    await page.until(f"{NOTE}.startsWith('cancelled job H:')", True)
    await page.until(ROWS, 1)
    assert [1] == [function.queued for function in page.site.server.statistics().functions]


async def test_wrong_token_is_refused(page: Page) -> None:
    page.forgiven.append("401")
    await submit(page.site, 1)
    await page.visit("queued")
    await page.click("main table button", "Cancel")
    await page.type("#ask input", "wrong" + Keys.ENTER)

    await page.until("return document.getElementById('ask-error').textContent", "the token is wrong")
    assert await page.run("return document.getElementById('ask').open")
    assert await page.run("return sessionStorage.getItem('token')") is None
    await page.picture("wrong-token")
    await page.click("#ask-no")
    assert [1] == [function.queued for function in page.site.server.statistics().functions]


async def test_token_is_forgotten_with_the_tab(page: Page) -> None:
    await unlock(page)
    assert TOKEN == await page.run("return sessionStorage.getItem('token')")
    assert await page.run("return localStorage.getItem('token')") is None

    await page.click("#access", "Lock actions")

    assert await page.run("return sessionStorage.getItem('token')") is None


@pytest.mark.parametrize("token", [None])
async def test_page_of_a_server_without_a_token_has_no_buttons(page: Page) -> None:
    await submit(page.site, 1)
    await page.visit("queued")
    await page.until(ROWS, 1)

    assert 0 == await page.run("return document.querySelectorAll('main table td button').length")
    assert await page.run("return document.getElementById('access').hidden")


async def test_function_is_paused_limited_and_purged_by_keyboard(page: Page) -> None:
    await submit(page.site, 3)
    await unlock(page)
    await page.visit("")
    note = "return document.querySelector('#functions tbody tr').cells[8].textContent"

    async def press(name: str) -> None:
        button = f"[...document.querySelectorAll('#functions td button')].find(b => b.textContent === {name!r})"
        await page.until(f"return !!{button}", True)
        await page.run(f"{button}.focus()")
        await page.do(lambda driver: driver.switch_to.active_element.send_keys(Keys.ENTER))
        await page.until("return document.getElementById('ask').open", True)

    def confirm(driver: Chrome) -> None:
        driver.find_element("id", "ask-yes").send_keys(Keys.ENTER)

    await press("Pause")
    await page.do(confirm)
    await page.until(f"{note}.includes('paused')", True)
    await press("Limit")
    await page.type("#ask [name=normal]", Keys.BACKSPACE + "7" + Keys.ENTER)
    await page.until(f"{note}.includes('limited to 0, 7, 0')", True)
    await press("Resume")
    await page.do(confirm)
    await page.until(f"{note}.includes('paused')", False)
    await press("Purge")
    await page.do(confirm)
    await page.until(NOTE, "purged function resize: 3 jobs")
    await page.until("return document.querySelector('#functions tbody tr').cells[2].textContent", "0")


async def test_running_job_is_requeued_and_failed_job_submitted_again(page: Page) -> None:
    await unlock(page)
    async with open_worker(abilities, page.site.server.url, client_id="w1", concurrency=2, drain_seconds=0):
        async with page.site.server.open_client() as client:
            await client.submit("resize", b"")
            with pytest.raises(JobError):
                await client.run("fail", b"")
        await page.visit("running")
        await page.click("main table button", "Requeue")
        await page.click("#ask-yes", "Requeue it")
        await page.until(f"{NOTE}.startsWith('requeued job')", True)
    await page.visit("failed")
    await page.click("main table button", "Submit again")
    await page.click("#ask-yes", "Submit it")
    await page.until("return document.querySelector('main td.actions a')?.textContent", "submitted again")
    await page.picture("failed")


# ---- in another application ----


async def test_page_of_a_mounted_application(chrome: Chrome, site: Site) -> None:
    """Its addresses are relative."""
    await submit(site, 1)
    app = Starlette(routes=[Mount("/some/where", make_app(site.server, token=TOKEN))])
    config = Config()
    config.bind, config.loglevel = ["127.0.0.1:0"], "WARNING"
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(partial(serve, cast(ASGIFramework, app), config))
        page = Page(chrome, site)
        # Without the slash at its end, to which it is led.
        await page.do(lambda driver: driver.get(f"{url}/some/where"))
        await page.until(STATE, "live")
        await page.visit("queued")
        await page.until(ROWS, 1)
        await unlock(page)
        await page.click("main table button", "Cancel")
        await page.click("#ask-yes", "Cancel it")
        await page.until(ROWS, 0)
        asked = await page.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert asked
        assert [] == [name for name in asked if not name.startswith((f"{url}/some/where/api/", "data:"))]
        await page.do(lambda driver: driver.get("about:blank"))
        complaints = await page.do(lambda driver: driver.get_log("browser"))  # type: ignore[no-untyped-call] # theirs
        assert [] == complaints
        nursery.cancel_scope.cancel()


# ---- shapes ----


@pytest.mark.parametrize("view", VIEWS)
async def test_narrow_screen_needs_no_scrolling_sideways(page: Page, view: str) -> None:
    await submit(page.site, 3, b"a-function-with-a-name-that-is-rather-long-for-a-telephone" * 3)
    async with page.screen(360):
        await page.visit(view)
        await page.until("return document.querySelector('nav a[aria-current]').hash", f"#/{view}")
        await page.until("return document.documentElement.scrollWidth", 360)
        await page.picture(f"narrow-{view or 'overview'}")


async def test_focus_stays_where_it_is_while_rows_change(page: Page) -> None:
    await submit(page.site, 3)
    await page.visit("queued")
    await page.until(ROWS, 3)
    await page.run("document.querySelectorAll('main table a')[2].focus(); window.focused = document.activeElement")
    page.site.server.operator.cancel((await page.cells())[0][0].encode())

    await page.until(ROWS, 2)

    assert await page.run("return document.activeElement === window.focused")
