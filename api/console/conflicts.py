"""冲突: what the banks' hand-overs say against each other, and how a person settles it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Query, Request
from pydantic import StringConstraints
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_query
from api.console.exporting import CurrentTaking, ListOut, hand_out_list, walk
from api.console.faults import carry_out, seen_at
from api.console.language import mark, say
from api.console.names import dataset_words
from api.console.rendering import moment, render
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.households import Households
from matcher.households.supplementing import Conflict

router = APIRouter(prefix="/households/conflicts")

PAGE = 50
KINDS: Mapping[str, tuple[str, str]] = {
    "person_in_two_households": (
        mark("同一人在两户"),
        mark("核对户口本或身份证，看这人现在属于哪一户；不属于本户的，勾选离户。"),
    ),
    "labels_differ": (
        mark("成员标签不一致"),
        mark("同一户的成员，名单给的人数、地区或扩中标记不同。向名单来源核对后，写明以哪个为准。"),
    ),
    "too_many_members": (
        mark("匹配人数多于家庭人数"),
        mark("匹配到的人比名单上的家庭人数多。核对户口本，把不属于本户的成员移出，再写明结果。"),
    ),
    "two_names_for_one_number": (
        mark("同号不同名"),
        mark("同一证件号码给了不同姓名。查看姓名（记入审计），按身份证选出正确的一个。"),
    ),
    "label_changed": (
        mark("名单标签已改变"),
        mark("已在办理的家庭，名单后来改了扩中标记。按新标签重新核对，再写明是否继续办理。"),
    ),
}
"""What each kind is called, and what to do about it."""
DONE = mark("冲突已处理。")
TITLE = mark("名单冲突")
AT_ONCE = 1_000
COLUMNS = ("种类", "家庭编号", "人员", "姓名", "另一户", "乡镇（街道）", "发现时间")
"""Of the file."""

Kind = Literal[
    "", "person_in_two_households", "labels_differ", "too_many_members", "two_names_for_one_number", "label_changed"
]
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")]
Number = Annotated[int, Path(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Form(max_length=300)]


@router.get("")
def show_list(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    kind: Kind = "",
    area: Digits = "",
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    done: str = "",
) -> HTMLResponse:
    """What is open in the account's care, by number."""
    households = Households(office)
    rows = households.page_conflicts(actor, kind=kind, area=area, after=after, size=PAGE + 1)
    counts = households.count_conflicts(actor, area)
    return render(
        request,
        "conflicts.html",
        title=say(request, TITLE),
        crumbs=[(say(request, "名单"), "/households")],
        rows=rows[:PAGE],
        counts=counts,
        kinds=KINDS,
        kind=kind,
        area=area,
        townships=households.list_townships(actor),
        done=say(request, DONE) if done == "settled" else "",
        kind_address=lambda one: with_query(request, kind=one, after=None, done=None),
        next_address=with_query(request, after=rows[PAGE - 1].conflict_id, done=None) if len(rows) > PAGE else None,
        first_address=with_query(request, after=None) if after else None,
        may_export=actor.may(Permission.EXPORT),
        key=office.random_bytes(16).hex(),
    )


@router.post("/export")
def export(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    kind: Annotated[Kind, Form()] = "",
    area: Annotated[Digits, Form()] = "",
) -> Response:
    """What is open, as the filters show it: names and numbers masked."""
    out = ListOut(TITLE, "conflicts", Permission.SEE_HOUSEHOLDS, COLUMNS)
    households, place_of = Households(office), request.app.state.site.place_of

    def read(last: Conflict | None) -> Sequence[Conflict]:
        after = last.conflict_id if last else 0
        return households.page_conflicts(actor, kind=kind, area=area, after=after, size=AT_ONCE)

    def make_rows() -> list[tuple[str, ...]]:
        return [_cells(place_of, one) for one in walk(read)]

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/households/conflicts")


@router.get("/{conflict}")
def show(request: Request, conflict: Number, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """One conflict, with both sides and what to do."""
    return _page(request, actor, office, conflict)


@router.post("/{conflict}/names")
def reveal(
    request: Request, conflict: Number, actor: CurrentActor, office: CurrentOffice, reason: Line = ""
) -> Response:
    """The names in the clear, for a minute; the audit log has who, which and why."""

    def show_them() -> Response:
        names = Households(office).reveal_names(actor, conflict, reason)
        page = _page(request, actor, office, conflict, names=names)
        page.headers["Refresh"] = f"60; url=/households/conflicts/{conflict}"  # also where no script runs
        return page

    again = partial(_page, request, actor, office, conflict, typed={"reason": reason})
    return carry_out(request, show_them, again, form="settle")


@router.post("/{conflict}/settle")
def settle(
    request: Request,
    conflict: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    remark: Line = "",
    name: Annotated[int | None, Form(ge=0, le=99)] = None,
    leaves: Annotated[bool, Form()] = False,
) -> Response:
    """Say why it is none any more."""

    def settle_it() -> Response:
        Households(office).settle(actor, conflict, remark, name=name, leaves=leaves, key=key)
        return seen_at("/households/conflicts", "settled")

    typed = {"remark": remark, "name": name, "leaves": leaves}
    return carry_out(request, settle_it, partial(_page, request, actor, office, conflict, typed=typed), form="settle")


def _cells(place_of: Callable[[str], str], one: Conflict) -> tuple[str, ...]:
    others = "、".join(household_no for _, household_no in one.elsewhere)
    return (
        KINDS[one.kind][0], one.household_no, one.number, " / ".join(one.names), others,
        place_of(one.division), moment(one.found_at),
    )  # fmt: skip


def _page(
    request: Request,
    actor: Actor,
    office: Office,
    conflict_id: int,
    *,
    names: Sequence[str] = (),
    problems: list[tuple[str, str]] | None = None,
    typed: Mapping[str, object] | None = None,
    status: int = 200,
) -> HTMLResponse:
    households = Households(office)
    conflict = households.show_conflict(actor, conflict_id)
    words, what_to_do = KINDS[conflict.kind]
    return render(
        request,
        "conflict.html",
        title=say(request, words),
        crumbs=[(say(request, "名单"), "/households"), (say(request, "名单冲突"), "/households/conflicts")],
        status=status,
        problems=problems or [],
        conflict=conflict,
        what_to_do=what_to_do,
        sides=[
            households.show(actor, one)
            for one in (conflict.household_id, *(number for number, _ in conflict.elsewhere))
        ],
        names=names,
        dataset_words=dataset_words(request),
        typed=typed or {},
        may_reveal=actor.may(Permission.REVEAL) and bool(conflict.names),
        may_settle=actor.may(Permission.SETTLE_CONFLICT) and conflict.settled_at is None,
        key=office.random_bytes(16).hex(),
    )
