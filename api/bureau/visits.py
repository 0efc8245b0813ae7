"""Visits: plans and assignment, the tablet's work at the door, images, the offline workbook, a second person's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field, StringConstraints

from api.bureau.bodies import Body, Day, IdempotencyKey, ImageAnswer, Line, Number, Remark, StrictRoute, upload
from api.bureau.services import CurrentActor, CurrentOffice
from matcher.bureau.bulk import summarise
from matcher.visits.form import VisitForm
from matcher.visits.service import Visits
from matcher.visits.showing import MAX_PAGE, VisitFilter

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["visits"])

MOST_AT_ONCE = 1_000
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class WorkbookAnswer(Response):
    media_type = XLSX


Place = Annotated[int, Path(ge=1, le=2**53)]  # a number in an address
Area = Annotated[str, StringConstraints(pattern=r"^[0-9]{6,12}$")]
Fraction = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,6}(\.[0-9]{1,9})?$")]
Moment = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
Account = Annotated[str, StringConstraints(min_length=2, max_length=32)]
Grid = Annotated[str, StringConstraints(max_length=60)]
ImageKind = Literal["photo", "signature_applicant", "signature_manager", "signature_officer", "document"]


class Plan(Body):
    """``households`` narrows the plan to these."""

    area: Area
    planned_for: Day
    grid: Grid = ""
    households: Annotated[list[Number], Field(max_length=MOST_AT_ONCE)] = Field(default_factory=list)


class Revisits(Body):
    area: Area
    planned_for: Day


class Assignment(Body):
    visits: Annotated[list[Number], Field(min_length=1, max_length=MOST_AT_ONCE)]
    manager: Account
    grid_officer: Grid = ""


class AreaAssignment(Body):
    area: Area
    manager: Account
    grid: Grid = ""
    grid_officer: Grid = ""


class Seen(Body):
    """``version``: of the visit as this person has seen it."""

    version: Number


class TrackPoint(Body):
    latitude: Fraction
    longitude: Fraction
    at: Moment


class Start(Seen):
    """The tablet's place, WGS-84; ``started_at`` where it was offline."""

    latitude: Fraction
    longitude: Fraction
    accuracy_m: Fraction
    track: Annotated[list[TrackPoint], Field(max_length=2_000)] = Field(default_factory=list)
    started_at: Moment | None = None


class Failure(Seen):
    outcome: Literal["absent", "refused", "moved", "deceased", "wrong_address"]
    remark: Remark = ""


class Return(Seen):
    remark: Line


class Form(Seen):
    """``form`` as docs/reference/visit-form.md has it; its own checks name every fault by its place."""

    form: dict[str, Any]


class OfferedForm(Body):
    form: dict[str, Any]


@router.get("/visits")
def list_visits(
    actor: CurrentActor,
    office: CurrentOffice,
    area: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,12}$")] = "",
    grid: Grid = "",
    state: Annotated[str, StringConstraints(pattern=r"^[A-Z]{0,20}$")] = "",
    kind: Literal["", "first", "revisit"] = "",
    manager: Annotated[str, StringConstraints(max_length=32)] = "",
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    size: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """Visits in the account's care, by number; send the last one's as ``after`` for the next page."""
    wanted = VisitFilter(area, grid, state, kind, manager)
    return {"visits": [asdict(v) for v in Visits(office).list_visits(actor, wanted, after=after, size=size)]}


@router.get("/visits/form-schema")
def form_schema() -> dict[str, Any]:
    """The information form as JSON Schema."""
    return VisitForm.model_json_schema()


@router.get("/visits/sheet", response_class=WorkbookAnswer)
def get_sheet(actor: CurrentActor, office: CurrentOffice) -> Response:
    """The account's open visits as a workbook to fill in without a network; it holds ID numbers."""
    return WorkbookAnswer(Visits(office).sheet_content(actor))


@router.post("/visits/sheet")
def post_sheet(
    _: IdempotencyKey,
    actor: CurrentActor,
    office: CurrentOffice,
    content: Annotated[bytes, upload(XLSX)],
    dry_run: bool = False,
) -> dict[str, Any]:
    """Take in that workbook: what was saved, faults with sheet, row and column, conflicts with both sides."""
    return asdict(Visits(office).take_sheet(actor, content, dry_run=dry_run))


