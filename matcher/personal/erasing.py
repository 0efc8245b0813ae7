"""What a purge deletes, as statements: ?1 is the moment before which a record's clock must have started.

What several parts still count (visits, decisions, loans, subsidy) stays as a row that names nobody; everything that
says who lived in a household goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matcher.personal.retention import Kind


@dataclass(frozen=True)
class Rows:
    """Rows of one table that go by themselves. ``reference`` names a row in SQL; ``change`` replaces a DELETE."""

    kind: Kind
    table: str
    reference: str
    where: str
    change: str | None = None

    @property
    def select(self) -> str:
        return f"SELECT {self.reference} FROM {self.table} WHERE {self.where}"  # noqa: S608

    @property
    def erase(self) -> str:
        return f"{self.change or f'DELETE FROM {self.table}'} WHERE {self.where}"  # noqa: S608


ROWS: tuple[Rows, ...] = (
    Rows(
        "answers",
        "department_check",
        "'check/' || check_id",
        "entered_at < ?1 AND household_id IN (SELECT household_id FROM household WHERE state NOT IN ('TO_VISIT',"
        " 'VISITED', 'PENDING_REVIEW', 'IN_REVIEW', 'APPROVED', 'RETURNED', 'CONFIRMING'))",
    ),
    Rows(
        "places",
        "visit",
        "'visit/' || visit_id",
        "sealed_place IS NOT NULL AND state IN ('ACCEPTED', 'FAILED', 'CANCELLED') AND updated_at < ?1",
        "UPDATE visit SET sealed_place = NULL",
    ),
    Rows(
        "refused_rows",
        "refused_row",
        "'refused_row/' || handover_id || '/' || row",
        "handover_id IN (SELECT handover_id FROM handover WHERE imported_at < ?1)",
    ),
    Rows(
        "refused_rows",
        "loan_file_reject",
        "'loan_file_reject/' || file_id || '/' || sheet || '/' || row",
        "file_id IN (SELECT file_id FROM loan_file WHERE imported_at < ?1)",
    ),
    Rows("sign_ins", "session", "'session/' || lower(hex(token_sha256))", "coalesce(ended_at, expires_at) < ?1"),
    Rows("sign_ins", "sign_in_origin", "'sign_in_origin/' || account_id || '/' || lower(hex(device))", "used_at < ?1"),
    Rows("sign_ins", "idempotency", "'idempotency/' || account || '/' || key", "at < ?1"),
)

# Households whose clock has run out.
DUE: Mapping[Kind, str] = {
    "not_admitted": """
        INSERT INTO due SELECT household_id, 'not_admitted' FROM household
        WHERE purged_at IS NULL AND state IN ('MATCHED', 'REFINED_OUT', 'REJECTED') AND state_since < ?1
    """,
    "ended": """
        INSERT INTO due SELECT household_id, 'ended' FROM household
        WHERE purged_at IS NULL AND state IN ('GRADUATED', 'REMOVED') AND state_since < ?1
        AND NOT EXISTS (
            SELECT 1 FROM loan WHERE loan.household_id = household.household_id AND loan.changed_at >= ?1)
        AND NOT EXISTS (
            SELECT 1 FROM loan JOIN interest_line USING (loan_id) JOIN claim USING (claim_id)
            WHERE loan.household_id = household.household_id AND claim.updated_at >= ?1)
    """,
}

# And those of them that are kept because something about them is open, by why.
HELD: Mapping[str, str] = {
    "claim_open": """
        SELECT household_id FROM due JOIN loan USING (household_id) JOIN interest_line USING (loan_id)
        LEFT JOIN claim USING (claim_id)
        WHERE claim.state <> 'CLOSED' OR (interest_line.claim_id IS NULL AND claimable = 1)
    """,
    "loan_open": """
        SELECT household_id FROM due JOIN loan USING (household_id)
        WHERE loan.state NOT IN ('SETTLED', 'EARLY_SETTLED', 'WRITTEN_OFF')
    """,
    "objection_open": "SELECT household_id FROM due JOIN objection USING (household_id) WHERE closed_at IS NULL",
    "decision_open": """
        SELECT household_id FROM due JOIN decision USING (household_id)
        WHERE decision.state = 'proposed'
    """,
    "visit_open": """
        SELECT household_id FROM due JOIN visit USING (household_id)
        WHERE visit.state NOT IN ('ACCEPTED', 'FAILED', 'CANCELLED')
    """,
}

# What is deleted of a household, named so that whoever has a backup can tell exactly these rows.
REFERENCES = """
    SELECT kind, 'household/' || household_id || ' ' || dataset || ' ' || household_no
    FROM due JOIN household USING (household_id)
    UNION ALL
    SELECT kind, 'member/' || member_id || ' ' || lower(hex(item_ref)) FROM due JOIN member USING (household_id)
