"""Files out: a reason for each, a second person where they name people, the mark within, and nothing left behind."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pysqlite3
import pytest
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    CHECKER,
    HANDLER,
    OTHER_BANK_ADMIN,
    OTHER_CHECKER,
    PROVINCE,
    TOWNSHIP,
    TOWNSHIP_CODE,
    make_office,
)
from python_calamine import CalamineWorkbook

from keys.clock import SettableClock
from keys.files import exclusive_lock
from matcher.bureau.actors import Actor, NotAllowed, Permission, Role, SamePerson
from matcher.bureau.office import Office
from matcher.downloads import Download, Downloads, DownloadStateInvalid, DownloadTooLarge, DownloadUnknown, Wanted
from matcher.downloads import service as module
from matcher.downloads.packing import NOTE
from matcher.exports import write_export
from matcher.personal.fields import TextNotPlain
from matcher.rows import fetch_all

NAME = "演示甲乙丙"
OF_PEOPLE = Wanted("最终名单", "最终名单.xlsx", "listing", Permission.SEE_LOANS, personal=True)
COUNTS = Wanted("户数", "户数.csv", "figure_day/2025-03-02", Permission.SEE_FIGURES, personal=False)
BANK_COLLEAGUE = Actor("yinhang-b", BANK_ADMIN.roles, bank=BANK_ADMIN.bank)


def make(path: Path) -> int:
    write_export(path, {"姓名": pa.array([NAME, "=1+1"])}, format="csv" if path.suffix == ".csv" else "xlsx")
    return 2


def ask(office: Office, actor: Actor = HANDLER, key: str = "k1", wanted: Wanted = OF_PEOPLE, **more: Any) -> str:
    return Downloads(office).ask(actor, wanted, more.get("make", make), reason="年度核对", key=key)


def get(office: Office, number: str, actor: Actor = HANDLER) -> Download:
    (found,) = [one for one in Downloads(office).list_own(actor) if one.number == number]
    return found


def audit(office: Office) -> list[tuple[str, str, dict[str, Any]]]:
    rows = fetch_all(office.database, "SELECT action, actor, detail FROM audit WHERE action GLOB 'download.*'")
    return [(action, actor, json.loads(detail)) for action, actor, detail in rows]


def kept_files(office: Office) -> list[Path]:
    return sorted((office.home / "downloads").rglob("*"))


def contents(office: Office) -> int:
    return int(fetch_all(office.database, "SELECT COUNT(*) FROM download_content")[0][0])


def test_a_file_without_people_is_taken_at_once_and_on_record(office: Office) -> None:
    file = Downloads(office).take(HANDLER, COUNTS, make, reason="月报")
    assert file.name == f"户数-{file.number}.csv"
    assert file.content.decode("utf-8-sig").splitlines()[1:] == [f'"{NAME}"', '"\'=1+1"']
    one = get(office, file.number)
    assert (one.state, one.row_count, one.bytes) == ("fetched", 2, len(file.content))
    ((action, actor, detail),) = audit(office)
    assert (action, actor, detail["purpose"], detail["rows"]) == ("download.take", HANDLER.name, "月报", 2)
    assert detail["sha256"] == one.sha256
    assert kept_files(office) == []


def test_personal_data_never_leave_without_a_second_person(office: Office) -> None:
    with pytest.raises(ValueError, match="second person"):
        Downloads(office).take(HANDLER, OF_PEOPLE, make, reason="核对")
    number = ask(office)
    with pytest.raises(DownloadStateInvalid):
        Downloads(office).fetch(HANDLER, number)
    with pytest.raises(SamePerson):
        Downloads(office).decide(HANDLER, number, agreed=True)
    Downloads(office).decide(CHECKER, number, agreed=True)
    file = Downloads(office).fetch(HANDLER, number)
    assert CalamineWorkbook.from_filelike(io.BytesIO(file.content)).get_sheet_by_index(0).to_python()[1] == [NAME]
    assert [(action, actor) for action, actor, _ in audit(office)] == [
        ("download.ask", HANDLER.name),
        ("download.agree", CHECKER.name),
        ("download.fetch", HANDLER.name),
    ]
    assert len({detail["sha256"] for _, _, detail in audit(office)}) == 1


def test_a_file_is_fetched_once_and_by_nobody_else(office: Office) -> None:
    number = ask(office)
    Downloads(office).decide(CHECKER, number, agreed=True)
    for other in (CHECKER, OTHER_CHECKER):
        with pytest.raises(DownloadUnknown):
            Downloads(office).fetch(other, number)
    Downloads(office).fetch(HANDLER, number)
    with pytest.raises(DownloadStateInvalid):
        Downloads(office).fetch(HANDLER, number)
    assert (get(office, number).state, contents(office), kept_files(office)) == ("fetched", 0, [])


def test_whoever_lost_the_right_fetches_nothing(office: Office) -> None:
    number = ask(office)
    Downloads(office).decide(CHECKER, number, agreed=True)
    with pytest.raises(NotAllowed):
        Downloads(office).fetch(Actor(HANDLER.name, frozenset({Role.TOWNSHIP})), number)
    assert get(office, number).state == "agreed"


def test_while_it_waits_it_is_sealed(office: Office) -> None:
    ask(office, make=lambda path: path.write_text(NAME, "utf-8"))
    assert kept_files(office) == []
    for file in office.home.glob("bureau.sqlite*"):
        assert NAME.encode() not in file.read_bytes()
    ((sealed,),) = fetch_all(office.database, "SELECT sealed FROM download_content")
    assert NAME.encode() not in sealed


def test_a_sealed_file_opens_under_its_own_number_only(office: Office) -> None:
    first, second = ask(office), ask(office, key="k2")
    Downloads(office).decide(CHECKER, first, agreed=True)
    with office.writing() as database:
        database.execute(
            "UPDATE download_content SET sealed = (SELECT sealed FROM download_content WHERE download_id = 2)"
        )
    with pytest.raises(Exception, match="does not open"):
        Downloads(office).fetch(HANDLER, first)
    assert get(office, first).state == "agreed"
    assert get(office, second).state == "asked"


def test_a_refusal_says_why_and_deletes_the_file(office: Office) -> None:
    number = ask(office)
    with pytest.raises(TextNotPlain):
        Downloads(office).decide(CHECKER, number, agreed=False)
    Downloads(office).decide(CHECKER, number, agreed=False, remark="用途不明")
    assert (get(office, number).state, get(office, number).remark, contents(office)) == ("refused", "用途不明", 0)
    with pytest.raises(DownloadStateInvalid):
        Downloads(office).decide(OTHER_CHECKER, number, agreed=True)


@pytest.mark.parametrize("answered", [False, True])
def test_what_waits_too_long_is_given_up(office: Office, clock: SettableClock, answered: bool) -> None:
    number = ask(office)
    limit = module.ANSWER_WITHIN
    if answered:
        Downloads(office).decide(CHECKER, number, agreed=True)
        limit = module.FETCH_WITHIN
    clock.at += limit
    assert get(office, number).state == ("agreed" if answered else "asked")
    clock.at += timedelta(seconds=1)
    with pytest.raises(DownloadStateInvalid):
        Downloads(office).fetch(HANDLER, number)
    with pytest.raises(DownloadStateInvalid):
        Downloads(office).decide(CHECKER, number, agreed=True)
    assert (get(office, number).state, contents(office)) == ("expired", 0)
    assert [action for action, _, _ in audit(office)][-1] == "download.expire"


def test_the_same_key_is_the_same_request(office: Office) -> None:
    made: list[Path] = []

    def counted(path: Path) -> int:
        made.append(path)
        return make(path)

    numbers = {ask(office, make=counted) for _ in range(3)}
    assert (len(numbers), len(made), contents(office)) == (1, 1, 1)
    assert len({ask(office), ask(office, CHECKER)}) == 2  # keys are each account's own


@pytest.mark.parametrize(
    ("asker", "second", "may"),
    [
        (HANDLER, CHECKER, True),
        (BANK_ADMIN, BANK_COLLEAGUE, True),
        (BANK_ADMIN, CHECKER, True),
        (HANDLER, BANK_ADMIN, False),  # a bank sees its own alone
        (BANK_ADMIN, OTHER_BANK_ADMIN, False),
        (HANDLER, AUDITOR, False),  # takes files along, but has no part in what it audits
        (AUDITOR, CHECKER, True),
        (AUDITOR, Actor("jiancha", AUDITOR.roles), False),
        (HANDLER, Actor("xiang", CHECKER.roles, townships=(TOWNSHIP_CODE,)), False),
        (Actor("xiang", HANDLER.roles, townships=(TOWNSHIP_CODE,)), CHECKER, True),
    ],
    ids=lambda value: value.name if isinstance(value, Actor) else str(value),
)
def test_who_agrees_may_see_as_much(office: Office, asker: Actor, second: Actor, may: bool) -> None:
    number = ask(office, asker)
    if may:
        assert [one.number for one in Downloads(office).list_waiting(second)] == [number]
        Downloads(office).decide(second, number, agreed=True)
        return
    with pytest.raises(NotAllowed):
        Downloads(office).decide(second, number, agreed=True)
    if second.may(Permission.EXPORT):
        assert Downloads(office).list_waiting(second) == []
    assert Downloads(office).list_waiting(asker) == []


def test_nobody_asks_for_what_they_may_not_see(office: Office) -> None:
    for actor, wanted in ((TOWNSHIP, OF_PEOPLE), (PROVINCE, COUNTS), (HANDLER, _csv(Permission.SEE_AUDIT))):
        with pytest.raises(NotAllowed):
            ask(office, actor, wanted=wanted)
    assert (audit(office), kept_files(office)) == ([], [])


@pytest.mark.parametrize("reason", ["", "  ", "名单 990000198501010011", "长" * 201])
def test_a_reason_is_needed_and_holds_no_number(office: Office, reason: str) -> None:
    with pytest.raises(TextNotPlain):
        Downloads(office).ask(HANDLER, OF_PEOPLE, make, reason=reason, key="k")
    with pytest.raises(TextNotPlain):
        Downloads(office).take(HANDLER, COUNTS, make, reason=reason)
    assert audit(office) == []


def test_the_workbook_says_who_took_it_and_its_rows_stay_as_they_were(office: Office) -> None:
    file = Downloads(office).take(HANDLER, _sheet(), make, reason="R&D 核对")
    with zipfile.ZipFile(io.BytesIO(file.content)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
        note = parts.read("xl/comments1.xml").decode()
    for text in (sheet.split("<headerFooter>")[1], note):
        assert "核对" in text
        assert file.number in text
        assert HANDLER.name in text
        assert "2025-03-03 09:00" in text
    assert "R&amp;&amp;D" in sheet  # one & would begin a code
    assert CalamineWorkbook.from_filelike(io.BytesIO(file.content)).get_sheet_by_index(0).to_python() == [
        ["姓名"],
        [NAME],
        ["=1+1"],
    ]


def test_text_with_people_comes_with_a_note_beside_it(office: Office) -> None:
    number = ask(office, wanted=_csv())
    Downloads(office).decide(CHECKER, number, agreed=True)
    file = Downloads(office).fetch(HANDLER, number)
    assert file.name.endswith(f"{number}.zip")
    with zipfile.ZipFile(io.BytesIO(file.content)) as parts:
        listed, note = parts.namelist(), parts.read(NOTE).decode("utf-8-sig")
        assert parts.read(listed[0]).decode("utf-8-sig").splitlines()[0] == '"姓名"'  # a table from its first line on
    assert listed == [f"最终名单-{number}.csv", NOTE]
    assert number in note
    assert "年度核对" in note


def test_an_error_in_the_making_leaves_nothing(office: Office) -> None:
    def broken(path: Path) -> int:
        path.write_text(NAME, "utf-8")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        ask(office, make=broken)
    assert (kept_files(office), audit(office), contents(office)) == ([], [], 0)


def test_what_a_killed_process_left_is_deleted_and_what_is_being_made_stays(office: Office) -> None:
    folder = office.home / "downloads"
    for number in ("left", "making"):
        (folder / number).mkdir(parents=True)
        (folder / number / "名单.xlsx").write_text(NAME, "utf-8")
        (folder / f"{number}.lock").touch()
    with exclusive_lock(folder / "making.lock"):
        Downloads(office).sweep()
    assert [path.name for path in kept_files(office)] == ["making", "名单.xlsx", "making.lock"]


def test_a_file_too_large_is_not_handed_out(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 10)
    with pytest.raises(DownloadTooLarge):
        ask(office)
    assert (kept_files(office), contents(office)) == ([], 0)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE download SET state = 'fetched', until = NULL, ended_at = asked_at",
        "UPDATE download SET state = 'agreed', decided_by = account",
        "UPDATE download SET state = 'agreed'",
        "UPDATE download SET sha256 = 'other'",
        "UPDATE download SET account = 'other'",
        "UPDATE download SET personal = 0",
    ],
)
def test_the_database_itself_keeps_the_two_persons(office: Office, change: str) -> None:
    ask(office)
    with pytest.raises(pysqlite3.IntegrityError), office.writing() as database:
        database.execute(change)


def test_a_second_process_sees_the_same(office: Office, clock: SettableClock) -> None:
    number = ask(office)
    other = make_office(office.home, clock, seed=2)
    try:
        Downloads(other).decide(CHECKER, number, agreed=True)
    finally:
        other.close()
    assert Downloads(office).fetch(HANDLER, number).number == number


def _csv(needs: Permission = Permission.SEE_LOANS) -> Wanted:
    return Wanted("最终名单", "最终名单.csv", "listing", needs, personal=True)


def _sheet() -> Wanted:
    return Wanted("户数", "户数.xlsx", "figure_day/2025-03-02", Permission.SEE_FIGURES, personal=False)
