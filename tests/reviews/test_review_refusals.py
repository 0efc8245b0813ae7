"""A refused family learns why, from whom, and that it may appeal; a proposal that was a slip is taken back."""

from __future__ import annotations

from pathlib import Path

import pysqlite3
import pytest
from bureau_office import CHECKER, HANDLER, MANAGER, OTHER_CHECKER
from reviewing import add_waiting, decide, state_of

from matcher.bureau.actors import Actor, NotAllowed, Role
from matcher.bureau.office import Office
from matcher.reviews import Reviews
from matcher.reviews.errors import DecisionMade, NotOwnProposal, RefusalTold

OTHER_HANDLER = Actor("jingban2", frozenset({Role.HANDLER}))


def sms(reviews: Reviews, path: Path) -> list[str]:
    reviews.refusals.write_sms(HANDLER, path, format="csv", purpose="审核结果告知")
    return path.read_text("utf-8-sig").splitlines()[1:]


def refuse(office: Office, household: int, *reasons: str) -> None:
    decide(office, household, "reject", reasons=reasons, remark="收入佐证不符")


def test_the_text_says_why_and_that_one_may_appeal(
    office: Office, reviews: Reviews, household: int, tmp_path: Path
) -> None:
    refuse(office, household, "N01", "N10")
    (line,) = sms(reviews, tmp_path / "a.csv")
    assert "13800000000" in line
    assert "收入超过上限、政策排除" in line
    assert "申诉一次" in line
    assert "工作人员" in line
    assert "低保" not in line  # what PIPL article 28 protects goes through no telephone network
    assert "演示0" not in line
    assert sms(reviews, tmp_path / "b.csv") == []  # once
    assert reviews.decisions.records.list_of(household)[-1].told_at is not None
    ((row,),) = office.database.execute("SELECT COUNT(*) FROM audit WHERE action = 'export.refusal_sms'").fetchall()
    assert row == 2


def test_after_the_appeal_the_text_promises_no_other(
    office: Office, reviews: Reviews, household: int, tmp_path: Path
) -> None:
    refuse(office, household, "N01")
    sms(reviews, tmp_path / "a.csv")
    reviews.objections.appeal(HANDLER, household, who="户主", why="有误", received_on=office.today())
    assert sms(reviews, tmp_path / "b.csv") == []  # the review is open again: nothing to tell yet
    refuse(office, household, "N01")
    (line,) = sms(reviews, tmp_path / "c.csv")
    assert "申诉已由工作人员重新审核" in line
    assert "申诉一次" not in line


def test_told_otherwise_once(office: Office, reviews: Reviews, household: int, tmp_path: Path) -> None:
    with pytest.raises(RefusalTold):
        reviews.refusals.tell(HANDLER, household, "上门告知")
    refuse(office, household, "N01")
    with pytest.raises(NotAllowed):
        reviews.refusals.tell(MANAGER, household, "上门告知")
    reviews.refusals.tell(HANDLER, household, "上门告知", key="told-0001")
    reviews.refusals.tell(HANDLER, household, "上门告知", key="told-0001")
    with pytest.raises(RefusalTold):
        reviews.refusals.tell(HANDLER, household, "再次告知")
    assert sms(reviews, tmp_path / "a.csv") == []
    with pytest.raises(pysqlite3.IntegrityError), office.writing() as database:
        database.execute("UPDATE decision SET told_at = NULL")


def test_one_takes_back_ones_own_proposal_and_proposes_anew(office: Office, reviews: Reviews, household: int) -> None:
    slip = reviews.decisions.propose(HANDLER, household, "reject", reasons=["N01"], remark="误选")
    for stranger in (OTHER_HANDLER, Actor("liangren", CHECKER.roles | HANDLER.roles)):
        with pytest.raises(NotOwnProposal):
            reviews.decisions.withdraw(stranger, slip.decision_id)
    taken = reviews.decisions.withdraw(HANDLER, slip.decision_id, remark="选错了户")
    assert (taken.state, taken.decided_by) == ("withdrawn", HANDLER.name)
    assert reviews.decisions.withdraw(HANDLER, slip.decision_id) == taken
    with pytest.raises(DecisionMade):
        reviews.decisions.confirm(CHECKER, slip.decision_id, slip.digest)
    assert state_of(office, household) == "IN_REVIEW"
    assert decide(office, household).round == 1
    assert state_of(office, household) == "APPROVED"


def test_what_was_answered_is_not_taken_back(office: Office, reviews: Reviews) -> None:
    for household, answer in zip(add_waiting(office, 2), ("confirm", "send_back"), strict=True):
        proposed = reviews.decisions.propose(HANDLER, household, "approve")
        if answer == "confirm":
            reviews.decisions.confirm(CHECKER, proposed.decision_id, proposed.digest)
        else:
            reviews.decisions.send_back(OTHER_CHECKER, proposed.decision_id, proposed.digest, remark="补佐证")
        with pytest.raises(DecisionMade):
            reviews.decisions.withdraw(HANDLER, proposed.decision_id)


def test_the_database_lets_only_the_proposer_withdraw(office: Office, reviews: Reviews, household: int) -> None:
    proposed = reviews.decisions.propose(HANDLER, household, "approve")
    for state, by in (("withdrawn", "fuhe"), ("confirmed", HANDLER.name)):
        with pytest.raises(pysqlite3.IntegrityError), office.writing() as database:
            database.execute(
                "UPDATE decision SET state = ?, decided_by = ?, decided_at = '2025-03-03T00:00:00Z'"
                " WHERE decision_id = ?",
                [state, by, proposed.decision_id],
            )
