"""What moves on a contract: drawn, repaid, interest paid, taken back; overdue, extended, ended."""

from __future__ import annotations

from datetime import date
from typing import Any

from matcher.loans.errors import (
    BalanceLeft,
    EntryDiffers,
    EntryUnknown,
    LoanEnded,
    OutsideContract,
    PrincipalExceeded,
    RepaidTooMuch,
    SpanInvalid,
)
from matcher.loans.events import (
    Entry,
    EntryReversed,
    Extended,
    Overdue,
    OverdueEnded,
    Recorded,
    Settled,
    WrittenOff,
)
from matcher.loans.work import ENDED, Work, same
from matcher.states import LOAN
from matcher.subsidy.lines import yuan
from matcher.subsidy.periods import Balance, Movement, MovementsInvalid


def enter(work: Work, event: Entry) -> Recorded:
    """A drawdown, a repayment or paid interest; the first drawdown makes the loan ACTIVE.

    Entries may come late and in any order, as long as on every day the loan owes no less than nothing and no more
    than its principal. Raises DayInFuture, LoanUnknown, LoanEnded, MoveInvalid, EntryDiffers, OutsideContract,
    PrincipalExceeded, RepaidTooMuch.
    """
    work.require_past(event.on_day)
    loan = work.loan(event.contract_no)
    subject = f"loan/{loan['loan_id']}"
    values: dict[str, Any] = {"kind": event.kind, "on_day": event.on_day.isoformat(), "amount": event.amount}
    key = [loan["loan_id"], event.reference]
    known = work.first("SELECT * FROM movement WHERE loan_id = ? AND reference = ?", key)
    known = known or work.first("SELECT * FROM reversed_movement WHERE loan_id = ? AND reference = ?", key)
    if known is not None:
        if not same(known, values):
            raise EntryDiffers("an entry of this reference says something else", reference=event.reference)
        return Recorded(subject, False)
    _check_day(loan, event)
    if loan["state"] in ENDED and event.kind != "interest":
        raise LoanEnded("the loan has ended", contract_no=event.contract_no, on=loan["ended_on"])
    if event.kind == "drawdown" and loan["state"] == "CONTRACTED":
        work.move(loan, "ACTIVE")
    elif loan["starts_on"] is None or loan["state"] == "CONTRACTED":
        LOAN.check(loan["state"], "ACTIVE")  # nothing moves before the contract is signed
        raise RepaidTooMuch("nothing has been drawn", on=event.on_day.isoformat())
    identity = {"loan_id": loan["loan_id"], "reference": event.reference}
    work.insert("movement", identity | values | {"file_id": work.file_id, "entered_at": work.office.now()})
    if event.kind != "interest":
        _check_balance(work, loan)
    work.change(loan)
    work.record(f"loan.{event.kind}", subject, after=identity | values)
    return Recorded(subject, True)


def reverse(work: Work, event: EntryReversed) -> Recorded:
    """Raises DayInFuture, LoanUnknown, EntryUnknown, EntryDiffers, LoanEnded, RepaidTooMuch, PrincipalExceeded."""
    work.require_past(event.on_day)
    loan = work.loan(event.contract_no)
    subject = f"loan/{loan['loan_id']}"
    done = work.first(
        "SELECT reference FROM reversed_movement WHERE loan_id = ? AND reversed_by = ?",
        [loan["loan_id"], event.reference],
    )
    if done is not None:
        if done["reference"] != event.reversed_reference:
            raise EntryDiffers("this number reversed another entry", reference=event.reference)
        return Recorded(subject, False)
    entry = work.first(
        "SELECT * FROM movement WHERE loan_id = ? AND reference = ?", [loan["loan_id"], event.reversed_reference]
    )
    if entry is None:
        raise EntryUnknown("no such entry", reference=event.reversed_reference)
    if loan["state"] in ENDED and entry["kind"] != "interest":
        raise LoanEnded("the loan has ended", contract_no=event.contract_no, on=loan["ended_on"])
    work.database.execute("DELETE FROM movement WHERE movement_id = ?", [entry["movement_id"]])
    reversal = {"reversed_by": event.reference, "reversed_on": event.on_day.isoformat()}
    work.insert("reversed_movement", entry | reversal | {"reversed_at": work.office.now()})
    _check_balance(work, loan)
    work.change(loan)
    work.record("loan.reverse", subject, before=entry, after=reversal)
    return Recorded(subject, True)


