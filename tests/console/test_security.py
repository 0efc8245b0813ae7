"""What an attacker tries, at every page there is: text that runs, forms from elsewhere, others' numbers, files."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import httpx
import pytest
from bureau_office import (
    ADMIN,
    BANK_ADMIN,
    HANDLER,
    MANAGER,
    OTHER_ADMIN,
    OTHER_BANK_ADMIN,
    OTHER_TOWNSHIP_CODE,
    TOWNSHIP,
)
from console.browser import needs_browser, open_tab, running_browser
from console.forms import PageForm, forms_of
from console.scene import ACTORS, pages_of, working_console
from console.test_matrix import first_segment, routes
from console_server import RunningConsole, Visitor
from lending import lend
from playwright.sync_api import Browser
from reviewing import add_waiting

from api.console.gate import OPEN, OWN
from api.console.sections import BY_PATH
from matcher.accounts.accounts import Accounts
from matcher.accounts.model import NewAccount
from matcher.bureau.actors import Actor, Role
from matcher.reviews import Reviews
from scripts.benchmarks.pages import shape_of

RUNS = "<img src=x onerror=alert(1)>"
BREAKS_OUT = '"><script>alert(2)</script>'
FORMULA = "=HYPERLINK(1)"
HOSTILE = f"{RUNS} {BREAKS_OUT} {{{{7*7}}}} \u202egnp"
UPLOADS = (
    ("../../etc/x.csv", b"a,b\n"),
    ("C:\\x\\..\\y.jpg", b"<html><script>alert(1)</script>"),
    ("/abs.png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
    ("a" * 300 + ".xlsx", b"PK\x03\x04" + bytes(64)),
    ("nul\0.csv", b"\0\0\0"),
    ("empty.jpg", b""),
)
_TAKEN = re.compile(r"alert\([12]\)")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    """A bureau at work into which hostile text came by every way that takes text from outside."""
    with working_console(tmp_path_factory.mktemp("hostile") / "bureau") as (running, world):
        office = running.office
        Accounts(office).propose(ADMIN, NewAccount("hostile", RUNS, frozenset({Role.HANDLER})))
        Accounts(office).propose(OTHER_ADMIN, NewAccount("formula", FORMULA, frozenset({Role.HANDLER})))
        (family,) = add_waiting(
            office, first=30, conclusion__remark=RUNS, debts__0__lender=RUNS, needs__0__use=BREAKS_OUT,
        )  # fmt: skip
        Reviews(office).decisions.propose(HANDLER, family, "approve", remark=HOSTILE)
        start = office.today()
        lend(office, world.final, "HT-9", on_day=start, starts_on=start, ends_on=date(2026, 3, 1), manager=RUNS)
        yield running


@dataclass(frozen=True)
class Opened:
    """A page as somebody found it: one of each shape."""

    visitor: Visitor
    actor: Actor
    address: str
    text: str

    def forms(self) -> list[PageForm]:
        return forms_of(self.text, self.address)


@pytest.fixture(scope="module")
def pages(console: RunningConsole) -> list[Opened]:
    """Every page that anybody finds."""
    return [
        Opened(visitor, actor, address, visitor.get(address).text)
        for actor, visitor in ((actor, console.sign_in(actor)) for actor in ACTORS)
        for addresses in pages_of(console, actor).values()
        for address in addresses
    ]


def of_each_shape(pages: list[Opened]) -> Iterator[Opened]:
    """By everybody who finds it, the first page of each shape."""
    seen = set()
    for page in pages:
        shape = page.actor.name, shape_of(page.address)
        if shape not in seen:
            seen.add(shape)
            yield page


def test_d42_hostile_text_stands_on_pages_and_nowhere_as_markup(pages: list[Opened]) -> None:
    shown = 0
    for page in pages:
        assert RUNS not in page.text, page.address
        assert "<script>alert" not in page.text, page.address
        assert "\u202e" not in page.text, page.address
        shown += "&lt;img src=x" in page.text
    assert shown >= 3


@needs_browser
def test_d42_no_hostile_text_runs_in_a_browser(browser: Browser, console: RunningConsole, pages: list[Opened]) -> None:
    tabs = {actor: open_tab(browser, console.url, console.sign_in(actor)) for actor in ACTORS}
    for page in pages:
        if _TAKEN.search(page.text):
            tabs[page.actor].goto(page.address)
    assert [tab.complaints for tab in tabs.values() if tab.complaints] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


def test_d41_no_form_is_taken_from_elsewhere(console: RunningConsole) -> None:
    """Every page that changes something, by everybody who may open it."""
    tried = 0
    for actor in ACTORS:
        visitor = console.sign_in(actor)
        for method, path in routes():
            section = BY_PATH.get(first_segment(path))
            if method != "POST" or first_segment(path) in OPEN | OWN or (section and not section.is_open_to(actor)):
                continue
            own = {"origin": console.url, "sec-fetch-site": "same-origin"}
            for headers, data in (
                ({"origin": "https://evil.example"}, None),
                ({"origin": console.url, "sec-fetch-site": "cross-site"}, None),
                ({"origin": "null"}, None),
                (own, {"token": "0" * 43}),
                (own, {"token": ""}),
            ):
                answer = visitor.post(path, data, **headers)
                assert answer.status_code == 403, (actor.name, path, headers, answer.status_code)
                assert "表单" in answer.text or "页面" in answer.text
                tried += 1
    assert tried > 100


def test_others_numbers_lead_nowhere(console: RunningConsole) -> None:
    """IDOR: what one bank's or township's people can open by number, those of another cannot."""
    elsewhere = (
        OTHER_BANK_ADMIN,
        replace(TOWNSHIP, name="zhenjie9", townships=(OTHER_TOWNSHIP_CODE,)),
        replace(MANAGER, name="jingli9", townships=(OTHER_TOWNSHIP_CODE,)),
    )
    tried = 0
    for insider, outsiders in ((BANK_ADMIN, elsewhere[:1]), (TOWNSHIP, elsewhere[1:]), (MANAGER, elsewhere[1:])):
        numbered = [
            address
            for shape, addresses in pages_of(console, insider).items()
            if "{" in shape and first_segment(shape) in ("households", "visits", "loans", "claims")
            for address in addresses
        ]
        assert numbered
        for outsider in outsiders:
            visitor = console.sign_in(outsider)
            for address in numbered:
                answer = visitor.get(address)
                assert answer.status_code in (403, 404), (outsider.name, address, answer.status_code)
                assert not re.search(r"H0000[0-9]{2}", answer.text.replace(address.partition("?")[2], "")), address
                tried += 1
    assert tried >= 6


def test_d43_no_cell_of_an_export_is_a_formula(pages: list[Opened]) -> None:
    """Every form that offers a CSV, by everybody who finds it."""
    files = 0
    for page in of_each_shape(pages):
        for form in page.forms():
            if "csv" not in form.choices.get("format", []) or form.method != "post":
                continue
            answer = send_form(page.visitor, form, format="csv")
            if answer.headers.get("content-type", "").startswith("text/csv"):
                files += 1
                cells = [cell for row in csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))) for cell in row]
                assert cells
                assert [cell for cell in cells if cell.startswith(("=", "@", "+", "\t"))] == [], page.address
    assert files >= 1


def test_d44_hostile_files_are_refused_or_kept_under_our_own_names(
    console: RunningConsole, pages: list[Opened]
) -> None:
    """Every form that takes a file: no failure, and nothing written beside the home."""
    home = console.office.home
    before = {path for path in home.parent.rglob("*")}
    tried = 0
    for page in of_each_shape(pages):
        for form in page.forms():
            for field in form.files:
                for name, content in UPLOADS:
                    answer = send_form(page.visitor, form, upload=(field, name, content))
                    assert answer.status_code < 500, (form.action, name, answer.text)
                    assert "<script>alert" not in answer.text
                    tried += 1
    assert tried
    new = {path for path in home.parent.rglob("*") if path.is_file()} - before
    assert [path for path in new if not re.fullmatch(r"bureau\.sqlite(-wal|-shm)?", path.name)] == []


def send_form(
    visitor: Visitor, form: PageForm, upload: tuple[str, str, bytes] | None = None, **more: str
) -> httpx.Response:
    """A form as it stands, its lists at their first choice and its empty lines filled in."""
    values = {name: held or ("演示" if name in form.texts else "") for name, held in form.values.items()}
    values |= {name: offered[0] for name, offered in form.choices.items() if offered and name not in more}
    values |= more
    headers = {"origin": visitor.url, "sec-fetch-site": "same-origin"}
    files = {upload[0]: (upload[1], upload[2], "application/octet-stream")} if upload else None
    return visitor.send("POST", form.action, data=values, files=files, headers=headers)
