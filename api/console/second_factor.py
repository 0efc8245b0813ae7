"""Binding a device as second factor: a QR code, and a code of the device that proves it has been taken in."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import segno
from fastapi import APIRouter, Form, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentServices
from api.console.language import say
from api.console.rendering import render
from api.console.sessions import DEVICE, set_cookies
from matcher.accounts.second_factor import CodeWrong, SecondFactor
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office

router = APIRouter()


@router.get("/second-factor")
def show(request: Request, actor: CurrentActor, services: CurrentServices) -> HTMLResponse:
    return _show(request, services.office, actor)


@router.post("/second-factor")
def bind(
    request: Request, actor: CurrentActor, services: CurrentServices, code: Annotated[str, Form(max_length=16)]
) -> Response:
    """From here on the session is another, and whole."""
    device = request.cookies.get(DEVICE, "")
    try:
        signed_in = services.authenticating.sessions.bind_device(request.state.session, code, device)
    except CodeWrong:
        problem = say(request, "动态口令不对；请等下一组数字，并核对手机时间")
        return _show(request, services.office, actor, problem, status=422)
    response = RedirectResponse("/", status_code=303)
    set_cookies(response, signed_in.token, signed_in.device)
    return response


def _show(request: Request, office: Office, actor: Actor, problem: str = "", *, status: int = 200) -> HTMLResponse:
    address = SecondFactor(office).begin(actor)
    (secret,) = parse_qs(urlsplit(address).query)["secret"]
    return render(
        request,
        "second-factor.html",
        title=say(request, "绑定验证器"),
        status=status,
        picture=Markup(segno.make(address, error="m").svg_inline(scale=5, border=4)),  # noqa: S704  (drawn here)
        secret=" ".join(secret[place : place + 4] for place in range(0, len(secret), 4)),
        problem=problem,
    )