@router.post("/visits/plan")
def plan(wanted: Plan, _: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Plan a visit for every household of an area that waits for one; again it plans nothing."""
    done = Visits(office).plan(actor, wanted.area, wanted.planned_for, grid=wanted.grid, households=wanted.households)
    return asdict(done)


@router.post("/visits/revisits")
def plan_revisits(wanted: Revisits, _: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Plan the revisits that the policy has due; again it plans nothing."""
    return {"planned": Visits(office).plan_revisits(actor, wanted.area, wanted.planned_for)}


@router.post("/visits/assign")
def assign(wanted: Assignment, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Give visits to one account, with an outcome for each."""
    outcomes = Visits(office).assign_many(
        actor, wanted.visits, wanted.manager, grid_officer=wanted.grid_officer, key=key
    )
    return summarise(outcomes)


@router.post("/visits/assign-area")
def assign_area(
    wanted: AreaAssignment, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """The same for every planned visit of an area, or of one grid of it."""
    outcomes = Visits(office).assign_area(
        actor, wanted.area, wanted.manager, grid=wanted.grid, grid_officer=wanted.grid_officer, key=key
    )
    return summarise(outcomes)


@router.get("/visits/{visit}")
def show(visit: Place, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """A visit with its masked form, its images, what it still lacks, where form and match differ, and its history."""
    return asdict(Visits(office).show(actor, visit))


@router.post("/visits/{visit}/unassign")
def unassign(
    visit: Place, seen: Seen, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Take an assigned visit back to the plan."""
    return asdict(Visits(office).unassign(actor, visit, version=seen.version, key=key))


@router.post("/visits/{visit}/cancel")
def cancel(
    visit: Place, said: Return, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Give up a visit that nobody has begun, with a reason; the next plan of the area may bring it back."""
    return asdict(Visits(office).cancel(actor, visit, said.remark, version=said.version, key=key))


@router.post("/visits/{visit}/start")
def start(
    visit: Place, begun: Start, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Begin a visit at the household's door."""
    place: Mapping[str, Any] = begun.model_dump(include={"latitude", "longitude", "accuracy_m", "track"})
    done = Visits(office).start(actor, visit, place, started_at=begun.started_at, version=begun.version, key=key)
    return asdict(done)


@router.get("/visits/{visit}/place")
def place_of(visit: Place, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Where the visit began, with its track; who looked is recorded."""
    return {"place": _in_text(Visits(office).place_of(actor, visit))}


@router.get("/visits/{visit}/form")
def own_form(visit: Place, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """The form whole, for the account that makes the visit; ``form`` is null while there is none."""
    saved = Visits(office).own_form(actor, visit)
    return {"form": saved.form.model_dump(mode="json") if saved else None}


@router.post("/visits/{visit}/form")
def save_form(
    visit: Place, sent: Form, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Save the form. The key is made on the device with the form, 8 to 64 of A-Z a-z 0-9 _ -: sent twice, it is one."""
    return asdict(Visits(office).save_form(actor, visit, sent.form, device_key=key, version=sent.version))


@router.post("/visits/{visit}/form/compare")
def compare_form(visit: Place, sent: OfferedForm, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Where a form and the stored one differ, side by side: after ``visit_changed``."""
    return {"differences": [asdict(found) for found in Visits(office).compare_form(actor, visit, sent.form)]}


@router.post("/visits/{visit}/images/{kind}", status_code=201)
def add_image(
    visit: Place,
    kind: ImageKind,
    _: IdempotencyKey,
    actor: CurrentActor,
    office: CurrentOffice,
    content: Annotated[bytes, upload("image/jpeg", "image/png")],
) -> dict[str, Any]:
    """Add a photo or a signature; only its pixels are kept. The same image again changes nothing."""
    return asdict(Visits(office).add_image(actor, visit, kind, content))


@router.get("/visits/{visit}/images/{attachment}", response_class=ImageAnswer)
def read_image(visit: Place, attachment: Place, actor: CurrentActor, office: CurrentOffice) -> Response:
    """One image; who looked is recorded."""
    return ImageAnswer(Visits(office).read_image(actor, visit, attachment))


@router.post("/visits/{visit}/fail")
def fail(
    visit: Place, failure: Failure, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """End a visit without a form."""
    done = Visits(office).fail(actor, visit, failure.outcome, remark=failure.remark, version=failure.version, key=key)
    return asdict(done)


@router.post("/visits/{visit}/submit")
def submit(visit: Place, seen: Seen, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Hand in a visit with its form, place, photo and signatures."""
    return asdict(Visits(office).submit(actor, visit, version=seen.version, key=key))


@router.post("/visits/{visit}/accept")
def accept(visit: Place, seen: Seen, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """Take a visit as evidence, as another person than its collector."""
    return asdict(Visits(office).accept(actor, visit, version=seen.version, key=key))


@router.post("/visits/{visit}/return")
def return_visit(
    visit: Place, said: Return, key: IdempotencyKey, actor: CurrentActor, office: CurrentOffice
) -> dict[str, Any]:
    """Send a visit back with what has to be put right."""
    return asdict(Visits(office).return_visit(actor, visit, said.remark, version=said.version, key=key))


def _in_text(value: Any) -> Any:
    """Fractions travel as text."""
    if isinstance(value, dict):
        return {name: _in_text(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_in_text(part) for part in value]
    return str(value) if isinstance(value, float) else value
