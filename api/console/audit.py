"""The audit log: who did what, who saw what, and whether the chain holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import HTMLResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.audit_words import ACTIONS, LOOKS, details, moved
from api.console.exporting import MOST_EXPORTED, CurrentTaking, ListOut, hand_out_list, walk
from api.console.language import mark, say
from api.console.rendering import moment, render
from matcher.audit import FaultKind
from matcher.bureau.actors import Permission
from matcher.bureau.audit_log import AuditLog, AuditRow
from matcher.bureau.audit_reads import ReadFilter, ReadRow
from matcher.bureau.audit_reads import list_reads as list_reads_of

router = APIRouter()

ROWS = 100
VIEWS: Mapping[str, str] = {
    "": mark("全部"),
    "refused": mark("被拒绝的"),
    "account": mark("登录与账号"),
    "review": mark("审核"),
    "claim": mark("申报"),
}
"""Actions that people ask for, by the part of the work."""
FIELDS: Mapping[str, str] = {
    "number": mark("证件号码"),
    "name": mark("姓名"),
    "phone": mark("电话"),
    "address": mark("住址"),
}
AT_ONCE = 1_000
COLUMNS = ("序号", "时间", "谁", "事项", "说明", "对象", "状态改变", "用途", "细节")
LOOK_COLUMNS = ("序号", "时间", "谁", "看了什么", "家庭编号", "对象", "哪一项", "用途")
"""Of the two files."""
FAULTS: Mapping[FaultKind, str] = {
    "edited": mark("第 %(seq)s 行被改动"),
    "moved": mark("第 %(seq)s 行原是第 %(other)s 行，被移动"),
    "missing": mark("第 %(seq)s 至 %(other)s 行被删除"),
    "inserted": mark("第 %(seq)s 行是插入的"),
    "replaced": mark("第 %(seq)s 行被整行替换"),
    "cut": mark("第 %(seq)s 行起被截去"),
}

Word = Annotated[str, Query(max_length=100)]
Field = Annotated[str, Form(max_length=100)]


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
    days, problems = _days(request, wanted)
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
        views=VIEWS, actions=ACTIONS, moved=moved, details=details,
        older=f"/audit?{urlencode(older)}" if rows[ROWS:] else "", status=422 if problems else 200,
        newest=before is None, may_export=actor.may(Permission.EXPORT), key=office.random_bytes(16).hex(),
    )  # fmt: skip


@router.get("/audit/reads")
def list_reads(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    account: Word = "",
    household: Word = "",
    subject: Word = "",
    since: Word = "",
    until: Word = "",
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> HTMLResponse:
    """Who looked at whom in full, for what, and which files were carried away."""
    wanted = {"account": account, "household": household, "subject": subject, "since": since, "until": until}
    days, problems = _days(request, wanted)
    chosen = ReadFilter(account.strip(), household.strip(), subject.strip(), days["since"], days["until"])
    rows = list_reads_of(office, actor, chosen, before=before, limit=ROWS + 1)
    older = {name: value for name, value in wanted.items() if value}
    return render(
        request, "audit-reads.html", title=say(request, "谁看过什么"), crumbs=[(say(request, "审计"), "/audit")],
        rows=rows[:ROWS], wanted=wanted, problems=problems, status=422 if problems else 200, looks=LOOKS, fields=FIELDS,
        older=f"/audit/reads?{urlencode({**older, 'before': rows[ROWS - 1].seq})}" if rows[ROWS:] else "",
        newest_address=f"/audit/reads?{urlencode(older)}" if before else "",
        may_open=actor.may(Permission.SEE_HOUSEHOLDS), may_export=actor.may(Permission.EXPORT),
        key=office.random_bytes(16).hex(),
    )  # fmt: skip


@router.post("/audit/export")
def export(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    what: Annotated[Literal["rows", "reads"], Form()],
    account: Field = "",
    action: Field = "",
    household: Field = "",
    subject: Field = "",
    since: Field = "",
    until: Field = "",
) -> Response:
    """What the page's filters show, the newest first; the log holds no personal data."""
    days, _ = _days(request, {"since": since, "until": until})  # the form has what the page took
    account, action, household, subject = (one.strip() for one in (account, action, household, subject))
    log, chosen = AuditLog(office), ReadFilter(account, household, subject, days["since"], days["until"])

    def read_rows(last: AuditRow | None) -> Sequence[AuditRow]:
        return log.list_rows(
            actor, account=account or None, action=action or None, subject=subject or None, since=days["since"],
            until=days["until"], before=last.seq if last else None, limit=AT_ONCE,
        )  # fmt: skip

    def read_looks(last: ReadRow | None) -> Sequence[ReadRow]:
        return list_reads_of(office, actor, chosen, before=last.seq if last else None, limit=AT_ONCE)

    def make_rows() -> list[tuple[str, ...]]:
        if what == "reads":
            return [_cells_of_look(row) for row in walk(read_looks, most=MOST_EXPORTED)]
        return [_cells(row) for row in walk(read_rows, most=MOST_EXPORTED)]

    columns = LOOK_COLUMNS if what == "reads" else COLUMNS
    out = ListOut(mark("审计记录"), f"audit/{what}", Permission.SEE_AUDIT, columns)
    return hand_out_list(request, actor, office, taking, out, make_rows, back="/audit")


@router.post("/audit/verify")
def verify(request: Request, office: CurrentOffice) -> HTMLResponse:
    """Recomputes the whole chain."""
    found = AuditLog(office).verify()
    return render(
        request, "audit-verify.html", title=say(request, "校验审计链"), head=found.head,
        faults=[say(request, FAULTS[one.kind]) % {"seq": one.seq, "other": one.other} for one in found.faults],
        crumbs=[(say(request, "审计"), "/audit")],
    )  # fmt: skip


def _cells(row: AuditRow) -> tuple[str, ...]:
    details = {name: value for name, value in row.detail.items() if name != "purpose"}
    return (
        str(row.seq), moment(row.at), row.actor, row.action, ACTIONS.get(row.action, ""), row.subject,
        " → ".join(filter(None, moved(row))), str(row.detail.get("purpose", "")),
        json.dumps(details, ensure_ascii=False),
    )  # fmt: skip


def _cells_of_look(row: ReadRow) -> tuple[str, ...]:
    return (
        str(row.seq), moment(row.at), row.actor, LOOKS.get(row.action, row.action), row.household_no or "",
        row.subject, FIELDS.get(row.field, row.field), row.purpose,
    )  # fmt: skip


def _days(request: Request, wanted: dict[str, str]) -> tuple[dict[str, date | None], list[tuple[str, str]]]:
    """The days of a filter, and what is wrong with them; a field for days can show no other words, so it is emptied."""
    days: dict[str, date | None] = {}
    problems = []
    for name in ("since", "until"):
        try:
            days[name] = date.fromisoformat(wanted[name]) if wanted[name] else None
        except ValueError:
            days[name], wanted[name] = None, ""
            problems.append((name, say(request, "日期写作 2026-03-05")))
    return days, problems
