"""In a real browser: a policy from its file to a trial and to being in force; answers by form; every page whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import CHECKER, DEPARTMENT, HANDLER, add_households, make_office
from console.browser import DESKTOP, TABLET, needs_browser, open_tab, running_browser
from console_server import running_console
from handed_over import COUNTY
from made_check import DEPARTMENT as CIVIL_AFFAIRS
from made_check import MINZHENG, checked, open_minzheng
from operators_home import ZHANG, keystore_with_operators
from playwright.sync_api import Browser
from visiting import add_accounts, adopt_policy, household_items, to_be_visited

from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.checks.links import CheckLink, Links
from matcher.policy import list_examples

pytestmark = needs_browser
PHONE = (360, 740)
SHENGSI = next(path for path in list_examples() if path.name.startswith(COUNTY))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


def test_a_policy_from_its_file_to_being_in_force(browser: Browser, office: Office, tmp_path: Path) -> None:
    adopt_policy(office)
    add_households(office, 3)
    text = SHENGSI.read_text("utf-8").replace('"2023-1"', '"2025-4"').replace("2023-06-10", "2025-03-01")
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(text.replace("highest = 65", "highest = 30"), "utf-8")
    bad.write_text(text.replace("highest = 65", 'highest = "x"'), "utf-8")
    with running_console(office) as console:
        tab = open_tab(browser, console.url, console.sign_in(HANDLER))
        page = tab.goto("/policies")
        page.click("text=提出政策")
        page.click("main form button")
        assert "没有选择文件" in page.inner_text(".faults")
        page.set_input_files("#file", bad)
        page.click("main form button")
        assert "age.highest" in page.inner_text(".faults")
        assert "这一行" in page.inner_text(".faulty")
        page.set_input_files("#file", good)
        page.click("main form button")
        assert "<del>" not in page.inner_text("main")
        assert page.locator("del").first.inner_text() == "2023-1"
        page.click("text=先试算会影响哪些家庭")
        page.wait_for_selector("#result")  # the page comes again by itself
        assert "将退出的家庭 3" in page.inner_text("#result")
        address = page.url.removeprefix(console.url)
        other = open_tab(browser, console.url, console.sign_in(CHECKER))
        assert "将退出的家庭 3" in other.goto(address).inner_text("#result")
        other.page.click("text=看这份政策")
        other.page.click("main form[action$=adopt] button")
        assert "今天生效" in other.page.inner_text("main")
        assert (tab.complaints, other.complaints) == ([], [])


def test_a_departments_person_enters_an_answer_by_keyboard(browser: Browser, office: Office) -> None:
    add_accounts(office)
    add_households(office, 1)
    with running_console(office) as console:
        tab = open_tab(browser, console.url, console.sign_in(DEPARTMENT))
        page = tab.goto("/checks")
        page.click("text=录入答复")
        page.click("text=社会救助")
        page.focus("#who")
        page.keyboard.type(household_items(0)[0])
        page.keyboard.press("Tab")
        page.keyboard.press("Space")  # listed
        page.select_option("#label-assistance", "N11")
        page.fill("#label-as_of", "2025-01-05")
        page.fill("#as_of", "2025-03-01")
        page.focus("#document")
        page.keyboard.type("演示函1号")
        page.keyboard.press("Enter")
        assert "已录入，涉及 1 位成员" in page.inner_text("[role=status]")
        assert "演示函1号" in tab.goto("/checks").inner_text("main")
        assert tab.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE], ids=["desktop", "tablet", "phone"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_is_whole(
    browser: Browser, tmp_path: Path, clock: SettableClock, size: tuple[int, int], language: str
) -> None:
    office = make_office(tmp_path / "bureau", clock)
    sha256 = adopt_policy(office)
    to_be_visited(office, add_households(office, 3))
    store = open_minzheng(office.home, clock)
    keys = keystore_with_operators(tmp_path / "keys", clock, "bureau")
    link = CheckLink(
        "minzheng", "minzheng", CIVIL_AFFAIRS.public, MINZHENG, (COUNTY,), store,
        store.warrants(keys.operators, keys.get_public_identity()), {ZHANG.public.fingerprint: "张三"},
    )  # fmt: skip
    checked(store, [(household_items(0)[0], None)])
    store.told.keep("minzheng", "2025", total=1_000, used=300, remaining=700)
    paths = [
        "/checks", "/checks/answers", "/checks/entry", "/checks/entry?department=minzheng&member=1", "/checks/file",
        "/checks/datasets", "/policies", "/policies/_propose", f"/policies/{sha256}", "/policies/_compare?all=true",
        "/policies/trials", "/runs", "/runs/handovers", "/runs/handovers/1", "/runs/checks", "/runs/alarms",
        "/runs/records",
    ]  # fmt: skip
    with running_console(office, links=Links((link,))) as console:
        tab = open_tab(browser, console.url, console.sign_in(HANDLER).read_in(language), size)
        for path in paths:
            page = tab.goto(path)
            name = f"{path.strip('/').replace('/', '-').replace('?', '-')[:40]}-{language}-{size[0]}.png"
            page.screenshot(path=tmp_path / name, full_page=True)
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert (path, wide, tab.complaints) == (path, 0, [])
            assert page.locator("h1").count() == 1, path
            unnamed = page.locator("main input:not([type=hidden]):not([id]):not([type=radio]):not([type=checkbox])")
            assert unnamed.count() == 0, path
        tab.page.context.close()
    store.close()
    office.close()
