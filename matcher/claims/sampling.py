"""The auditor's sample of a claim's lines, and what the auditor found.

Which lines follows from the claim's digest, which the bank could not choose any more, and from a seed that nobody
knew before; so anybody can draw the same sample again (matcher.audit_draw).
"""

from __future__ import annotations

from matcher.audit_draw import SEED_BYTES, draw_positions
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.claims.errors import ClaimUnknown
from matcher.claims.exceptions import add_within
from matcher.claims.steps import ClaimRow, check_digest, open_claim
from matcher.personal.fields import require_plain
from matcher.states import CLAIM, MoveInvalid
from psi.errors import InputError

OK = "ok"


def draw_within(office: Office, actor: Actor, claim_id: int, size: int) -> list[int]:
    """Draw ``size`` lines (all, if there are no more) once; returns their numbers. Again it returns the same ones.

    Raises ClaimUnknown, NotAllowed, MoveInvalid, InputError, ClaimTampered.
    """
    claim = open_claim(office, actor, claim_id, Permission.AUDIT_CLAIM)
    _require_checked(claim)
    if size < 1:
        raise InputError("a sample has at least one line", field="size")
    database = office.database
    if claim.seed is None:
        check_digest(database, claim)
        seed = office.random_bytes(SEED_BYTES)
        lines = _lines(office, claim)
        chosen = [lines[place] for place in draw_positions(seed, claim.digest or "", len(lines), size)]
        database.execute("UPDATE claim SET seed = ? WHERE claim_id = ?", [seed.hex(), claim_id])
        database.conn.executemany(
            "INSERT INTO audit_sample (claim_id, line_id) VALUES (?, ?)", [(claim_id, line) for line in chosen]
        )
        office.record_within(actor, "claim.sample", f"claim/{claim_id}", seed=seed.hex(), lines=len(chosen))
    rows = database.execute("SELECT line_id FROM audit_sample WHERE claim_id = ? ORDER BY line_id", [claim_id])
    return [line_id for (line_id,) in rows.fetchall()]


def find_within(office: Office, actor: Actor, claim_id: int, line_id: int, finding: str) -> None:
    """Note a finding: ``ok``, or what is wrong, which then has to be settled. Again the same changes nothing.

    Raises ClaimUnknown, NotAllowed, MoveInvalid, TextNotPlain, InputError.
    """
    claim = open_claim(office, actor, claim_id, Permission.AUDIT_CLAIM)
    _require_checked(claim)
    finding = require_plain(finding, "finding")
    database = office.database
    row = database.execute(
        "SELECT finding, loan_id FROM audit_sample JOIN interest_line USING (line_id)"
        " WHERE audit_sample.claim_id = ? AND line_id = ?",
        [claim_id, line_id],
    ).fetchone()
    if row is None:
        raise ClaimUnknown("not in the sample", what="line", number=line_id)
    before, loan_id = row
    if before == finding:
        return
    if before is not None:
        raise InputError("the line has a finding already", field="finding")
    database.execute(
        "UPDATE audit_sample SET finding = ?, checked_by = ?, checked_at = ? WHERE claim_id = ? AND line_id = ?",
        [finding, actor.name, office.now(), claim_id, line_id],
    )
    if finding != OK:
        add_within(database, claim_id, "finding", [(line_id, loan_id, "{}")])
    office.record_within(
        actor, "claim.finding", f"claim/{claim_id}", line=line_id, is_ok=finding == OK, after={"finding": finding}
    )


def _require_checked(claim: ClaimRow) -> None:
    if claim.state != "BANK_CHECKED":
        raise MoveInvalid("not at this stage", what=CLAIM.name, present=claim.state, wanted="AUDITED")


def _lines(office: Office, claim: ClaimRow) -> list[int]:
    """In the order in which a digest has them: the places that are drawn."""
    rows = office.database.execute(
        "SELECT line_id FROM interest_line JOIN loan USING (loan_id) WHERE claim_id = ?"
        " ORDER BY loan.bank, contract_no, period_start, kind DESC, line_id",
        [claim.claim_id],
    )
    return [line_id for (line_id,) in rows.fetchall()]
