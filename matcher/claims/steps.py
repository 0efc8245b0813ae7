"""A claim's steps: where each leads, who may take it, what must be done before.

The moves themselves are matcher.states.CLAIM; that a second person takes some of them stands in the schema's
OTHER_PERSON, which the database checks too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlite_utils import Database

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.bureau.schema.claims import OTHER_PERSON
from matcher.claims.errors import ClaimNotReady, ClaimTampered, ClaimUnknown
from matcher.claims.lines import digest_lines
from matcher.states import CLAIM, MoveInvalid


class Step(StrEnum):
    CHECK = "check"
    AUDIT = "audit"
    SUBMIT = "submit"
    TAKE_UP = "take-up"
    RETURN = "return"
    APPROVE = "approve"
    PASS_ON = "pass-on"  # noqa: S105 (no password)
    GRANT = "grant"
    PAY = "pay"
    CLOSE = "close"


@dataclass(frozen=True)
class Move:
    to_state: str
    permission: Permission


FREEZE = Move("CALCULATED", Permission.PREPARE_CLAIM)
MOVES: Mapping[Step, Move] = {
    Step.CHECK: Move("BANK_CHECKED", Permission.PREPARE_CLAIM),
    Step.AUDIT: Move("AUDITED", Permission.AUDIT_CLAIM),
    Step.SUBMIT: Move("SUBMITTED", Permission.PREPARE_CLAIM),
    Step.TAKE_UP: Move("COUNTY_REVIEW", Permission.REVIEW_CLAIM),
    Step.RETURN: Move("RETURNED", Permission.REVIEW_CLAIM),
    Step.APPROVE: Move("COUNTY_APPROVED", Permission.REVIEW_CLAIM),
    Step.PASS_ON: Move("PROVINCE_REVIEW", Permission.REVIEW_CLAIM),
    Step.GRANT: Move("APPROVED", Permission.APPROVE_CLAIM),
    Step.PAY: Move("PAID", Permission.PAY_CLAIM),
    Step.CLOSE: Move("CLOSED", Permission.PAY_CLAIM),
}
TOUCHABLE = ("CALCULATED", "BANK_CHECKED", "AUDITED", "RETURNED")  # exceptions can still be settled


@dataclass(frozen=True)
class ClaimRow:
    """One row of ``claim``."""

    claim_id: int
    bank: str
    county: str
    year: int
    state: str
    through: str | None
    digest: str | None
    seed: str | None
    reconciled: str | None
    created_by: str
    created_at: str
    updated_at: str


_CLAIM = (
    "SELECT claim_id, bank, county, year, state, through, digest, seed, reconciled, created_by, created_at, updated_at"
    " FROM claim"
)


def read_claim(database: Database, claim_id: int) -> ClaimRow:
    """Raises ClaimUnknown."""
    row = database.execute(f"{_CLAIM} WHERE claim_id = ?", [claim_id]).fetchone()
    if row is None:
        raise ClaimUnknown("no such claim", what="claim", number=claim_id)
    return ClaimRow(*row)


def open_claim(office: Office, actor: Actor, claim_id: int, permission: Permission) -> ClaimRow:
    """The claim, for an account that may do this with it. Raises ClaimUnknown, NotAllowed."""
    actor.require(permission)
    claim = read_claim(office.database, claim_id)
    actor.require(permission, division=claim.county, bank=claim.bank)
    return claim


def require_touchable(claim: ClaimRow) -> None:
    """Raises MoveInvalid: not frozen yet, or on its way through the offices."""
    if claim.state not in TOUCHABLE:
        raise MoveInvalid("not at this stage", what=CLAIM.name, present=claim.state, wanted=claim.state)


def move_within(office: Office, actor: Actor, claim: ClaimRow, to_state: str, remark: str, **columns: str) -> int:
    """Take a claim to another state, with its step and its audit row; returns the audit row's number.

    Raises MoveInvalid, SamePerson, ClaimTampered.
    """
    CLAIM.check(claim.state, to_state)
    require_second_person(office.database, actor, claim.claim_id, to_state)
    if claim.digest is not None:
        check_digest(office.database, claim)
    now, database = office.now(), office.database
    values = {"state": to_state, "updated_at": now, **columns}
    assigned = ", ".join(f"{name} = ?" for name in values)
    database.execute(
        f"UPDATE claim SET {assigned} WHERE claim_id = ? AND state = ?",  # noqa: S608 (our own names)
        [*values.values(), claim.claim_id, claim.state],
    )
    seq = office.record_within(
        actor,
        "claim.move",
        f"claim/{claim.claim_id}",
        old=claim.state,
        new=to_state,
        lines=columns.get("digest", claim.digest),
    )
    database.execute(
        "INSERT INTO claim_step (claim_id, from_state, to_state, account, remark, at, audit_seq)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [claim.claim_id, claim.state, to_state, actor.name, remark, now, seq],
    )
    return seq


def require_second_person(database: Database, actor: Actor, claim_id: int, to_state: str) -> None:
    """Raises SamePerson if this account took a step, in any round, that another has to take."""
    others = OTHER_PERSON.get(to_state, ())
    rows = database.execute("SELECT DISTINCT to_state, account FROM claim_step WHERE claim_id = ?", [claim_id])
    for state, account in rows.fetchall():
        if state in others:
            actor.require_other(account)


def check_digest(database: Database, claim: ClaimRow) -> None:
    """Raises ClaimTampered: the lines are not those that were frozen."""
    found, _ = digest_lines(database, "claim_id = ?", [claim.claim_id])
    if found != claim.digest:
        raise ClaimTampered("the claim's lines have been changed", claim=claim.claim_id)


def require_ready(database: Database, claim: ClaimRow, step: Step) -> None:
    """What the step needs besides its state. Raises ClaimNotReady."""
    if step is Step.CHECK and claim.reconciled is None:
        raise ClaimNotReady("the bank's own figures were not compared", what="reconciliation", count=1)
    if step is Step.AUDIT:
        if claim.seed is None:
            raise ClaimNotReady("no sample was drawn", what="sample", count=1)
        _require_none(
            database, "SELECT COUNT(*) FROM audit_sample WHERE claim_id = ? AND finding IS NULL", claim, "findings"
        )
    if step is Step.SUBMIT:
        _require_none(
            database,
            "SELECT COUNT(*) FROM claim_exception WHERE claim_id = ? AND settled_at IS NULL",
            claim,
            "exceptions",
        )


def _require_none(database: Database, sql: str, claim: ClaimRow, what: str) -> None:
    (count,) = database.execute(sql, [claim.claim_id]).fetchone()
    if count:
        raise ClaimNotReady("something is still to be done", what=what, count=count)
