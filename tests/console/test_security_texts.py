"""XSS: text that came from outside stands on every page as text, in the page's source and in a real browser."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest
from bureau_office import CHECKER, HANDLER
from console.browser import needs_browser, open_tab, running_browser
from console.forms import forms_of
from console.hostile_scene import NAMES, PAYLOADS, RUNS, hostile_console
from console.scene import ACTORS, pages_of
from console.test_security import send_form
from console_server import RunningConsole
from python_calamine import CalamineWorkbook

from matcher.bureau.actors import Actor
from matcher.rows import fetch_all
from scripts.benchmarks.pages import shape_of

MARK = re.compile(r"W[0-9]{2}")
UNSEEN = frozenset({"W02", "W05", "W10", "W14", "W25", "W30", "W39"})
"""Ways whose text no page shows unasked: names are masked until they are revealed, a confirmed decision's remark is
sealed, and consent numbers, names of files that wait and cells of rejected rows stand nowhere."""
CUT = "W12"  # an address is masked behind its third character
HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
ADDRESSES = ("href", "src", "action", "formaction", "xlink:href", "poster", "data")
NAMED = re.compile(r"attachment; filename\*=UTF-8''[A-Za-z0-9._~%-]+")


class Source(HTMLParser):
    """What a page is made of. ``faults``: markup that none of our templates has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        self.faults += [f"hidden {found[0]!r}" for found in HIDDEN.finditer(page)]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.faults += [f"<{tag} {name}>" for name in given if name.startswith("on") or name == "style"]
        self.faults += [
            f"<{tag} {name}={value}>"
            for name, value in given.items()
            if name in ADDRESSES and not value.startswith(("/", "#", "?"))
        ]
        if tag in ("iframe", "object", "embed", "base") or (tag == "script" and "src" not in given):
            self.faults.append(f"<{tag}>")
        self.texts += [value for value in given.values() if MARK.search(value)]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with hostile_console(tmp_path_factory.mktemp("texts")) as running:
        yield running


@pytest.fixture(scope="module")
def shapes(console: RunningConsole) -> dict[Actor, dict[str, list[str]]]:
    """The addresses that everybody finds, by shape; found once, as following every link takes a while."""
    return {actor: pages_of(console, actor) for actor in ACTORS}


@pytest.fixture(scope="module")
def pages(console: RunningConsole, shapes: dict[Actor, dict[str, list[str]]]) -> list[tuple[Actor, str, str]]:
    """Every page that anybody finds, and each family's and visit's: who, its address, its source."""
    found = {(actor, one) for actor in ACTORS for addresses in shapes[actor].values() for one in addresses}
    for table in ("household", "visit"):
        rows = fetch_all(console.office.database, f"SELECT {table}_id FROM {table}")  # noqa: S608
        found |= {(actor, f"/{table}s/{number}") for actor in (HANDLER, CHECKER) for (number,) in rows}
    ordered = sorted(found, key=lambda one: (one[0].name, one[1]))
    return [(actor, address, console.sign_in(actor).get(address).text) for actor, address in ordered]


def test_d42_every_way_in_is_shown_as_text_and_nothing_as_markup(pages: list[tuple[Actor, str, str]]) -> None:
    literal: dict[str, bool] = defaultdict(bool)
    for actor, address, page in pages:
        source = Source(page)
        assert source.faults == [], (actor.name, address)
        for text in source.texts:
            for mark in MARK.findall(text):
                literal[mark] |= any(payload in text for payload in PAYLOADS)
    planted = {f"W{way:02d}" for way in (*range(1, 7), 8, *range(10, 37), 38, 39)}
    assert planted - literal.keys() == UNSEEN
    assert [mark for mark in sorted(planted - UNSEEN) if not literal[mark]] == [CUT]


@needs_browser
@pytest.mark.slow
def test_d42_no_page_runs_any_of_it(console: RunningConsole, pages: list[tuple[Actor, str, str]]) -> None:
    """A page of every shape that shows one of them, in Chromium: no dialog, nothing against the policy, no element."""
    ours = "script:not([src^='/static/']), [onerror], [onload], [onfocus], img[src='x'], iframe, object, embed"
    with running_browser() as browser:
        tabs = {actor: open_tab(browser, console.url, console.sign_in(actor)) for actor in ACTORS}
        marked = {(actor, shape_of(address)): address for actor, address, page in pages if MARK.search(page)}
        for (actor, _), address in marked.items():
            assert tabs[actor].goto(address).locator(ours).count() == 0, address
        assert len(marked) > 30
        assert [tab.complaints for tab in tabs.values() if tab.complaints] == []


