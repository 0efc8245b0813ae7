"""axe-core over every page that anybody can reach: no fault that keeps somebody from using it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from console.browser import DESKTOP, PHONE, Watched, needs_browser, open_tab, running_browser
from console.scene import ACTORS, pages_of, working_console
from console_server import RunningConsole
from playwright.sync_api import Browser

from matcher.bureau.actors import Actor

pytestmark = needs_browser

GRAVE = {"serious", "critical"}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with working_console(tmp_path_factory.mktemp("scene") / "bureau") as (running, _):
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


def faults_of(tab: Watched, address: str) -> list[str]:
    """Grave faults of a page, each with the element it is about; and whether it is wider than its window."""
    page = tab.goto(address)
    found = Axe().run(page).response["violations"]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [
        f"{address}: {one['id']} ({one['impact']}) {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ] + ([f"{address}: {wide} px wider than the window"] if wide > 0 else [])


def test_the_tool_finds_what_is_wrong(browser: Browser, console: RunningConsole) -> None:
    tab = open_tab(browser, console.url, bypass_csp=True)
    tab.goto("/sign-in").evaluate("document.querySelectorAll('label').forEach(one => one.remove())")
    assert "label" in [one["id"] for one in Axe().run(tab.page).response["violations"] if one["impact"] in GRAVE]
    tab.page.context.close()


def test_no_page_has_a_grave_fault(browser: Browser, console: RunningConsole) -> None:
    """Each route once, by the first role that finds it; signing in as well."""
    tab, faults, seen = open_tab(browser, console.url, bypass_csp=True), list[str](), set[str]()
    for address in ("/sign-in", "/password", "/nothing"):
        faults += faults_of(tab, address)
    tab.page.context.close()
    for actor in ACTORS:
        tab = open_tab(browser, console.url, console.sign_in(actor), bypass_csp=True)
        for shape, addresses in pages_of(console, actor).items():
            route = shape.partition("?")[0]
            if route not in seen:
                seen.add(route)
                faults += faults_of(tab, addresses[0])
        faults += tab.complaints
        tab.page.context.close()
    assert faults == [], "\n".join(faults)
    assert {"/queue", "/households", "/households/{household}", "/audit", "/accounts"} <= seen


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: actor.name)
def test_no_page_of_any_role_has_a_grave_fault(
    browser: Browser, console: RunningConsole, actor: Actor, size: tuple[int, int]
) -> None:
    tab = open_tab(browser, console.url, console.sign_in(actor), size, bypass_csp=True)
    faults = [
        fault for addresses in pages_of(console, actor).values() for fault in faults_of(tab, addresses[0])
    ] + tab.complaints
    tab.page.context.close()
    assert faults == [], "\n".join(faults)