"""

# Whose attachments go; the commitments let go of their images first.
SUBJECTS = """
    SELECT 'visit/' || visit_id FROM visit JOIN due USING (household_id)
    UNION ALL SELECT 'commitment/' || commitment_id FROM commitment JOIN due USING (household_id)
"""

_OF_DUE = "household_id IN (SELECT household_id FROM due)"
_VISITS = f"visit_id IN (SELECT visit_id FROM visit WHERE {_OF_DUE})"  # noqa: S608
_CANDIDATES = f"candidate_id IN (SELECT candidate_id FROM candidate WHERE {_OF_DUE})"  # noqa: S608

LET_GO = f"UPDATE commitment SET attachment_id = NULL, witness = '' WHERE {_OF_DUE}"  # noqa: S608

# In an order that the foreign keys allow. ?1 is the time.
ERASE: tuple[str, ...] = (
    f"UPDATE loan SET purpose = '' WHERE {_OF_DUE}",  # noqa: S608
    f"DELETE FROM form WHERE {_VISITS}",  # noqa: S608
    f"UPDATE visit SET sealed_place = NULL WHERE {_OF_DUE}",  # noqa: S608
    f"UPDATE decision SET sealed = x'', sealed_answer = NULL WHERE {_OF_DUE}",  # noqa: S608
    f"DELETE FROM objection WHERE {_OF_DUE}",  # noqa: S608
    f"DELETE FROM department_check WHERE {_OF_DUE}",  # noqa: S608
    f"UPDATE member SET candidate_id = NULL WHERE {_OF_DUE}",  # noqa: S608
    f"""DELETE FROM member WHERE {_OF_DUE} AND member_id NOT IN (SELECT borrower FROM loan)
        AND member_id NOT IN (SELECT signer FROM commitment)""",  # noqa: S608
    f"DELETE FROM candidate_source WHERE {_CANDIDATES}",  # noqa: S608
    f"DELETE FROM candidate WHERE {_OF_DUE}",  # noqa: S608
    f"DELETE FROM conflict WHERE {_OF_DUE}",  # noqa: S608
    # Loans go on sharing a family's cap, so that what was claimed does not come out otherwise.
    """DELETE FROM household_link WHERE EXISTS (
        SELECT 1 FROM due WHERE due.household_id IN (household_link.household_id, household_link.earlier_id)
        AND due.household_id NOT IN (SELECT household_id FROM loan))""",
    f"UPDATE household_move SET reasons = '', remark = '' WHERE {_OF_DUE}",  # noqa: S608
    f"""UPDATE household SET household_no = 'purged-' || household_id, reasons = '', claimed_by = NULL,
        claimed_at = NULL, purged_at = ?1 WHERE {_OF_DUE}""",  # noqa: S608
)

# Members whom a loan or a commitment names: the row stays and says nothing.
STILL_NAMED = f"SELECT member_id FROM member WHERE {_OF_DUE}"  # noqa: S608
EMPTIED = """
    UPDATE member SET sealed = ?, item_ref = ?, name_ref = ?, left_at = ?, updated_at = ? WHERE member_id = ?
"""
