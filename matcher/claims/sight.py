"""Who may see which claim: who sees loans, and the province, which approves claims; of their own county and bank."""

from __future__ import annotations

from sqlite_utils import Database

from matcher.bureau.actors import Actor, NotInCare, Permission
from matcher.claims.errors import ClaimUnknown
from matcher.claims.steps import ClaimRow, read_claim


def require_sight(actor: Actor) -> None:
    """Raises NotAllowed."""
    if not actor.may(Permission.APPROVE_CLAIM):
        actor.require(Permission.SEE_LOANS)


def require_sight_of(database: Database, actor: Actor, claim_id: int) -> ClaimRow:
    """The claim. Raises NotAllowed (another bank's or county's too), ClaimUnknown."""
    require_sight(actor)
    claim = read_claim(database, claim_id)
    _require_care(actor, claim.county, claim.bank)
    return claim


def require_sight_of_line(database: Database, actor: Actor, line_id: int) -> None:
    """Raises NotAllowed, ClaimUnknown."""
    require_sight(actor)
    row = database.execute(
        "SELECT division, loan.bank FROM interest_line JOIN loan USING (loan_id) JOIN household USING (household_id)"
        " WHERE line_id = ?",
        [line_id],
    ).fetchone()
    if row is None:
        raise ClaimUnknown("no such line", what="line", number=line_id)
    _require_care(actor, *row)


def _require_care(actor: Actor, division: str, bank: str) -> None:
    if not actor.cares_for(division) or actor.bank not in (None, bank):
        raise NotInCare()
