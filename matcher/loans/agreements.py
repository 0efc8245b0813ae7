"""What is agreed before money moves: facilities, commitments, applications and contracts, with their guards."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from matcher.households.families import CASES_OF_FAMILY
from matcher.loans.borrowers import Borrower, find_listed, find_listed_or_known
from matcher.loans.commitment import load_template
from matcher.loans.errors import (
    CapExceeded,
    CommitmentDiffers,
    CommitmentMissing,
    ContractDiffers,
    FacilityDiffers,
    FacilityExceeded,
    FacilityUnknown,
)
from matcher.loans.events import CommitmentSigned, ContractSigned, FacilityGranted, LoanApplied, Recorded
from matcher.loans.terms import check_terms, product_code
from matcher.loans.work import Work, same
from matcher.policy import Policy
from matcher.subsidy.lines import yuan

# Contracts of a household, and of the same family's cases in other years, that share days with the new one.
_SIDE_BY_SIDE = f"""
    {CASES_OF_FAMILY}
    SELECT COALESCE(SUM(principal), 0) FROM loan
    WHERE household_id IN family_case AND signed_on IS NOT NULL AND loan_id <> ?2
    AND starts_on < ?4 AND (ended_on > ?3 OR (ended_on IS NULL AND (ends_on > ?3 OR state = 'OVERDUE')))
"""  # noqa: S608 (our own text)
_UNDER_FACILITY = """
    SELECT COALESCE(SUM(principal), 0) FROM loan
    WHERE facility_id = ?1 AND signed_on IS NOT NULL AND loan_id <> ?2
    AND starts_on < ?4 AND (ended_on > ?3 OR (ended_on IS NULL AND (ends_on > ?3 OR state = 'OVERDUE')))
