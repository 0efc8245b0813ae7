"""细化: what the policy proposes for the matched households, taken over group by group; and named ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.faults import carry_out, refused
from api.console.language import mark, say
from api.console.outcomes import results_page
from api.console.rendering import render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.households.refining import Refinement
from matcher.personal.fields import TextNotPlain, require_plain
from matcher.policy import PolicyUnknown

router = APIRouter(prefix="/households")

MOST_AT_ONCE = 200
Act = Literal["in", "out", "supplement", "visit_list"]
ACTS: Mapping[str, tuple[Act, ...]] = {
    "MATCHED": ("in", "out", "supplement"),
    "REFINED_OUT": ("supplement",),
    "REFINED_IN": ("visit_list",),
    "SUPPLEMENTED": ("visit_list",),
}
"""What can be done at once for many households of a state."""
_COUNTED = ("MATCHED", "REFINED_IN", "SUPPLEMENTED")
_NEEDS: Mapping[Act, Permission] = {
    "in": Permission.REFINE,
    "out": Permission.REFINE,
    "supplement": Permission.SUPPLEMENT,
    "visit_list": Permission.REFINE,
}
WANTED: Mapping[str, tuple[str, str]] = {
    "in": (mark("建议纳入"), "good"),
    "out": (mark("建议排除"), "bad"),
    "look": (mark("须人工核实"), "warn"),
}

County = Annotated[str, StringConstraints(pattern=r"^([0-9]{6})?$")]
Township = Annotated[str, StringConstraints(pattern=r"^([0-9]{9})?$")]
Area = Annotated[str, Form(pattern=r"^([0-9]{6}|[0-9]{9})$")]
Codes = Annotated[list[Annotated[str, Form(pattern=r"^(N[0-9X][0-9])?$")]] | None, Form(max_length=40)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Form(max_length=300)]
Back = Annotated[str, Form(pattern=r"^/households(/supplements)?(\?[ -~]{0,500})?$")]


@dataclass(frozen=True)
class Group:
    """Households that the policy proposes the same for, for the same reasons; ``townships``: how many of each."""

    wanted: str
    reasons: tuple[str, ...]
    count: int
    townships: tuple[tuple[str, int], ...]


def acts_for(actor: Actor, state: str) -> tuple[Act, ...]:
    """What this account may do at once for many households of a state."""
    return tuple(act for act in ACTS.get(state, ()) if actor.may(_NEEDS[act]))


@router.get("/refinement")
def show(request: Request, actor: CurrentActor, office: CurrentOffice, county: County = "") -> HTMLResponse:
    """How many wait in each township, and the way to a trial."""
    return _page(request, actor, office, county)


@router.post("/refinement")
def try_or_take_over(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    act: Annotated[Literal["try", "take"], Form()],
    county: County = "",
    township: Annotated[Township, Form()] = "",
    take_in: Annotated[bool, Form()] = False,
    put_out: Codes = None,
    remark: Line = "",
) -> Response:
    """``try`` counts and changes nothing; ``take`` takes over what was ticked."""
    county = _county(actor, office, county or township[:6])
    codes = [code for code in put_out or () if code]
    typed = {"take_in": take_in, "put_out": codes, "remark": remark}
    problems = _problems(request, take_in or bool(codes), remark) if act == "take" else []
    try:
        found = Households(office).refine(
            actor, county, township=township, take_in=take_in, put_out=codes, remark=remark,
            dry_run=act == "try" or bool(problems), key=key,
        )  # fmt: skip
    except PolicyUnknown:
        none = [("choose", say(request, "今天没有生效的政策，不能试算。政策由一人提交、另一人采用。"))]
        return _page(request, actor, office, county, township, problems=none, typed=typed, status=409)
    if act == "take" and not problems:
        return results_page(
            request, actor, office, found.outcomes, back="/households/refinement", back_words=say(request, "名单细化")
        )
    return _page(request, actor, office, county, township, found=found, problems=problems, typed=typed)


@router.post("/visit-list")
def put_on_visit_list(
    request: Request, actor: CurrentActor, office: CurrentOffice, key: Key, area: Area
) -> HTMLResponse:
    """Whoever was taken in or supplemented in a county or township is to be visited."""
    done = Households(office).put_on_visit_list(actor, area, key=key)
    back = say(request, "名单细化")
    return results_page(request, actor, office, done, back="/households/refinement", back_words=back)


@router.post("/act")
def act_on_named(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    act: Annotated[Act, Form()],
    back: Back = "/households",
    pick: Annotated[list[Annotated[int, Form(ge=1, le=2**53)]] | None, Form(max_length=MOST_AT_ONCE)] = None,
    reason: Codes = None,
    remark: Line = "",
) -> Response:
    """The same for every household that was ticked, each with its result. A text that cannot be kept is a page."""
    results = partial(results_page, request, actor, office, back=back, back_words=say(request, "名单"))

    def step() -> Response:
        codes = [code for code in reason or () if code]
        return results(_do(office, actor, act, pick, codes, remark, key) if pick else [])

    return carry_out(request, step, results, form="remark")


def _do(
    office: Office, actor: Actor, act: Act, ids: Sequence[int], reasons: Sequence[str], remark: str, key: str
) -> list[Outcome]:
    households = Households(office)
    if act == "supplement":
        return list(households.supplement_many(actor, ids, remark=remark, reasons=reasons, key=key))
    if act == "visit_list":
        own = actor.townships[0] if actor.townships else min(office.divisions)
        return list(households.put_on_visit_list(actor, own, ids, key=key))
    return list(households.refine_many(actor, ids, act, reasons=reasons, remark=remark, key=key))


def _page(
    request: Request,
    actor: Actor,
    office: Office,
    county: str,
    township: str = "",
    *,
    found: Refinement | None = None,
    problems: Sequence[tuple[str, str]] = (),
    typed: Mapping[str, object] | None = None,
    status: int = 0,
) -> HTMLResponse:
    county = _county(actor, office, county)
    households = Households(office)
    waiting = {
        place: (counts.get("MATCHED", 0), counts.get("REFINED_IN", 0) + counts.get("SUPPLEMENTED", 0))
        for place, counts in households.count_by_township(actor, county, _COUNTED).items()
    }
    return render(
        request,
        "refinement.html",
        title=say(request, "名单细化"),
        crumbs=[(say(request, "名单"), "/households")],
        status=status or (422 if problems else 200),
        county=county,
        counties=sorted(filter(actor.cares_for, office.divisions)),
        township=township,
        waiting={place: counts for place, counts in waiting.items() if any(counts)},
        found=found,
        groups=_groups(found) if found else [],
        wanted_words=WANTED,
        problems=list(problems),
        typed=typed or {},
        keys=[office.random_bytes(16).hex() for _ in range(2)],
    )


def _problems(request: Request, is_anything_chosen: bool, remark: str) -> list[tuple[str, str]]:
    """What is wrong with taking over, before anything is done: each household would be refused for it."""
    if not is_anything_chosen:
        return [("choose", say(request, "请至少勾选一组"))]
    if not remark.strip():
        return [("remark", say(request, "请写明这样办理的理由"))]
    try:
        require_plain(remark, "remark")
    except TextNotPlain as error:
        return refused(request, error, {}, "remark").problems
    return []


def _groups(found: Refinement) -> list[Group]:
    """What to take in first, then what to leave out, then what a person has to look at; the largest first."""
    places: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for (wanted, reasons, township), count in found.counts.items():
        places.setdefault((wanted, reasons), []).append((township, count))
    groups = [
        Group(wanted, tuple(filter(None, reasons.split(","))), sum(count for _, count in rows), tuple(rows))
        for (wanted, reasons), rows in places.items()
    ]
    return sorted(groups, key=lambda one: (("in", "out", "look").index(one.wanted), -one.count, one.reasons))


def _county(actor: Actor, office: Office, county: str) -> str:
    """The one that was asked for, or the first in the account's care. Raises NotAllowed."""
    own = [one for one in sorted(office.divisions) if actor.cares_for(one)]
    found = county or (own[0] if own else "")
    actor.require(Permission.REFINE, division=found)
    return found
