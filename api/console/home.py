"""Where a person comes in, and their own page."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.language import language_of, say
from api.console.rendering import render
from api.console.sections import sections_of
from matcher.accounts.second_factor import SecondFactor
from matcher.bureau.actors import PERMISSION_WORDS

router = APIRouter()


@router.get("/")
def start(request: Request) -> Response:
    """To the first section that is open to this account."""
    sections = sections_of(request)
    return RedirectResponse(f"/{sections[0].path}" if sections else "/me", status_code=303)


@router.get("/me")
def me(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    place = 0 if language_of(request) == "zh" else 1
    may = [words[place] for permission, words in PERMISSION_WORDS.items() if actor.may(permission)]
    bound = SecondFactor(office).is_bound(actor)
    return render(request, "me.html", title=say(request, "我的账号"), may=may, bound=bound)