def test_d42_revealed_names_are_text(console: RunningConsole) -> None:
    handler = console.sign_in(HANDLER)
    rows = fetch_all(
        console.office.database,
        "SELECT household_id, MIN(member_id) FROM member JOIN household USING (household_id)"
        " WHERE household_no LIKE 'W03%' GROUP BY household_id",
    )
    for household, member in rows:
        shown = handler.post(f"/households/{household}/reveal", {"member": member, "field": "name", "reason": "核对"})
        source = Source(shown.text)
        assert source.faults == []
        assert any(RUNS in text and "⟨U+202E⟩" in text for text in source.texts), shown.text
    assert rows


def test_d42_names_of_files_that_are_sent_in_are_text(
    console: RunningConsole, shapes: dict[Actor, dict[str, list[str]]]
) -> None:
    tried = 0
    for actor in ACTORS:
        visitor = console.sign_in(actor)
        for addresses in shapes[actor].values():
            for form in forms_of(visitor.get(addresses[0]).text, addresses[0]):
                for field in form.files:
                    for name in NAMES:
                        content = f"{RUNS},\u202e\n=1+1,{RUNS}\n".encode()
                        answer = send_form(visitor, form, upload=(field, name, content))
                        assert answer.status_code < 500, (form.action, name)
                        if answer.headers["content-type"].startswith("text/html"):
                            assert Source(answer.text).faults == [], (form.action, name)
                        tried += 1
    assert tried > 20


def test_d43_exports_and_their_names(console: RunningConsole, shapes: dict[Actor, dict[str, list[str]]]) -> None:
    """Every form that offers a file, as CSV and as a workbook: no formula, and a name that is a name."""
    files = marked = 0
    for actor in ACTORS:
        visitor = console.sign_in(actor)
        for addresses in shapes[actor].values():
            for form in forms_of(visitor.get(addresses[0]).text, addresses[0]):
                for kind in {"csv", "xlsx"} & set(form.choices.get("format", [])):
                    answer = send_form(visitor, form, format=kind)
                    if "content-disposition" not in answer.headers:
                        continue
                    assert NAMED.fullmatch(answer.headers["content-disposition"]), answer.headers
                    cells = _cells(answer)
                    assert [cell for cell in cells if _is_active(cell, kind)] == [], (addresses[0], kind)
                    marked += sum(bool(MARK.search(cell)) for cell in cells)
                    files += 1
    assert files >= 4
    assert marked


def test_d43_a_waiting_download_keeps_its_own_name(console: RunningConsole) -> None:
    """W29 to W31: title, name and reason of a file that a second person agrees to."""
    ((number,),) = fetch_all(console.office.database, "SELECT number FROM download WHERE title LIKE 'W29%'")
    assert console.sign_in(CHECKER).post(f"/downloads/{number}/decide", {"answer": "agree"}).status_code == 303
    answer = console.sign_in(HANDLER).post(f"/downloads/{number}/fetch")
    assert answer.status_code == 200
    assert NAMED.fullmatch(answer.headers["content-disposition"]), answer.headers


def _cells(answer: httpx.Response) -> list[str]:
    if answer.headers["content-type"].startswith("text/csv"):
        return [cell for row in csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))) for cell in row]
    content = io.BytesIO(answer.content)
    if answer.headers["content-type"] == "application/zip":
        with zipfile.ZipFile(content) as packed:
            tables = [packed.read(name).decode("utf-8-sig") for name in packed.namelist() if name.endswith(".csv")]
        return [cell for table in tables for row in csv.reader(io.StringIO(table)) for cell in row]
    workbook = CalamineWorkbook.from_filelike(content)
    sheets = (workbook.get_sheet_by_name(name).to_python() for name in workbook.sheet_names)
    return [str(cell) for sheet in sheets for row in sheet for cell in row]


def _is_active(cell: str, kind: str) -> bool:
    """In CSV, what a spreadsheet would run; in a workbook every cell is text, which the writer's own tests hold."""
    return (
        kind == "csv"
        and cell.startswith(("=", "@", "+", "\t=", "\r", "＝"))
        and not re.fullmatch(r"\+?[0-9.,%]+", cell)
    )
