"""Signing in and out, and who one is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints

from api.bureau.bodies import Body, StrictRoute
from api.bureau.services import CurrentActor, CurrentServices
from matcher.bureau.actors import Actor

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["sessions"])

Name = Annotated[str, StringConstraints(max_length=32)]
Password = Annotated[str, StringConstraints(max_length=1_024), Field(json_schema_extra={"format": "password"})]
Code = Annotated[str, StringConstraints(max_length=16)]
Device = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]


class Credentials(Body):
    """``device``: what the last sign-in on this device answered; failures elsewhere then do not slow it down.

    ``code``: what the device bound as second factor shows; a person binds theirs in the console.
    """

    name: Name
    password: Password
    code: Code = ""
    device: Device | None = None


class NewPassword(Body):
    name: Name
    present: Password
    wanted: Password
    device: Device | None = None


@router.post("/sessions", status_code=201)
async def sign_in(credentials: Credentials, services: CurrentServices) -> dict[str, Any]:
    """Sign in: ``token`` is this session's, for the Authorization header; ``device`` is kept for the next time."""
    signed_in = await services.authenticating.begin_session(
        credentials.name, credentials.password, credentials.device, credentials.code
    )
    return {
        "token": signed_in.token,
        "device": signed_in.device,
        "expires_at": signed_in.expires_at,
        "account": describe(signed_in.actor),
    }


@router.get("/sessions/current")
def who_am_i(actor: CurrentActor) -> dict[str, Any]:
    """The account of this session, and what it may do."""
    return describe(actor)


@router.delete("/sessions/current", status_code=204)
def sign_out(request: Request, services: CurrentServices) -> None:
    """End this session."""
    services.authenticating.sessions.end(request.state.token)


@router.post("/password", status_code=204)
async def set_password(wanted: NewPassword, services: CurrentServices) -> None:
    """Choose one's own password, knowing the present or the one-time one; ends all the account's sessions."""
    await services.authenticating.set_password(wanted.name, wanted.present, wanted.wanted, wanted.device)


def describe(actor: Actor) -> dict[str, Any]:
    return {
        "name": actor.name,
        "roles": sorted(role.value for role in actor.roles),
        "permissions": sorted(permission.value for permission in actor.permissions),
        "townships": list(actor.townships),
        "bank": actor.bank,
    }
