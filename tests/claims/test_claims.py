"""A claim's way: frozen, compared, audited, submitted, reviewed, paid, by different persons."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pysqlite3
import pytest
from bureau_office import AUDITOR, BANK_ADMIN, BANK_NO, CHECKER, HANDLER, OTHER_BANK_ADMIN, PROVINCE
from claim_desk import BANK_CHECKER, BANK_CLERK, COUNTY, END, START, YUAN, Desk, nothing, own_figures, walk

from matcher.accounts.idempotency import IdempotencyConflict
from matcher.audit_draw import draw_positions
from matcher.bureau.actors import Actor, NotAllowed, Permission, Role, SamePerson
from matcher.claims.errors import ClaimNotReady, ClaimUnknown, ExceptionSettled, FiguresFileInvalid
from matcher.claims.steps import MOVES, Step
from matcher.personal.fields import TextNotPlain
from matcher.states import CLAIM, MoveInvalid


def test_a_claim_goes_all_the_way(desk: Desk, claim: int, tmp_path: Path) -> None:
    before = desk.claims.get(BANK_CLERK, claim).summary
    assert (before.state, before.lines) == ("ACCRUING", 9)
    walk(desk, claim, tmp_path)
    page = desk.claims.get(CHECKER, claim, count=1_000)
    assert (page.summary.state, page.summary.lines, page.summary.amounts) == ("CLOSED", 9, before.amounts)
    assert sum(line.amounts.fiscal for line in page.lines) == page.summary.amounts.fiscal
    assert [step.to_state for step in page.steps] == [
        "CALCULATED", "BANK_CHECKED", "AUDITED", "SUBMITTED", "COUNTY_REVIEW", "COUNTY_APPROVED", "PROVINCE_REVIEW",
        "APPROVED", "PAID", "CLOSED",
    ]  # fmt: skip
    assert desk.claims.verify(CHECKER, claim).digest == page.summary.digest
    desk.office.verify_audit()


def test_opening_again_finds_the_same_claim(desk: Desk, claim: int) -> None:
    assert desk.claims.open(BANK_CLERK, BANK_NO, COUNTY, 2024) == claim
    for bank, county in (("f" * 64, COUNTY), (BANK_NO, "990000")):
        with pytest.raises(ClaimUnknown):
            desk.claims.open(replace(BANK_CLERK, bank=None), bank, county, 2024)


def test_the_year_must_be_over_and_years_come_in_order(desk: Desk, claim: int) -> None:
    desk.set_day(date(2024, 12, 31))
    with pytest.raises(ClaimNotReady) as caught:
        desk.claims.freeze(BANK_CLERK, claim)
    assert caught.value.params["what"] == "year"
    desk.set_day(date(2026, 1, 10))
    later = desk.claims.open(BANK_CLERK, BANK_NO, COUNTY, 2025)
    with pytest.raises(ClaimNotReady) as caught:
        desk.claims.freeze(BANK_CLERK, later)
    assert caught.value.params["what"] == "earlier"


def test_a_claim_of_nothing_is_not_frozen(desk: Desk) -> None:
    empty = desk.claims.open(BANK_CLERK, BANK_NO, COUNTY, 2023)
    with pytest.raises(ClaimNotReady) as caught:
        desk.claims.freeze(BANK_CLERK, empty)
    assert caught.value.params["what"] == "lines"
    assert desk.claims.get(BANK_CLERK, empty).summary.state == "ACCRUING"


def test_a_claim_of_nothing_holds_up_no_later_year(desk: Desk, claim: int) -> None:
    desk.claims.open(BANK_CLERK, BANK_NO, COUNTY, 2023)
    assert desk.claims.freeze(BANK_CLERK, claim).state == "CALCULATED"


def test_what_is_not_paid_stays_out_and_comes_late(desk: Desk, claim: int) -> None:
    household = desk.lender.add_household()
    loan = desk.lender.add_loan(household, START, END, [("drawdown", START, 100_000 * YUAN)])
    desk.claims.accrue(date(2025, 12, 31))
    assert desk.claims.get(BANK_CLERK, claim).summary.left_out == 3
    frozen = desk.claims.freeze(BANK_CLERK, claim)
    assert (frozen.lines, frozen.left_out) == (9, 3)
    desk.pay_all(loan, date(2025, 12, 1))
    later = desk.claims.open(BANK_CLERK, BANK_NO, COUNTY, 2025)
    assert desk.claims.freeze(BANK_CLERK, later).lines == 4  # three of 2024, and the last one
    kinds = [exception.kind for exception in desk.claims.get(BANK_CLERK, later).exceptions]
    assert kinds == ["late"] * 3


@pytest.mark.parametrize(
    ("step", "actor", "until"),
    [
        (Step.CHECK, BANK_CLERK, "CALCULATED"),
        (Step.AUDIT, replace(BANK_CHECKER, roles=frozenset({Role.AUDITOR})), "BANK_CHECKED"),
        (Step.TAKE_UP, replace(HANDLER, name=BANK_CLERK.name), "SUBMITTED"),
        (Step.APPROVE, HANDLER, "COUNTY_REVIEW"),
        (Step.GRANT, replace(PROVINCE, name=CHECKER.name), "PROVINCE_REVIEW"),
        (Step.PAY, replace(CHECKER, name=PROVINCE.name), "APPROVED"),
    ],
)
def test_where_money_is_decided_a_second_person_does_it(
    desk: Desk, claim: int, tmp_path: Path, step: Step, actor: Actor, until: str
) -> None:
    walk(desk, claim, tmp_path, until)
    if step is Step.AUDIT:
        for line in desk.claims.sample(AUDITOR, claim, 1):
            desk.claims.find(AUDITOR, claim, line, "ok")
    with pytest.raises(SamePerson):
        desk.claims.move(actor, claim, step)
    with pytest.raises(pysqlite3.IntegrityError, match="second person"):
        desk.run(
            "INSERT INTO claim_step (claim_id, from_state, to_state, account, remark, at, audit_seq)"
            " VALUES (?, ?, ?, ?, '', '', 1)",
            claim, until, MOVES[step].to_state, actor.name,
        )  # fmt: skip
    assert desk.claims.get(CHECKER, claim).summary.state == until


def test_only_the_roles_that_may_take_a_step(desk: Desk, claim: int) -> None:
    for role in Role:
        actor = Actor("x", frozenset({role}))
        for step, move in MOVES.items():
            # To those who may, the claim says that it accrues still: no step fits.
            with pytest.raises(MoveInvalid if actor.may(move.permission) else NotAllowed):
                desk.claims.move(actor, claim, step)


def test_every_move_of_the_machine_has_one_step() -> None:
    wanted = {to for targets in CLAIM.moves.values() for to in targets} - {"CALCULATED"}
    assert {move.to_state for move in MOVES.values()} == wanted
    assert {move.permission for move in MOVES.values()} <= {
        Permission.PREPARE_CLAIM, Permission.AUDIT_CLAIM, Permission.REVIEW_CLAIM, Permission.APPROVE_CLAIM,
        Permission.PAY_CLAIM,
    }  # fmt: skip


def test_another_banks_claim_is_not_shown(desk: Desk, claim: int) -> None:
    assert desk.claims.list(OTHER_BANK_ADMIN) == []
    assert [summary.claim_id for summary in desk.claims.list(BANK_ADMIN)] == [claim]
    for look in (desk.claims.get, desk.claims.verify, desk.claims.freeze):
        with pytest.raises(NotAllowed):
            look(OTHER_BANK_ADMIN, claim)
    (line,) = desk.rows("SELECT MIN(line_id) AS line FROM interest_line")
    with pytest.raises(NotAllowed):
        desk.claims.explain(OTHER_BANK_ADMIN, line["line"])
    assert desk.claims.explain(PROVINCE, line["line"]).kind == "regular"


def test_a_returned_claim_is_submitted_again_and_not_changed(desk: Desk, claim: int, tmp_path: Path) -> None:
    walk(desk, claim, tmp_path, "COUNTY_REVIEW")
    digest = desk.claims.get(CHECKER, claim).summary.digest
    with pytest.raises(TextNotPlain):
        desk.claims.move(HANDLER, claim, Step.RETURN)
    desk.claims.move(HANDLER, claim, Step.RETURN, remark="缺附件")
    desk.claims.move(BANK_CLERK, claim, Step.SUBMIT)
    desk.claims.move(HANDLER, claim, Step.TAKE_UP)
    assert desk.claims.move(CHECKER, claim, Step.APPROVE).digest == digest


def test_the_bank_compares_its_own_figures_first(desk: Desk, claim: int) -> None:
    desk.claims.freeze(BANK_CLERK, claim)
    with pytest.raises(ClaimNotReady) as caught:
        desk.claims.move(BANK_CHECKER, claim, Step.CHECK)
    assert caught.value.params["what"] == "reconciliation"


def test_differences_are_listed_settled_and_block_the_submission(desk: Desk, claim: int, tmp_path: Path) -> None:
    desk.claims.freeze(BANK_CLERK, claim)

    def change(rows: list[dict[str, str]]) -> None:
        rows[0]["财政贴息"] = "0.01"
        rows[1]["合同编号"] = "没有这份合同"

    path = own_figures(desk, claim, tmp_path, change)
    for _ in range(2):  # the same file again notes nothing twice
        done = desk.claims.reconcile(BANK_CLERK, claim, path)
        assert (done.lines, done.rows) == (9, 9)
        assert sorted(difference.kind for difference in done.differences) == [
            "amounts",
            "missing_ours",
            "missing_theirs",
        ]
        found = desk.claims.get(BANK_CLERK, claim).exceptions
        assert [exception.kind for exception in found] == ["difference"] * 3
    desk.claims.move(BANK_CHECKER, claim, Step.CHECK)
    desk.claims.sample(AUDITOR, claim, 1)
    desk.claims.find(AUDITOR, claim, desk.claims.sample(AUDITOR, claim, 1)[0], "ok")
    desk.claims.move(AUDITOR, claim, Step.AUDIT)
    with pytest.raises(ClaimNotReady) as caught:
        desk.claims.move(BANK_CLERK, claim, Step.SUBMIT)
    assert caught.value.params == {"what": "exceptions", "count": 3}
    with pytest.raises(TextNotPlain):
        desk.claims.settle(BANK_CLERK, found[0].exception_id, " ")
    for exception in found:
        desk.claims.settle(BANK_CLERK, exception.exception_id, "银行系统舍入不同")
    with pytest.raises(ExceptionSettled):
        desk.claims.settle(BANK_CLERK, found[0].exception_id, "再说一次")
    desk.claims.reconcile(BANK_CLERK, claim, path)  # what was settled stays settled
    assert desk.claims.move(BANK_CLERK, claim, Step.SUBMIT).state == "SUBMITTED"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("财政贴息", "1.005", "value"),
        ("财政贴息", "1e3", "value"),
        ("财政贴息", "", "value"),
        ("起息日", "2024-13-01", "value"),
        ("合同编号", "", "value"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(
    desk: Desk, claim: int, tmp_path: Path, column: str, value: str, reason: str
) -> None:
    desk.claims.freeze(BANK_CLERK, claim)
    path = own_figures(desk, claim, tmp_path, lambda rows: rows[3].update({column: value}))
    with pytest.raises(FiguresFileInvalid) as caught:
        desk.claims.reconcile(BANK_CLERK, claim, path)
    assert {name: caught.value.params[name] for name in ("row", "column", "reason")} == {
        "row": 5, "column": column, "reason": reason,
    }  # fmt: skip
    assert desk.claims.get(BANK_CLERK, claim).exceptions == []


def test_a_row_that_stands_twice_is_refused(desk: Desk, claim: int, tmp_path: Path) -> None:
    desk.claims.freeze(BANK_CLERK, claim)
    with pytest.raises(FiguresFileInvalid) as caught:
        desk.claims.reconcile(BANK_CLERK, claim, own_figures(desk, claim, tmp_path, lambda rows: rows.append(rows[0])))
    assert caught.value.params["reason"] == "twice"


def test_the_sample_follows_from_digest_and_seed_and_is_drawn_once(desk: Desk, claim: int, tmp_path: Path) -> None:
    walk(desk, claim, tmp_path, "BANK_CHECKED")
    drawn = desk.claims.sample(AUDITOR, claim, 4)
    assert desk.claims.sample(AUDITOR, claim, 9) == drawn
    page = desk.claims.get(AUDITOR, claim, count=1_000)
    assert page.summary.seed is not None
    assert page.summary.digest is not None
    positions = draw_positions(bytes.fromhex(page.summary.seed), page.summary.digest, len(page.lines), 4)
    assert sorted(page.lines[position].line_id for position in positions) == drawn
    assert [line.line_id for line in page.lines if line.in_sample] == [page.lines[p].line_id for p in positions]


def test_the_audit_waits_for_every_finding_and_a_bad_one_must_be_settled(
    desk: Desk, claim: int, tmp_path: Path
) -> None:
    walk(desk, claim, tmp_path, "BANK_CHECKED")
    for what in ("sample", "findings"):
        with pytest.raises(ClaimNotReady) as caught:
            desk.claims.move(AUDITOR, claim, Step.AUDIT)
        assert caught.value.params["what"] == what
        drawn = desk.claims.sample(AUDITOR, claim, 2)
    desk.claims.find(AUDITOR, claim, drawn[0], "ok")
    desk.claims.find(AUDITOR, claim, drawn[1], "承诺书缺签字")
    desk.claims.find(AUDITOR, claim, drawn[1], "承诺书缺签字")  # said twice, noted once
    outside = desk.rows("SELECT line_id FROM interest_line WHERE line_id NOT IN (SELECT line_id FROM audit_sample)")[0]
    with pytest.raises(ClaimUnknown):
        desk.claims.find(AUDITOR, claim, outside["line_id"], "ok")
    desk.claims.move(AUDITOR, claim, Step.AUDIT)
    (finding,) = desk.claims.get(AUDITOR, claim).exceptions
    with pytest.raises(NotAllowed):
        desk.claims.settle(BANK_CLERK, finding.exception_id, "已补")
    with pytest.raises(ClaimNotReady):
        desk.claims.move(BANK_CLERK, claim, Step.SUBMIT)
    desk.claims.settle(AUDITOR, finding.exception_id, "已补签并核对原件")
    assert desk.claims.move(BANK_CLERK, claim, Step.SUBMIT).state == "SUBMITTED"


def test_texts_that_are_not_sealed_hold_no_id_number(desk: Desk, claim: int, tmp_path: Path) -> None:
    walk(desk, claim, tmp_path, "COUNTY_REVIEW")
    with pytest.raises(TextNotPlain):
        desk.claims.move(HANDLER, claim, Step.RETURN, remark="99000019850101001X 不符")


def test_the_same_key_twice_is_one_change(desk: Desk, claim: int, tmp_path: Path) -> None:
    first = desk.claims.freeze(BANK_CLERK, claim, key="a")
    assert desk.claims.freeze(BANK_CLERK, claim, key="a") == first
    desk.claims.reconcile(BANK_CLERK, claim, own_figures(desk, claim, tmp_path, nothing))
    desk.claims.move(BANK_CHECKER, claim, Step.CHECK, key="b")
    assert desk.claims.move(BANK_CHECKER, claim, Step.CHECK, key="b").state == "BANK_CHECKED"
    assert len(desk.claims.get(BANK_CLERK, claim).steps) == 2
    with pytest.raises(IdempotencyConflict):
        desk.claims.move(BANK_CHECKER, claim, Step.SUBMIT, key="b")
    with pytest.raises(MoveInvalid):
        desk.claims.freeze(BANK_CLERK, claim)
