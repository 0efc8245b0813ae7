"""走访平板: the one page of the console that needs its script, and the addresses that the script talks to.

The page holds nobody's data, so that a browser may keep it for when there is no network. What the script sends is a
form like any other (token, our own origin); what it gets back is JSON. Every step is safe to send again:
docs/decisions/0020-what-a-tablet-keeps.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Request, UploadFile
from starlette.responses import HTMLResponse, JSONResponse, Response

from api.bureau.problems import describe_problem
from api.bureau.services import CurrentActor, CurrentOffice
from api.console.errors import words_of_problem
from api.console.language import language_of, say
from api.console.rendering import environment
from api.console.sessions import form_token
from api.console.visit_conflict import conflict_entries
from api.console.visit_form import form_steps
from matcher.bureau.actors import Permission
from matcher.states import VISIT
from matcher.visits.form import FORM_VERSION
from matcher.visits.model import FAILURES, KINDS, VisitChanged
from matcher.visits.service import Visits
from psi.errors import InputError, MingceError

router = APIRouter(prefix="/visits/tablet")

MAX_FORM_CHARACTERS = 200_000
Number = Annotated[int, Path(ge=1, le=2**53)]
Version = Annotated[int, Form(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9A-Za-z_-]{8,64}$")]
Json = Annotated[str, Form(max_length=MAX_FORM_CHARACTERS)]
Moment = Annotated[str, Form(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
ImageKind = Literal["photo", "signature_applicant", "signature_manager", "signature_officer", "document"]


@router.get("")
def show(request: Request, actor: CurrentActor) -> HTMLResponse:
    """The page without anybody in it: no account, no token, no visit."""
    actor.require(Permission.VISIT)
    language = language_of(request)
    page = environment(language).get_template("visit-tablet.html")
    return HTMLResponse(
        page.render(
            title=say(request, "走访平板"), crumbs=(), actor=None, sections=[], path="/visits/tablet", query="",
            token="", language=language, site=request.app.state.site, todo=None, as_of="", steps=form_steps(),
            failures=FAILURES, states=VISIT.words, kinds=KINDS, form_version=FORM_VERSION,
        )
    )  # fmt: skip


@router.get("/hello")
def hello(request: Request, actor: CurrentActor) -> JSONResponse:
    """Who is signed in, and the token of this session's forms."""
    actor.require(Permission.VISIT)
    return JSONResponse({"account": actor.name, "token": form_token(request.state.session)})


@router.get("/along")
def along(request: Request, actor: CurrentActor, office: CurrentOffice) -> JSONResponse:
    """The visits of the week with what is known of the families, for this account's device; recorded."""
    place_of = request.app.state.site.place_of
    packed = [
        {**asdict(one), "place_name": place_of(one.visit.division), "grid_name": place_of(one.visit.grid)}
        for one in Visits(office).take_along(actor)
    ]
    return JSONResponse(
        {
            "account": actor.name,
            "token": form_token(request.state.session),
            "today": office.today().isoformat(),
            "visits": packed,
        }
    )


@router.post("/{visit}/start")
def start(
    request: Request,
    visit: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    version: Version,
    place: Json,
    started_at: Moment,
) -> Response:
    visits = Visits(office)
    return _do(
        request,
        lambda: asdict(visits.start(actor, visit, _object(place), started_at=started_at, version=version, key=key)),
    )


@router.post("/{visit}/image")
def add_image(
    request: Request,
    visit: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    kind: Annotated[ImageKind, Form()],
    file: UploadFile,
    taken_at: Annotated[str, Form(pattern=r"^([0-9-]{10}T[0-9:]{8}Z)?$")] = "",
) -> Response:
    """A photo or a signature; the same again changes nothing."""
    content = file.file.read()
    return _do(
        request,
        lambda: {
            "image": Visits(office).add_image(actor, visit, kind, content, taken_at=taken_at or None).attachment_id
        },
    )


@router.post("/{visit}/form")
def save_form(
    request: Request,
    visit: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    version: Version,
    form: Json,
) -> Response:
    """Save the form under the device's key. Where another form took its place since, that is a conflict too."""
    visits = Visits(office)

    def save() -> dict[str, Any]:
        values = _object(form)
        state = visits.save_form(actor, visit, values, device_key=key, version=version)
        if visits.compare_form(actor, visit, values):
            raise VisitChanged("another form was saved since", visit=visit, present=state.version, state=state.state)
        return asdict(state)

    return _do(request, save)


@router.post("/{visit}/compare")
def compare(request: Request, visit: Number, actor: CurrentActor, office: CurrentOffice, form: Json = "") -> Response:
    """How the visit stands now; with a form, also where that and the stored one differ, for a choice field by field."""

    def look() -> dict[str, Any]:
        visits = Visits(office)
        saved = visits.own_form(actor, visit)
        now = visits.show(actor, visit).visit
        stored = saved.form.model_dump(mode="json") if saved else None
        entries = conflict_entries(visits.compare_form(actor, visit, _object(form)), stored) if form and stored else []
        return {
            "state": now.state,
            "version": now.version,
            "stored": stored,
            "entries": [asdict(one) for one in entries],
        }

    return _do(request, look)


@router.post("/{visit}/fail")
def fail(
    request: Request,
    visit: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    key: Key,
    version: Version,
    outcome: Annotated[Literal["absent", "refused", "moved", "deceased", "wrong_address"], Form()],
    remark: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    visits = Visits(office)
    return _do(request, lambda: asdict(visits.fail(actor, visit, outcome, remark=remark, version=version, key=key)))


@router.post("/{visit}/submit")
def submit(
    request: Request, visit: Number, actor: CurrentActor, office: CurrentOffice, key: Key, version: Version
) -> Response:
    return _do(request, lambda: asdict(Visits(office).submit(actor, visit, version=version, key=key)))


def _object(text: str) -> dict[str, Any]:
    """Raises InputError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError("not a JSON object")
    return found


def _do(request: Request, step: Callable[[], dict[str, Any]]) -> Response:
    """What the step returns as JSON, or what stands against it in words. Raises what is no matter of the visit: a
    refusal of the account (which is recorded), something that is not there, a failure of our own."""
    try:
        return JSONResponse(step())
    except MingceError as error:
        kind = describe_problem(error).kind
        if kind.status not in (409, 422) or kind.refusal:
            raise
        params = dict(error.params)
        words, following = words_of_problem(request, error.code, {"params": params, "detail": error.detail})
        english = language_of(request) == "en"
        problems = params.get("problems")
        places = [
            {"path": one["path"], "text": one["en" if english else "text"]}
            for one in (problems if isinstance(problems, list) else [])
        ]
        said = words or say(request, "填写的内容不可用")
        return JSONResponse(
            {"code": error.code, "words": said, "next": following, "problems": places}, status_code=kind.status
        )
