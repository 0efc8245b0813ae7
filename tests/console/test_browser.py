"""In a real browser: signing in with a second factor by hand, nothing from elsewhere, nothing run that is text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bureau_office import ADMIN, AUDITOR, HANDLER, OTHER_ADMIN, make_account
from console.browser import DESKTOP, TABLET, needs_browser, open_tab, running_browser
from console_server import RunningConsole, running_console
from playwright.sync_api import Browser
from pyotp import TOTP

from keys.clock import SettableClock
from matcher.accounts.accounts import Accounts
from matcher.accounts.model import NewAccount
from matcher.bureau.actors import Role
from matcher.bureau.office import Office

pytestmark = needs_browser

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><script>alert(2)</script>',
    "javascript:alert(3)",
    "{{7*7}}",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


def test_the_first_day_of_an_account(browser: Browser, office: Office, clock: SettableClock) -> None:
    """Sign in, bind a device, sign out, sign in with its code: by keyboard and mouse."""
    password = make_account(office, AUDITOR)
    with running_console(office, second_factor=True) as console:
        tab = open_tab(browser, console.url)
        page = tab.goto("/audit")
        assert page.evaluate("document.activeElement.id") == "name"
        page.keyboard.type(AUDITOR.name)
        page.keyboard.press("Tab")
        page.keyboard.type(password)
        page.keyboard.press("Enter")
        secret = page.locator("code").inner_text().replace(" ", "")
        page.fill("#code", "000000")
        page.click("main button")
        assert page.locator(".faults").is_visible()
        page.fill("#code", TOTP(secret).at(clock.now()))
        page.click("main button")
        page.click(".sections >> text=审计")
        page.wait_for_url(f"{console.url}/audit")
        assert page.title().startswith("审计")
        page.click("text=退出")
        page.wait_for_url(f"{console.url}/sign-in")
        clock.advance(60)
        page.fill("#name", AUDITOR.name)
        page.fill("#password", password)
        page.fill("#code", TOTP(secret).at(clock.now()))
        page.click("main button")
        assert page.locator('.who a[href="/me"]').inner_text().startswith(AUDITOR.name)
        assert tab.complaints == []


@pytest.mark.parametrize("size", [DESKTOP, TABLET], ids=["desktop", "tablet"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_of_the_frame_is_whole(
    browser: Browser, office: Office, size: tuple[int, int], language: str
) -> None:
    """No complaint of the browser, nothing wider than the window."""
    with running_console(office) as console:
        visitors = {"admin": console.sign_in(ADMIN), "auditor": console.sign_in(AUDITOR)}
        console.sign_in(HANDLER)
        pages = [
            ("admin", "/accounts"),
            ("admin", "/accounts/_new"),
            ("admin", f"/accounts/{HANDLER.name}"),
            ("admin", f"/accounts/{HANDLER.name}/close"),
            ("admin", "/me"),
            ("admin", "/second-factor"),
            ("admin", "/nothing"),
            ("admin", "/sign-in"),
            ("admin", "/password"),
            ("auditor", "/audit"),
            ("auditor", "/audit?since=x"),
        ]
        tabs = {
            who: open_tab(browser, console.url, visitor.read_in(language), size) for who, visitor in visitors.items()
        }
        for who, path in pages:
            page = tabs[who].goto(path)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert (path, wide, tabs[who].complaints) == (path, 0, [])
        for tab in tabs.values():
            tab.page.context.close()


def test_d42_text_from_outside_is_shown_and_never_run(browser: Browser, office: Office) -> None:
    for number, text in enumerate(HOSTILE):
        Accounts(office).propose(ADMIN, NewAccount(f"hostile{number}", text[:40], frozenset({Role.HANDLER})))
    office_words = " ".join(HOSTILE)
    with office.writing():
        office.record_within(ADMIN, "test.act", "test/1", purpose=f"{office_words} \u202egnp.exe")
    with running_console(office) as console:
        tab = open_tab(browser, console.url, console.sign_in(OTHER_ADMIN))
        shown = tab.goto("/accounts").inner_text("main")
        assert all(text[:40] in shown for text in HOSTILE)
        shown = tab.goto("/audit?action=test").inner_text("main")
        assert all(text in shown for text in HOSTILE)
        assert "⟨U+202E⟩gnp.exe" in shown
        for text in HOSTILE:
            page = tab.page
            tab.goto("/accounts/_new")
            page.fill("#name", text)
            page.fill("#display_name", text)
            page.click("main button")
            assert page.input_value("#display_name") == text
        assert tab.complaints == []


def test_d42_even_a_script_that_got_in_is_not_run(browser: Browser, console: RunningConsole) -> None:
    """The policy allows scripts of our own files only, and no string to become one."""
    tab = open_tab(browser, console.url, console.sign_in(ADMIN))
    page = tab.goto("/me")
    page.evaluate(
        "const one = document.createElement('script'); one.type = 'text/javascript';"
        " one.append(document.createTextNode('window.ran = 1')); document.body.append(one)"
    )
    refused = page.evaluate("try { document.body.innerHTML = '<b>x</b>'; false } catch (error) { true }")
    assert (page.evaluate("window.ran"), refused) == (None, True)
    assert "TrustedScript" in " ".join(tab.complaints)


def test_pages_work_without_scripts(browser: Browser, console: RunningConsole) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{console.url}/sign-in")
    page.fill("#name", ADMIN.name)
    page.fill("#password", make_account(console.office, ADMIN))
    page.click("main button")
    assert page.url.startswith(f"{console.url}/")
    assert "/sign-in" not in page.url
    context.close()
