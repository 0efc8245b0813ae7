"""Signing in and out, choosing a password, and the switch of the language."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentServices
from api.console.language import mark, say
from api.console.rendering import render
from api.console.sessions import DEVICE, LANGUAGE, clear_session, set_cookies
from matcher.accounts.model import PasswordNotChosen, SignInFailed
from matcher.accounts.passwords import PasswordWeak

router = APIRouter()
_OURS = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}")  # a path of this host, no address of another
Text = Annotated[str, Form(max_length=200)]


@router.get("/sign-in")
def ask(request: Request, next: str = "/") -> HTMLResponse:
    return _ask(request, next)


@router.post("/sign-in")
async def sign_in(
    request: Request, services: CurrentServices, name: Text, password: Text, code: Text = "", next: Text = "/"
) -> Response:
    """A new session each time; whatever session the browser held before is ended."""
    try:
        signed_in = await services.authenticating.begin_session(
            name.strip(), password, request.cookies.get(DEVICE), code
        )
    except SignInFailed:
        return _ask(request, next, name, "password", mark("账号、口令或动态口令不对，或稍后才能再试"), status=403)
    except PasswordNotChosen:
        return RedirectResponse("/password", status_code=303)
    response = RedirectResponse(_own(next) if signed_in.is_whole else "/second-factor", status_code=303)
    set_cookies(response, signed_in.token, signed_in.device)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, services: CurrentServices) -> Response:
    await run_in_threadpool(services.authenticating.sessions.end, request.state.session)
    response = RedirectResponse("/sign-in", status_code=303)
    clear_session(response)
    return response


@router.get("/password")
def ask_password(request: Request) -> HTMLResponse:
    return _ask_password(request)


@router.post("/password")
async def set_password(
    request: Request, services: CurrentServices, name: Text, present: Text, wanted: Text, again: Text
) -> Response:
    """Choose one's own; ends all sessions of the account."""
    if wanted != again:
        return _ask_password(request, name, "again", mark("两次输入的新口令不一致"), status=422)
    try:
        await services.authenticating.set_password(name.strip(), present, wanted, request.cookies.get(DEVICE))
    except PasswordWeak:
        return _ask_password(request, name, "wanted", mark("新口令太弱：至少十二个字符，且不含账号"), status=422)
    except SignInFailed:
        return _ask_password(request, name, "present", mark("账号或现口令不对，或稍后才能再试"), status=403)
    return RedirectResponse("/sign-in", status_code=303)


@router.post("/language")
def switch(language: Annotated[str, Form(pattern="^(zh|en)$")], back: Text = "/") -> Response:
    response = RedirectResponse(_own(back), status_code=303)
    response.set_cookie(LANGUAGE, language, max_age=31_536_000, path="/", samesite="lax")
    return response


def _own(address: str) -> str:
    return address if _OURS.fullmatch(address) else "/"


def _ask(
    request: Request, wanted: str, name: str = "", field: str = "", problem: str = "", *, status: int = 200
) -> HTMLResponse:
    return render(
        request, "sign-in.html", title=say(request, "登录"), status=status, next=_own(wanted), name=name,
        problems=[(field, say(request, problem))] if problem else [],
    )  # fmt: skip


def _ask_password(
    request: Request, name: str = "", field: str = "", problem: str = "", *, status: int = 200
) -> HTMLResponse:
    return render(
        request, "password.html", title=say(request, "设置自己的口令"), status=status, name=name,
        problems={field: say(request, problem)} if problem else {},
    )  # fmt: skip
