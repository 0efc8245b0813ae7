"""大屏: the county's figures for a room: large, dark, one screen after another, and nothing of any single family."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.dashboard_view import STAGES, WALL, goal_rows, make_charts, show_number, words_of
from api.console.language import mark, say
from api.console.rendering import render
from matcher.reports.dashboard import Dashboards

router = APIRouter()

SCREENS = (mark("指标"), mark("推进"), mark("余额"), mark("利率"), mark("贴息"), mark("乡镇"))
TILES = 8


@router.get("/dashboard/wall")
def show(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    screen: Annotated[int, Query(ge=1, le=len(SCREENS))] = 1,
) -> HTMLResponse:
    """All screens; the one that was asked for shows, a script goes on to the next. Whoever is in the room sees it, so
    small cells are hidden whoever opened it; an account for some townships has no county to show."""
    board = Dashboards(office, request.app.state.site.townships).show(actor, outside=True)
    return render(
        request, "wall.html", title=say(request, "大屏"), board=board, screens=SCREENS, chosen=screen, stages=STAGES,
        goals=goal_rows(request, board)[:TILES] if board else [],
        charts=make_charts(request, board, WALL) if board else None, words_of=words_of,
        number=lambda one: show_number(board, one) if board else None,
    )  # fmt: skip
