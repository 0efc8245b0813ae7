"""In a real browser: the queue by keyboard alone, households at desk and tablet size, nothing wider than the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import CHECKER, HANDLER
from console.browser import DESKTOP, TABLET, needs_browser, open_tab, running_browser
from console_server import running_console
from playwright.sync_api import Browser
from reviewing import add_waiting, begin
from whole_way import walk

from matcher.bureau.office import Office
from matcher.reviews import Reviews

pytestmark = needs_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


def test_the_queue_by_keyboard(browser: Browser, office: Office) -> None:
    begin(office)
    families = add_waiting(office, 3)
    with running_console(office) as console:
        tab = open_tab(browser, console.url, console.sign_in(HANDLER))
        page = tab.goto("/queue")
        for key in "jxjx":
            page.keyboard.press(key)
        assert page.locator("#picked").inner_text().endswith("2")
        assert page.locator("tr[aria-selected=true]").count() == 2
        page.keyboard.press("k")
        page.keyboard.press("x")
        assert page.locator("#picked").inner_text().endswith("1")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/households/{families[0]}")
        tab.goto("/queue")
        page.focus("#late_after_days")
        page.keyboard.press("x")  # typed into a field it is no command
        assert page.locator("#picked").inner_text().endswith("0")
        page.check("#all")
        assert page.locator("#picked").inner_text().endswith("3")
        page.click("button[value=claim]")
        assert "办成 3 户" in page.inner_text("main")
        assert tab.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, TABLET], ids=["desktop", "tablet"])
def test_households_are_whole_in_both_languages(browser: Browser, tmp_path: Path, size: tuple[int, int]) -> None:
    """Pictures of each page are left in the test's folder."""
    world = walk(tmp_path / "world")
    (waiting,) = add_waiting(world.office, first=10)
    Reviews(world.office).decisions.propose(HANDLER, waiting, "approve")
    paths = ["/queue", "/queue?stage=approved", "/households", *(f"/households/{one}" for one in (*world[2:], waiting))]
    with running_console(world.office) as console:
        for actor, language in ((HANDLER, "zh"), (CHECKER, "en")):
            tab = open_tab(browser, console.url, console.sign_in(actor).read_in(language), size)
            for path in paths:
                page = tab.goto(path)
                for one in page.query_selector_all("#visits details > summary, #decide > summary"):
                    one.click()
                name = f"{actor.name}-{path.strip('/').replace('/', '-').replace('?', '-')}-{language}.png"
                page.screenshot(path=tmp_path / name, full_page=True)
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert (path, wide, tab.complaints) == (path, 0, [])
            tab.page.context.close()
    world.office.close()
