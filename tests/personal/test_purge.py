"""The purge: nothing before its time, nothing that is open, no trace of what went, and a record that proves it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pysqlite3
import pytest
from bureau_office import ADMIN, AUDITOR, CHECKER, HANDLER, add_households, make_office, person
from lending import lend, take_off_list
from made_check import MINZHENG, checked, open_minzheng
from reviewing import add_waiting, begin, confirm_quietly, decide, state_of

from keys import database as keys_database
from keys.clock import SettableClock
from keys.database import reading
from keys.envelope import sign_envelope
from keys.identity import Identity
from matcher.bureau.actors import NotAllowed
from matcher.bureau.office import FILE_NAME, Office
from matcher.checks.service import DepartmentChecks
from matcher.households import Households
from matcher.personal import purge as module
from matcher.personal.purge import KeptRecord, Purge, Purged
from matcher.personal.purge_record import PURGE_TYPE, PurgeRecordInvalid, digest_references, open_purge
from matcher.personal.retention import KINDS, Retention
from matcher.rows import fetch_all, fetch_first
from psi.errors import InputError, VerificationError

HOME = Identity("演示县财政局", "bureau", bytes([3]) * 32)
OTHER = Identity("邻县财政局", "bureau", bytes([4]) * 32)
DAY_S = 86_400
RETENTION = Retention(not_admitted=365, ended=3_650, answers=730, places=180, refused_rows=180, sign_ins=180)


@pytest.fixture
def office(tmp_path: Path, clock: SettableClock) -> Iterator[Office]:
    made = make_office(tmp_path / "bureau", clock)
    yield made
    made.close()


def purge(office: Office, **changes: Any) -> Purged:
    return Purge(office, RETENTION, HOME).run(CHECKER, **changes)


def rows_of(done: Purged) -> dict[str, int]:
    return {one.kind: one.rows for one in done.record.kinds if one.rows}


def count(office: Office, table: str, where: str = "1") -> int:
    return int(fetch_all(office.database, f"SELECT COUNT(*) FROM {table} WHERE {where}")[0][0])  # noqa: S608


def move(office: Office, household: int, *states: str) -> None:
    with office.writing():
        for state in states:
            Households(office).move_within(HANDLER, household, state)


def sealed_values(office: Office, household: int) -> list[bytes]:
    """Every ciphertext about a household, and its members' blind indexes, as the file holds them."""
    found = []
    for sql in (
        "SELECT sealed_person FROM candidate WHERE household_id = ?",
        "SELECT sealed FROM member WHERE household_id = ?",
        "SELECT item_ref FROM member WHERE household_id = ?",
        "SELECT sealed FROM form JOIN visit USING (visit_id) WHERE household_id = ?",
        "SELECT sealed_label FROM department_check WHERE household_id = ?",
        "SELECT sealed FROM decision WHERE household_id = ?",
        "SELECT sealed_place FROM visit WHERE household_id = ?",
    ):
        found += [value for (value,) in fetch_all(office.database, sql, [household])]
    return found


def on_disk(office: Office) -> bytes:
    return b"".join(path.read_bytes() for path in office.home.glob(f"{FILE_NAME}*"))


def attachments(office: Office) -> set[str]:
    return {path.name for path in (office.home / "attachments").iterdir()}


