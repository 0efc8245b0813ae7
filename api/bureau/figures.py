"""Figures of a day with the records behind them, and the programme's reports as JSON (docs/reference/reports.md)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import StringConstraints

from api.bureau.bodies import Day, StrictRoute
from api.bureau.services import CurrentActor, CurrentOffice, CurrentReports
from matcher.figures.definitions import DEFINITIONS
from matcher.figures.service import LONGEST_TRACE, Figures
from matcher.reports.plain import as_document

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["figures"])

Name = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]
Township = Annotated[str, StringConstraints(pattern=r"^(\d{9})?$")]
Product = Annotated[str, StringConstraints(pattern=r"^[a-z]{0,20}$")]
Month = Annotated[str, StringConstraints(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]
Year = Annotated[int, Query(ge=2000, le=2099)]
Outside = Annotated[bool, Query(description="leaves the government side: small cells are hidden")]


@router.get("/figure-days")
def days(actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """The days that have figures, the latest first."""
    found = Figures(office).list_days(actor)
    return {"days": [{**vars(day), "day": day.day.isoformat()} for day in found]}


@router.get("/figures")
def table(day: Day, actor: CurrentActor, office: CurrentOffice) -> dict[str, Any]:
    """A day's numbers as they are kept; an account for some townships gets theirs. What is not there is nought."""
    found = Figures(office).get_table(actor, day)
    units = {name: definition.unit.value for name, definition in DEFINITIONS.items()}
    cells = [cell._asdict() for cell in found.cells.values()]
    return {"day": day.isoformat(), "definitions": found.definitions, "units": units, "cells": cells}


@router.get("/figures/{name}/records")
def records(
    name: Name,
    day: Day,
    actor: CurrentActor,
    office: CurrentOffice,
    township: Township = "",
    product: Product = "",
    after: Annotated[int, Query(ge=0, le=10**7)] = 0,
    size: Annotated[int, Query(ge=1, le=LONGEST_TRACE)] = 100,
) -> dict[str, Any]:
    """The records behind a number, which they add up to now; ``kept`` is what the day's figures say."""
    found = Figures(office).trace(actor, name, day, township, product, limit=size, offset=after)
    return {
        "name": name,
        "meaning": found.definition.meaning,
        "unit": found.definition.unit.value,
        "value": found.value,
        "households": found.households,
        "kept": found.kept,
        "records": [record._asdict() for record in found.records],
        "next": after + size if len(found.records) == size else None,
    }


@router.get("/reports/kpi")
def kpi(day: Day, actor: CurrentActor, reports: CurrentReports, outside: Outside = False) -> dict[str, Any]:
    """The indicators of 附件1 beside their targets."""
    return as_document(reports.kpi(actor, day, outside=outside))


@router.get("/reports/monthly")
def monthly(month: Month, actor: CurrentActor, reports: CurrentReports, outside: Outside = False) -> dict[str, Any]:
    """成效监测表 of a month (2025-02)."""
    year, number = map(int, month.split("-"))
    return as_document(reports.monthly(actor, year, number, outside=outside))


@router.get("/reports/year")
def year(year: Year, actor: CurrentActor, reports: CurrentReports, outside: Outside = False) -> dict[str, Any]:
    """The tables of the year-end summary."""
    return as_document(reports.year(actor, year, outside=outside))


@router.get("/reports/staff")
def staff(
    actor: CurrentActor,
    reports: CurrentReports,
    start: Annotated[Day, Query(alias="from")],
    end: Annotated[Day, Query(alias="to")],
) -> dict[str, Any]:
    """Visits, signed households and amounts, borrowing households and average balance, by manager."""
    return as_document(reports.staff(actor, start, end))


@router.get("/claims/{claim}/report")
def claim(claim: Annotated[int, Path(ge=1, le=2**53)], actor: CurrentActor, reports: CurrentReports) -> dict[str, Any]:
    """贷款贴息申请汇总表 of a claim."""
    return as_document(reports.claim(actor, claim))
