"""Each role's way through the console in a real browser, with pictures kept under build/screenshots."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bureau_office import CHECKER, HANDLER, make_account, make_office
from console.browser import DESKTOP, TABLET, Watched, needs_browser, open_tab, running_browser
from console.scene import ACTORS, find, working_console
from console_server import RunningConsole, running_console
from playwright.sync_api import Browser
from reviewing import add_waiting, begin, state_of

from keys.clock import SettableClock
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office

pytestmark = needs_browser


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with working_console(tmp_path_factory.mktemp("walk") / "bureau") as (running, _):
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def office(tmp_path, clock: SettableClock) -> Iterator[Office]:  # type: ignore[no-untyped-def]
    opened = make_office(tmp_path / "bureau", clock)
    begin(opened)
    yield opened
    opened.verify_audit()
    opened.close()


def sign_in(tab: Watched, office: Office, actor: Actor) -> None:
    page = tab.goto("/sign-in")
    page.fill("#name", actor.name)
    page.fill("#password", make_account(office, actor))
    page.click("main button")
    assert page.locator('.who a[href="/me"]').inner_text().startswith(actor.name)


@pytest.mark.parametrize("size", [DESKTOP, TABLET], ids=["desktop", "tablet"])
@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: next(iter(actor.roles)).value)
def test_every_role_through_its_sections(
    browser: Browser, world: RunningConsole, actor: Actor, size: tuple[int, int]
) -> None:
    """Signs in by hand, opens every section from the bar and the first thing that it lists, and signs out."""
    tab = open_tab(browser, world.url, size=size)
    sign_in(tab, world.office, actor)
    page, (role,) = tab.page, actor.roles
    sections = [one.inner_text() for one in page.locator(".sections a").all()]
    addresses = [one.get_attribute("href") for one in page.locator(".sections a").all()]
    assert sections
    for section, address in zip(sections, addresses, strict=True):
        page.click(f".sections >> text={section}")
        page.wait_for_url(f"{world.url}{address}**")
        assert page.locator("h1").count() == 1, section
        tab.keep(f"{role.value}-{str(address).strip('/')}-{size[0]}")
        first = page.locator(f"main table a[href^='{address}/']").first
        if first.count():
            first.click()
            page.locator("h1").first.wait_for()
            assert page.locator("h1").count() == 1
            tab.keep(f"{role.value}-{str(address).strip('/')}-one-{size[0]}")
    page.click("text=退出")
    page.wait_for_url(f"{world.url}/sign-in")
    assert tab.complaints == []
    page.context.close()


@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: next(iter(actor.roles)).value)
def test_no_link_leads_nowhere(world: RunningConsole, actor: Actor) -> None:
    found = find(world, actor)
    assert found.broken == []
    assert len(found.addresses) > 1


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_two_persons_decide_from_the_queue(browser: Browser, office: Office, scripts: bool) -> None:
    """The queue, a household, a proposal; another account's queue, the same household, its confirmation."""
    (family,) = add_waiting(office)
    with running_console(office) as console:
        tab = open_tab(browser, console.url, scripts=scripts)
        sign_in(tab, office, HANDLER)
        page = tab.goto("/queue")
        page.click("table.rows a")
        assert page.url == f"{console.url}/households/{family}"
        page.click("#decide > summary")
        page.check("input[name=verdict][value=approve]")
        page.click("#decide button:has-text('提出意见')")
        assert "意见已提出" in page.inner_text("main")
        page.click("text=退出")
        sign_in(tab, office, CHECKER)
        page = tab.goto("/queue")
        page.click("table.rows a")
        page.click("#decide > summary")
        page.click("button[value=confirm]")
        assert "已复核确认" in page.inner_text("main")
        assert state_of(office, family) == "APPROVED"
        assert tab.complaints == []
