"""Households before anybody visits them, what the policy says of them, and the policies themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field, StringConstraints

from api.bureau.bodies import Body, Cents, Day, IdempotencyKey, Line, Number, StrictRoute
from api.bureau.services import CurrentActor, CurrentOffice
from matcher.bureau.bulk import summarise
from matcher.households import HouseholdFilter, Households
from matcher.households.showing import MAX_PAGE
from matcher.policy import parse_policy
from matcher.policy.reading import MAX_BYTES

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["households"])

MOST_AT_ONCE = 1_000

Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")]
County = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
State = Annotated[str, StringConstraints(pattern=r"^[A-Z_]{0,20}$")]
ReasonCode = Annotated[str, StringConstraints(pattern=r"^N[0-9X][0-9]$")]
Reasons = Annotated[list[ReasonCode], Field(max_length=16)]
Numbers = Annotated[list[Number], Field(min_length=1, max_length=MOST_AT_ONCE)]
Place = Annotated[int, Path(ge=1, le=2**53)]
Plain = Annotated[str, Field(max_length=200)]  # kept in the clear: no personal data
Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
PolicyText = Annotated[str, Field(min_length=1, max_length=MAX_BYTES)]


class Refining(Body):
    """``put_out``: leave out those that the policy proposes to for no other reasons than these."""

    county: County
    township: Digits = ""
    take_in: bool = False
    put_out: Reasons = Field(default_factory=list)
    remark: Plain = ""
    dry_run: bool = False


class Chosen(Body):
    households: Numbers
    wanted: Literal["in", "out"]
    reasons: Reasons = Field(default_factory=list)
    remark: Plain = ""


class Supplement(Body):
    households: Numbers
    reasons: Reasons = Field(default_factory=list)
    remark: Line


class VisitList(Body):
    """Without ``households``: all of the area that were taken in or supplemented."""

    area: Annotated[str, StringConstraints(pattern=r"^[0-9]{6,12}$")]
    households: Numbers | None = None


class NewMember(Body):
    number: Annotated[str, Field(min_length=1, max_length=40)]
    name: Annotated[str, Field(min_length=1, max_length=60)]
    relation: Annotated[str, StringConstraints(pattern=r"^[a-z]{0,20}$")] = ""
    remark: Line


class Why(Body):
    remark: Line


class Settlement(Body):
    """``name``: of two names, the place of the right one; ``leaves``: the person is no member of this household."""

    remark: Line
    name: Annotated[int, Field(ge=0, le=99)] | None = None
    leaves: bool = False


class PolicyFile(Body):
    """``content``: the TOML file to the letter; ``file``: its name, for messages."""

    file: Line
    content: PolicyText


class Trial(Body):
    """``cost_each``: the expected subsidy of a household a year, 分."""

    content: PolicyText
    on: Day | None = None
    cost_each: Cents | None = None


@router.get("/households")
def list_households(
    actor: CurrentActor,
    office: CurrentOffice,
    area: Digits = "",
    state: State = "",
    year: Annotated[int | None, Query(ge=2000, le=2100)] = None,
    conflicts: bool = False,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    size: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """Households in the account's care, by number; ``next`` is the ``after`` of the next page, null at the end."""
    rows = Households(office).list(actor, HouseholdFilter(area, state, year, conflicts), after=after, size=size)
    following = rows[-1].household_id if len(rows) == size else None
    return {"households": [asdict(row) for row in rows], "next": following}


@router.get("/household-states")
def count_households(actor: CurrentActor, office: CurrentOffice, area: Digits = "") -> dict[str, int]:
    """How many of them stand where."""
    return Households(office).count(actor, HouseholdFilter(area))


