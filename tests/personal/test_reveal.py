"""Finding people and showing one field of one of them: with a row in the audit log, never beyond one's care."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bureau_office import (
    ADMIN,
    AUDITOR,
    BANK_ADMIN,
    CHECKER,
    DEPARTMENT,
    HANDLER,
    MANAGER,
    OTHER_BANK_ADMIN,
    OTHER_TOWNSHIP_CODE,
    TOWNSHIP,
    add_households,
    make_office,
    person,
)
from hypothesis import given
from hypothesis import strategies as st
from reviewing import begin
from visiting import collect, form_values, household_items, plan_and_assign, to_be_visited

from keys.clock import SettableClock
from matcher.bureau.actors import Actor, NotAllowed
from matcher.bureau.office import Office
from matcher.personal.fields import SENSITIVE, TextNotPlain, require_plain, shown_reasons
from matcher.personal.reveal import MemberUnknown, Personal, SearchInvalid
from matcher.rows import fetch_all
from psi.errors import InputError


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    made = make_office(tmp_path / "bureau", clock)
    add_households(made, 2)
    add_households(made, 1, first=50, division=OTHER_TOWNSHIP_CODE)
    yield made
    made.close()


def last_audit(office: Office) -> tuple[str, str, str, dict[str, object]]:
    rows = fetch_all(office.database, "SELECT actor, action, subject, detail FROM audit ORDER BY seq DESC LIMIT 1")
    actor, action, subject, detail = rows[0]
    return actor, action, subject, json.loads(detail)


class TestReveal:
    def test_the_value_and_the_row(self, office: Office) -> None:
        people = Personal(office)
        assert people.reveal(HANDLER, 1, "number", "电话 核对") == person(0)
        actor, action, subject, detail = last_audit(office)
        assert (actor, action, subject) == (HANDLER.name, "person.reveal", "member/1")
        assert detail == {"field": "number", "purpose": "电话 核对", "role": "handler"}
        assert people.reveal(AUDITOR, 2, "name", "抽查") == "演示1"

    def test_phone_and_address_come_from_the_form(self, office: Office) -> None:
        people, number = Personal(office), "person.reveal"
        assert people.reveal(CHECKER, 1, "phone", "通知") == ""
        begin(office)
        to_be_visited(office, [1])
        (visit,) = plan_and_assign(office, [1])
        collect(office, visit, form_values(household_items(0)))
        assert people.reveal(CHECKER, 1, "phone", "通知") == "13800000000"
        assert people.reveal(CHECKER, 2, "phone", "通知") == ""
        assert people.reveal(CHECKER, 2, "address", "通知") == "演示镇演示村1号"
        rows = fetch_all(office.database, "SELECT detail FROM audit WHERE action = ?", [number])
        assert len(rows) == 4
        assert not [detail for (detail,) in rows if "13800000000" in detail or "演示镇" in detail]

    @pytest.mark.parametrize("actor", [TOWNSHIP, MANAGER, BANK_ADMIN, DEPARTMENT, ADMIN])
    def test_a_refused_attempt_is_on_record_too(self, office: Office, actor: Actor) -> None:
        with pytest.raises(NotAllowed):
            Personal(office).reveal(actor, 1, "number", "好奇")
        assert last_audit(office)[:3] == (actor.name, "person.reveal_refused", "member/1")

    def test_somebody_else_s_township(self, office: Office) -> None:
        elsewhere = Actor("other", HANDLER.roles, townships=(OTHER_TOWNSHIP_CODE,))
        with pytest.raises(NotAllowed):
            Personal(office).reveal(elsewhere, 1, "number", "核对")
        assert Personal(office).reveal(elsewhere, 5, "number", "核对") == person(100)

    @pytest.mark.parametrize(
        ("reason", "why"), [("", "empty"), (" \n", "empty"), ("x" * 201, "too_long"), (f"查{person(0)}", "number")]
    )
    def test_a_reason_that_the_log_can_keep(self, office: Office, reason: str, why: str) -> None:
        before = office.verify_audit()
        with pytest.raises(TextNotPlain) as caught:
            Personal(office).reveal(HANDLER, 1, "number", reason)
        assert caught.value.params == {"field": "reason", "reason": why}
        assert office.verify_audit() == before

    def test_no_such_member_or_field(self, office: Office) -> None:
        with pytest.raises(MemberUnknown):
            Personal(office).reveal(HANDLER, 999, "number", "核对")
        with pytest.raises(InputError):
            Personal(office).reveal(HANDLER, 1, "sealed", "核对")  # type: ignore[arg-type]


class TestSearch:
    def test_by_number_as_a_person_types_it(self, office: Office) -> None:
        people = Personal(office)
        for typed in (person(3), f" {person(3).lower()} ", f"'{person(3)}\u00a0"):
            (found,) = people.search_number(HANDLER, typed)
            assert (found.member_id, found.name, found.number) == (4, "演**", f"99************{person(3)[-2:]}")
        assert people.search_number(HANDLER, person(999)) == []

    def test_by_name(self, office: Office) -> None:
        found = Personal(office).search_name(HANDLER, "演 示1")
        assert [one.member_id for one in found] == [2, 4, 6]
        assert Personal(office).search_name(HANDLER, "演示") == [], "a part of a name finds nobody"

    def test_only_in_one_s_care(self, office: Office) -> None:
        people = Personal(office)
        assert [one.member_id for one in people.search_name(TOWNSHIP, "演示1")] == [2, 4]
        assert people.search_number(TOWNSHIP, person(100)) == []
        assert [one.member_id for one in people.search_name(BANK_ADMIN, "演示1")] == [2, 4, 6]
        assert people.search_name(OTHER_BANK_ADMIN, "演示1") == [], "another bank's customers"

    def test_a_search_is_on_record_and_says_nothing(self, office: Office) -> None:
        Personal(office).search_number(HANDLER, person(3))
        actor, action, subject, detail = last_audit(office)
        assert (actor, action, subject, detail["found"]) == (HANDLER.name, "person.search", "search/number", 1)
        assert detail["after"] == office.digest({"number": person(3)})

    @pytest.mark.parametrize(
        ("number", "reason"), [("", "empty"), ("123", "wrong_length"), ("x" * 18, "bad_character")]
    )
    def test_what_is_no_number(self, office: Office, number: str, reason: str) -> None:
        with pytest.raises(SearchInvalid) as caught:
            Personal(office).search_number(HANDLER, number)
        assert caught.value.params == {"reason": reason}
        with pytest.raises(SearchInvalid):
            Personal(office).search_name(HANDLER, "  ")

    def test_only_who_may_see_households(self, office: Office) -> None:
        for actor in (ADMIN, DEPARTMENT):
            with pytest.raises(NotAllowed):
                Personal(office).search_number(actor, person(3))


class TestFields:
    def test_sensitive_reasons_are_for_the_bureau_s_own_people(self) -> None:
        codes = ["N12", "N01", "N10", "N01"]
        assert {"N10", "N11", "N12"} == SENSITIVE
        for actor in (HANDLER, CHECKER):
            assert shown_reasons(actor, codes) == ("N01", "N10", "N12")
        for actor in (TOWNSHIP, MANAGER, BANK_ADMIN, AUDITOR, ADMIN, DEPARTMENT):
            assert shown_reasons(actor, codes) == ("N01", "NX1")

    @given(st.integers(0, 10**6), st.sampled_from(["", " ", "-", "·", "  "]), st.text("核对abc，。", max_size=20))
    def test_an_id_number_is_found_however_it_is_written(self, number: int, gap: str, around: str) -> None:
        written = gap.join(person(number))
        for text in (
            written,
            f"{around}{written}{around}",
            written.lower(),
            "".join(chr(ord(c) + 0xFEE0) if c.isdigit() else c for c in written),
        ):
            with pytest.raises(TextNotPlain):
                require_plain(text, "remark")

    @pytest.mark.parametrize(
        "text", ["电话 13800000000", "嵊民函〔2025〕3号", "合同 HT-2025-000123", "99************1X", "2025-03-03 09:00"]
    )
    def test_what_is_plain_stays(self, text: str) -> None:
        assert require_plain(f"  {text} ", "remark") == text
        assert require_plain("", "remark", optional=True) == ""
