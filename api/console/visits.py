"""One visit: what was collected, by whom and where, and what this account may do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Request, UploadFile
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.faults import carry_out, seen_at
from api.console.form_view import form_sections
from api.console.language import mark, say
from api.console.rendering import render
from api.console.visit_list import STATE_KINDS, UNBEGUN
from matcher.attachments import KINDS as IMAGE_KINDS
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.visits.door import OPEN
from matcher.visits.model import FAILURES, KINDS, OUTCOMES, VisitDetails
from matcher.visits.service import IMAGE_KINDS as VISIT_IMAGES
from matcher.visits.service import Visits

router = APIRouter(prefix="/visits")

DONE: Mapping[str, str] = {
    "accepted": mark("已采纳，家庭进入审核。"),
    "returned": mark("已退回客户经理补正。"),
    "cancelled": mark("已取消。家庭仍待走访，可再列入计划。"),
    "unassigned": mark("已收回，可另行分派。"),
    "failed": mark("已记为未走成。"),
    "submitted": mark("已提交，等另一人采纳。"),
    "image": mark("图片已保存。"),
}
_FIELDS = {"image_refused": "file", "visit_incomplete": "image"}
Number = Annotated[int, Path(ge=1, le=2**53)]
Version = Annotated[int, Form(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Remark = Annotated[str, Form(max_length=2_000)]


@dataclass(frozen=True)
class Acts:
    """``makes``: it is this account's to make. ``own``: it collected or was to make it, so it does not decide."""

    decides: bool
    own: bool
    cancels: bool
    unassigns: bool
    makes: bool
    submits: bool
    fails: bool
    adds_images: bool
    sees_place: bool


@router.get("/{visit}")
def show(request: Request, visit: Number, actor: CurrentActor, office: CurrentOffice, done: str = "") -> HTMLResponse:
    return _page(request, actor, office, visit, done=say(request, DONE.get(done, "")))


@router.post("/{visit}/accept")
def accept(
    request: Request, visit: Number, actor: CurrentActor, office: CurrentOffice, version: Version, key: Key
) -> Response:
    """As evidence, on what was seen: another version than ``version`` is refused."""
    visits = Visits(office)
    return _do(request, actor, office, visit, "accepted", lambda: visits.accept(actor, visit, version=version, key=key))


@router.post("/{visit}/return")
def send_back(
    request: Request,
    visit: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    version: Version,
    key: Key,
    remark: Remark = "",
) -> Response:
    visits = Visits(office)
    return _do(
        request, actor, office, visit, "returned",
        lambda: visits.return_visit(actor, visit, remark, version=version, key=key), {"remark": remark},
    )  # fmt: skip


@router.post("/{visit}/cancel")
def cancel(
    request: Request,
    visit: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    version: Version,
    key: Key,
    why: Remark = "",
) -> Response:
    visits = Visits(office)
    return _do(
        request, actor, office, visit, "cancelled",
        lambda: visits.cancel(actor, visit, why, version=version, key=key), {"why": why},
    )  # fmt: skip


@router.post("/{visit}/unassign")
def unassign(
    request: Request, visit: Number, actor: CurrentActor, office: CurrentOffice, version: Version, key: Key
) -> Response:
    visits = Visits(office)
    return _do(
        request, actor, office, visit, "unassigned", lambda: visits.unassign(actor, visit, version=version, key=key)
    )


@router.post("/{visit}/fail")
def fail(
    request: Request,
    visit: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    version: Version,
    key: Key,
    outcome: Annotated[Literal["absent", "refused", "moved", "deceased", "wrong_address"], Form()],
    remark: Remark = "",
) -> Response:
    visits = Visits(office)
    return _do(
        request, actor, office, visit, "failed",
        lambda: visits.fail(actor, visit, outcome, remark=remark, version=version, key=key), {"fail_remark": remark},
    )  # fmt: skip


@router.post("/{visit}/submit")
def submit(
    request: Request, visit: Number, actor: CurrentActor, office: CurrentOffice, version: Version, key: Key
) -> Response:
    visits = Visits(office)
    return _do(
        request, actor, office, visit, "submitted", lambda: visits.submit(actor, visit, version=version, key=key)
    )


@router.post("/{visit}/image")
def add_image(
    request: Request,
    visit: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    kind: Annotated[
        Literal["photo", "signature_applicant", "signature_manager", "signature_officer", "document"], Form()
    ],
    file: UploadFile,
) -> Response:
    """A photo or a paper's picture, where no tablet is at hand; the same again changes nothing."""
    content = file.file.read()
    return _do(
        request, actor, office, visit, "image", lambda: Visits(office).add_image(actor, visit, kind, content)
    )  # fmt: skip


@router.post("/{visit}/place")
def place(request: Request, visit: Number, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """Where it began; who looked is recorded."""
    return _page(request, actor, office, visit, place=(Visits(office).place_of(actor, visit),))


def _do(
    request: Request,
    actor: Actor,
    office: Office,
    visit: int,
    done: str,
    step: Callable[[], object],
    typed: Mapping[str, str] | None = None,
) -> Response:
    """The step, and then the visit's page, which says that it was done; or why not, with what was typed."""

    def carried_out() -> Response:
        step()
        return seen_at(f"/visits/{visit}", done)

    again = partial(_page, request, actor, office, visit, typed=typed)
    return carry_out(request, carried_out, again, form="acts", fields=_FIELDS)


def _page(
    request: Request,
    actor: Actor,
    office: Office,
    visit: int,
    *,
    done: str = "",
    problems: list[tuple[str, str]] | None = None,
    typed: Mapping[str, str] | None = None,
    place: tuple[dict[str, Any] | None] | None = None,
    status: int = 200,
) -> HTMLResponse:
    """``place``: what was found where it was asked for. Raises VisitUnknown."""
    details = Visits(office).show(actor, visit)
    one = details.visit
    return render(
        request,
        "visit.html",
        title=one.household_no,
        crumbs=[(say(request, "走访"), "/visits")],
        status=status,
        one=one,
        details=details,
        acts=_acts(actor, details),
        done=done,
        problems=problems or [],
        typed=typed or {},
        place=place,
        is_late=one.state in (*UNBEGUN, *OPEN) and one.planned_for < office.today().isoformat(),
        state_kinds=STATE_KINDS,
        kinds=KINDS,
        outcomes=OUTCOMES,
        failures=FAILURES,
        image_kinds=IMAGE_KINDS,
        addable={kind: words for kind, words in IMAGE_KINDS.items() if kind in VISIT_IMAGES},
        form_sections=lambda form: form_sections(form, lambda words: say(request, words)),
        key=office.random_bytes(16).hex(),
    )


def _acts(actor: Actor, details: VisitDetails) -> Acts:
    one = details.visit
    accepts, plans = actor.may(Permission.ACCEPT_VISIT), actor.may(Permission.PLAN_VISITS)
    own = actor.name in (one.collector, one.manager)
    makes = actor.may(Permission.VISIT) and one.manager == actor.name and one.state in OPEN
    return Acts(
        decides=accepts and not own and one.state == "SUBMITTED",
        own=own and accepts,
        cancels=plans and one.state in UNBEGUN,
        unassigns=plans and one.state == "ASSIGNED",
        makes=makes,
        submits=makes and one.state == "COLLECTED",
        fails=makes and one.state == "STARTED",
        adds_images=makes and one.state in ("STARTED", "COLLECTED", "RETURNED"),
        sees_place=accepts and details.has_place,
    )
