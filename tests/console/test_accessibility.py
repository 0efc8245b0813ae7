"""axe-core over every page that anybody can reach: no fault that keeps somebody from using it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from console.browser import DESKTOP, PHONE, Watched, needs_browser, open_tab, running_browser
from console.scene import ACTORS, pages_of, working_console
from console_server import RunningConsole
from playwright.sync_api import Browser

from matcher.bureau.actors import Actor

pytestmark = needs_browser

GRAVE = ["serious", "critical"]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with working_console(tmp_path_factory.mktemp("scene") / "bureau") as (running, _):
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


def open_examined(browser: Browser, console: RunningConsole, actor: Actor | None = None) -> Watched:
    """A tab in which every page has axe-core from its beginning."""
    tab = open_tab(browser, console.url, console.sign_in(actor) if actor else None, bypass_csp=True)
    tab.page.context.add_init_script(AXE_SCRIPT)
    return tab


def grave_faults(tab: Watched) -> list[dict[str, Any]]:
    """axe-core's violations that keep somebody from using the page as it stands."""
    found: list[dict[str, Any]] = tab.page.evaluate(
        "async grave => (await axe.run({resultTypes: ['violations']})).violations.filter("
        "one => grave.includes(one.impact))",
        GRAVE,
    )
    return found


def faults_of(tab: Watched, address: str, sizes: Iterable[tuple[int, int]] = (DESKTOP,)) -> list[str]:
    """Grave faults of a page, each with the element it is about; and whether it is wider than its window.

    The page is loaded once and looked at in windows of these sizes: none of our scripts asks for the window's size.
    """
    page, faults = tab.goto(address), list[str]()
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        shown, needed, given = page.evaluate(
            "[innerWidth, document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert shown == width
        faults += [
            f"{address} at {width} px: {one['id']} ({one['impact']}) {node['html'][:160]} "
            + node["failureSummary"][:300]
            for one in grave_faults(tab)
            for node in one["nodes"]
        ]
        faults += [f"{address} at {width} px: {needed - given} px wider than the window"] if needed > given else []
    return faults


def test_the_tool_finds_what_is_wrong(browser: Browser, console: RunningConsole) -> None:
    tab = open_examined(browser, console)
    tab.goto("/sign-in").evaluate("document.querySelectorAll('label').forEach(one => one.remove())")
    assert "label" in [one["id"] for one in grave_faults(tab)]
    tab.page.context.close()


def test_what_is_too_wide_for_a_phone_only_is_found(browser: Browser, console: RunningConsole) -> None:
    tab = open_examined(browser, console)
    tab.page.context.add_init_script(
        "addEventListener('load', () => document.querySelector('main').style.minWidth = '700px')"
    )
    (fault,) = faults_of(tab, "/sign-in", (DESKTOP, PHONE))
    assert fault.startswith("/sign-in at 360 px: ")
    assert fault.endswith(" px wider than the window")
    tab.page.context.close()


def test_no_page_has_a_grave_fault(browser: Browser, console: RunningConsole) -> None:
    """Each route once, by the first role that finds it; signing in as well."""
    tab, faults, seen = open_examined(browser, console), list[str](), set[str]()
    for address in ("/sign-in", "/password", "/nothing"):
        faults += faults_of(tab, address)
    tab.page.context.close()
    for actor in ACTORS:
        tab = open_examined(browser, console, actor)
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
@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: actor.name)
def test_no_page_of_any_role_has_a_grave_fault(browser: Browser, console: RunningConsole, actor: Actor) -> None:
    """Every shape of page, at a desk and on a phone."""
    tab = open_examined(browser, console, actor)
    faults = [
        fault
        for addresses in pages_of(console, actor).values()
        for fault in faults_of(tab, addresses[0], (DESKTOP, PHONE))
    ] + tab.complaints
    tab.page.context.close()
    assert faults == [], "\n".join(faults)
