"""Loans as people see them: masked, and a bank's people their own bank's only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.members import open_member
from matcher.bureau.office import Office
from matcher.households.cases import care_of
from matcher.loans.errors import BankUnknown, BorrowerUnknown, LoanUnknown
from matcher.loans.file_import import RowReject
from matcher.masking import mask_name
from matcher.personal.fields import shown_reasons
from psi.identifiers import mask


@dataclass(frozen=True)
class Filter:
    """Which loans; empty fields ask nothing. ``township``: a prefix of the division; ``number``: a contract's or a
    household's."""

    state: str = ""
    subsidy_state: str = ""
    product: str = ""
    township: str = ""
    bank: str = ""
    household_id: int | None = None
    contract_no: str = ""
    number: str = ""


@dataclass(frozen=True)
class LoanTotals:
    """Of all loans that a filter chooses; amounts in 分."""

    loans: int
    households: int
    principal: int
    balance: int


@dataclass(frozen=True)
class LoanRow:
    """One loan. ``borrower`` and ``item`` are masked; amounts in 分, ``balance`` is what is owed today."""

    loan_id: int
    contract_no: str
    bank: str
    household_id: int
    household_no: str
    division: str
    borrower: str
    item: str
    product: str
    state: str
    subsidy_state: str
    principal: int
    balance: int
    contract_rate: str
    customer_rate: str
    applied_on: str
    signed_on: str | None
    starts_on: str | None
    ends_on: str | None
    ended_on: str | None
    manager: str


@dataclass(frozen=True)
class LoanDetail:
    """``entries``: reference, kind, on_day, amount, reversed_on; ``spans``: kind, from_day, to_day, reason, remark."""

    loan: LoanRow
    purpose: str
    policy: str | None
    listed_from: str | None
    facility_no: str | None
    facility_amount: int | None
    facility_agreed_on: str | None
    facility_ends_on: str | None
    commitment_no: str | None
    commitment_signed_on: str | None
    commitment_id: int | None
    template_version: str | None
    text_sha256: str | None
    image_sha256: str | None
    entries: tuple[dict[str, Any], ...]
    spans: tuple[dict[str, Any], ...]


_OWED = """(SELECT COALESCE(SUM(CASE kind WHEN 'drawdown' THEN amount WHEN 'repayment' THEN -amount ELSE 0 END), 0)
         FROM movement WHERE movement.loan_id = loan.loan_id)"""
_ROWS = f"""
    SELECT loan_id, loan.contract_no, loan.bank AS fingerprint, bank.name AS bank, loan.household_id, household_no,
        division, member_id, member.sealed, product, loan.state, subsidy_state, principal,
        {_OWED} AS balance,
        contract_rate, customer_rate, applied_on, loan.signed_on, starts_on, loan.ends_on, ended_on, loan.manager
    FROM loan JOIN household USING (household_id) JOIN bank ON bank.fingerprint = loan.bank
    JOIN member ON member_id = borrower
"""  # noqa: S608 (our own text)
_MORE = """
    SELECT purpose, loan.policy, listing.effective_from AS listed_from, facility_no,
        facility.amount AS facility_amount, agreed_on AS facility_agreed_on, facility.ends_on AS facility_ends_on,
        commitment_no,
        commitment.signed_on AS commitment_signed_on, commitment_id, template_version, text_sha256,
        attachment.sha256 AS image_sha256
    FROM loan LEFT JOIN listing USING (listing_id) LEFT JOIN facility USING (facility_id)
    LEFT JOIN commitment USING (commitment_id) LEFT JOIN attachment USING (attachment_id) WHERE loan_id = ?
"""
_ENTRIES = """
    SELECT reference, kind, on_day, amount, NULL AS reversed_on FROM movement WHERE loan_id = ?1
    UNION ALL SELECT reference, kind, on_day, amount, reversed_on FROM reversed_movement WHERE loan_id = ?1
    ORDER BY on_day, reference
"""


def find_rows(office: Office, actor: Actor, where: Filter, after: int, limit: int) -> list[LoanRow]:
    conditions, values = _conditions(actor, where)
    sql = f"{_ROWS} WHERE loan_id > ? AND {conditions} ORDER BY loan_id LIMIT ?"
    return [_row(office, row) for row in office.database.query(sql, [after, *values, limit])]


def sum_up(office: Office, actor: Actor, where: Filter) -> LoanTotals:
    conditions, values = _conditions(actor, where)
    sql = (
        "SELECT COUNT(*), COUNT(DISTINCT household_id), COALESCE(SUM(principal), 0), COALESCE(SUM(owed), 0)"  # noqa: S608
        f" FROM (SELECT loan.household_id, principal, {_OWED} AS owed FROM loan JOIN household USING (household_id)"
        f" WHERE {conditions})"
    )
    return LoanTotals(*office.database.execute(sql, values).fetchone())


