"""A claim as people look at it: its lines chosen and summed up, what comes next and whom it waits for.

Every sum is made of the lines themselves in 分, so a page's totals are those of the claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlite_utils import Database

from keys.database import reading
from matcher.bureau.actors import PERMISSIONS, Actor, Permission, Role
from matcher.bureau.office import Office
from matcher.bureau.schema.claims import OTHER_PERSON
from matcher.claims.errors import ClaimNotReady
from matcher.claims.exceptions import ClaimException, count_within, list_within
from matcher.claims.lines import PARTS
from matcher.claims.queries import OPEN_LINES, ClaimLine, sum_lines
from matcher.claims.sight import require_sight_of
from matcher.claims.steps import FREEZE, MOVES, ClaimRow, Step, require_ready
from matcher.rows import fetch_all
from matcher.states import CLAIM
from matcher.subsidy.arithmetic import Parts

Grouping = Literal["household", "contract", "product", "township"]
LineKind = Literal["", "regular", "adjustment", "sample"]
_KEYS: Mapping[Grouping, str] = {
    "household": "household_no",
    "contract": "contract_no",
    "product": "product",
    "township": "substr(division, 1, 9)",
}
_SUMS = ", ".join(f"COALESCE(SUM(line.{name}), 0)" for name in PARTS)
_ABOUT = (
    "line.line_id, contract_no, kind, period_start, period_end, line.settled_on, line.claim_year, balance_days,"
    " interest_due, interest_paid, reason"
)
# ?1 to ?3 choose the claim's lines; a line's own columns are under ``line``, so that no other table's are meant.
_FROM = """
    FROM (SELECT * FROM interest_line WHERE {lines}) line JOIN loan USING (loan_id) JOIN household USING (household_id)
    LEFT JOIN audit_sample sample ON sample.line_id = line.line_id AND sample.claim_id = line.claim_id
"""
_CHOSEN = """
    WHERE (?4 = '' OR (?4 = 'sample' AND sample.line_id IS NOT NULL) OR kind = ?4)
    AND (?5 = '' OR contract_no = ?5 OR household_no = ?5) AND (?6 = '' OR substr(division, 1, length(?6)) = ?6)
    AND (?7 = '' OR product = ?7)
