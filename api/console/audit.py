"""The audit log: who did what, who saw what, and whether the chain holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.language import mark, say
from api.console.rendering import render
from matcher.audit import FaultKind
from matcher.bureau.audit_log import AuditLog

router = APIRouter()

ROWS = 100
VIEWS: Mapping[str, str] = {
    "": mark("全部"),
    "person": mark("谁看过什么"),
    "refused": mark("被拒绝的"),
    "account": mark("登录与账号"),
    "review": mark("审核"),
    "claim": mark("申报"),
}
"""Actions that people ask for, by the part of the work."""
FAULTS: Mapping[FaultKind, str] = {
    "edited": mark("第 %(seq)s 行被改动"),
    "moved": mark("第 %(seq)s 行原是第 %(other)s 行，被移动"),
    "missing": mark("第 %(seq)s 至 %(other)s 行被删除"),
    "inserted": mark("第 %(seq)s 行是插入的"),
    "replaced": mark("第 %(seq)s 行被整行替换"),
    "cut": mark("第 %(seq)s 行起被截去"),
}

Word = Annotated[str, Query(max_length=100)]


@router.get("/audit")
def list_rows(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    account: Word = "",
    action: Word = "",
    subject: Word = "",
    since: Word = "",
    until: Word = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> HTMLResponse:
    """The newest first, a hundred rows a page."""
    wanted = {"account": account, "action": action, "subject": subject, "since": since, "until": until}
    days, problems = {}, []
    for name in ("since", "until"):
        try:
            days[name] = date.fromisoformat(wanted[name]) if wanted[name] else None
        except ValueError:
            days[name], wanted[name] = None, ""  # a field for days can show no other words
            problems.append((name, say(request, "日期写作 2026-03-05")))
    rows = AuditLog(office).list_rows(
        actor, account=account.strip() or None, action=action.strip() or None, subject=subject.strip() or None,
        since=days["since"], until=days["until"], before=before, limit=ROWS + 1,
    )  # fmt: skip
    older = {
        **{name: value for name, value in wanted.items() if value},
        "before": rows[ROWS - 1].seq if rows[ROWS:] else 0,
    }
    return render(
        request, "audit.html", title=say(request, "审计"), rows=rows[:ROWS], wanted=wanted, problems=problems,
        views=VIEWS, older=f"/audit?{urlencode(older)}" if rows[ROWS:] else "", status=422 if problems else 200,
        newest=before is None,
    )  # fmt: skip


@router.post("/audit/verify")
def verify(request: Request, office: CurrentOffice) -> HTMLResponse:
    """Recomputes the whole chain."""
    found = AuditLog(office).verify()
    return render(
        request, "audit-verify.html", title=say(request, "校验审计链"), head=found.head,
        faults=[say(request, FAULTS[one.kind]) % {"seq": one.seq, "other": one.other} for one in found.faults],
        crumbs=[(say(request, "审计"), "/audit")],
    )  # fmt: skip
