"""In a real browser: the wall goes on by itself, stops when told or asked for less motion, and fits its screen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bureau_office import HANDLER
from console.browser import needs_browser, open_tab, running_browser
from console_server import RunningConsole
from dashboard_scene import keep, two_years
from playwright.sync_api import Browser, Page

from matcher.bureau.office import Office

pytestmark = needs_browser

WALL = (1920, 1080)
STAY_MS = 20_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def console(console: RunningConsole, office: Office) -> RunningConsole:
    two_years(office)
    keep(office)
    return console


def shown(page: Page) -> str:
    return page.locator(".screen.shown h2").inner_text()


def test_the_wall_cycles_and_pauses(browser: Browser, console: RunningConsole) -> None:
    tab = open_tab(browser, console.url, console.sign_in(HANDLER), WALL)
    tab.page.clock.install()
    page = tab.goto("/dashboard/wall")
    seen = [shown(page)]
    for _ in range(6):
        page.clock.run_for(STAY_MS)
        seen.append(shown(page))
    assert seen[0] == seen[6]
    assert len(set(seen)) == 6
    page.click("#pause")
    page.clock.run_for(3 * STAY_MS)
    assert shown(page) == seen[6]
    page.keyboard.press("ArrowRight")
    assert shown(page) == seen[1]
    assert page.locator("footer a[aria-current]").inner_text() == "推进"
    page.clock.run_for(3 * STAY_MS)
    assert shown(page) == seen[1]
    assert tab.complaints == []
    page.context.close()


def test_whoever_asks_for_less_motion_gets_none(browser: Browser, console: RunningConsole) -> None:
    tab = open_tab(browser, console.url, console.sign_in(HANDLER), WALL)
    tab.page.emulate_media(reduced_motion="reduce")
    tab.page.clock.install()
    page = tab.goto("/dashboard/wall?screen=3")
    before = shown(page)
    page.clock.run_for(5 * STAY_MS)
    assert shown(page) == before
    assert page.locator("#pause").inner_text() == "继续轮播"
    page.context.close()


def test_every_screen_fits_and_is_large(browser: Browser, console: RunningConsole) -> None:
    """At five metres a character wants 24 px and more (about 1 in 250 of a metre-high picture)."""
    tab = open_tab(browser, console.url, console.sign_in(HANDLER), WALL)
    for screen in range(1, 7):
        page = tab.goto(f"/dashboard/wall?screen={screen}")
        room = page.evaluate(
            "[document.documentElement.scrollHeight - innerHeight, document.documentElement.scrollWidth - innerWidth]"
        )
        assert max(room) <= 0, (screen, room)
        smallest = page.evaluate(
            """Math.min(...Array.from(document.querySelectorAll(
                '.screen.shown text, .screen.shown p, .screen.shown td, .screen.shown th, .screen.shown h3'
            )).filter(one => one.textContent.trim()).map(one => {
                const size = parseFloat(getComputedStyle(one).fontSize);
                const svg = one.ownerSVGElement;
                if (!svg) return size;
                const drawn = svg.getBoundingClientRect(), box = svg.viewBox.baseVal;
                return size * Math.min(drawn.width / box.width, drawn.height / box.height);
            }))"""
        )
        assert smallest >= 24, (screen, smallest)
    page.context.close()
    assert tab.complaints == []


def test_without_script_links_lead_on(browser: Browser, console: RunningConsole) -> None:
    context = browser.new_context(java_script_enabled=False)
    for name, value in console.sign_in(HANDLER).cookies.items():
        context.add_cookies(
            [{"name": name, "value": value, "url": console.url.replace("http:", "https:"), "secure": True}]
        )
    page = context.new_page()
    page.goto(f"{console.url}/dashboard/wall")
    page.click("footer >> text=乡镇")
    assert shown(page).startswith("分乡镇")
    assert not page.locator("#pause").is_visible()
    context.close()