def mark_overdue(work: Work, event: Overdue) -> Recorded:
    """Raises DayInFuture, LoanUnknown, MoveInvalid, SpanInvalid."""
    work.require_past(event.on_day)
    loan = work.loan(event.contract_no)
    if _span(work, loan, "overdue", event.on_day) is not None:
        return Recorded(f"loan/{loan['loan_id']}", False)
    if loan["starts_on"] is None or event.on_day.isoformat() <= loan["starts_on"]:
        raise SpanInvalid("overdue before the loan began", why="before_start")
    work.move(loan, "OVERDUE")
    return _open_span(work, loan, "overdue", event.on_day)


def end_overdue(work: Work, event: OverdueEnded) -> Recorded:
    """Raises DayInFuture, LoanUnknown, SpanInvalid."""
    work.require_past(event.on_day)
    loan = work.loan(event.contract_no)
    day = event.on_day.isoformat()
    subject = f"loan/{loan['loan_id']}"
    found = work.first(
        "SELECT span_id, from_day, to_day FROM loan_span WHERE loan_id = ? AND kind = 'overdue'"
        " AND (to_day IS NULL OR to_day = ?) ORDER BY to_day IS NULL LIMIT 1",
        [loan["loan_id"], day],
    )
    if found is None:
        raise SpanInvalid("not overdue", why="not_overdue")
    if found["to_day"] is not None:
        return Recorded(subject, False)
    _close_span(work, loan, "overdue", event.on_day)
    extended = _span(work, loan, "extension") is not None
    work.move(loan, "EXTENDED" if extended else "ACTIVE")
    work.record("loan.overdue_end", subject, after={"to_day": day})
    return Recorded(subject, True)


def extend(work: Work, event: Extended) -> Recorded:
    """Raises DayInFuture, LoanUnknown, MoveInvalid, SpanInvalid."""
    work.require_past(event.on_day)
    loan = work.loan(event.contract_no)
    subject = f"loan/{loan['loan_id']}"
    ends_on = event.ends_on.isoformat()
    if loan["ends_on"] == ends_on and _span(work, loan, "extension") is not None:
        return Recorded(subject, False)
    if loan["ends_on"] is None or ends_on <= loan["ends_on"]:
        raise SpanInvalid("an extension ends later than the contract", why="not_later")
    old_end = date.fromisoformat(loan["ends_on"])
    if loan["state"] == "OVERDUE":
        _close_span(work, loan, "overdue", event.on_day)
    work.move(loan, "EXTENDED", ends_on=ends_on)
    return _open_span(work, loan, "extension", old_end)


def settle(work: Work, event: Settled) -> Recorded:
    """What was overdue is paid then. Raises DayInFuture, LoanUnknown, BalanceLeft, MoveInvalid."""
    loan = work.loan(event.contract_no)
    if loan["state"] in ("SETTLED", "EARLY_SETTLED") and loan["ended_on"] == event.on_day.isoformat():
        return Recorded(f"loan/{loan['loan_id']}", False)
    balance = _balance(work, loan)
    owed = balance.on(event.on_day)
    if owed or (balance.days and balance.days[-1] > event.on_day):
        raise BalanceLeft("it still owes, or moves later", owed=yuan(owed))
    _close_span(work, loan, "overdue", event.on_day)
    early = loan["state"] == "ACTIVE" and event.on_day.isoformat() < loan["ends_on"]
    return _end(work, loan, "EARLY_SETTLED" if early else "SETTLED", event.on_day)


