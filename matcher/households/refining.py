"""细化: the county goes through its matches under the policy and decides whom to visit.

The policy proposes; a person takes the proposals over, group by group, having seen their numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome, run_each_within
from matcher.bureau.office import Office
from matcher.eligibility import Verdict
from matcher.households.assessing import Assessed, assess_each
from matcher.households.cases import read_case_within
from matcher.households.errors import ReasonMissing
from matcher.households.moves import move_within
from matcher.personal.fields import require_plain
from matcher.policy import LoadedPolicy, Policy
from matcher.rows import fetch_all
from psi.errors import InputError

Wanted = Literal["in", "out", "look"]
_STATES: Mapping[Wanted, str] = {"in": "REFINED_IN", "out": "REFINED_OUT"}


@dataclass(frozen=True)
class Proposal:
    """What the policy proposes for a matched household: take it in, leave it out, or let a person look first.

    ``reasons`` say why it would stay out or has to be looked at; ``near_miss``: another reading would say otherwise.
    """

    household_id: int
    township: str
    wanted: Wanted
    reasons: tuple[str, ...]
    near_miss: bool


@dataclass(frozen=True)
class Refinement:
    """``counts`` are of the proposals, by (wanted, reasons joined by ',', township); ``outcomes`` of what was done."""

    policy: str
    counts: Mapping[tuple[str, str, str], int]
    near_misses: int
    outcomes: tuple[Outcome, ...] = ()


def propose(office: Office, policy: LoadedPolicy, on: date, township: str = "") -> Iterator[Proposal]:
    """For every matched household of the policy's county, or of one township (9 digits, or more)."""
    found = {
        household_id: (place, expanding, reasons)
        for household_id, place, expanding, reasons in fetch_all(
            office.database,
            "SELECT household_id, township, expanding, reasons FROM household"
            " WHERE state = 'MATCHED' AND division GLOB ? || '*' ORDER BY household_id",
            [township or policy.policy.county],
        )
    }
    for assessed in assess_each(office, policy, list(found), on):
        place, expanding, label = found[assessed.known.household_id]
        wanted, reasons = _propose(policy.policy, assessed, expanding == "1", tuple(filter(None, label.split(","))))
        yield Proposal(assessed.known.household_id, place, wanted, reasons, bool(assessed.assessment.near_misses))


def _propose(
    policy: Policy, assessed: Assessed, expanding: bool, label: tuple[str, ...]
) -> tuple[Wanted, tuple[str, ...]]:
    if "N20" in assessed.known.facts.reasons:  # a conflict is open
        return "look", ("N20",)
    if assessed.assessment.verdict is Verdict.DOES_NOT_FIT:
        return "out", assessed.assessment.reasons or label
    if expanding:
        return "in", ()
    if label and set(label) <= set(policy.groups.flag):
        return "look", label
    return "out", label or ("N90",)


def count(policy: LoadedPolicy, proposals: Sequence[Proposal], outcomes: Sequence[Outcome] = ()) -> Refinement:
    counts = Counter((one.wanted, ",".join(one.reasons), one.township) for one in proposals)
    return Refinement(
        policy.sha256, dict(sorted(counts.items())), sum(one.near_miss for one in proposals), tuple(outcomes)
    )


def chosen(proposals: Sequence[Proposal], take_in: bool, put_out: Collection[str]) -> list[Proposal]:
    """Those that a person took over: all to take in, and those to leave out for no other reasons than these."""
    return [
        one
        for one in proposals
        if (one.wanted == "in" and take_in) or (one.wanted == "out" and set(one.reasons) <= set(put_out))
    ]


def apply_within(
    office: Office, actor: Actor, proposals: Sequence[Proposal], policy: LoadedPolicy, remark: str
) -> list[Outcome]:
    """Move the households as proposed; for each what became of it."""
    by_id = {one.household_id: one for one in proposals}

    def move(household_id: int) -> int:
        one = by_id[household_id]
        return refine_within(office, actor, household_id, one.wanted, one.reasons, remark, f"policy {policy.sha256}")

    return run_each_within(office.database, actor, by_id, move)


def refine_within(
    office: Office, actor: Actor, household_id: int, wanted: Wanted, reasons: Sequence[str], remark: str, purpose: str
) -> int:
    """One household, as a person decides. Raises HouseholdUnknown, NotAllowed, ReasonMissing, MoveInvalid."""
    read_case_within(office, actor, household_id, Permission.REFINE)
    if wanted not in _STATES:
        raise InputError("a household goes in or out", wanted=wanted)
    if wanted == "out" and not reasons:
        raise ReasonMissing("a household that is left out needs a reason", household=household_id)
    remark = require_plain(remark, "remark", optional=True)
    return move_within(office, actor, household_id, _STATES[wanted], reasons=reasons, remark=remark, purpose=purpose)


def ready_for_visit(office: Office, area: str) -> list[int]:
    """Households that were taken in and wait to be put on the 待入户调查名单, of a county or a township."""
    rows = fetch_all(
        office.database,
        "SELECT household_id FROM household WHERE state IN ('REFINED_IN', 'SUPPLEMENTED') AND division GLOB ? || '*'"
        " ORDER BY household_id",
        [area],
    )
    return [household_id for (household_id,) in rows]


def put_on_visit_list_within(office: Office, actor: Actor, household_id: int) -> int:
    """To TO_VISIT. Raises HouseholdUnknown, NotAllowed, MoveInvalid."""
    read_case_within(office, actor, household_id, Permission.REFINE)
    return move_within(office, actor, household_id, "TO_VISIT")
