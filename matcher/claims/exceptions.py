"""What a person has to look at before a claim goes on. Found by the program, settled by people, with a word why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.errors import ClaimUnknown, ExceptionSettled
from matcher.claims.sight import require_sight, require_sight_of
from matcher.claims.steps import open_claim, require_touchable
from matcher.households.families import read_families
from matcher.personal.fields import require_plain

KINDS = {
    "late": "往年应付、本年才付清的利息",
    "correction": "对以前已申报利息的更正",
    "off_list": "家庭已移出或暂停，仍有贴息",
    "conflict": "家庭有未处理的冲突",
    "borrower_twice": "借款人同时属于另一家庭，另一家庭也有贷款",
    "difference": "与银行自己的数字不一致",
    "finding": "审计抽查发现的问题",
}

_Found = tuple[int | None, int | None, str]  # line, loan, detail as JSON

# ?1 is the claim; rows are as _Found.
_FOUND = {
    "late": """
        SELECT line_id, loan_id, json_object('settled_on', settled_on) FROM interest_line
        JOIN claim USING (claim_id) WHERE claim_id = ?1 AND kind = 'regular' AND claim_year < claim.year""",
    "correction": """
        SELECT line_id, loan_id, json_object('adjusts', adjusts, 'excess', excess, 'reason', reason)
        FROM interest_line WHERE claim_id = ?1 AND kind = 'adjustment'""",
    "off_list": """
        SELECT NULL, loan_id, json_object('household', household_id, 'state', household.state, 'excess', SUM(excess))
        FROM interest_line JOIN loan USING (loan_id) JOIN household USING (household_id)
        WHERE claim_id = ?1 AND household.state IN ('REMOVED', 'SUSPENDED')
        GROUP BY loan_id HAVING SUM(excess) > 0""",
    "conflict": """
        SELECT DISTINCT NULL, loan_id, json_object('household', household_id, 'conflict', conflict.kind)
        FROM interest_line JOIN loan USING (loan_id) JOIN conflict USING (household_id)
        WHERE claim_id = ?1 AND conflict.settled_at IS NULL""",
    "borrower_twice": """
        SELECT DISTINCT NULL, loan.loan_id, json_object('household', loan.household_id, 'other', other.household_id)
        FROM interest_line JOIN loan USING (loan_id) JOIN member ON member.member_id = loan.borrower
        JOIN member other ON other.item_ref = member.item_ref AND other.household_id <> loan.household_id
        JOIN loan theirs ON theirs.household_id = other.household_id
        WHERE interest_line.claim_id = ?1""",
}


@dataclass(frozen=True)
class ClaimException:
    """One of them. ``detail`` holds numbers and codes, no personal data."""

    exception_id: int
    claim_id: int
    line_id: int | None
    contract_no: str | None
    kind: str
    detail: dict[str, Any]
    settled_by: str | None
    settlement: str | None


def find_within(database: Database, claim_id: int) -> int:
    """Note what a newly frozen claim's lines give cause to; returns how many."""
    found = 0
    for kind, sql in _FOUND.items():
        rows = database.execute(sql, [claim_id]).fetchall()
        if kind == "borrower_twice":
            rows = _of_two_families(database, rows)
        found += add_within(database, claim_id, kind, rows)
    return found


def _of_two_families(database: Database, rows: Sequence[_Found]) -> list[_Found]:
    """Without those whose other household is the same family in another year: they share a cap."""
    families = read_families(database)

    def is_one(about: dict[str, int]) -> bool:
        return families.get(about["household"], 0) == families.get(about["other"], -1)

    return [row for row in rows if not is_one(json.loads(row[2]))]


def add_within(database: Database, claim_id: int, kind: str, rows: Iterable[_Found]) -> int:
    """Note them; returns how many."""
    values = [(claim_id, line_id, loan_id, kind, detail) for line_id, loan_id, detail in rows]
    database.conn.executemany(
        "INSERT INTO claim_exception (claim_id, line_id, loan_id, kind, detail) VALUES (?, ?, ?, ?, ?)", values
    )
    return len(values)


def count_within(database: Database, claim_id: int) -> dict[str, int]:
    """How many of each kind there are, settled ones too; kinds without any are left out."""
    sql = "SELECT kind, COUNT(*) FROM claim_exception WHERE claim_id = ? GROUP BY kind"
    return dict(database.execute(sql, [claim_id]).fetchall())


def list_within(
    database: Database, claim_id: int, kind: str = "", first: int = 0, count: int = -1
) -> list[ClaimException]:
    """Those that are open first; of one kind or of all."""
    rows = database.execute(
        "SELECT exception_id, claim_id, line_id, contract_no, kind, detail, settled_by, settlement FROM claim_exception"
        " LEFT JOIN loan USING (loan_id) WHERE claim_id = ?1 AND (?2 = '' OR kind = ?2)"
        " ORDER BY settled_at IS NOT NULL, exception_id LIMIT ?3 OFFSET ?4",
        [claim_id, kind, count, first],
    )
    return [
        ClaimException(number, claim, line, contract_no, kind, json.loads(detail), settled_by, settlement)
        for number, claim, line, contract_no, kind, detail, settled_by, settlement in rows.fetchall()
    ]


def settle_within(office: Office, actor: Actor, exception_id: int, settlement: str) -> None:
    """Raises ClaimUnknown, NotAllowed, MoveInvalid, ExceptionSettled, TextNotPlain."""
    require_sight(actor)
    database = office.database
    row = database.execute(
        "SELECT claim_id, kind, settled_at FROM claim_exception WHERE exception_id = ?", [exception_id]
    ).fetchone()
    if row is None:
        raise ClaimUnknown("no such exception", what="exception", number=exception_id)
    claim_id, kind, settled_at = row
    require_sight_of(database, actor, claim_id)
    permission = Permission.AUDIT_CLAIM if kind == "finding" else Permission.PREPARE_CLAIM
    require_touchable(open_claim(office, actor, claim_id, permission))
    if settled_at is not None:
        raise ExceptionSettled("settled already", exception=exception_id)
    why = require_plain(settlement, "settlement")
    database.execute(
        "UPDATE claim_exception SET settled_by = ?, settlement = ?, settled_at = ? WHERE exception_id = ?",
        [actor.name, why, office.now(), exception_id],
    )
    office.record_within(
        actor, "claim.settle", f"claim/{claim_id}", exception=exception_id, kind=kind, after={"why": why}
    )