class TestNotAdmitted:
    def test_a_rejected_household_goes_with_everything_that_says_who_it_was(
        self, office: Office, clock: SettableClock
    ) -> None:
        begin(office)
        gone, kept = add_waiting(office, 2)
        decide(office, gone, "reject", reasons=["N01"], remark="收入超过上限")
        assert state_of(office, gone) == "REJECTED"
        of_gone, of_kept = sealed_values(office, gone), sealed_values(office, kept)
        assert len(of_gone) > 10
        files = attachments(office)
        clock.advance(365 * DAY_S)
        assert rows_of(purge(office)).get("not_admitted") is None, "not before its time"
        clock.advance(DAY_S)
        done = purge(office)
        assert rows_of(done)["not_admitted"] == 3  # the household and its two members
        assert done.is_cleared

        content = on_disk(office)
        assert not [value for value in of_gone if value and value in content]
        still_there = [value for value in of_kept if value and value in content]
        assert len(still_there) == len(of_kept) - 1, "all but the place, which has a shorter time"
        assert len(attachments(office)) == len(files) // 2
        for table in ("candidate", "member", "department_check", "conflict"):
            assert count(office, table, f"household_id = {gone}") == 0
            assert table == "conflict" or count(office, table, f"household_id = {kept}") == 2
        row = fetch_first(
            office.database,
            "SELECT household_no, reasons, state, purged_at FROM household WHERE household_id = ?",
            [gone],
        )
        assert row == (f"purged-{gone}", "", "REJECTED", office.now())
        assert count(office, "visit", f"household_id = {gone}") == 1, "what is counted stays"
        assert count(office, "decision", f"household_id = {gone} AND state = 'confirmed'") == 1
        office.verify_audit()

    def test_what_was_only_matched_or_refined_out(self, office: Office, clock: SettableClock) -> None:
        matched, out, under_way = add_households(office, 3)
        move(office, out, "REFINED_OUT")
        move(office, under_way, "REFINED_IN", "TO_VISIT")
        clock.advance(366 * DAY_S)
        assert rows_of(purge(office)) == {"not_admitted": 6}
        assert [count(office, "member", f"household_id = {one}") for one in (matched, out, under_way)] == [0, 0, 2]
        assert rows_of(purge(office)) == {}, "again it finds nothing"
        assert count(office, "purge") == 1

    def test_the_household_may_come_again(self, office: Office, clock: SettableClock) -> None:
        (first,) = add_households(office, 1)
        clock.advance(366 * DAY_S)
        purge(office)
        (second,) = add_households(office, 1)
        assert second != first
        assert count(office, "member", f"household_id = {second}") == 2

    def test_an_open_appeal_keeps_it(self, office: Office, clock: SettableClock) -> None:
        begin(office)
        (household,) = add_waiting(office)
        decision = decide(office, household, "reject", reasons=["N01"], remark="演示")
        with office.writing() as database:
            database.execute(
                "INSERT INTO objection (household_id, decision_id, kind, sealed, received_on, entered_by, entered_at)"
                " VALUES (?, ?, 'appeal', x'', '2025-03-03', '', '')",
                [household, decision.decision_id],
            )
        clock.advance(366 * DAY_S)
        done = purge(office)
        assert done.record.kept == {"objection_open": 1}
        assert count(office, "member") == 2


class TestEnded:
    @pytest.fixture
    def household(self, office: Office, clock: SettableClock) -> int:
        begin(office)
        (found,) = add_waiting(office)
        decide(office, found)
        confirm_quietly(office, clock, found)
        assert state_of(office, found) == "FINAL"
        return found

    def claim(self, office: Office, loan: int, *states: str) -> int:
        """A claim with one line, taken through ``states``; the claims' own tests are about how."""
        with office.writing() as database:
            bank, policy = database.execute("SELECT bank, policy FROM loan WHERE loan_id = ?", [loan]).fetchone()
            database.execute(
                "INSERT INTO claim (bank, county, year, state, created_by, created_at, updated_at)"
                " VALUES (?, '330922', 2025, 'ACCRUING', 'x', ?, ?)",
                [bank, office.now(), office.now()],
            )
            database.execute(
                "INSERT INTO interest_line (loan_id, kind, period_start, period_end, settled_on, claim_year,"
                " balance_days, pieces, terms, policy, gross, customer, excess, fiscal, bank, province, local,"
                " claimable, computed_at) VALUES (?, 'regular', '2025-04-01', '2025-06-21', '2025-06-20', 2025, 1,"
                " '[]', '{}', ?, 3, 2, 1, 1, 0, 0, 1, 1, ?)",
                [loan, policy, office.now()],
            )
            if states:
                database.execute("UPDATE interest_line SET claim_id = 1")
            for state in states:
                database.execute("UPDATE claim SET state = ?, updated_at = ?", [state, office.now()])
        return 1

    def test_what_is_under_an_open_loan_or_claim_is_kept(
        self, office: Office, household: int, clock: SettableClock
    ) -> None:
        start = office.today()
        loan = lend(office, household, on_day=start, starts_on=start, ends_on=start + timedelta(days=360))
        self.claim(office, loan)
        take_off_list(office, household, "GRADUATED", office.today())
        with office.writing() as database:
            database.execute("UPDATE household SET state_since = ? WHERE household_id = ?", [office.now(), household])
        clock.advance(3_651 * DAY_S)
        assert purge(office).record.kept == {"claim_open": 1}
        with office.writing() as database:
            database.execute("UPDATE interest_line SET claim_id = 1")
            database.execute("UPDATE claim SET state = 'CALCULATED'")
        assert purge(office).record.kept == {"claim_open": 1}
        way = (
            "BANK_CHECKED",
            "AUDITED",
            "SUBMITTED",
            "COUNTY_REVIEW",
            "COUNTY_APPROVED",
            "PROVINCE_REVIEW",
            "APPROVED",
        )
        with office.writing() as database:
            for state in (*way, "PAID", "CLOSED"):
                database.execute("UPDATE claim SET state = ?, updated_at = ?", [state, office.now()])
        assert rows_of(purge(office)) == {}, "the clock starts anew when the claim is closed"
        clock.advance(3_651 * DAY_S)
        assert purge(office).record.kept == {"loan_open": 1}
        with office.writing() as database:
            database.execute("UPDATE loan SET state = 'SETTLED', changed_at = ?", [office.now()])
        assert rows_of(purge(office)) == {}
        clock.advance(3_651 * DAY_S)
        before = sealed_values(office, household)
        done = purge(office)
        assert rows_of(done)["ended"] == 3
        content = on_disk(office)
        assert not [value for value in before if value and value in content]
        borrower = fetch_all(office.database, "SELECT borrower, contract_no FROM loan")
        assert len(borrower) == 1, "the accounts stay"
        details = Households(office).show(CHECKER, household)
        assert [(one.number, one.name) for one in details.members] == [("", "**")], "of whom nothing is known"
        assert count(office, "interest_line") == 1
        assert state_of(office, household) == "GRADUATED"
        office.verify_audit()

    def test_a_household_on_the_list_is_never_due(self, office: Office, household: int, clock: SettableClock) -> None:
        clock.advance(40 * 366 * DAY_S)
        assert "ended" not in rows_of(purge(office))
        assert count(office, "member") == 2


