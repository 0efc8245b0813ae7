"""The subsidy of a loan, held up or ended by the county: from a day on, whatever has been paid already.

Days already claimed come back as negative adjustments in the next claim (docs/explanation/subsidy-arithmetic.md).
"""

from __future__ import annotations

from datetime import date
from typing import Any

from matcher.loans.errors import SpanInvalid
from matcher.loans.events import Recorded
from matcher.loans.work import Work
from matcher.reasons import REASONS, ReasonUnknown


def suspend(work: Work, loan: dict[str, Any], from_day: date, reason: str, remark: str) -> Recorded:
    """Raises DayInFuture, ReasonUnknown, SpanInvalid, MoveInvalid."""
    if _known(work, loan, "suspension", from_day):
        return Recorded(f"loan/{loan['loan_id']}", False)
    work.move_subsidy(loan, "SUSPENDED")
    return _open(work, loan, "suspension", from_day, reason, remark)


def resume(work: Work, loan: dict[str, Any], on_day: date, remark: str) -> Recorded:
    """``on_day`` bears subsidy again. Raises DayInFuture, SpanInvalid, MoveInvalid."""
    work.require_past(on_day)
    work.move_subsidy(loan, "ELIGIBLE")
    found = work.first(
        "SELECT span_id, from_day FROM loan_span WHERE loan_id = ? AND kind = 'suspension' AND to_day IS NULL",
        [loan["loan_id"]],
    )
    if found is None or on_day.isoformat() <= found["from_day"]:
        raise SpanInvalid("it ends before it began", why="ends_before_start")
    day = on_day.isoformat()
    work.database.execute("UPDATE loan_span SET to_day = ? WHERE span_id = ?", [day, found["span_id"]])
    subject = f"loan/{loan['loan_id']}"
    work.record("loan.resume", subject, after={"to_day": day, "remark": remark})
    return Recorded(subject, True)


def stop(work: Work, loan: dict[str, Any], from_day: date, reason: str, remark: str) -> Recorded:
    """For good. A loan whose subsidy is completed stays so, and still gives back what it got from that day on.

    Raises DayInFuture, ReasonUnknown, SpanInvalid, MoveInvalid.
    """
    if _known(work, loan, "stop", from_day):
        return Recorded(f"loan/{loan['loan_id']}", False)
    if loan["subsidy_state"] != "COMPLETED":
        work.move_subsidy(loan, "STOPPED")
    return _open(work, loan, "stop", from_day, reason, remark)


def _known(work: Work, loan: dict[str, Any], kind: str, from_day: date) -> bool:
    sql = "SELECT 1 FROM loan_span WHERE loan_id = ? AND kind = ? AND from_day = ?"
    return work.first(sql, [loan["loan_id"], kind, from_day.isoformat()]) is not None


def _open(work: Work, loan: dict[str, Any], kind: str, from_day: date, reason: str, remark: str) -> Recorded:
    work.require_past(from_day)
    if reason not in REASONS:
        raise ReasonUnknown("not a reason code", reason=reason[:20])
    if loan["starts_on"] is None or from_day.isoformat() < loan["starts_on"]:
        raise SpanInvalid("before the loan began", why="before_start")
    values = {
        "loan_id": loan["loan_id"],
        "kind": kind,
        "from_day": from_day.isoformat(),
        "reason": reason,
        "remark": remark,
        "entered_by": work.actor.name,
        "entered_at": work.office.now(),
    }
    work.insert("loan_span", values)
    subject = f"loan/{loan['loan_id']}"
    work.record(f"loan.{'suspend' if kind == 'suspension' else 'stop'}", subject, after=values)
    return Recorded(subject, True)