@router.get("/households/{household}")
def show_household(household: Place, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """One household with members, conflicts, links and moves; masked."""
    return asdict(Households(office).show(actor, household))


@router.get("/households/{household}/assessment")
def assess_household(household: Place, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """What the policy in force says of it today, rule by rule; it decides nothing."""
    found = Households(office).assess(actor, household)
    return {
        "on": found.on.isoformat(), "policy": found.policy, **asdict(found.assessment), **found.known.to_json()
    }  # fmt: skip


@router.post("/households/{household}/members", status_code=201)
def add_member(
    household: Place, wanted: NewMember, actor: CurrentActor, office: CurrentOffice, key: IdempotencyKey
) -> dict[str, int]:
    """A member that no match found."""
    member = Households(office).add_member(
        actor, household, wanted.number, wanted.name, relation=wanted.relation, remark=wanted.remark, key=key
    )
    return {"member_id": member}


@router.post("/members/{member}/remove", status_code=204)
def remove_member(member: Place, why: Why, actor: CurrentActor, office: CurrentOffice, key: IdempotencyKey) -> None:
    """Somebody is no member any more."""
    Households(office).remove_member(actor, member, why.remark, key=key)


@router.post("/refinement")
def refine(wanted: Refining, actor: CurrentActor, office: CurrentOffice, key: IdempotencyKey) -> dict[str, Any]:
    """细化: the policy's proposals, counted, and those that the person took over."""
    found = Households(office).refine(
        actor,
        wanted.county,
        township=wanted.township,
        take_in=wanted.take_in,
        put_out=wanted.put_out,
        remark=wanted.remark,
        dry_run=wanted.dry_run,
        key=key,
    )
    counts = [
        {"wanted": group, "reasons": reasons, "township": township, "households": number}
        for (group, reasons, township), number in found.counts.items()
    ]
    return {
        "policy": found.policy, "counts": counts, "near_misses": found.near_misses, **summarise(found.outcomes)
    }  # fmt: skip


@router.post("/households/refine")
def refine_chosen(wanted: Chosen, actor: CurrentActor, office: CurrentOffice, key: IdempotencyKey) -> dict[str, Any]:
    """Named households in, or out with a reason."""
    return summarise(
        Households(office).refine_many(
            actor, wanted.households, wanted.wanted, reasons=wanted.reasons, remark=wanted.remark, key=key
        )
    )


@router.post("/households/supplement")
def supplement(wanted: Supplement, actor: CurrentActor, office: CurrentOffice, key: IdempotencyKey) -> dict[str, Any]:
    """补充: households past their label or the county's own refinement."""
    return summarise(
        Households(office).supplement_many(
            actor, wanted.households, remark=wanted.remark, reasons=wanted.reasons, key=key
        )
    )


@router.post("/households/visit-list")
def put_on_visit_list(
    wanted: VisitList, actor: CurrentActor, office: CurrentOffice, key: IdempotencyKey
) -> dict[str, Any]:
    """待入户调查名单."""
    return summarise(Households(office).put_on_visit_list(actor, wanted.area, wanted.households, key=key))


@router.get("/conflicts")
def list_conflicts(actor: CurrentActor, office: CurrentOffice, settled: bool = False) -> dict[str, Any]:
    """What a person has to settle, in the account's care."""
    return {"conflicts": [asdict(one) for one in Households(office).list_conflicts(actor, settled=settled)]}


@router.post("/conflicts/{conflict}/settle", status_code=204)
def settle(
    conflict: Place, wanted: Settlement, actor: CurrentActor, office: CurrentOffice, key: IdempotencyKey
) -> None:
    """Say why a conflict is none any more."""
    Households(office).settle(actor, conflict, wanted.remark, name=wanted.name, leaves=wanted.leaves, key=key)


@router.post("/conflicts/{conflict}/names")
def reveal_names(conflict: Place, why: Why, actor: CurrentActor, office: CurrentOffice) -> dict[str, list[str]]:
    """The names of a conflict in the clear; each time is a row in the audit log."""
    return {"names": list(Households(office).reveal_names(actor, conflict, why.remark))}


@router.get("/policies")
def list_policies(actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Every policy of the office, the newest first."""
    return {"policies": [asdict(record) for record in Households(office).policies.list()]}


@router.get("/policies/{sha256}")
def show_policy(sha256: Sha256, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """What a policy says."""
    return Households(office).policies.by_sha256(sha256).policy.model_dump(mode="json")


@router.post("/policies")
def propose_policy(wanted: PolicyFile, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Put a policy forward; the same file again changes nothing."""
    return asdict(Households(office).policies.propose(actor, wanted.content.encode(), wanted.file))


@router.post("/policies/{sha256}/adopt")
def adopt_policy(sha256: Sha256, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """A second person puts it in force; again it changes nothing."""
    return asdict(Households(office).policies.adopt(actor, sha256))


@router.post("/policies/{sha256}/withdraw")
def withdraw_policy(sha256: Sha256, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Take a proposal back."""
    return asdict(Households(office).policies.withdraw(actor, sha256))


@router.post("/policy-trials")
def simulate(wanted: Trial, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """What if: who would come in or fall out under another policy. Nothing changes by it."""
    other = parse_policy(wanted.content.encode(), "")
    found = Households(office).simulate(actor, other, on=wanted.on, cost_each=wanted.cost_each)
    return {
        **asdict(found),
        **{
            name: [{"reasons": r, "township": t, "households": n} for (r, t), n in counts.items()]
            for name, counts in (("comes_in", found.comes_in), ("falls_out", found.falls_out))
        },
    }
