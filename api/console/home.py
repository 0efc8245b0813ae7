"""Where a person comes in, and their own page."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.console.rendering import render
from api.console.sections import sections_of

router = APIRouter()


@router.get("/")
def start(request: Request) -> Response:
    """To the first section that is open to this account."""
    sections = sections_of(request.state.actor)
    return RedirectResponse(f"/{sections[0].path}" if sections else "/me", status_code=303)


@router.get("/me")
def me(request: Request) -> HTMLResponse:
    return render(request, "me.html", title=request.state.actor.name)