class TestRows:
    def test_places_answers_and_sign_ins_go_by_their_own_clocks(self, office: Office, clock: SettableClock) -> None:
        begin(office)
        final, waiting = add_waiting(office, 2)
        store = open_minzheng(office.home, clock)
        run = checked(store, [(person(n), None) for n in range(4)])
        DepartmentChecks(office).take(HANDLER, "minzheng", store, run, MINZHENG)
        store.close()
        decide(office, final)
        confirm_quietly(office, clock, final)
        with office.writing() as database:
            database.execute(
                "INSERT INTO idempotency (account, key, request_digest, outcome, at) VALUES ('x', 'k', '', '{}', ?)",
                [office.now()],
            )
        assert count(office, "visit", "sealed_place IS NOT NULL") == 2
        clock.advance(181 * DAY_S)
        assert rows_of(purge(office)) == {"places": 2, "sign_ins": 1}
        assert count(office, "visit", "sealed_place IS NOT NULL") == 0
        assert count(office, "department_check") == 8
        clock.advance(731 * DAY_S)
        assert rows_of(purge(office)) == {"answers": 4}
        kept = fetch_all(office.database, "SELECT DISTINCT household_id FROM department_check")
        assert kept == [(waiting,)], "answers stay while somebody reviews the household"
        assert count(office, "member") == 4

    def test_every_column_about_a_person_comes_to_an_end(self, office: Office) -> None:
        """Whoever adds a sealed column decides here, and in matcher.personal.erasing, when it goes."""
        with_household = {
            ("candidate", "item_ref"), ("candidate", "sealed_person"), ("member", "item_ref"), ("member", "name_ref"),
            ("member", "sealed"), ("conflict", "item_ref"), ("conflict", "sealed"), ("form", "sealed"),
            ("visit", "sealed_place"), ("department_check", "sealed_label"), ("decision", "sealed"),
            ("decision", "sealed_answer"), ("objection", "sealed"),
        }  # fmt: skip
        by_rows = {("refused_row", "masked_item"), ("loan_file_reject", "masked_item")}
        within_days = {("download_content", "sealed")}  # fetched once, or swept by its own clock: matcher.downloads
        nobody_s = {("canary", "sealed"), ("receipt_key", "sealed")}
        found = {
            (table, column)
            for (table,) in fetch_all(office.database, "SELECT name FROM sqlite_schema WHERE type = 'table'")
            for _, column, *_ in fetch_all(office.database, f"PRAGMA table_info({table})")
            if "sealed" in column or "masked" in column or column.endswith("_ref")
        }
        assert found == with_household | by_rows | within_days | nobody_s

    def test_every_kind_of_row_has_a_kind(self) -> None:
        assert set(KINDS) == {one for one in Retention.__dataclass_fields__}

    @pytest.mark.parametrize("days", [0, -1, 36_501])
    def test_a_period_is_a_period(self, days: int) -> None:
        with pytest.raises(InputError):
            Retention(places=days)


