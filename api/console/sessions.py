"""The console's cookies: which session a browser carries, and the proof that a form was ours.

``__Host-`` binds a cookie to this host, to TLS (or loopback) and to the whole site. The form token is derived from the
session's own, so that it needs no store and ends with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from starlette.requests import HTTPConnection
from starlette.responses import Response

from psi.errors import VerificationError

SESSION = "__Host-mingce"
DEVICE = "__Host-mingce-device"
LANGUAGE = "mingce-language"
_DEVICE_DAYS = 180
_DAY_S = 86_400


class FormNotOurs(VerificationError):
    """A form was sent from another site, or for another session."""

    code = "form_not_ours"


def form_token(session: str) -> str:
    digest = hmac.new(session.encode(), b"mingce/1 console form", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")


def require_form_token(session: str, given: str) -> None:
    """Raises FormNotOurs."""
    if not hmac.compare_digest(form_token(session).encode(), given.encode("utf-8", "replace")):
        raise FormNotOurs("the form belongs to another session")


def require_same_origin(connection: HTTPConnection) -> None:
    """Every browser says where a POST comes from; one that does not is no browser. Raises FormNotOurs."""
    origin = connection.headers.get("origin", "")
    host = connection.headers.get("host", "")
    site = connection.headers.get("sec-fetch-site", "same-origin")
    if not host or origin.partition("://")[2] != host or site != "same-origin":
        raise FormNotOurs("the request comes from another site")


def set_cookies(response: Response, session: str, device: str) -> None:
    _set(response, SESSION, session, None)
    _set(response, DEVICE, device, _DEVICE_DAYS * _DAY_S)


def clear_session(response: Response) -> None:
    response.delete_cookie(SESSION, path="/", secure=True, httponly=True, samesite="lax")


def _set(response: Response, name: str, value: str, max_age_s: int | None) -> None:
    response.set_cookie(name, value, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="lax")
