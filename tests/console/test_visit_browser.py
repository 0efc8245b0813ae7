"""The tablet's form in a real browser at a real server: typed without a network, sent once, nothing lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from bureau_office import MANAGER, add_households
from console.broken_line import broken_line
from console.browser import TABLET, Watched, needs_browser, running_browser
from console_server import RunningConsole
from playwright.sync_api import Browser, BrowserContext, Page
from visiting import add_accounts, adopt_policy, plan_and_assign, png, to_be_visited

from api.console.sessions import SESSION
from matcher.bureau.office import Office
from matcher.rows import fetch_all
from matcher.visits.service import Visits

pytestmark = needs_browser
PHONE = (360, 740)


@dataclass
class Tablet:
    """A browser of its own with the manager's session: what is stored in it outlives its pages."""

    context: BrowserContext
    console: RunningConsole
    tab: Watched
    visit: int

    @property
    def page(self) -> Page:
        return self.tab.page

    @property
    def complaints(self) -> list[str]:
        """But for what a tab says of the network that a test took away."""
        return [
            said
            for said in self.tab.complaints
            if not re.search(r"net::ERR_(INTERNET|FAILED|CONNECTION|CONTENT_LENGTH|EMPTY)", said)
        ]

    def sign_in(self) -> None:
        self.console.visitors.pop(MANAGER.name, None)
        for name, value in self.console.sign_in(MANAGER).cookies.items():
            url = self.console.url.replace("http:", "https:")
            self.context.add_cookies([{"name": name, "value": value, "url": url, "secure": True}])

    def open(self) -> None:
        """A new page of the same browser, as after it was closed."""
        self.tab = Watched(self.context.new_page(), self.tab.url).watch()
        self.tab.goto("/visits/tablet")
        self.page.locator("#list:visible, #conflict:visible").wait_for()

    def close(self) -> None:
        self.page.close()

    def wait_kept(self) -> None:
        """Until the page can do without a network."""
        self.page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
        self.page.locator(f"[data-visit='{self.visit}']").wait_for()

    def begin(self) -> None:
        self.page.locator(f"[data-visit='{self.visit}'] .open").click()
        self.page.locator("#visit:visible").wait_for()

    def step(self, name: str) -> None:
        self.page.click(f"[data-go='{name}']")

    def fill(self, path: str, value: str) -> None:
        entry, _, field = path.rpartition("@")
        inside = f"[data-at='{entry}'] " if entry else "#visit "
        found = self.page.locator(f"{inside}[data-path='{field}']")
        if found.first.get_attribute("type") == "radio":
            self.page.locator(f"{inside}[data-path='{field}'][value='{value}']").check()
        elif found.evaluate("field => field.tagName") == "SELECT":
            found.select_option(value)
        else:
            found.fill(value)

    def arrive(self) -> None:
        """Where another device has begun, there is nothing left to do."""
        if self.page.is_visible("#arrive"):
            self.page.click("#locate")
        self.page.locator("#arrive").wait_for(state="hidden")

    def sign(self, who: str) -> None:
        pad = self.page.locator(f"[data-pad='signature_{who}'] canvas")
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        assert box is not None
        x, y = box["x"] + 20, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        for place in range(8):
            self.page.mouse.move(x + place * 12 + len(who), y + (place % 3) * 9)
        self.page.mouse.up()
        self.page.locator(f"[data-thumbs='signature_{who}'] img").wait_for()

    def fill_all(self, **changes: str) -> None:
        """Every step of the form, photo and signatures; ``changes``: income__wage="1", work="务渔"."""
        self.arrive()
        self.fill("consent_no", "演示授权-0001")
        for name, value in (("township", "演示镇"), ("village", "演示村"), ("address", "演示镇演示村1号")):
            self.fill(f"head.{name}", value)
        self.page.set_input_files("#photo", {"name": "门口.png", "mimeType": "image/png", "buffer": png(7, 300, 200)})
        self.page.locator("[data-thumbs=photo] img").wait_for()
        self.step("members")
        for place, (relation, phone) in enumerate((("self", "13800000000"), ("spouse", ""))):
            for name, value in (("relation", relation), ("marriage", "married"), ("phone", phone)):
                self.fill(f"members.{place}@{name}", value)
        self.fill("members.0@work", changes.get("work", ""))
        for step in ("income", "spending", "assets"):
            self.step(step)
            self.page.click(f"[data-zero={step}]")
        self.step("income")
        self.fill("income.wage", changes.get("income__wage", "60,000"))
        self.fill("income.farming", "12000.50")
        self.step("spending")
        self.fill("spending.living", "30000")
        self.step("debts")
        self.page.click("[data-add=debts]")
        for name, value in (("lender", "亲友"), ("balance", "10000"), ("use", "修船")):
            self.fill(f"debts.0@{name}", value)
        self.step("needs")
        self.page.click("[data-add=needs]")
        for name, value in (("product", "jingying"), ("amount", "100000"), ("months", "12"), ("use", "购置网具")):
            self.fill(f"needs.0@{name}", value)
        self.step("conclusion")
        for name in ("is_resident", "has_good_credit", "has_full_capacity", "is_admitted", "is_subsidised"):
            self.fill(f"conclusion.{name}", "true")
        self.fill("conclusion.family_type", "farming")
        self.step("signatures")
        for who in ("applicant", "manager", "officer"):
            self.fill(f"signatures.{who}.name", "演示")
            self.fill(f"signatures.{who}.signed_on", self.console.office.today().isoformat())
            self.sign(who)
        assert self.page.inner_text("#lacking") == "都填好了，可以提交。"

    def wait_bar(self, words: str) -> None:
        self.page.locator("#bar", has_text=words).wait_for(timeout=15_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


def make_tablet(
    browser: Browser, console: RunningConsole, visit: int, size: tuple[int, int] = TABLET, url: str = ""
) -> Tablet:
    """``url``: of a line to the console."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale="zh-CN", timezone_id="Asia/Shanghai", has_touch=True,
        geolocation={"latitude": 30.72, "longitude": 122.45, "accuracy": 8}, permissions=["geolocation"],
    )  # fmt: skip
    context.clock.install(time=console.office.clock.now())
    tablet = Tablet(context, console, Watched(context.new_page(), url or console.url), visit)
    tablet.close()
    tablet.sign_in()
    tablet.open()
    tablet.wait_kept()
    return tablet


@pytest.fixture
def visit(office: Office) -> int:
    add_accounts(office)
    adopt_policy(office)
    households = add_households(office, 1)
    to_be_visited(office, households)
    return plan_and_assign(office, households)[0]


@pytest.fixture
def tablet(browser: Browser, console: RunningConsole, visit: int) -> Iterator[Tablet]:
    made = make_tablet(browser, console, visit)
    yield made
    made.context.close()


def stored_forms(office: Office) -> list[tuple[int, str]]:
    """(visit, amount of income) of every form that was ever stored."""
    rows = fetch_all(office.database, "SELECT visit_id, sealed, device_key FROM form ORDER BY form_id")
    return [
        (visit, office.personal.open(sealed, "form", "sealed", key)["income"]["total"]) for visit, sealed, key in rows
    ]


def state_of(office: Office, visit: int) -> str:
    return str(fetch_all(office.database, "SELECT state FROM visit WHERE visit_id = ?", [visit])[0][0])


def kept_on_device(page: Page) -> list[str]:
    return page.evaluate(
        """async () => {
          const opened = await new Promise((done) => {
            const asked = indexedDB.open("mingce-visits"); asked.onsuccess = () => done(asked.result);
          });
          const all = await new Promise((done) => {
            const asked = opened.transaction("visits").objectStore("visits").getAll();
            asked.onsuccess = () => done(asked.result);
          });
          opened.close();
          return all.map((one) => Object.keys(one).sort().join() + " " + one.status);
        }"""
    )


def test_filled_in_offline_closed_opened_and_sent_once(tablet: Tablet, office: Office, visit: int) -> None:
    tablet.context.set_offline(True)
    tablet.begin()
    tablet.fill_all()
    assert tablet.page.locator("[data-sum=income]").text_content() == "72,000.50"
    tablet.close()  # as when the battery ends
    tablet.open()
    assert stored_forms(office) == []
    tablet.begin()
    tablet.step("income")
    assert tablet.page.locator("[data-path='income.wage']").input_value() == "60,000"
    tablet.step("signatures")
    assert tablet.page.locator("[data-thumbs^=signature] img").count() == 3
    tablet.page.locator("#submit").dblclick()  # a second tap
    tablet.wait_bar("离线 · 1 份待传")
    tablet.close()
    tablet.open()
    tablet.wait_bar("离线 · 1 份待传")
    tablet.context.set_offline(False)  # which the page hears of
    tablet.wait_bar("全部已传出")
    assert stored_forms(office) == [(visit, "72000.50")]
    assert state_of(office, visit) == "SUBMITTED"
    assert kept_on_device(tablet.page) == []
    details = Visits(office).show(MANAGER, visit)
    assert (details.missing, len(details.attachments)) == ((), 4)
    assert tablet.complaints == []


def test_lines_that_break_make_nothing_twice(
    browser: Browser, console: RunningConsole, office: Office, visit: int
) -> None:
    """Of every step two answers are lost after the server carried it out; the page tries again by itself."""
    with broken_line(console.url, re.compile(r"/visits/tablet/[0-9]+/(start|image|form|submit)$")) as line:
        tablet = make_tablet(browser, console, visit, url=line.url)
        tablet.begin()
        tablet.fill_all()
        tablet.page.click("#submit")
        for _ in range(20):
            if "全部已传出" in tablet.page.inner_text("#bar"):
                break
            tablet.page.clock.fast_forward(10_000)  # as often as it tries
            tablet.page.wait_for_timeout(200)
        tablet.wait_bar("全部已传出")
        assert line.lost == {"start": 2, "image": 2, "form": 2, "submit": 2}
        assert kept_on_device(tablet.page) == []
        assert tablet.complaints == []
        tablet.context.close()
    assert stored_forms(office) == [(visit, "72000.50")]
    assert len(Visits(office).show(MANAGER, visit).attachments) == 4
    moves = [move.to_state for move in Visits(office).show(MANAGER, visit).moves]
    assert moves == ["ASSIGNED", "STARTED", "COLLECTED", "SUBMITTED"]


def test_a_session_that_ended_loses_nothing(tablet: Tablet, office: Office, visit: int) -> None:
    tablet.begin()
    tablet.fill_all()
    office.clock.advance(3_600)  # type: ignore[attr-defined]
    tablet.page.click("#submit")
    tablet.wait_bar("未登录 · 1 份待传")
    assert tablet.page.is_visible("#ask-sign-in")
    assert stored_forms(office) == []
    tablet.sign_in()
    tablet.page.reload()
    tablet.wait_bar("全部已传出")
    assert stored_forms(office) == [(visit, "72000.50")]
    assert state_of(office, visit) == "SUBMITTED"
    assert tablet.complaints == []


def test_two_devices_are_settled_field_by_field(
    tablet: Tablet, browser: Browser, console: RunningConsole, office: Office, visit: int
) -> None:
    tablet.begin()
    tablet.fill_all()
    tablet.context.set_offline(True)
    tablet.page.click("#submit")
    other = make_tablet(browser, console, visit)
    other.begin()
    other.fill_all(income__wage="55000", work="务渔")
    other.page.click("#save-only")
    other.page.locator("[data-visit] .marks", has_text="已存入系统").wait_for()
    assert other.complaints == []
    other.context.close()
    tablet.context.set_offline(False)  # which the page hears of
    tablet.page.locator("[data-visit] .marks", has_text="两边不同，要选择").wait_for()
    assert [total for _, total in stored_forms(office)] == ["67000.50"]
    tablet.page.locator("[data-visit] .open").click()
    tablet.page.locator("#conflict:visible").wait_for()
    wage = tablet.page.locator("fieldset.sides", has_text="工资性收入")
    assert "60000.00" in wage.inner_text()
    assert "55000.00" in wage.inner_text()
    tablet.page.click("#conflict-form button:not([type=button])")
    assert "没有选" in tablet.page.inner_text("#conflict-said")
    tablet.page.click("[data-all=mine]")
    lender = tablet.page.locator("fieldset.sides", has_text="工作单位").first
    lender.locator("input[value=theirs]").check()
    tablet.page.click("#conflict-form button:not([type=button])")
    tablet.wait_bar("全部已传出")
    assert [total for _, total in stored_forms(office)] == ["67000.50", "72000.50"]
    chosen = Visits(office).present_form(visit)
    assert chosen is not None
    assert (chosen.form.members[0].work, chosen.form.income.wage) == ("务渔", 6_000_000)
    assert state_of(office, visit) == "SUBMITTED"
    assert tablet.complaints == []


def test_what_the_device_keeps_is_sealed_and_goes_with_the_sign_out(tablet: Tablet, office: Office) -> None:
    tablet.begin()
    tablet.step("members")
    tablet.fill("members.0@phone", "13900000001")
    tablet.page.locator("#saved", has_text="已存在本机").wait_for()
    tablet.page.click("#back")
    assert kept_on_device(tablet.page) == ["account,data,id,iv,status,visit typing"]
    tablet.tab.goto("/visits")
    tablet.page.click(".top form[action='/sign-out'] button")
    tablet.page.wait_for_url("**/visits/tablet#leaving")
    assert tablet.page.is_visible("#leaving")
    tablet.page.click("#leave-form button")
    tablet.page.wait_for_url("**/sign-in")
    assert kept_on_device(tablet.page) == []
    assert SESSION not in {cookie["name"] for cookie in tablet.context.cookies()}
    assert tablet.complaints == []


def test_nobody_met_is_said_without_a_network(tablet: Tablet, office: Office, visit: int) -> None:
    tablet.context.set_offline(True)
    tablet.begin()
    tablet.page.click("#not-met > summary")
    tablet.page.locator("[name=failure][value=absent]").check()
    tablet.page.click("#fail")
    assert "先定位" in tablet.page.inner_text("#fail-fault")
    tablet.page.click("#by-hand > summary")
    for name, value in (("latitude", "95"), ("longitude", "122.45")):
        tablet.page.fill(f"#{name}", value)
    tablet.page.click("#place-by-hand")
    assert "经纬度不对" in tablet.page.inner_text("#place-fault")
    tablet.page.fill("#latitude", "30.72")
    tablet.page.click("#place-by-hand")
    tablet.page.click("#fail")
    tablet.wait_bar("离线 · 1 份待传")
    tablet.context.set_offline(False)  # which the page hears of
    tablet.wait_bar("全部已传出")
    assert (state_of(office, visit), kept_on_device(tablet.page)) == ("FAILED", [])


@pytest.mark.parametrize("size", [PHONE, TABLET], ids=["phone", "tablet"])
def test_every_step_fits_and_meets_a_thumb(
    browser: Browser, console: RunningConsole, visit: int, size: tuple[int, int], tmp_path: Path
) -> None:
    tablet = make_tablet(browser, console, visit, size)
    page = tablet.page
    page.screenshot(path=tmp_path / "list.png", full_page=True)
    tablet.begin()
    for button in page.locator("[data-go]").all():
        button.click()
        step = button.get_attribute("data-go")
        page.screenshot(path=tmp_path / f"{step}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        small = page.evaluate(
            """() => Array.from(document.querySelectorAll("main button, main select, main summary, main label.tap,"
              + " main input:not([type=radio]):not([type=checkbox]):not(.file), main label.button"))
              .filter((one) => one.offsetParent && one.getBoundingClientRect().height < 44)
              .map((one) => one.outerHTML.slice(0, 80))"""
        )
        assert (step, wide, small) == (step, 0, [])
    assert tablet.complaints == []
    tablet.context.close()
