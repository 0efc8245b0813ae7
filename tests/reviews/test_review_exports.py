"""What leaves the review: the fewest fields, IDs as text, sensitive reasons merged, an audit row for each file."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest
from bureau_office import (
    BANK_ADMIN,
    BANK_NO,
    CHECKER,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    OTHER_BANK_NO,
    TOWNSHIP,
    person,
)
from python_calamine import CalamineWorkbook
from reviewing import add_waiting, confirm_quietly, decide

from keys.clock import SettableClock
from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import Office
from matcher.personal.fields import TextNotPlain
from matcher.reviews import Reviews
from matcher.reviews.exports import DELIBERATION_COLUMNS, LIST_COLUMNS, SMS_COLUMNS
from matcher.reviews.record_book import RECORD_COLUMNS

PURPOSE = {"purpose": "演示"}


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return [[cell.strip("\t") for cell in row] for row in csv.reader(stream)]


def read_xlsx(path: Path) -> list[list[object]]:
    return CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()


def audited(office: Office, action: str) -> dict[str, object]:
    rows = office.database.execute(
        "SELECT actor, detail FROM audit WHERE action = ? ORDER BY seq DESC LIMIT 1", [action]
    ).fetchall()
    return {"actor": rows[0][0], **json.loads(rows[0][1])}


@pytest.fixture
def confirming(office: Office, reviews: Reviews) -> list[int]:
    families = add_waiting(office, 2)
    for family in families:
        decide(office, family)
    reviews.confirmations.begin(HANDLER, families)
    return families


def test_sms_texts_name_nobody(office: Office, reviews: Reviews, confirming: list[int], tmp_path: Path) -> None:
    out = tmp_path / "短信.csv"
    done = reviews.exports.write_sms(HANDLER, out, format="csv", **PURPOSE)
    header, *rows = read_csv(out)
    assert (tuple(header), done.rows, done.left_out) == (SMS_COLUMNS, 2, ())
    assert rows[0] == [
        "13800000000",
        "【嵊泗县财政局】您家庭（编号H000000）已通过财金助力扩中家庭审核，现进入确认期，至2025年3月10日止。"
        "如有疑问请联系所在乡镇（街道）。",
        "H000000",
    ]
    content = out.read_text("utf-8")
    assert "演示" not in content
    assert person(0) not in content
    assert audited(office, "export.sms") == {
        "actor": HANDLER.name, "role": "handler", "purpose": "演示", "rows": 2, "columns": list(SMS_COLUMNS),
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
    }  # fmt: skip
    assert reviews.confirmations.running(confirming[0]).sms_at is not None
    again = reviews.exports.write_sms(HANDLER, out, format="csv", **PURPOSE)
    assert again.rows == 0  # nobody is told twice


def test_nobody_counts_as_told_if_the_file_cannot_be_written(
    reviews: Reviews, confirming: list[int], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        reviews.exports.write_sms(HANDLER, tmp_path / "missing" / "短信.csv", format="csv", **PURPOSE)
    assert reviews.confirmations.running(confirming[0]).sms_at is None


def test_the_village_gets_names_and_no_numbers(
    office: Office, reviews: Reviews, confirming: list[int], tmp_path: Path
) -> None:
    out = tmp_path / "评议.xlsx"
    reviews.exports.write_deliberations(HANDLER, out, format="xlsx", **PURPOSE)
    rows = read_xlsx(out)
    assert tuple(rows[0]) == DELIBERATION_COLUMNS
    assert rows[1][:6] == ["1", "H000000", "演示0", "演示镇", "演示村", "2"]
    assert person(0) not in str(rows)
    reviews.deliberations.record(TOWNSHIP, [confirming[0]], "agreed", office.today())
    assert reviews.exports.write_deliberations(HANDLER, out, format="xlsx", **PURPOSE).rows == 1
    assert reviews.exports.write_deliberations(HANDLER, out, format="xlsx", township="330922200", **PURPOSE).rows == 0


def test_the_final_list_is_masked_but_for_the_bank_that_lends(
    office: Office, clock: SettableClock, reviews: Reviews, household: int, tmp_path: Path
) -> None:
    decide(office, household)
    confirm_quietly(office, clock, household)
    decide(office, household, "remove", reasons=["N10", "N22"])
    out = tmp_path / "名单.csv"
    reviews.exports.write_final_list(HANDLER, out, format="csv", **PURPOSE)
    header, row = read_csv(out)
    assert tuple(header) == LIST_COLUMNS
    assert row == [
        "H000000", "演**", "99************00", "330922100", "2025-03-11", "2025-03-11", "移出",
        "经营规模过大、政策排除",
    ]  # fmt: skip
    reviews.exports.write_final_list(BANK_ADMIN, out, format="csv", bank=BANK_NO, **PURPOSE)
    assert read_csv(out)[1][1:3] == ["演示0", person(0)]
    assert "低保" not in out.read_text("utf-8")
    assert audited(office, "export.final_list")["actor"] == BANK_ADMIN.name
    other = reviews.exports.write_final_list(OTHER_BANK_ADMIN, out, format="csv", bank=OTHER_BANK_NO, **PURPOSE)
    assert other.rows == 0  # another bank's customers are none of its business


def test_id_numbers_stay_text_in_a_workbook(
    office: Office, clock: SettableClock, reviews: Reviews, household: int, tmp_path: Path
) -> None:
    decide(office, household)
    confirm_quietly(office, clock, household)
    out = tmp_path / "名单.xlsx"
    reviews.exports.write_final_list(BANK_ADMIN, out, format="xlsx", bank=BANK_NO, **PURPOSE)
    assert read_xlsx(out)[1][2] == person(0)  # a number would come back as a float


def test_d43_a_name_that_is_a_formula_is_none_in_the_file(office: Office, reviews: Reviews, tmp_path: Path) -> None:
    (family,) = add_waiting(office, head__village="=1+1", head__township="＝cmd")
    decide(office, family)
    reviews.confirmations.begin(HANDLER, [family])
    out = tmp_path / "评议.csv"
    reviews.exports.write_deliberations(HANDLER, out, format="csv", **PURPOSE)
    assert read_csv(out)[1][3:5] == ["'＝cmd", "'=1+1"]


def test_who_may_export(reviews: Reviews, confirming: list[int], tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    for actor in (TOWNSHIP, MANAGER, BANK_ADMIN, CHECKER):
        with pytest.raises(NotAllowed):
            reviews.exports.write_sms(actor, out, format="csv", **PURPOSE)
        with pytest.raises(NotAllowed):
            reviews.exports.write_deliberations(actor, out, format="csv", **PURPOSE)
    for actor in (TOWNSHIP, MANAGER, BANK_ADMIN):
        with pytest.raises(NotAllowed):
            reviews.exports.write_final_list(actor, out, format="csv", **PURPOSE)
    with pytest.raises(NotAllowed):
        reviews.exports.write_final_list(BANK_ADMIN, out, format="csv", bank=OTHER_BANK_NO, **PURPOSE)
    with pytest.raises(TextNotPlain):
        reviews.exports.write_sms(HANDLER, out, format="csv", purpose=" ")
    assert not out.exists()


def test_the_review_record_ties_each_decision_to_the_audit_log(
    office: Office, reviews: Reviews, household: int, tmp_path: Path
) -> None:
    first = reviews.decisions.propose(HANDLER, household, "approve")
    reviews.decisions.send_back(CHECKER, first.decision_id, first.digest, remark="再看")
    decide(office, household, "reject", reasons=["N10", "N01"], remark="x")
    out, days = tmp_path / "记录.csv", {"first": office.today(), "last": office.today()}
    reviews.record_book.write(CHECKER, out, format="csv", **days, **PURPOSE)
    header, *rows = read_csv(out)
    assert tuple(header) == RECORD_COLUMNS
    assert [row[:11] for row in rows] == [
        [number, "H000000", "第1轮", *cells, HANDLER.name, CHECKER.name, "2025-03-03T01:00:00Z"]
        for number, *cells in (
            ["1", "", "信息采集表", "2025-03-03", "已采纳", ""],
            ["1", "minzheng", "演示-1", "2025-03-03", "已核验（2人）", ""],
            ["1", "", "审核决定", "2025-03-03", "通过（复核退回）", ""],
            ["2", "", "信息采集表", "2025-03-03", "已采纳", ""],
            ["2", "", "审核决定", "2025-03-03", "不通过", "N01,NX1"],
        )
    ]
    hashes = {row[0]: row[11] for row in rows}
    for number, action in (("1", "review.sent_back"), ("2", "review.confirmed")):
        ((previous,),) = office.database.execute("SELECT previous FROM audit WHERE action = ?", [action]).fetchall()
        assert hashes[number] == previous
    none = reviews.record_book.write(CHECKER, out, format="csv", household_id=99, **days, **PURPOSE)
    assert none.rows == 0
    with pytest.raises(NotAllowed):
        reviews.record_book.write(HANDLER, out, format="csv", **days, **PURPOSE)
