"""Every list goes out as a file by the same piece: what the page shows, masked, with one audit row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from bureau_office import AUDITOR, BANK_ADMIN, CHECKER, HANDLER, MANAGER, PROVINCE
from console.scene import working_console
from console_server import RunningConsole
from python_calamine import CalamineWorkbook

from api.console.app import ROUTERS
from api.console.exporting import walk
from matcher.bureau.actors import Actor
from matcher.rows import fetch_all

_ID_NUMBER = re.compile(r"(?<![0-9a-f])[0-9]{17}[0-9X](?![0-9a-f])")
KEY = "ab" * 16
LISTS = (
    (HANDLER, "/households/export", {}),
    (HANDLER, "/queue/export", {"stage": "to_propose"}),
    (HANDLER, "/households/confirmations/export-list", {}),
    (HANDLER, "/households/conflicts/export", {}),
    (HANDLER, "/households/final/export", {"stays": "all"}),
    (HANDLER, "/visits/export", {}),
    (BANK_ADMIN, "/loans/files/export", {}),
    (BANK_ADMIN, "/loans/commitments/export", {}),
    (BANK_ADMIN, "/claims/export", {}),
    (BANK_ADMIN, "/claims/1/lines/export", {}),
    (BANK_ADMIN, "/claims/1/totals/export", {"by": "contract"}),
    (AUDITOR, "/claims/1/exceptions/export", {}),
    (HANDLER, "/policies/_export", {}),
    (HANDLER, "/policies/trials/_export", {}),
    (HANDLER, "/runs/alarms/export", {}),
    (BANK_ADMIN, "/loans/1/lines/export", {}),
    (AUDITOR, "/accounts/_export", {}),
    (CHECKER, "/downloads/export", {}),
    (CHECKER, "/audit/export", {"what": "rows"}),
)
"""Who, where, with which filters."""
GROWING = ("/audit/export", "/downloads/export")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with working_console(tmp_path_factory.mktemp("exporting")) as (running, _):
        yield running


def take(console: RunningConsole, actor: Actor, path: str, **form: str) -> httpx.Response:
    return console.sign_in(actor).post(path, {"key": KEY, "reason": "核对", "format": "csv", **form})


def rows_of(answer: httpx.Response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))


@pytest.mark.parametrize(("actor", "path", "form"), LISTS, ids=[path for _, path, _ in LISTS])
def test_a_list_goes_out_as_the_page_shows_it(
    console: RunningConsole, actor: Actor, path: str, form: dict[str, str]
) -> None:
    answer = take(console, actor, path, **form)
    assert answer.status_code == 200, answer.text
    head, *rows = rows_of(answer)
    assert all(len(row) == len(head) for row in rows)
    assert not _ID_NUMBER.search(answer.content.decode("utf-8-sig"))
    number = re.search(r"([0-9]{8}-[2-9A-Z]{6})", httpx.URL("x:" + answer.headers["content-disposition"]).path)
    assert number is not None
    sql = "SELECT actor, action FROM audit WHERE subject = ?"
    assert fetch_all(console.office.database, sql, [f"download/{number[1]}"]) == [(actor.name, "download.take")]
    book = console.sign_in(actor).post(path, {"key": KEY, "reason": "核对", "format": "xlsx", **form})
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(book.content)).get_sheet_by_index(0).to_python()
    assert sheet[0] == head
    assert len(sheet) == 1 + len(rows) + (path in GROWING)  # which tell of the first file


def test_lists_hold_what_they_say(console: RunningConsole) -> None:
    page = console.sign_in(BANK_ADMIN).get("/claims").text
    (_, *claims) = rows_of(take(console, BANK_ADMIN, "/claims/export"))
    assert len(claims) == page.count('href="/claims/') - page.count('href="/claims/new')
    lines = rows_of(take(console, BANK_ADMIN, "/claims/1/lines/export"))
    totals = rows_of(take(console, BANK_ADMIN, "/claims/1/totals/export", by="contract"))
    fiscal = lines[0].index("财政贴息")
    cents = [round(float(row[fiscal]) * 100) for row in lines[1:]]
    sums = [round(float(row[totals[0].index("财政贴息")]) * 100) for row in totals[1:]]
    assert sum(cents) == sum(sums) > 0
    one, *shown = rows_of(take(console, BANK_ADMIN, "/loans/1/lines/export"))
    page = console.sign_in(BANK_ADMIN).get("/loans/1").text
    (owed,) = {row[one.index("合同编号")] for row in shown}
    assert owed in page
    assert len(shown) == page.count('href="/claims/lines/') > 0
    of_claim = {row[0]: row[fiscal] for row in lines[1:]}
    same = [row for row in shown if row[0] in of_claim]
    assert [row[one.index("财政贴息")] for row in same] == [of_claim[row[0]] for row in same] != []
    head, *mine = rows_of(take(console, BANK_ADMIN, "/downloads/export"))
    assert [row[head.index("内容")] for row in mine][:2] == ["贴息明细 1", "申报汇总 1"]
    (_, *accounts) = rows_of(take(console, AUDITOR, "/accounts/_export"))
    assert [HANDLER.name, "县财政经办"] in [[row[0], row[2]] for row in accounts]


@pytest.mark.parametrize(("actor", "path", "form"), LISTS, ids=[path for _, path, _ in LISTS])
def test_nothing_goes_out_without_a_reason_or_the_right(
    console: RunningConsole, actor: Actor, path: str, form: dict[str, str]
) -> None:
    refused = console.sign_in(actor).post(path, {"key": KEY, "format": "csv", **form, "reason": " "})
    assert refused.status_code == 422
    assert "“理由或用途”一栏没有填写" in refused.text
    assert "没有生成文件" in refused.text
    for stranger in (MANAGER, PROVINCE):
        assert take(console, stranger, path, **form).status_code == 403


def test_every_export_of_the_console_asks_for_a_reason() -> None:
    """Whatever a section adds: a route that ends in export reads the form that all of them read."""
    for router in ROUTERS:
        for route in router.routes:
            if re.search(r"/_?export(-[a-z]+)?$", route.path) and "bank-export" not in route.path:
                names = {one.call.__name__ for one in route.dependant.dependencies}
                assert "_taking" in names, route.path


def test_a_queue_is_narrowed_to_a_state(console: RunningConsole) -> None:
    handler = console.sign_in(HANDLER)
    (_, *every) = rows_of(take(console, HANDLER, "/queue/export", stage="to_propose"))
    (_, *some) = rows_of(take(console, HANDLER, "/queue/export", stage="to_propose", state="PENDING_REVIEW"))
    assert [row for row in every if row[4] == "待审核"] == some != []
    page = handler.get("/queue?stage=to_propose&state=PENDING_REVIEW").text
    assert page.count('name="pick"') == len(some)
    assert 'value="PENDING_REVIEW" selected' in page
    assert f'待审核 <span class="count">{len(every)}<' in page  # a tab counts its whole stage
    assert 'id="state"' not in handler.get("/queue?stage=approved").text


def test_walking_ends_where_it_should(tmp_path: Path) -> None:
    numbers = list(range(10))

    def read(last: int | None) -> list[int]:
        start = 0 if last is None else last + 1
        return numbers[start : start + 4]

    assert walk(read) == numbers
    assert walk(read, most=6) == numbers[:6]
    assert walk(lambda last: list[int]()) == []
