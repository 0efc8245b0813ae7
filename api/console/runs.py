"""匹配与密钥: what was handed over and matched, of which editions and epochs, under what allowance and authority."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.addresses import with_notice, with_query
from api.console.checks import RUN_STATES
from api.console.errors import words_of_problem
from api.console.exporting import CurrentTaking, ListOut, first_of, hand_out_file, hand_out_list
from api.console.language import mark, say
from api.console.names import dataset_words, links_of
from api.console.rendering import moment, render
from api.console.runs_view import AlarmLine, alarm_lines, bars, epoch_lines
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.checks.links import CheckRuns
from matcher.downloads import Wanted
from matcher.households.received import Received, write_handovers
from matcher.personal.fields import TextNotPlain

router = APIRouter()

PAGE = 50
SHOWN = 20  # of each list on a page of several
MOST_EXPORTED = 20_000
TABS: Mapping[str, str] = {
    "/runs": mark("概览"),
    "/runs/handovers": mark("移交"),
    "/runs/checks": mark("部门核验的运行"),
    "/runs/alarms": mark("警报"),
    "/runs/records": mark("交换记录与抽查"),
}
WARRANTS: Mapping[str, tuple[str, str]] = {
    "unsigned": (mark("待第二人签名"), "warn"),
    "in_force": (mark("有效"), "good"),
    "not_begun": (mark("尚未开始"), "plain"),
    "over": (mark("已到期"), "plain"),
    "revoked": (mark("已撤销"), "bad"),
}
RECORDS: Mapping[str, tuple[str, str]] = {
    "SIGNED": (mark("只有我方签名"), "warn"),
    "COUNTERSIGNED": (mark("双方已签"), "good"),
    "DISPUTED": (mark("对方有异议"), "bad"),
}
REFUSALS: Mapping[str, str] = {
    "foreign_division": mark("不是本县的区划"),
    "receipt_invalid": mark("没有省里的凭据"),
    "canary": mark("金丝雀：查询了不属于任何客户的号码"),
}
SEEN_WITH = (Permission.REFINE, Permission.SEE_AUDIT)
ALARM_COLUMNS = ("时间", "何处", "编号", "代码", "警报", "怎么办", "对象", "确认人", "确认时间")
DONE = {"acknowledged": mark("已确认，理由记入审计。")}

Number = Annotated[int, Path(ge=1, le=2**53)]
Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
Place = Annotated[str, Path(pattern=r"^[a-z0-9._-]{1,64}$")]


@router.get("/runs")
def show_overview(request: Request, actor: CurrentActor, office: CurrentOffice, done: str = "") -> HTMLResponse:
    """What waits for somebody, the time line of editions, allowances, the last hand-overs and runs."""
    received, views = Received(office), CheckRuns(office, links_of(request)).show(actor)
    epochs = received.list_epochs(actor)
    names = dataset_words(request, {one.dataset for one in epochs})
    waiting = [one for one in _alarms(request, actor, office) if not one.alarm.acknowledged_at]
    return render(
        request,
        "runs.html",
        title=say(request, "匹配与密钥"),
        tabs=TABS,
        waiting=waiting[:5],
        waiting_count=len(waiting),
        unsigned=[(view, one) for view in views for one in view.warrants if one.state == "unsigned"],
        conflicts=received.count_open_conflicts(actor),
        sees_conflicts=actor.may(Permission.SEE_HOUSEHOLDS),
        lines=epoch_lines(epochs, views, office.clock.now(), names),
        names=names,
        epochs=epochs,
        views=views,
        broken=links_of(request).broken,
        bars=bars(views),
        handovers=received.page(actor, size=5),
        run_states=RUN_STATES,
        warrant_states=WARRANTS,
        done=say(request, DONE.get(done, "")),
    )


@router.get("/runs/handovers")
def list_handovers(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> HTMLResponse:
    """Every imported file, the newest first."""
    return _list_handovers(request, actor, office, before)


@router.post("/runs/handovers/export")
def export_handovers(request: Request, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking) -> Response:
    def make(path: FilePath) -> int:
        return write_handovers(path, Received(office).page(actor, size=MOST_EXPORTED), format=taking.format)

    name, words = f"移交清单.{taking.format}", say(request, "移交清单")
    wanted = Wanted(words, name, "handovers", first_of(actor, *SEEN_WITH), False)
    return hand_out_file(
        request, actor, office, taking, wanted, make, back="/runs/handovers", back_words=say(request, "移交")
    )


@router.get("/runs/handovers/{handover}")
def show_handover(request: Request, handover: Number, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """One of them: what the bank signed, which rows were refused and why, and what it left to settle."""
    found = Received(office).show(actor, handover)
    return render(
        request, "handover.html", title=say(request, "移交 %(number)s") % {"number": handover}, found=found,
        names=dataset_words(request), refusals=REFUSALS, sees_conflicts=actor.may(Permission.SEE_HOUSEHOLDS),
        crumbs=[(say(request, "匹配与密钥"), "/runs"), (say(request, "移交"), "/runs/handovers")],
    )  # fmt: skip


@router.get("/runs/checks")
def show_checks(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """By department: runs, editions, allowance, warrants."""
    views = CheckRuns(office, links_of(request)).show(actor)
    return render(
        request, "run-checks.html", title=say(request, "部门核验的运行"), tabs=TABS, views=views, bars=bars(views),
        names=dataset_words(request),
        broken=links_of(request).broken, run_states=RUN_STATES, warrant_states=WARRANTS, shown=SHOWN,
        now=office.now(), crumbs=[(say(request, "匹配与密钥"), "/runs")],
        keys=_export_keys(actor, office, 3),
    )  # fmt: skip


@router.get("/runs/alarms")
def show_alarms(request: Request, actor: CurrentActor, office: CurrentOffice, done: str = "") -> HTMLResponse:
    """Those that nobody has seen to first."""
    return _show_alarms(request, actor, office, done=done)


@router.post("/runs/alarms/{place}/{alarm}")
def acknowledge(
    request: Request,
    place: Place,
    alarm: Number,
    actor: CurrentActor,
    office: CurrentOffice,
    reason: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """Seen to, and how; ``place`` is a department's dataset, or ``bureau`` for the bureau's own."""
    try:
        if place == "bureau":
            Received(office).acknowledge(actor, alarm, reason)
        else:
            CheckRuns(office, links_of(request)).acknowledge(actor, place, alarm, reason)
    except TextNotPlain as error:
        words = words_of_problem(request, error.code, {"params": error.params})[0]
        return _show_alarms(request, actor, office, faults={f"{place}-{alarm}": words}, typed=reason)
    return RedirectResponse(with_notice("/runs/alarms", "acknowledged"), status_code=303)


@router.post("/runs/alarms/export")
def export_alarms(request: Request, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking) -> Response:
    """Every alarm, the newest first, and what became of it."""
    out = ListOut(mark("警报"), "alarms", first_of(actor, *SEEN_WITH), ALARM_COLUMNS)

    def make_rows() -> list[tuple[str | None, ...]]:
        return [
            (moment(one.alarm.at), one.place_words, str(one.alarm.alarm_id), one.alarm.code,
             one.what, one.following, one.alarm.subject, one.alarm.acknowledged_by, moment(one.alarm.acknowledged_at))
            for one in _alarms(request, actor, office)
        ]  # fmt: skip

    return hand_out_list(request, actor, office, taking, out, make_rows, back="/runs/alarms")


@router.get("/runs/records")
def show_records(request: Request, actor: CurrentActor, office: CurrentOffice) -> HTMLResponse:
    """What both sides signed of each run, and the positions that auditors drew."""
    views = CheckRuns(office, links_of(request)).show(actor)
    return render(
        request, "run-records.html", title=say(request, "交换记录与抽查"), tabs=TABS, views=views, states=RECORDS,
        names=dataset_words(request),
        shown=SHOWN, crumbs=[(say(request, "匹配与密钥"), "/runs")], keys=_export_keys(actor, office, 2),
    )  # fmt: skip


def _export_keys(actor: Actor, office: Office, count: int) -> list[str]:
    """One-time keys for so many forms; none for whoever may not export."""
    return [office.random_bytes(16).hex() for _ in range(count)] if actor.may(Permission.EXPORT) else []


def _list_handovers(
    request: Request,
    actor: Actor,
    office: Office,
    before: int | None,
    *,
    problems: list[tuple[str, str]] | None = None,
    status: int = 200,
) -> HTMLResponse:
    rows = Received(office).page(actor, before=before, size=PAGE + 1)
    return render(
        request, "handovers.html", title=say(request, "移交"), tabs=TABS, rows=rows[:PAGE],
        names=dataset_words(request, {one.dataset for one in rows}), problems=problems or [],
        next_address=with_query(request, before=rows[PAGE - 1].handover_id) if len(rows) > PAGE else None,
        is_first=before is None, exports=actor.may(Permission.EXPORT), key=office.random_bytes(16).hex(),
        crumbs=[(say(request, "匹配与密钥"), "/runs")], status=status,
    )  # fmt: skip


def _show_alarms(
    request: Request,
    actor: Actor,
    office: Office,
    *,
    done: str = "",
    faults: Mapping[str, str] | None = None,
    typed: str = "",
) -> HTMLResponse:
    lines = _alarms(request, actor, office)
    return render(
        request, "run-alarms.html", title=say(request, "警报"), tabs=TABS, typed=typed, faults_of=faults or {},
        waiting=[one for one in lines if not one.alarm.acknowledged_at],
        seen=[one for one in lines if one.alarm.acknowledged_at][:PAGE], done=say(request, DONE.get(done, "")),
        crumbs=[(say(request, "匹配与密钥"), "/runs")], status=422 if faults else 200,
        may_export=actor.may(Permission.EXPORT), key=office.random_bytes(16).hex(),
    )  # fmt: skip


def _alarms(request: Request, actor: Actor, office: Office) -> list[AlarmLine]:
    """The bureau's own and those of every dataset, the newest first; who may acknowledge which."""
    ours, theirs = (actor.may(one) for one in (Permission.REFINE, Permission.CHECK_DEPARTMENT))
    names = dataset_words(request)
    found = alarm_lines(request, "bureau", say(request, "本局"), Received(office).list_alarms(actor), ours)
    for view in CheckRuns(office, links_of(request)).show(actor):
        found += alarm_lines(request, view.link.name, names(view.link.name), view.alarms, theirs)
    return sorted(found, key=lambda one: one.alarm.at, reverse=True)