"""


@dataclass(frozen=True)
class LineFilter:
    """Which lines; an empty field asks nothing. ``number``: a contract's or a household's; ``township``: a prefix."""

    kind: LineKind = ""
    number: str = ""
    township: str = ""
    product: str = ""


@dataclass(frozen=True)
class LinePage:
    """Some of the chosen lines; ``count`` and ``amounts`` are of all of them."""

    lines: tuple[ClaimLine, ...]
    count: int
    amounts: Parts


@dataclass(frozen=True)
class Total:
    """The lines of one household, contract, product or township together. ``key``: its number or code."""

    key: str
    lines: int
    contracts: int
    amounts: Parts


@dataclass(frozen=True)
class TotalPage:
    """Some of the groups, by key; ``groups`` counts all of them, ``sum`` is over all of them."""

    totals: tuple[Total, ...]
    groups: int
    sum: Total


@dataclass(frozen=True)
class ExceptionPage:
    """Some exceptions; ``counts`` says how many of each kind there are in all."""

    exceptions: tuple[ClaimException, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class NextStep:
    """A step that the claim's state allows. ``name``: of matcher.claims.steps.Step, or ``freeze``.

    ``is_own``: the account's roles include it; ``was_own``: but the account took one of ``not_by``, whom another
    person has to follow. ``waits_for``: what has to be done before (ClaimNotReady), and how many.
    """

    name: str
    to_state: str
    roles: tuple[Role, ...]
    is_own: bool
    was_own: bool
    not_by: tuple[str, ...]
    waits_for: tuple[str, int] | None


@dataclass(frozen=True)
class LoanLine:
    """One line of a loan, with the claim that froze it, if any. ``claimable``: due and paid."""

    line: ClaimLine
    claim_id: int | None
    claimable: bool


class ClaimViews:
    """Looks at one office's claims and changes nothing."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def lines(self, actor: Actor, claim_id: int, wanted: LineFilter, *, first: int = 0, count: int = 50) -> LinePage:
        """By contract, then by period; before it is frozen, what freezing now would take.

        Raises NotAllowed, ClaimUnknown.
        """
        with reading(self._office.database) as database:
            claim = require_sight_of(database, actor, claim_id)
            start, values = _lines_of(claim, only_sample=wanted.kind == "sample")
            values += [wanted.kind, wanted.number, wanted.township, wanted.product]
            if wanted == LineFilter():
                found, *amounts = sum_lines(database, claim_id, claim.state, claim.bank, claim.year, claim.county)
            else:
                found, *amounts = fetch_all(database, f"SELECT COUNT(*), {_SUMS} {start} {_CHOSEN}", values)[0]
            parts = ", ".join(f"line.{name}" for name in PARTS)
            rows = fetch_all(
                database,
                f"SELECT sample.line_id IS NOT NULL, finding, {parts}, {_ABOUT} {start} {_CHOSEN}"
                " ORDER BY contract_no, period_start, kind DESC, line.line_id LIMIT ?8 OFFSET ?9",
                [*values, count, first],
            )
        return LinePage(tuple(_line(row) for row in rows), found, Parts(*amounts))

    def totals(self, actor: Actor, claim_id: int, by: Grouping, *, first: int = 0, count: int = 50) -> TotalPage:
        """The claim's amounts by household (SEE_LOANS), contract, product or township.

        Raises NotAllowed, ClaimUnknown.
        """
        with reading(self._office.database) as database:
            claim = require_sight_of(database, actor, claim_id)
            if by == "household":
                actor.require(Permission.SEE_LOANS)
            start, values = _lines_of(claim)
            what, key = f"COUNT(*), COUNT(DISTINCT loan_id), {_SUMS}", _KEYS[by]
            whole = fetch_all(database, f"SELECT COUNT(DISTINCT {key}), {what} {start}", values)[0]
            rows = fetch_all(
                database,
                f"SELECT {key}, {what} {start} GROUP BY 1 ORDER BY 1 LIMIT ?4 OFFSET ?5",
                [*values, count, first],
            )
        return TotalPage(tuple(_total(*row) for row in rows), whole[0], _total("", *whole[1:]))

    def exceptions(
        self, actor: Actor, claim_id: int, kind: str = "", *, first: int = 0, count: int = 50
    ) -> ExceptionPage:
        """What people have to look at, the open ones first. Raises NotAllowed, ClaimUnknown."""
        with reading(self._office.database) as database:
            require_sight_of(database, actor, claim_id)
            shown = list_within(database, claim_id, kind, first, count)
            return ExceptionPage(tuple(shown), count_within(database, claim_id))

    def next_steps(self, actor: Actor, claim_id: int) -> list[NextStep]:
        """What the claim's state allows, whoever may do it. Raises NotAllowed, ClaimUnknown."""
        with reading(self._office.database) as database:
            claim = require_sight_of(database, actor, claim_id)
            moves = {"freeze": FREEZE, **{step.value: move for step, move in MOVES.items()}}
            return [
                self._next_step(database, actor, claim, name, move.to_state, move.permission)
                for name, move in moves.items()
                if CLAIM.allows(claim.state, move.to_state)
            ]

    def of_loan(self, actor: Actor, loan_id: int) -> list[LoanLine]:
        """All lines of a loan, by period, corrections after what they correct. Raises NotAllowed.

        For a page that has read the loan itself: a loan that the account may not see has no lines here.
        """
        actor.require(Permission.SEE_LOANS)
        parts = ", ".join(f"line.{name}" for name in PARTS)
        with reading(self._office.database) as database:
            rows = fetch_all(
                database,
                f"SELECT line.claim_id, claimable, division, loan.bank, 0, NULL, {parts}, {_ABOUT}"  # noqa: S608
                " FROM interest_line line JOIN loan USING (loan_id) JOIN household USING (household_id)"
                " WHERE loan_id = ? ORDER BY period_start, kind DESC, line.line_id",
                [loan_id],
            )
        return [
            LoanLine(_line(row[4:]), row[0], bool(row[1]))
            for row in rows
            if actor.cares_for(row[2]) and actor.bank in (None, row[3])
        ]

    def _next_step(
        self, database: Database, actor: Actor, claim: ClaimRow, name: str, to_state: str, permission: Permission
    ) -> NextStep:
        others = OTHER_PERSON.get(to_state, ())
        taken = fetch_all(database, "SELECT to_state, account FROM claim_step WHERE claim_id = ?", [claim.claim_id])
        waits_for = None
        try:
            if name != "freeze":
                require_ready(database, claim, Step(name))
        except ClaimNotReady as error:
            waits_for = str(error.params["what"]), int(str(error.params["count"]))
        return NextStep(
            name,
            to_state,
            tuple(role for role in Role if permission in PERMISSIONS[role]),
            is_own=actor.may(permission) and actor.bank in (None, claim.bank),
            was_own=any(state in others and account == actor.name for state, account in taken),
            not_by=tuple(sorted({account for state, account in taken if state in others})),
            waits_for=waits_for,
        )


def _lines_of(claim: ClaimRow, *, only_sample: bool = False) -> tuple[str, list[object]]:
    """What to select from, and the values of ?1 to ?3. Only frozen lines are drawn as a sample."""
    if only_sample:
        drawn = "line_id IN (SELECT line_id FROM audit_sample WHERE claim_id = ?1) AND ?2 = ?2 AND ?3 = ?3"
        return _FROM.format(lines=drawn), [claim.claim_id, claim.year, claim.county]
    if claim.state == "ACCRUING":
        return _FROM.format(lines=OPEN_LINES), [claim.bank, claim.year, claim.county]
    return _FROM.format(lines="claim_id = ?1 AND ?2 = ?2 AND ?3 = ?3"), [claim.claim_id, claim.year, claim.county]


def _line(row: Sequence[Any]) -> ClaimLine:
    in_sample, finding, *rest = row
    return ClaimLine(Parts(*rest[: len(PARTS)]), bool(in_sample), finding, *rest[len(PARTS) :])


def _total(key: str, lines: int, contracts: int, *amounts: int) -> Total:
    return Total(key, lines, contracts, Parts(*amounts))