def list_choices(office: Office, actor: Actor) -> dict[str, list[str]]:
    """The townships and products that loans in the account's care have, for filters."""
    conditions, values = _conditions(actor, Filter())
    found = {}
    for name, column in (("townships", "substr(division, 1, 9)"), ("products", "product")):
        sql = f"SELECT DISTINCT {column} FROM loan JOIN household USING (household_id) WHERE {conditions} ORDER BY 1"  # noqa: S608
        found[name] = [value for (value,) in office.database.execute(sql, values).fetchall()]
    return found


def _conditions(actor: Actor, where: Filter) -> tuple[str, list[object]]:
    conditions, values = ["1"], list[object]()
    asked: list[tuple[str, object]] = [
        ("loan.state = ?", where.state),
        ("subsidy_state = ?", where.subsidy_state),
        ("product = ?", where.product),
        ("loan.bank = ?", where.bank),
        ("loan.bank = ?", actor.bank),
        ("loan.household_id = ?", where.household_id),
        ("loan.contract_no = ?", where.contract_no),
        ("? IN (loan.contract_no, household_no)", where.number),
    ]
    for condition, value in asked:
        if value:
            conditions.append(condition)
            values.append(value)
    for prefixes in filter(None, (actor.townships, (where.township,) if where.township else ())):
        conditions.append("(" + " OR ".join(["substr(division, 1, ?) = ?"] * len(prefixes)) + ")")
        values += [part for prefix in prefixes for part in (len(prefix), prefix)]
    return " AND ".join(conditions), values


def read_detail(office: Office, actor: Actor, loan_id: int) -> LoanDetail:
    found = list(office.database.query(f"{_ROWS} WHERE loan_id = ?", [loan_id]))
    if not found:
        raise LoanUnknown("no such loan", loan_id=loan_id)
    actor.require(Permission.SEE_LOANS, division=found[0]["division"], bank=found[0]["fingerprint"])
    (more,) = office.database.query(_MORE, [loan_id])
    entries = office.database.query(_ENTRIES, [loan_id])
    spans = office.database.query(
        "SELECT kind, from_day, to_day, reason, remark FROM loan_span WHERE loan_id = ? ORDER BY from_day", [loan_id]
    )
    shown = [span | {"reason": ",".join(shown_reasons(actor, filter(None, [span["reason"]])))} for span in spans]
    return LoanDetail(loan=_row(office, found[0]), **more, entries=tuple(entries), spans=tuple(shown))


def read_files(office: Office, actor: Actor, limit: int) -> list[dict[str, Any]]:
    files = list(
        office.database.query(
            "SELECT file_id, bank.name AS bank, business_date, rows, accepted, imported_by, imported_at, sha256"
            " FROM loan_file JOIN bank ON bank.fingerprint = loan_file.bank"
            " WHERE ?1 IS NULL OR loan_file.bank = ?1 ORDER BY file_id DESC LIMIT ?2",
            [actor.bank, limit],
        )
    )
    for file in files:
        rejects = office.database.query(
            "SELECT sheet, row, reason, column_name AS heading, masked_item AS number, params FROM loan_file_reject"
            " WHERE file_id = ? ORDER BY sheet, row",
            [file["file_id"]],
        )
        file["rejects"] = [RowReject(**reject | {"params": json.loads(reject["params"])}) for reject in rejects]
    return files


def commitment_values(office: Office, actor: Actor, household_id: int, bank: str) -> dict[str, str]:
    """The part of the commitment's text that a household in the account's care has, for its applicant."""
    care, values = care_of(actor)
    names = office.database.execute("SELECT name FROM bank WHERE fingerprint = ?", [bank]).fetchone()
    if names is None:
        raise BankUnknown("no such bank", bank=bank)
    row = office.database.execute(
        "SELECT household_no, member_id, sealed FROM household JOIN member USING (household_id)"  # noqa: S608
        f" WHERE household_id = ? AND left_at IS NULL AND {care} ORDER BY is_applicant DESC, member_id LIMIT 1",
        [household_id, *values],
    ).fetchone()
    if row is None:
        raise BorrowerUnknown("no such household in this account's care, or one without members", item="")
    person = open_member(office.personal, row[1], row[2])
    return {"household_no": row[0], "bank": names[0], "masked_item": mask(person.item)}


def _row(office: Office, row: dict[str, Any]) -> LoanRow:
    del row["fingerprint"]
    person = open_member(office.personal, row.pop("member_id"), row.pop("sealed"))
    return LoanRow(**row, borrower=mask_name(person.name), item=mask(person.item))