class TestRecord:
    def test_a_dry_run_says_the_same_and_changes_nothing(self, office: Office, clock: SettableClock) -> None:
        add_households(office, 2)
        clock.advance(366 * DAY_S)
        head, content = office.verify_audit(), on_disk(office)
        preview = purge(office, dry_run=True)
        assert (preview.purge_id, preview.envelope, rows_of(preview)) == (None, None, {"not_admitted": 6})
        assert (office.verify_audit(), on_disk(office)) == (head, content)
        assert purge(office).record.kinds == preview.record.kinds

    def test_the_record_verifies_and_its_digest_can_be_made_again_from_a_backup(
        self, office: Office, clock: SettableClock
    ) -> None:
        add_households(office, 1)
        rows = fetch_all(office.database, "SELECT member_id, lower(hex(item_ref)) FROM member")
        references = ["household/1 base H000000", *(f"member/{number} {reference}" for number, reference in rows)]
        clock.advance(366 * DAY_S)
        done = purge(office)
        assert done.envelope is not None
        record = open_purge(done.envelope, HOME.public)
        (kind,) = [one for one in record.kinds if one.kind == "not_admitted"]
        assert (kind.rows, kind.days, kind.references) == (3, 365, digest_references(references))
        assert record.account == CHECKER.name
        assert person(0).encode() not in done.envelope
        with pytest.raises(VerificationError):
            open_purge(done.envelope, OTHER.public)
        (kept,) = Purge(office, RETENTION, HOME).list_records(AUDITOR)
        assert kept == KeptRecord(1, record, done.envelope, office.now())
        actions = [
            action for (action,) in fetch_all(office.database, "SELECT action FROM audit ORDER BY seq DESC LIMIT 2")
        ]
        assert actions == ["purge.run", "household.purge"]

    def test_a_record_is_never_changed_or_deleted(self, office: Office, clock: SettableClock) -> None:
        add_households(office, 1)
        clock.advance(366 * DAY_S)
        purge(office)
        for statement in ("UPDATE purge SET envelope = x''", "DELETE FROM purge"):
            with pytest.raises(pysqlite3.IntegrityError), office.writing() as database:
                database.execute(statement)

    def test_what_is_no_record(self) -> None:
        for payload in (b"{}", b"[]", b'{"format":"mingce-purge/1"}'):
            with pytest.raises(PurgeRecordInvalid):
                open_purge(sign_envelope(HOME, PURGE_TYPE, payload), HOME.public)

    def test_only_who_may(self, office: Office) -> None:
        for actor in (HANDLER, ADMIN, AUDITOR):
            with pytest.raises(NotAllowed):
                Purge(office, RETENTION, HOME).run(actor)
        with pytest.raises(NotAllowed):
            Purge(office, RETENTION, HOME).list_records(HANDLER)


class TestInterrupted:
    def test_traces_that_another_process_keeps_go_the_next_time(
        self, tmp_path: Path, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(keys_database, "BUSY_TIMEOUT_S", 0.2)
        office = make_office(tmp_path / "bureau", clock)
        add_households(office, 2)
        before = sealed_values(office, 1)
        clock.advance(366 * DAY_S)
        reader = make_office(office.home, clock)
        with reading(reader.database) as database:
            database.conn.execute("BEGIN")
            database.conn.execute("SELECT COUNT(*) FROM member").fetchone()
            done = purge(office)
            assert not done.is_cleared
            assert fetch_first(office.database, "SELECT cleared_at FROM purge") == (None,)
            database.conn.execute("ROLLBACK")
        reader.close()
        again = purge(office)
        assert (again.purge_id, again.is_cleared) == (None, True)
        assert fetch_first(office.database, "SELECT cleared_at FROM purge") == (office.now(),)
        assert not [value for value in before if value and value in on_disk(office)]
        office.close()

    def test_killed_after_the_commit(
        self, office: Office, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin(office)
        (household,) = add_waiting(office)
        decide(office, household, "reject", reasons=["N01"], remark="演示")
        clock.advance(366 * DAY_S)

        def killed(_: object) -> bool:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(module.Attachments, "remove_orphans", killed)
            with pytest.raises(KeyboardInterrupt):
                purge(office)
        assert count(office, "member") == 0
        assert len(attachments(office)) == 4, "their rows are gone, the files are not yet"
        assert purge(office).is_cleared
        assert attachments(office) == set()

    def test_killed_within_it_leaves_everything(
        self, office: Office, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_households(office, 2)
        clock.advance(366 * DAY_S)
        head = office.verify_audit()
        with monkeypatch.context() as patch:
            patch.setattr(module, "ERASE", (*module.ERASE, "SELECT no_such_column FROM due"))
            with pytest.raises(Exception, match="no_such_column"):
                purge(office)
        assert (count(office, "member"), office.verify_audit()) == (4, head)
        assert rows_of(purge(office)) == {"not_admitted": 6}
