"""Members come with the import, sealed; conflicts and other years' cases are noted, and a person settles them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from bureau_office import (
    BANK_ADMIN,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    OTHER_TOWNSHIP_CODE,
    SECRET,
    TOWNSHIP,
    add_households,
    person,
)
from handed_over import COUNTY, DATASET, OTHER_BANK, Match, hand_over, receipt_key

from keys.receipts import ReceiptKeys
from matcher.bureau.actors import NotAllowed
from matcher.bureau.imports import Import
from matcher.bureau.members import open_member
from matcher.bureau.office import Office
from matcher.bureau.store import BureauStore
from matcher.households import (
    ConflictUnknown,
    HouseholdFilter,
    Households,
    HouseholdUnknown,
    NumberInvalid,
    SettlementInvalid,
)
from matcher.households.families import CASES_OF_FAMILY, read_families
from matcher.personal.fields import TextNotPlain

ROWS = [Match(person(place), household_no="H1", name=f"演示{place}") for place in range(2)]


def take(office: Office, folder: Path, rows: list[Match], *, epoch: str = "2026", **changes: object) -> Import:
    store = BureauStore(office.home, SECRET, office.clock, [COUNTY], Random(repr(rows)).randbytes)
    store.add_receipt_keys(ReceiptKeys(DATASET, epoch, {COUNTY: receipt_key(COUNTY, epoch)}))
    path = folder / f"{epoch}-{len(list(folder.iterdir()))}.mch"
    try:
        return store.import_handover(hand_over(path, rows, epoch=epoch, **changes), "导入员")  # type: ignore[arg-type]
    finally:
        store.close()


def only(households: Households) -> int:
    (row,) = households.list(HANDLER)
    return row.household_id


def test_members_are_stored_sealed_and_shown_masked(office: Office, households: Households, tmp_path: Path) -> None:
    take(office, tmp_path, ROWS)
    shown = households.show(HANDLER, only(households))
    assert [(m.number, m.name, m.source, m.is_applicant) for m in shown.members] == [
        (f"99************{row.item[-2:]}", "演**", "match", False) for row in ROWS
    ]
    assert (shown.household.members, shown.household.household_size, shown.household.size_differs) == (2, "3", True)
    stored = office.database.execute("SELECT member_id, sealed FROM member ORDER BY member_id").fetchall()
    assert [vars(open_member(office.personal, *row)) for row in stored] == [
        {"item": row.item, "name": row.name, "relation": ""} for row in ROWS
    ]
    for file in office.home.iterdir():
        if file.is_file():
            content = file.read_bytes()
            assert not any(row.item.encode() in content or row.name.encode() in content for row in ROWS)


def test_the_same_matches_again_add_no_member(office: Office, households: Households, tmp_path: Path) -> None:
    take(office, tmp_path, ROWS)
    assert households.list(OTHER_BANK_ADMIN) == []
    again = take(office, tmp_path, ROWS, bank=OTHER_BANK)
    assert (again.new_candidates, again.conflicts) == (0, 0)
    assert len(households.list(OTHER_BANK_ADMIN)) == len(households.list(BANK_ADMIN)) == 1, "a customer of both"
    assert households.show(HANDLER, only(households)).household.members == 2


def test_two_names_for_one_number_are_kept_for_a_person_to_choose(
    office: Office, households: Households, tmp_path: Path
) -> None:
    take(office, tmp_path, ROWS)
    other = [replace(ROWS[0], name="演 示0"), replace(ROWS[1], name="另名")]
    assert take(office, tmp_path, other, bank=OTHER_BANK).conflicts == 1, "blanks make no other name"
    third = [replace(ROWS[1], name="又名")]
    assert take(office, tmp_path, third, bank=OTHER_BANK).conflicts == 1
    (conflict,) = households.list_conflicts(HANDLER)
    assert (conflict.kind, conflict.number) == ("two_names_for_one_number", f"99************{ROWS[1].item[-2:]}")
    assert conflict.names == ("又**", "另**", "演**")
    assert households.reveal_names(HANDLER, conflict.conflict_id, "核对") == ["又名", "另名", "演示1"]
    action, subject = office.database.execute("SELECT action, subject FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    assert (action, subject) == ("person.reveal", f"household/{only(households)}")
    with pytest.raises(NotAllowed):
        households.reveal_names(TOWNSHIP, conflict.conflict_id, "核对")
    with pytest.raises(SettlementInvalid):
        households.settle(HANDLER, conflict.conflict_id, "无姓名")
    with pytest.raises(SettlementInvalid):
        households.settle(HANDLER, conflict.conflict_id, "无此姓名", name=3)
    with pytest.raises(TextNotPlain):
        households.settle(HANDLER, conflict.conflict_id, f"见证件 {ROWS[1].item}", name=1)
    households.settle(HANDLER, conflict.conflict_id, "见户口本", name=1, key="a")
    households.settle(HANDLER, conflict.conflict_id, "见户口本", name=1, key="a")
    assert households.list_conflicts(HANDLER) == []
    (settled,) = households.list_conflicts(HANDLER, settled=True)
    assert (settled.settled_by, settled.settlement) == ("jingban", "见户口本")
    assert [m.name for m in households.show(HANDLER, only(households)).members] == ["演**", "另**"]
    with pytest.raises(SettlementInvalid):
        households.settle(HANDLER, conflict.conflict_id, "再来", name=0)
    with pytest.raises(ConflictUnknown):
        households.settle(HANDLER, 99, "没有")


def test_a_person_in_two_households_leaves_the_one_that_a_person_says(
    office: Office, households: Households, tmp_path: Path
) -> None:
    take(office, tmp_path, [*ROWS, replace(ROWS[0], household_no="H2")])
    first, second = households.list_conflicts(HANDLER)
    assert {first.household_no, second.household_no} == {"H1", "H2"}
    households.settle(HANDLER, second.conflict_id, "已分户", leaves=True)
    households.settle(HANDLER, first.conflict_id, "仍在本户")
    by_number = {row.household_no: row for row in households.list(HANDLER)}
    assert (by_number["H1"].members, by_number["H2"].members) == (2, 0)
    take(office, tmp_path, [*ROWS, replace(ROWS[0], household_no="H2")], bank=OTHER_BANK)
    again = {row.household_no: row for row in households.list(HANDLER)}
    assert (again["H2"].members, again["H2"].open_conflicts) == (0, 0), "another match settles nothing again"


def test_another_years_list_renews_a_live_case_and_begins_an_ended_one_anew(
    office: Office, households: Households, tmp_path: Path
) -> None:
    take(office, tmp_path, [*ROWS, Match(person(7), household_no="H2")])
    first, second = (row.household_id for row in households.list(HANDLER))
    households.refine_many(HANDLER, [first], "in")
    households.refine_many(HANDLER, [second], "out", reasons=["N05"])
    done = take(office, tmp_path, [*ROWS, Match(person(7), household_no="H2")], epoch="2027")
    assert (done.new_households, done.links) == (1, 1)
    rows = households.list(HANDLER)
    assert [(row.household_no, row.list_year, row.state) for row in rows] == [
        ("H1", 2027, "REFINED_IN"), ("H2", 2026, "REFINED_OUT"), ("H2", 2027, "MATCHED"),
    ]  # fmt: skip
    (link,) = households.show(HANDLER, rows[2].household_id).links
    assert (link.household_id, link.shared, link.state) == (second, 1, "REFINED_OUT")
    (back,) = households.show(HANDLER, second).links
    assert back.household_id == rows[2].household_id
    assert households.list_conflicts(HANDLER) == [], "the same person in another year's list is a link"
    assert take(office, tmp_path, [Match(person(7), household_no="H2")]).new_households == 0, "an older list again"


def test_the_same_people_under_another_number_are_linked(
    office: Office, households: Households, tmp_path: Path
) -> None:
    take(office, tmp_path, ROWS)
    done = take(office, tmp_path, [replace(row, household_no="J9") for row in ROWS], epoch="base-2027")
    assert (done.new_households, done.links, done.conflicts) == (1, 1, 0)
    older, newer = households.list(HANDLER)
    (link,) = households.show(HANDLER, newer.household_id).links
    assert (link.household_no, link.shared) == (older.household_no, 2)


def test_a_family_that_begins_anew_by_other_members_is_linked_by_its_number(
    office: Office, households: Households, tmp_path: Path
) -> None:
    take(office, tmp_path, [Match(person(7), household_no="H2")])
    (first,) = (row.household_id for row in households.list(HANDLER))
    households.refine_many(HANDLER, [first], "out", reasons=["N05"])
    assert take(office, tmp_path, [Match(person(8), household_no="H2")], epoch="2027").links == 1
    assert read_families(office.database) == {first: first, first + 1: first}


def test_each_case_follows_the_one_with_most_of_its_people(
    office: Office, households: Households, tmp_path: Path
) -> None:
    """The fourth shares fewer people with the third than with the second; two that follow each other are one family."""
    take(office, tmp_path, [Match(person(place), household_no=f"H{place}") for place in range(1, 8)])
    links = [(2, 1, 2), (4, 2, 2), (4, 3, 1), (5, 6, 1), (6, 5, 1)]
    with office.writing() as database:
        database.conn.executemany("INSERT INTO household_link VALUES (?, ?, ?, '')", links)
        families = read_families(database)
        assert families == {1: 1, 2: 1, 4: 1, 5: 5, 6: 5}
        for household in range(1, 8):
            statement = f"{CASES_OF_FAMILY} SELECT household_id FROM family_case"  # noqa: S608 (our own text)
            rows = database.execute(statement, [household]).fetchall()
            family = {case for case in range(1, 8) if families.get(case, case) == families.get(household, household)}
            assert {case for (case,) in rows} == family


def test_a_label_that_changes_under_a_case_at_work_is_noted_each_time(
    office: Office, households: Households, tmp_path: Path
) -> None:
    take(office, tmp_path, ROWS)
    one = only(households)
    households.refine_many(HANDLER, [one], "in")
    gone = [replace(row, expanding="0", reasons="N30", row_version=2, division=OTHER_TOWNSHIP_CODE) for row in ROWS]
    assert take(office, tmp_path, gone).conflicts == 1
    (conflict,) = households.list_conflicts(HANDLER)
    assert conflict.kind == "label_changed"
    (row,) = households.list(HANDLER)
    assert (row.expanding, row.reasons, row.township) == (False, ("N30",), OTHER_TOWNSHIP_CODE)
    households.settle(HANDLER, conflict.conflict_id, "已核实")
    back = [replace(row, row_version=3) for row in ROWS]
    assert take(office, tmp_path, back).conflicts == 1
    assert [one.conflict_id for one in households.list_conflicts(HANDLER)] == [conflict.conflict_id]


def test_the_county_adds_and_removes_a_member(office: Office, households: Households, tmp_path: Path) -> None:
    take(office, tmp_path, ROWS)
    one, new = only(households), person(50)
    with pytest.raises(NumberInvalid):
        households.add_member(HANDLER, one, "330922", "演示", remark="补录")
    member = households.add_member(HANDLER, one, new, "演示五", relation="spouse", remark="补录", key="k")
    assert households.add_member(HANDLER, one, new, "演示五", relation="spouse", remark="补录", key="k") == member
    added = households.show(HANDLER, one).members[-1]
    assert (added.member_id, added.source, added.relation) == (member, "county", "spouse")
    households.remove_member(HANDLER, member, "已迁出")
    assert households.show(HANDLER, one).household.members == 2
    assert households.show(HANDLER, one).members[-1].left_at is not None
    with pytest.raises(HouseholdUnknown):
        households.add_member(HANDLER, 99, new, "演示五", remark="补录")


def test_an_account_sees_and_changes_what_is_in_its_care_only(office: Office, households: Households) -> None:
    (mine,) = add_households(office, 1, reasons="N10", expanding="0")
    (other,) = add_households(office, 1, first=10, division=OTHER_TOWNSHIP_CODE)
    assert [row.household_id for row in households.list(TOWNSHIP)] == [mine]
    assert [row.household_id for row in households.list(MANAGER)] == [mine]
    assert [row.household_id for row in households.list(BANK_ADMIN)] == [mine, other]
    assert households.list(OTHER_BANK_ADMIN) == []
    assert households.list(TOWNSHIP)[0].reasons == ("NX1",)
    assert households.list(HANDLER)[0].reasons == ("N10",)
    with pytest.raises(HouseholdUnknown):
        households.show(TOWNSHIP, other)
    with pytest.raises(HouseholdUnknown):
        households.assess(TOWNSHIP, other)
    with pytest.raises(NotAllowed):
        households.refine_many(TOWNSHIP, [mine], "in")
    assert households.count(TOWNSHIP) == {"MATCHED": 1}
    assert households.list(HANDLER, HouseholdFilter(area=OTHER_TOWNSHIP_CODE), size=9)[0].household_id == other
