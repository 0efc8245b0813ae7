"""What every answer of the console tells the browser: run nothing from elsewhere, keep nothing, frame nothing."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
    )
)

VISIT_WORKER, VISIT_SCOPE = "/static/visit-worker.js", "/visits/tablet"
"""The one script that may stand between the browser and the network, and the one page for which it does."""

_ALWAYS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(self), microphone=(), payment=()",
}


class ProtectedAnswers:
    """Outermost: pages, redirects, files and errors alike."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_file = scope["type"] == "http" and scope["path"].startswith("/static/")

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                _protect(MutableHeaders(scope=message), scope["path"], may_keep=is_file and message["status"] == 200)
            await send(message)

        await self._app(scope, receive, sent)


def _protect(headers: MutableHeaders, path: str, *, may_keep: bool) -> None:
    """``may_keep``: a static file, the same for everybody; all else is never stored."""
    for name, value in _ALWAYS.items():
        headers[name] = value
    if may_keep and path == VISIT_WORKER:
        headers["Service-Worker-Allowed"] = VISIT_SCOPE
    headers["Cache-Control"] = "public, max-age=3600" if may_keep else "no-store"
