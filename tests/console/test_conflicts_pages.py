"""冲突 over pages: listed by kind, both sides shown masked, settled with a reason, names revealed for a minute."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from bureau_office import AUDITOR, CHECKER, HANDLER, SECRET, TOWNSHIP, make_office, person
from console.pages import send, todo_of
from console_server import RunningConsole
from handed_over import BANK, COUNTY, OTHER_BANK, Match, hand_over

from keys.clock import SettableClock
from matcher.bureau.office import Office
from matcher.bureau.store import BureauStore
from matcher.households import Households
from matcher.rows import fetch_all

HERE = "/households/conflicts"
ROWS = [Match(person(place), household_no="H1", name=f"演示{place}") for place in range(2)]


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    opened = make_office(tmp_path / "bureau", clock)
    yield opened
    opened.verify_audit()
    opened.close()


def take(office: Office, folder: Path, rows: list[Match], bank: object = BANK) -> None:
    store = BureauStore(office.home, SECRET, office.clock, [COUNTY], Random(repr(rows)).randbytes)
    try:
        store.import_handover(hand_over(folder / f"{len(rows)}{rows[0].name}.mch", rows, bank=bank), "导入员")  # type: ignore[arg-type]
    finally:
        store.close()


def test_two_names_are_shown_for_a_minute_and_one_is_chosen(
    console: RunningConsole, office: Office, tmp_path: Path
) -> None:
    take(office, tmp_path, ROWS)
    take(office, tmp_path, [replace(ROWS[1], name="另名")], OTHER_BANK)
    handler = console.sign_in(HANDLER)
    page = handler.get(HERE).text
    assert "同号不同名" in page
    assert todo_of(page) == 1
    (path,) = set(re.findall(r"/households/conflicts/\d+", page))
    page = handler.get(path).text
    assert "另名" not in page
    assert person(1) not in page
    assert handler.post(f"{path}/names", {"reason": " "}).status_code == 422
    shown = handler.post(f"{path}/names", {"reason": "核对身份证"})
    assert "另名" in shown.text
    assert shown.headers["refresh"] == f"60; url={path}"
    assert fetch_all(office.database, "SELECT COUNT(*) FROM audit WHERE action = 'person.reveal'") == [(1,)]
    refused = send(handler, page, f"{path}/settle", remark="见身份证")
    assert refused.status_code == 422, "one of the names has to be chosen"
    assert 'value="见身份证"' in refused.text
    assert "冲突已处理" in send(handler, page, f"{path}/settle", remark="见身份证", name=0).text
    assert "没有未处理的冲突" in handler.get(HERE).text
    again = send(handler, page, f"{path}/settle", remark="再来", name=1)
    assert again.status_code == 422
    assert "见身份证" in handler.get(path).text


def test_a_person_in_two_households_leaves_one(console: RunningConsole, office: Office, tmp_path: Path) -> None:
    take(office, tmp_path, [*ROWS, replace(ROWS[0], household_no="H2")])
    handler, households = console.sign_in(HANDLER), Households(office)
    page = handler.get(f"{HERE}?kind=person_in_two_households").text
    assert "共 2 处未处理" in page
    homes = {row.household_no: row.household_id for row in households.list(HANDLER)}
    for home in homes.values():
        assert page.count(f'href="/households/{home}"') == 2, "each leads to its own household and to the other"
    second = next(one for one in households.list_conflicts(HANDLER) if one.household_no == "H2")
    path = f"{HERE}/{second.conflict_id}"
    page = handler.get(path).text
    assert page.count("所涉人员") == 2
    assert "冲突已处理" in send(handler, page, f"{path}/settle", remark="已分户", leaves="true").text
    assert households.show(HANDLER, homes["H2"]).household.members == 0
    assert households.show(HANDLER, homes["H1"]).household.members == 2
    assert "没有未处理的冲突" in handler.get(f"{HERE}?kind=labels_differ").text


def test_pages_of_many_conflicts_show_each_once(
    console: RunningConsole, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.console.conflicts.PAGE", 2)
    many = [Match(person(number), household_no=f"H{number}", household_size="1") for number in range(5)]
    take(office, tmp_path, [*many, *(replace(one, item=person(50 + place)) for place, one in enumerate(many))])
    handler, seen, address = console.sign_in(HANDLER), [], HERE
    while address:
        page = handler.get(address).text
        seen += re.findall(r'<th scope="row"><a href="/households/conflicts/(\d+)"', page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found[1].replace("&amp;", "&") if found else ""
    assert len(seen) == len(set(seen)) == 5


def test_who_may_look_but_not_settle(console: RunningConsole, office: Office, tmp_path: Path) -> None:
    take(office, tmp_path, [*ROWS, replace(ROWS[0], household_no="H2")])
    (first, _) = Households(office).list_conflicts(HANDLER)
    path = f"{HERE}/{first.conflict_id}"
    for actor in (CHECKER, AUDITOR, TOWNSHIP):
        visitor = console.sign_in(actor)
        page = visitor.get(path)
        assert page.status_code == 200
        assert "settle" not in page.text
        form = {"key": "0" * 32, "remark": "甲"}
        assert visitor.post(f"{path}/settle", form).status_code == 403
    elsewhere = replace(TOWNSHIP, name="zhenjie2", townships=("330922300",))
    assert console.sign_in(elsewhere).get(path).status_code in (404, 422)
    assert "没有未处理的冲突" in console.sign_in(elsewhere).get(HERE).text
    assert console.sign_in(HANDLER).get(f"{HERE}/999").status_code in (404, 422)