def write_off(work: Work, event: WrittenOff) -> Recorded:
    """It stays overdue: what is still paid later bears no subsidy. Raises DayInFuture, LoanUnknown, MoveInvalid."""
    loan = work.loan(event.contract_no)
    if loan["state"] == "WRITTEN_OFF" and loan["ended_on"] == event.on_day.isoformat():
        return Recorded(f"loan/{loan['loan_id']}", False)
    return _end(work, loan, "WRITTEN_OFF", event.on_day)


def _end(work: Work, loan: dict[str, Any], state: str, on_day: date) -> Recorded:
    work.require_past(on_day)
    work.move(loan, state, ended_on=on_day.isoformat())
    if loan["subsidy_state"] == "ELIGIBLE":
        work.move_subsidy(loan, "COMPLETED")
    subject = f"loan/{loan['loan_id']}"
    work.record("loan.end", subject, after={"state": state, "ended_on": on_day.isoformat()})
    return Recorded(subject, True)


def _check_day(loan: dict[str, Any], event: Entry) -> None:
    """A drawdown is within the contract's own days; the others may come later, never sooner."""
    first, last, day = loan["starts_on"], loan["ends_on"], event.on_day.isoformat()
    if first is not None and (day < first or (event.kind == "drawdown" and day >= last)):
        raise OutsideContract("not within the contract", on=day, first=first, last=last)


def _check_balance(work: Work, loan: dict[str, Any]) -> None:
    balance = _balance(work, loan)
    for day, owed in zip(balance.days, balance.amounts, strict=True):
        if owed > loan["principal"]:
            raise PrincipalExceeded(
                "more is drawn than the contract allows",
                on=day.isoformat(),
                principal=yuan(loan["principal"]),
                owed=yuan(owed),
            )


def _balance(work: Work, loan: dict[str, Any]) -> Balance:
    rows = work.database.execute(
        "SELECT on_day, iif(kind = 'drawdown', amount, -amount) FROM movement WHERE loan_id = ? AND kind <> 'interest'",
        [loan["loan_id"]],
    ).fetchall()
    try:
        return Balance.of(Movement(date.fromisoformat(day), amount) for day, amount in rows)
    except MovementsInvalid as error:
        raise RepaidTooMuch("more is repaid than is owed", on=error.params["on"]) from None


def _span(work: Work, loan: dict[str, Any], kind: str, from_day: date | None = None) -> dict[str, Any] | None:
    return work.first(
        "SELECT * FROM loan_span WHERE loan_id = ?1 AND kind = ?2 AND (?3 IS NULL OR from_day = ?3)",
        [loan["loan_id"], kind, None if from_day is None else from_day.isoformat()],
    )


def _open_span(work: Work, loan: dict[str, Any], kind: str, from_day: date) -> Recorded:
    subject = f"loan/{loan['loan_id']}"
    values = {"loan_id": loan["loan_id"], "kind": kind, "from_day": from_day.isoformat(), "reason": "", "remark": ""}
    work.insert("loan_span", values | {"entered_by": work.actor.name, "entered_at": work.office.now()})
    work.record(f"loan.{kind}", subject, after=values)
    return Recorded(subject, True)


def _close_span(work: Work, loan: dict[str, Any], kind: str, to_day: date) -> None:
    """End the open span of this kind, if there is one; one that would have no day vanishes."""
    found = work.first(
        "SELECT span_id, from_day FROM loan_span WHERE loan_id = ? AND kind = ? AND to_day IS NULL",
        [loan["loan_id"], kind],
    )
    if found is None:
        return
    if to_day.isoformat() < found["from_day"]:
        raise SpanInvalid("it ends before it began", why="ends_before_start")
    if to_day.isoformat() == found["from_day"]:
        work.database.execute("DELETE FROM loan_span WHERE span_id = ?", [found["span_id"]])
    else:
        sql = "UPDATE loan_span SET to_day = ? WHERE span_id = ?"
        work.database.execute(sql, [to_day.isoformat(), found["span_id"]])
