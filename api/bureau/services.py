"""What the bureau's routes work with, and who calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.bureau.authenticating import Authenticating
from api.metrics import RequestMetrics
from matcher.bureau.actors import Actor
from matcher.bureau.office import Office
from matcher.reports.service import Reports


@dataclass(frozen=True)
class Services:
    """``request.app.state.services``."""

    office: Office
    reports: Reports
    authenticating: Authenticating
    metrics: RequestMetrics


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _office(request: Request) -> Office:
    return _services(request).office


def _reports(request: Request) -> Reports:
    return _services(request).reports


def _current_actor(request: Request) -> Actor:
    """The gate has let nobody else through."""
    actor: Actor = request.state.actor
    return actor


CurrentServices = Annotated[Services, Depends(_services)]
CurrentOffice = Annotated[Office, Depends(_office)]
CurrentReports = Annotated[Reports, Depends(_reports)]
CurrentActor = Annotated[Actor, Depends(_current_actor)]
