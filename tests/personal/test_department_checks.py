"""Departments' answers: taken over from runs, entered by hand, shown to who may see them, and what is missing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from bureau_office import (
    AUDITOR,
    BANK_ADMIN,
    CHECKER,
    DEPARTMENT,
    HANDLER,
    OTHER_TOWNSHIP_CODE,
    TOWNSHIP,
    add_households,
    make_office,
    person,
)
from handed_over import COUNTY
from made_check import MINZHENG, checked, open_minzheng
from visiting import to_be_visited

from keys.clock import SettableClock
from matcher.bank.runs import RunStateInvalid
from matcher.bank.store import BankStore
from matcher.bureau.actors import Actor, NotAllowed, NotInCare, Role
from matcher.bureau.office import Office
from matcher.checks.coverage import ChecksMissing, find_missing, require_checks
from matcher.checks.exporting import export_results
from matcher.checks.service import CheckConflict, CheckEntryInvalid, DepartmentChecks
from matcher.checks.sheets import read_and_enter
from matcher.personal.fields import TextNotPlain
from matcher.personal.reveal import MemberUnknown
from matcher.policy.model import Checks
from matcher.rows import fetch_all, fetch_first
from matcher.schemas import get_schema

POLICY = Checks(required=("minzheng",), max_age_days=365)
LOW = {"assistance": "N10", "as_of": "2024-06-01"}
TODAY = date(2025, 3, 3)


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    made = make_office(tmp_path / "bureau", clock)
    add_households(made, 3)
    yield made
    made.close()


@pytest.fixture
def store(office: Office, clock: SettableClock) -> Iterator[BankStore]:
    made = open_minzheng(office.home, clock)
    yield made
    made.close()


def members(office: Office) -> list[tuple[int, int]]:
    """(household, member) of all, by member; their numbers are person(0), person(1) and so on."""
    return fetch_all(office.database, "SELECT household_id, member_id FROM member ORDER BY member_id")


def audits(office: Office, action: str) -> list[str]:
    rows = fetch_all(office.database, "SELECT detail FROM audit WHERE action = ? ORDER BY seq", [action])
    return [detail for (detail,) in rows]


class TestExporting:
    def export(self, office: Office, store: BankStore, path: Path, actor: Actor = HANDLER, reason: str = "") -> str:
        run = store.runs.list_all()[0] if store.runs.list_all() else checked(store, [(person(0), LOW)])
        rows = export_results(office, actor, path, store=store, run=run, schema=MINZHENG, format="csv", reason=reason)
        assert rows == 1
        return path.read_text("utf-8-sig")

    def test_masked_unless_a_reason_says_why_not(self, office: Office, store: BankStore, tmp_path: Path) -> None:
        assert person(0) not in self.export(office, store, tmp_path / "a.csv")
        assert person(0) in self.export(office, store, tmp_path / "b.csv", reason="与民政核对")
        masked, whole = audits(office, "export.check")
        assert '"masked":true' in masked
        assert '"purpose":"与民政核对"' in whole
        assert person(0) not in masked + whole

    def test_only_who_may_see_answers_and_reveal(self, office: Office, store: BankStore, tmp_path: Path) -> None:
        for actor in (AUDITOR, BANK_ADMIN, TOWNSHIP, DEPARTMENT):
            with pytest.raises(NotAllowed):
                self.export(office, store, tmp_path / "a.csv", actor)
        with pytest.raises(TextNotPlain):
            self.export(office, store, tmp_path / "a.csv", reason=f"核对 {person(0)}")
        assert not (tmp_path / "a.csv").exists()


class TestTaking:
    def test_every_member_gets_an_answer_and_the_reasons_that_follow(self, office: Office, store: BankStore) -> None:
        run = checked(store, [(person(n), LOW if n == 1 else None) for n in range(6)])
        taken = DepartmentChecks(office).take(HANDLER, "minzheng", store, run, MINZHENG)
        assert (taken.people, taken.listed, taken.unknown, taken.added, taken.present) == (6, 1, 0, 6, 0)
        rows = fetch_all(
            office.database,
            "SELECT member_id, listed, reasons, as_of, origin, source, run_id FROM department_check ORDER BY member_id",
        )
        origin = "minzheng/2025/1"
        expected = [
            (member, int(n == 1), "N10" if n == 1 else "", TODAY.isoformat(), origin, "match", run.run_id)
            for n, (_, member) in enumerate(members(office))
        ]
        assert rows == expected, "the day is that of the edition, not that of the record"

    def test_the_same_run_again_changes_nothing(self, office: Office, store: BankStore) -> None:
        run = checked(store, [(person(n), None) for n in range(6)])
        checks = DepartmentChecks(office)
        preview = checks.take(HANDLER, "minzheng", store, run, MINZHENG, dry_run=True)
        assert (preview.added, fetch_first(office.database, "SELECT COUNT(*) FROM department_check")) == (6, (0,))
        checks.take(HANDLER, "minzheng", store, run, MINZHENG)
        head = office.verify_audit()
        again = checks.take(HANDLER, "minzheng", store, run, MINZHENG)
        assert (again.added, again.present) == (0, 6)
        assert office.verify_audit() == head, "nothing was done, so nothing is written down"
        assert checks.take(HANDLER, "minzheng", store, run, MINZHENG, dry_run=True).added == 0

    def test_a_person_of_two_households_counts_in_both_and_a_stranger_in_none(
        self, office: Office, store: BankStore
    ) -> None:
        add_households(office, 3, first=50, members=2, division=OTHER_TOWNSHIP_CODE)
        doubled = fetch_all(office.database, "SELECT item_ref FROM member ORDER BY member_id LIMIT 1")[0][0]
        with office.writing() as database:
            last = database.execute("SELECT MAX(member_id) FROM member").fetchone()[0]
            database.execute("UPDATE member SET item_ref = ? WHERE member_id = ?", [doubled, last])
        run = checked(store, [(person(0), LOW), (person(777_777), LOW)])
        taken = DepartmentChecks(office).take(HANDLER, "minzheng", store, run, MINZHENG)
        assert (taken.people, taken.unknown, taken.added) == (2, 1, 2)

    def test_only_a_finished_run_and_only_who_may(self, office: Office, store: BankStore) -> None:
        run = checked(store, [(person(0), None)], finish=False)
        with pytest.raises(RunStateInvalid):
            DepartmentChecks(office).take(HANDLER, "minzheng", store, run, MINZHENG)
        done = checked(store, [(person(0), None)], edition=3)
        for actor in (CHECKER, TOWNSHIP, BANK_ADMIN, DEPARTMENT, AUDITOR):
            with pytest.raises(NotAllowed):
                DepartmentChecks(office).take(actor, "minzheng", store, done, MINZHENG)

    def test_the_audit_row_names_nobody(self, office: Office, store: BankStore) -> None:
        run = checked(store, [(person(n), LOW) for n in range(6)])
        DepartmentChecks(office).take(HANDLER, "minzheng", store, run, MINZHENG)
        (detail,) = audits(office, "check.take")
        assert '"listed":6' in detail
        assert "N10" not in detail
        assert not re.search(r"990000|演示", detail)

    def test_a_label_opens_in_its_own_row_only(self, office: Office, store: BankStore) -> None:
        run = checked(store, [(person(0), LOW), (person(1), None)])
        DepartmentChecks(office).take(HANDLER, "minzheng", store, run, MINZHENG)
        (first, second) = fetch_all(office.database, "SELECT sealed_label FROM department_check ORDER BY check_id")
        assert b"N10" not in first[0] + second[0]

    def test_reasons_of_values_that_are_none_themselves(self) -> None:
        registration = get_schema("gongan/1").find_field("registration")
        assert registration is not None
        assert [registration.reasons_of(value) for value in ("in", "out", "dead", "closed")] == [
            (), ("N05",), ("N21",), ("N21",),
        ]  # fmt: skip

    @pytest.mark.slow
    def test_a_hundred_thousand_answers_in_seconds(self, office: Office, store: BankStore) -> None:
        add_households(office, 20_000, first=1_000, members=2)
        numbers = [person(n) for n in range(2_000, 42_000)]
        run = checked(store, [(number, LOW if place % 50 == 0 else None) for place, number in enumerate(numbers)])
        started = time.monotonic()
        taken = DepartmentChecks(office).take(HANDLER, "minzheng", store, run, MINZHENG)
        assert taken.added == 40_000
        assert time.monotonic() - started < 8, "5,000 rows a second"


class TestEntering:
    def enter(self, office: Office, member: int, **changes: object) -> int:
        words = {"assistance": "低边", "as_of": "2025年1月6日"}
        given = {"label": words, "as_of": TODAY, "document_no": "演民函〔2025〕3号", **changes}
        return DepartmentChecks(office).enter(HANDLER, member, "minzheng", MINZHENG, **given)  # type: ignore[arg-type]

    def test_an_answer_on_paper_is_read_as_a_file_would_be(self, office: Office) -> None:
        household, member = members(office)[0]
        check = self.enter(office, member)
        (answer,) = DepartmentChecks(office).list_answers(HANDLER, household)
        assert (answer.check_id, answer.source, answer.origin) == (check, "manual", "演民函〔2025〕3号")
        assert (answer.listed, answer.label, answer.reasons) == (
            True, {"assistance": "N11", "as_of": "2025-01-06"}, ("N11",),
        )  # fmt: skip
        assert answer.entered_by == HANDLER.name

    def test_again_is_the_same_and_another_answer_needs_another_document(self, office: Office) -> None:
        _, member = members(office)[0]
        check = self.enter(office, member)
        assert self.enter(office, member) == check
        assert len(audits(office, "check.enter")) == 1
        with pytest.raises(CheckConflict):
            self.enter(office, member, label=None)
        assert self.enter(office, member, label=None, document_no="演民函〔2025〕3号更正") != check

    @pytest.mark.parametrize(
        ("changes", "field", "reason"),
        [
            ({"as_of": date(2025, 3, 4)}, "as_of", "future"),
            ({"label": {"assistance": "富裕", "as_of": "2025-01-06"}}, "救助类别", "bad_value"),
            ({"label": {"assistance": "低保"}}, "认定日期", "bad_value"),
            ({"label": {"assistance": "低保", "as_of": "2025-02-30"}}, "认定日期", "bad_value"),
            ({"label": {"income": "1"}}, "income", "unknown"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(
        self, office: Office, changes: dict[str, object], field: str, reason: str
    ) -> None:
        _, member = members(office)[0]
        with pytest.raises(CheckEntryInvalid) as caught:
            self.enter(office, member, **changes)
        assert caught.value.params == {"field": field, "reason": reason}
        assert fetch_first(office.database, "SELECT COUNT(*) FROM department_check") == (0,)

    @pytest.mark.parametrize("document", ["", " ", "x" * 61, f"关于{person(0)}的函"])
    def test_a_document_number_is_plain(self, office: Office, document: str) -> None:
        with pytest.raises(TextNotPlain):
            self.enter(office, members(office)[0][1], document_no=document)

    def test_a_department_answers_for_itself_alone(self, office: Office, tmp_path: Path) -> None:
        (_, member), *_ = members(office)
        checks, schema = DepartmentChecks(office), get_schema("gongan/1")
        nobody_s = Actor("bumen0", frozenset({Role.DEPARTMENT}))  # as those that were made before m021
        day = {"label": None, "as_of": TODAY, "document_no": "演示-1"}
        for actor, department in ((DEPARTMENT, "gongan"), (nobody_s, "minzheng")):
            with pytest.raises(NotInCare):
                checks.enter(actor, member, department, schema, **day)
            with pytest.raises(NotInCare):
                read_and_enter(office, actor, tmp_path / "none.csv", department, schema)
        assert audits(office, "check.enter") == []
        checks.enter(DEPARTMENT, member, "minzheng", MINZHENG, **day)
        checks.enter(HANDLER, member, "gongan", schema, **day)  # the county enters what any department wrote
        assert len(audits(office, "check.enter")) == 2

    def test_nobody_else_s_member(self, office: Office) -> None:
        _, member = members(office)[0]
        with pytest.raises(MemberUnknown):
            self.enter(office, 999)
        with pytest.raises(NotAllowed):
            DepartmentChecks(office).enter(
                TOWNSHIP, member, "minzheng", MINZHENG, label=None, as_of=TODAY, document_no="x"
            )


class TestShowing:
    def test_who_may_not_see_it_does_not_even_learn_whether_somebody_is_listed(
        self, office: Office, store: BankStore
    ) -> None:
        run = checked(store, [(person(n), LOW if n == 0 else None) for n in range(2)])
        checks = DepartmentChecks(office)
        checks.take(HANDLER, "minzheng", store, run, MINZHENG)
        household = members(office)[0][0]
        seen = checks.list_answers(TOWNSHIP, household)
        assert [(one.listed, one.label, one.reasons) for one in seen] == [(None, None, None)] * 2
        opened = checks.list_answers(CHECKER, household)
        assert sorted((one.listed or False, one.reasons or ()) for one in opened) == [(False, ()), (True, ("N10",))]
        assert "N10" not in repr(opened)
        with pytest.raises(NotAllowed):
            checks.list_answers(DEPARTMENT, household)

    def test_the_people_to_check_are_the_present_members_each_once(self, office: Office) -> None:
        people = DepartmentChecks(office).list_people()
        assert people.items.to_pybytes().decode() == "".join(person(n) for n in range(6))
        assert people.rows.to_pylist() == [member for _, member in members(office)]
        with office.writing() as database:
            database.execute("UPDATE member SET left_at = ? WHERE member_id = 1", [office.now()])
        assert len(DepartmentChecks(office).list_people()) == 5


class TestCoverage:
    def test_never_then_there_then_too_old(self, office: Office, store: BankStore, clock: SettableClock) -> None:
        households = sorted({household for household, _ in members(office)})
        missing = find_missing(office.database, households, POLICY, TODAY)
        assert [(one.household_id, one.department, one.why) for one in missing] == [
            (household, "minzheng", "never") for household in households for _ in range(2)
        ]
        run = checked(store, [(person(n), LOW if n == 0 else None) for n in range(5)])
        DepartmentChecks(office).take(HANDLER, "minzheng", store, run, MINZHENG)
        (left,) = find_missing(office.database, households, POLICY, TODAY)
        assert (left.member_id, left.as_of) == (members(office)[5][1], None)
        found = require_checks(office.database, households[0], POLICY, TODAY)
        assert len(found["minzheng"]) == 2
        with pytest.raises(ChecksMissing) as caught:
            require_checks(office.database, households[2], POLICY, TODAY)
        assert caught.value.params == {"departments": "minzheng", "members": 1}

        on_the_last_day = date(2026, 3, 3)
        assert len(find_missing(office.database, households[:2], POLICY, on_the_last_day)) == 0
        late = find_missing(office.database, households[:2], POLICY, date(2026, 3, 4))
        assert {(one.why, one.as_of) for one in late} == {("too_old", "2025-03-03")}

    def test_the_newest_answer_counts(self, office: Office, store: BankStore, clock: SettableClock) -> None:
        checks, (household, member) = DepartmentChecks(office), members(office)[0]
        old = checked(store, [(person(0), LOW), (person(1), None)])
        checks.take(HANDLER, "minzheng", store, old, MINZHENG)
        clock.advance(86_400)
        new = checked(store, [(person(0), None), (person(1), None)], edition=3)
        checks.take(HANDLER, "minzheng", store, new, MINZHENG)
        present = fetch_all(
            office.database, "SELECT listed, reasons, as_of FROM present_check WHERE member_id = ?", [member]
        )
        assert present == [(0, "", "2025-03-04")]
        found = require_checks(office.database, household, POLICY, TODAY)
        newest = fetch_all(office.database, "SELECT MAX(check_id) FROM department_check GROUP BY member_id LIMIT 2")
        assert found["minzheng"] == [check for (check,) in newest]

    def test_a_household_without_members_has_no_answers(self, office: Office) -> None:
        household = members(office)[0][0]
        with office.writing() as database:
            database.execute("UPDATE member SET left_at = ?", [office.now()])
        with pytest.raises(ChecksMissing):
            require_checks(office.database, household, POLICY, TODAY)
        assert require_checks(office.database, household, Checks(), TODAY) == {}

    def test_the_list_is_of_the_households_in_one_s_care(self, office: Office) -> None:
        checks = DepartmentChecks(office)
        households = sorted({household for household, _ in members(office)})
        assert checks.list_missing(HANDLER, COUNTY, POLICY, TODAY) == [], "nobody is under way"
        assert len(checks.list_missing(TOWNSHIP, COUNTY, POLICY, TODAY, households)) == 6
        elsewhere = add_households(office, 1, first=90, division=OTHER_TOWNSHIP_CODE)
        assert checks.list_missing(TOWNSHIP, COUNTY, POLICY, TODAY, elsewhere) == []
        assert len(checks.list_missing(HANDLER, COUNTY, POLICY, TODAY, elsewhere)) == 2
        assert checks.list_missing(HANDLER, "330113", POLICY, TODAY, elsewhere) == [], "another county's policy"
        to_be_visited(office, elsewhere)
        assert len(checks.list_missing(HANDLER, COUNTY, POLICY, TODAY)) == 2


def test_d46_no_number_or_answer_in_the_clear(office: Office, store: BankStore) -> None:
    run = checked(store, [(person(n), LOW) for n in range(6)])
    DepartmentChecks(office).take(HANDLER, "minzheng", store, run, MINZHENG)
    content = b"".join(path.read_bytes() for path in office.home.rglob("*") if path.is_file())
    assert not [number for number in range(6) if person(number).encode() in content]
    assert "演示0".encode() not in content
    assert b"2024-06-01" not in content, "the record's own date is part of the sealed label"
