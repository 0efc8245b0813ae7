"""What a bureau serves on its one port: JSON for programs under ``/v1``, and for people the console at all else."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from api.bureau.app import create_bureau_app
from api.bureau.gate import WATCHED
from api.console.app import Site, create_console_app
from api.limits import Limits
from api.listening import Listening
from api.serving import serve
from matcher.accounts.sessions import Sessions
from matcher.accounts.sign_in import SignIn
from matcher.bureau.office import Office
from matcher.checks.links import Links
from matcher.reports.service import Reports


class Beside:
    """Two applications by path. The server's start and end are the JSON interface's to hear: it owns the threads."""

    def __init__(self, interface: ASGIApp, console: ASGIApp) -> None:
        self._interface = interface
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and scope["path"] not in WATCHED and scope["path"].split("/")[1:2] != ["v1"]
        await (self._console if is_page else self._interface)(scope, receive, send)


def create_bureau_endpoint(
    office: Office,
    site: Site,
    *,
    second_factor: bool,
    links: Links | None = None,
    limits: Limits | None = None,
    sign_in: SignIn | None = None,
) -> ASGIApp:
    """Both over one office, which the caller closes; they share sessions, the threads that check passwords, metrics.

    ``second_factor``: whether a session needs one; ``links``: the departments' datasets that the console shows.
    """
    limits, sign_in = limits or Limits(), sign_in or SignIn(office)
    sessions = Sessions(office, sign_in, require_second_factor=second_factor)
    reports = Reports(office, site.townships, is_demo=site.demo)
    interface = create_bureau_app(office, limits=limits, sign_in=sign_in, sessions=sessions, reports=reports)
    return Beside(interface, create_console_app(interface.state.services, site, links=links, limits=limits))


def serve_bureau(
    office: Office,
    site: Site,
    *,
    second_factor: bool,
    links: Links | None = None,
    listening: Listening | None = None,
    limits: Limits | None = None,
    on_listening: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve until stopped; raises what api.serving.serve raises."""
    limits = limits or Limits()
    serve(
        lambda: create_bureau_endpoint(office, site, second_factor=second_factor, links=links, limits=limits),
        listening or Listening(),
        limits,
        on_listening,
    )
