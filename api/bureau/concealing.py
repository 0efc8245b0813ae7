"""What is not there and what is not in the account's care are one answer: numbers in an address tell nothing."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from matcher.bureau.actors import Actor, conceal
from psi.errors import MingceError


class Concealing:
    """Innermost, of the JSON interface and of the console: behind their gates, which say whose request it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except MingceError as error:
            actor: Actor | None = scope.get("state", {}).get("actor")
            raise (error if actor is None else conceal(actor, error)) from None