"""


def grant(work: Work, event: FacilityGranted) -> Recorded:
    """Raises DayInFuture, FacilityDiffers, BorrowerUnknown, NotOnFinalList, TwoHouseholds."""
    work.require_past(event.on_day)
    values: dict[str, Any] = {
        "amount": event.amount,
        "agreed_on": event.on_day.isoformat(),
        "ends_on": event.ends_on.isoformat(),
        "manager": event.manager,
    }
    known = work.first("SELECT * FROM facility WHERE bank = ? AND facility_no = ?", [work.bank, event.facility_no])
    if known is not None:
        if not same(known, values) or not _is_member(work, known["household_id"], event.item):
            raise FacilityDiffers("a facility of this number says something else", facility_no=event.facility_no)
        return Recorded(f"facility/{known['facility_id']}", False)
    borrower = find_listed(work, event.item, event.on_day)
    values |= {"household_id": borrower.household_id, "bank": work.bank, "facility_no": event.facility_no}
    subject = f"facility/{work.insert('facility', {**values, 'created_at': work.office.now()})}"
    work.record("facility.grant", subject, after=values)
    return Recorded(subject, True)


def commit(work: Work, event: CommitmentSigned) -> Recorded:
    """Raises DayInFuture, CommitmentDiffers, TemplateUnknown, BorrowerUnknown, TwoHouseholds."""
    work.require_past(event.on_day)
    known = work.first(
        "SELECT * FROM commitment WHERE bank = ? AND commitment_no = ?", [work.bank, event.commitment_no]
    )
    template = load_template(event.template_version or (known or {}).get("template_version", ""))
    values: dict[str, Any] = {
        "contract_no": event.contract_no,
        "signed_on": event.on_day.isoformat(),
        "way": event.way,
        "witness": event.witness,
        "template_version": template.version,
        "text_sha256": template.sha256,
    }
    if known is not None:
        if not same(known, values) or not _is_person(work, known["signer"], event.item):
            raise CommitmentDiffers(
                "a commitment of this number says something else", commitment_no=event.commitment_no
            )
        return Recorded(f"commitment/{known['commitment_id']}", False)
    signer = find_listed_or_known(work, event.item, event.on_day)
    values |= {
        "bank": work.bank,
        "commitment_no": event.commitment_no,
        "household_id": signer.household_id,
        "signer": signer.member_id,
    }
    number = work.insert("commitment", {**values, "entered_by": work.actor.name, "entered_at": work.office.now()})
    work.record("commitment.sign", f"commitment/{number}", after=values)
    loan = work.find_loan(event.contract_no)
    if loan is not None and loan["state"] == "APPLIED" and _is_person(work, loan["borrower"], event.item):
        work.move(loan, "COMMITMENT_SIGNED", commitment_id=number)
    return Recorded(f"commitment/{number}", True)


def apply(work: Work, event: LoanApplied) -> Recorded:
    """Raises DayInFuture, ContractDiffers, BorrowerUnknown, TwoHouseholds, PolicyUnknown, ProductNotAllowed."""
    work.require_past(event.on_day)
    borrower = find_listed_or_known(work, event.item, event.on_day)
    policy = work.policies.policy_for(borrower.division[:6], event.on_day).policy
    event = replace(event, product=product_code(policy, event.product))
    values = _applied(event) | {"applied_on": event.on_day.isoformat()}
    known = work.find_loan(event.contract_no)
    if known is not None:
        # What was applied for may differ from what was signed then; only an open application is compared.
        is_open = known["signed_on"] is None
        if not _is_person(work, known["borrower"], event.item) or (is_open and not same(known, values)):
            raise ContractDiffers("a contract of this number says something else", contract_no=event.contract_no)
        return Recorded(f"loan/{known['loan_id']}", False)
    return Recorded(f"loan/{_begin(work, event, borrower, event.on_day)}", True)


def sign(work: Work, event: ContractSigned) -> Recorded:
    """Take a loan from its application, if there was one, to CONTRACTED. Every guard of the programme is here.

    Raises DayInFuture, ContractDiffers, BorrowerUnknown, NotOnFinalList, TwoHouseholds, PolicyUnknown, DatesInvalid,
    ProductNotAllowed, TermNotAllowed, RateNotAllowed, CommitmentMissing, CapExceeded, FacilityUnknown,
    FacilityExceeded, MoveInvalid.
    """
    work.require_past(event.on_day)
    loan = work.find_loan(event.contract_no)
    if loan is not None and loan["signed_on"] is not None:
        return _recognise(work, loan, event)
    borrower = find_listed(work, event.item, event.starts_on)
    if loan is not None and not _is_person(work, loan["borrower"], event.item):
        raise ContractDiffers("another person applied for it", contract_no=event.contract_no)
    loaded = work.policies.policy_for(borrower.division[:6], event.on_day)
    event = replace(event, product=product_code(loaded.policy, event.product))
    check_terms(loaded.policy, event)
    commitment_id = _commitment(work, event, borrower)
    facility_id = _facility(work, event, borrower)
    if loan is None:
        _begin(work, event, borrower, event.on_day)
        loan = work.loan(event.contract_no)
    _check_cap(work, loaded.policy, loan["loan_id"], event, borrower)
    if loan["state"] == "APPLIED":
        work.move(loan, "COMMITMENT_SIGNED", commitment_id=commitment_id)
    work.move(loan, "CREDIT_APPROVED", facility_id=facility_id)
    values = _contracted(event) | {
        "household_id": borrower.household_id,
        "borrower": borrower.member_id,
        "listing_id": borrower.listing_id,
        "commitment_id": commitment_id,
        "policy": loaded.sha256,
    }
    work.move(loan, "CONTRACTED", **values)
    subject = f"loan/{loan['loan_id']}"
    work.record("loan.sign", subject, after=values)
    return Recorded(subject, True)


def _begin(work: Work, event: LoanApplied, borrower: Borrower, applied_on: date) -> int:
    now = work.office.now()
    values = _applied(event) | {
        "household_id": borrower.household_id,
        "borrower": borrower.member_id,
        "bank": work.bank,
        "contract_no": event.contract_no,
        "state": "APPLIED",
        "subsidy_state": "ELIGIBLE",
        "applied_on": applied_on.isoformat(),
    }
    loan_id = work.insert("loan", values | {"changed_at": now, "created_at": now})
    work.record("loan.apply", f"loan/{loan_id}", after=values)
    return loan_id


def _applied(event: LoanApplied) -> dict[str, Any]:
    return {
        "product": event.product,
        "purpose": event.purpose,
        "principal": event.principal,
        "contract_rate": str(event.contract_rate),
        "customer_rate": str(event.customer_rate),
        "manager": event.manager,
    }


def _contracted(event: ContractSigned) -> dict[str, Any]:
    return _applied(event) | {
        "signed_on": event.on_day.isoformat(),
        "starts_on": event.starts_on.isoformat(),
        "ends_on": event.ends_on.isoformat(),
    }


def _recognise(work: Work, loan: dict[str, Any], event: ContractSigned) -> Recorded:
    """The contract as it was signed, again. An extension has moved the stored end since."""
    end = work.database.execute(
        "SELECT from_day FROM loan_span WHERE loan_id = ? AND kind = 'extension'", [loan["loan_id"]]
    ).fetchone()
    signed = {**loan, "ends_on": end[0]} if end else loan
    event = replace(event, product=product_code(work.policies.by_sha256(loan["policy"]).policy, event.product))
    if not same(signed, _contracted(event)) or not _is_person(work, loan["borrower"], event.item):
        raise ContractDiffers("a contract of this number says something else", contract_no=event.contract_no)
    return Recorded(f"loan/{loan['loan_id']}", False)


def _commitment(work: Work, event: ContractSigned, borrower: Borrower) -> int:
    """The commitment that the borrower signed for this contract by its first day."""
    row = work.database.execute(
        "SELECT commitment_id FROM commitment JOIN member ON member_id = signer"
        " WHERE bank = ?1 AND contract_no = ?2 AND item_ref = ?3 AND signed_on <= ?4 AND ?5 IN ('', commitment_no)"
        " ORDER BY signed_on DESC, commitment_id DESC LIMIT 1",
        [
            work.bank,
            event.contract_no,
            work.reference(event.item),
            event.starts_on.isoformat(),
            event.commitment_no,
        ],
    ).fetchone()
    if row is None:
        raise CommitmentMissing("no commitment for this contract by its first day", contract_no=event.contract_no)
    return int(row[0])


def _facility(work: Work, event: ContractSigned, borrower: Borrower) -> int | None:
    if not event.facility_no:
        return None
    found = work.first(
        "SELECT facility_id, amount FROM facility WHERE bank = ?1 AND facility_no = ?2 AND household_id = ?3"
        " AND agreed_on <= ?4 AND ?4 < ends_on",
        [work.bank, event.facility_no, borrower.household_id, event.on_day.isoformat()],
    )
    if found is None:
        raise FacilityUnknown("the household has no such facility that day", facility_no=event.facility_no)
    wanted = _side_by_side(work, _UNDER_FACILITY, found["facility_id"], 0, event) + event.principal
    if wanted > found["amount"]:
        raise FacilityExceeded(
            "the facility's contracts exceed it",
            facility_no=event.facility_no,
            amount=yuan(found["amount"]),
            wanted=yuan(wanted),
        )
    return int(found["facility_id"])


def _check_cap(work: Work, policy: Policy, loan_id: int, event: ContractSigned, borrower: Borrower) -> None:
    cap = policy.loan.household_cap
    wanted = _side_by_side(work, _SIDE_BY_SIDE, borrower.household_id, loan_id, event) + event.principal
    if wanted > cap:
        raise CapExceeded("the household's loans exceed its cap", cap=yuan(cap), wanted=yuan(wanted))


def _side_by_side(work: Work, sql: str, of: int, loan_id: int, event: ContractSigned) -> int:
    days = [event.starts_on.isoformat(), event.ends_on.isoformat()]
    (total,) = work.database.execute(sql, [of, loan_id, *days]).fetchone()
    return int(total)


def _is_person(work: Work, member_id: int, item: str) -> bool:
    (reference,) = work.database.execute("SELECT item_ref FROM member WHERE member_id = ?", [member_id]).fetchone()
    return bool(reference == work.reference(item))


def _is_member(work: Work, household_id: int, item: str) -> bool:
    reference = work.reference(item)
    sql = "SELECT 1 FROM member WHERE household_id = ? AND item_ref = ?"
    return work.database.execute(sql, [household_id, reference]).fetchone() is not None
